"""A window that runs again after later ones: what operators decided about it, and rows that other files repeated.

Does not belong here: what a restated file shows (test_restatements), what is queued by it (test_run_queue).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.invariants import faults
from tests.scenarios.rows import MON, TUE, WED, post, settle, settlement_file
from tests.scenarios.world import World
from zentra_pipeline.desk import deciding
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.review.record import DecisionRequest

pytestmark = pytest.mark.ci

PROFILE = {"expects_callbacks": False, "amount_date_rule": "off"}
NOW = datetime(2026, 4, 23, 9, tzinfo=UTC)


@pytest.fixture(scope="module", name="accepted")
def _accepted(tmp_path_factory: pytest.TempPathFactory) -> World:
    """L1 of 100 is posted in three parts, a window each; on Tuesday ann accepts that 25 are still missing."""
    world = World(tmp_path_factory.mktemp("accepted"), PROFILE)
    world.add(settle("L1", "R1", 100), post("T1", "R1", 40), post("T2", "R1", 35, on=TUE))
    for window in (MON, TUE):
        world.make(window)
    (row,) = world.query("select exception_id from exceptions")
    why = "the rest is on its way"
    deciding.decide(world.tenant, DecisionRequest(row["exception_id"], "accept_timing", "ann", reason=why), NOW)
    world.add(post("T9", "R9", 7))  # the ledger's Monday, completed late: Monday and Tuesday are made again
    world.deliver()
    world.request(MON, settlement_file(MON))
    return world


def test_what_was_accepted_stays_so_when_its_run_is_made_again(accepted: World) -> None:
    """Tuesday once took its own amount for other money than ann had accepted, and opened the exception again."""
    assert [accepted.revision(window).revision for window in (MON, TUE)] == [2, 2]
    rows = accepted.query("select subject_id, difference_minor, status, resolution, resolved_by from exceptions")
    assert [tuple(row.values()) for row in rows] == [("L1", 25, "resolved", "accepted_timing", "ann")]
    assert faults(accepted) == []


def test_what_was_accepted_opens_again_about_other_money(accepted: World) -> None:
    accepted.add(post("T3", "R1", 20, on=WED))
    accepted.run(WED)
    rows = accepted.query(
        "select difference_minor, coalesce(resolution, exceptions.status) as state, runs.ledger_window "
        "from exceptions inner join runs using (run_id) where subject_id = 'L1' order by runs.ledger_window"
    )
    assert [(row["difference_minor"], row["state"], str(row["ledger_window"])) for row in rows] == [
        (25, "accepted_timing", MON),
        (5, "open", WED),
    ]


def test_a_file_restates_a_line_of_its_own_that_another_file_has_repeated(tmp_path: Path) -> None:
    """The corrected row once went to quarantine, for the other file still had the wrong one."""
    world = World(tmp_path, PROFILE)
    wrong = settle("L1", "R1", 110)
    world.add(post("T1", "R1", 100), wrong, wrong.again(file="set_2026_04_20_copy"))
    world.make(MON)
    right = wrong.again(gross_minor=100, net_minor=100)
    world.ingest("settlement", settlement_file(MON), [right])
    # A further file may repeat the last word, and contradict it as little as before.
    world.ingest("settlement", "repeats", [right])
    world.ingest("settlement", "contradicts", [wrong, settle("F1", "", 1, type="fee")])
    assert [row["file_id"] for row in world.query("select file_id from quarantine")] == ["contradicts"]
    world.make(MON)
    rows = world.query("select first_line_id, settlement_minor, difference_minor from matches")
    assert [tuple(row.values()) for row in rows] == [("L1", 100, 0)]
    assert world.query("select * from exceptions") == []
    assert faults(world) == []


def test_rules_that_say_the_same_in_other_bytes_publish_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer release may write the same rows otherwise: that alone makes no revision, and opens no sealed run."""
    world = World(tmp_path, PROFILE)
    world.add(post("T1", "R1", 100), settle("L1", "R1", 110))
    world.make(MON)
    published = world.revision(MON).tables
    write = lake_files.write_parquet

    def in_other_bytes(
        connection: Any, rows: str, paths: Any, relative: Path, version: str = "v1"
    ) -> lake_files.PublishedFile:
        return write(connection, rows, paths, relative, {"v1": "v2", "v2": "v1"}[version])

    monkeypatch.setattr(dbt_project, "digest", lambda: "1" * 64)
    monkeypatch.setattr(lake_files, "write_parquet", in_other_bytes)
    world.request(MON, settlement_file(MON))
    kept = world.revision(MON)
    assert (kept.revision, kept.tables, kept.manifest["rules"]) == (1, published, "1" * 64)
    assert faults(world) == []

    def with_another_difference(connection: Any, rows: str, *arguments: Any, **version: Any) -> Any:
        if "zentra.matches " in rows:
            rows = f"select * replace (difference_minor + 1 as difference_minor) from ({rows})"
        return write(connection, rows, *arguments, **version)

    monkeypatch.setattr(dbt_project, "digest", lambda: "2" * 64)
    monkeypatch.setattr(lake_files, "write_parquet", with_another_difference)
    world.request(MON, settlement_file(MON))
    assert world.revision(MON).revision == 2
