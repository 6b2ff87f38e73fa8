"""What a settlement file delivered again with other content does to its run, and what a changed profile would do."""

from pathlib import Path

import pytest

from tests.scenarios import invariants
from tests.scenarios.rows import MON, TUE, WED, post, settle, settlement_file
from tests.scenarios.world import World
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.reconcile.backtest import backtest
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("restated"), {"expects_callbacks": False})
    kept, changed = settle("KEPT", "R1", 100), settle("CHANGED", "R2", 200)
    world.ingest("settlement", settlement_file(MON), [kept, changed, settle("REMOVED", "R3", 300)])
    world.ingest("ledger", "ledger", [*post("T1", "R1", 100), *post("T2", "R2", 250), *post("T3", "R3", 300)])
    world.make(MON)
    restating = [kept, changed.again(gross_minor=250, net_minor=250), settle("ADDED", "R4", 400)]
    world.ingest("settlement", settlement_file(MON), restating)
    world.make(MON)
    return world


def test_restated_file_is_a_new_revision_of_its_run(restated: World) -> None:
    assert restated.revision(MON).revision == 2


def test_restatement_shows_every_line_changed_added_and_removed(restated: World) -> None:
    rows = restated.query(
        "select line_id, change_type, gross_before_minor, gross_after_minor from restatements order by line_id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("ADDED", "added", None, 400),
        ("CHANGED", "changed", 200, 250),
        ("REMOVED", "removed", 300, None),
    ]


def test_restated_content_decides_what_matches(restated: World) -> None:
    rows = restated.query("select first_line_id, difference_minor from matches order by first_line_id")
    assert [tuple(row.values()) for row in rows] == [("CHANGED", 0), ("KEPT", 0)]


def test_line_a_restatement_added_says_so_in_its_exception(restated: World) -> None:
    (row,) = restated.query("select subject_id, explanation from exceptions where status = 'open'")
    assert row["subject_id"] == "ADDED"
    assert "added by a restated file" in row["explanation"]


def test_parts_of_one_file_complete_one_another_in_any_order(tmp_path: Path) -> None:
    lines = [settle("L1", "R1", 100), settle("L2", "R2", 200), settle("L3", "R3", 300)]
    digests = set()
    for name, parts in (("one", [lines]), ("two", [lines[1:], lines[:2]]), ("three", [lines[2:], lines[:1], lines])):
        world = World(tmp_path / name, {"expects_callbacks": False})
        for part in parts:
            world.ingest("settlement", settlement_file(MON), part)
        world.make(MON)
        assert world.query("select count(*) as n from restatements") == [{"n": 0}]
        digests.add(world.revision(MON).inputs_digest)
    assert len(digests) == 1


def test_rows_that_come_again_in_a_later_file_are_counted_by_the_run_that_meets_them(tmp_path: Path) -> None:
    """Of what an earlier run left open the second copy was in no bucket, on either side."""
    world = World(tmp_path, {"expects_callbacks": False})
    unmatched, matched = settle("L1", "R1", 100), settle("L2", "R2", 200)
    posted = (*post("T2", "R2", 200), *post("T3", "R3", 300))
    world.add(unmatched, matched, *posted)
    world.make(MON)
    again = [each.again(file=settlement_file(TUE)) for each in (unmatched, unmatched, matched)]
    world.add(*again, settle("L4", "R4", 40, on=TUE), *posted)
    world.make(TUE)
    world.make(WED)
    counted = world.query(
        "select side, rows_in, matched, in_transit, excepted, duplicates, duplicates_minor from conservation "
        f"where ledger_window >= date '{TUE}' order by ledger_window, side"
    )
    assert [tuple(row.values()) for row in counted] == [
        ("ledger", 5, 0, 1, 0, 4, 500),
        ("settlement", 5, 0, 0, 2, 3, 400),
        ("ledger", 1, 0, 1, 0, 0, 0),
        ("settlement", 2, 0, 0, 2, 0, 0),
    ]
    assert invariants.faults(world) == []


def test_backtest_shows_what_a_tolerance_would_change_and_publishes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(MON), [settle("L1", "R1", 100)])
    world.ingest("ledger", "ledger", list(post("T1", "R1", 101)))
    world.make(MON)
    before = world.query("select * from exceptions")
    profile = Profile(expects_callbacks=False, amount_tolerance_minor={"*": 1})
    (change,) = backtest(Tenant.of(world.home, "acme"), world.provider, profile)
    assert [row["exception_type"] for row in change.exceptions_gone] == ["amount_mismatch"]
    assert not (change.exceptions_new or change.matches_gone or change.matches_new)
    assert world.query("select * from exceptions") == before
    assert world.revision(MON).revision == 1
