"""What is kept of a file beside its rows: the table `files`, the event of drift, the proof of its staged bytes."""

from pathlib import Path

import polars as pl
import pytest

from tests.scenarios.rows import MON, settle, settlement_file
from tests.scenarios.world import World, as_csv
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.store import event_log, file_facts
from zentra_pipeline.store.models import file_facts as table
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import doctor, rebuild

FILES = (
    "select file_id, kind, settlement_file, rows, rows_quarantined, unknown_columns, superseded_by from files "
    "order by file_sequence"
)


def test_the_table_files_says_what_each_file_was_and_by_what_it_was_restated(tmp_path: Path) -> None:
    world = World(tmp_path)
    bad = settle("L2", "R2", 5).again(gross_minor="x")
    first = world.ingest("settlement", "set", [settle("L1", "R1", 5), bad]).files[0]
    second = world.ingest("settlement", "set", [settle("L1", "R1", 6)]).files[0]
    header, row = as_csv("settlement", [settle("L3", "R3", 7)]).splitlines()
    content = header.replace(b"status", b"state") + b",Risk score\n" + row + b",7\n"
    world.ingest_bytes("settlement", "other", content)
    assert [tuple(row.values()) for row in world.query(FILES)] == [
        ("set", "settlement", "set", 2, 1, None, second.sha256),
        ("set", "settlement", "set", 1, 0, None, None),
        ("other", "settlement", "other", 1, 0, "Risk score, state", None),
    ]
    assert first.sha256 != second.sha256


def test_unknown_columns_are_one_event_a_file(tmp_path: Path) -> None:
    world = World(tmp_path)
    content = as_csv("settlement", [settle("L1", "R1", 5)]).replace(b"status", b"state")
    for _ in range(2):
        world.ingest_bytes("settlement", "set", content)
    world.ingest("settlement", "plain", [settle("L2", "R2", 5)])
    with world.tenant.reading() as connection:
        entries = [entry for entry in event_log.entries(connection) if entry.event_type]
    assert [entry.event_type for entry in entries] == ["reconciliation.provider.drifted"]
    rows = world.query("select event_type, subject, run_id, data->>'unknown_columns' as columns from events")
    assert rows == [
        {"event_type": "reconciliation.provider.drifted", "subject": "set", "run_id": None, "columns": '["state"]'}
    ]


def test_staged_bytes_that_changed_after_ingest_fail_the_run_and_rebuild_makes_them_again(tmp_path: Path) -> None:
    """A staged file with every amount + 1 passed run and doctor."""
    world = World(tmp_path, {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(MON), [settle("L1", "R1", 5)])
    (staged,) = (world.paths.staged / "settlement_lines").glob("*.parquet")
    honest = staged.read_bytes()
    forged = pl.read_parquet(staged).with_columns(pl.col("gross_minor", "net_minor") + 1)
    forged.write_parquet(staged, compression="snappy")
    with pytest.raises(ZentraError, match=r"is not what ingest wrote.*a rebuild of tenant"):
        world.reconcile(MON)
    assert any(
        "is not what ingest wrote" in each.what for found in doctor.examine(world.home) for each in found.findings
    )
    rebuild.rebuild(Tenant.of(world.home, world.paths.root.name))
    assert staged.read_bytes() == honest
    world.reconcile(MON)


def test_a_file_staged_before_digests_were_kept_is_recorded_when_a_run_meets_it_and_doctor_says_so(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(MON), [settle("L1", "R1", 5)])
    with world.tenant.writing() as connection:
        connection.execute(table.delete())
    world.reconcile(MON)
    with world.tenant.reading() as connection:
        (facts,) = file_facts.recorded(connection).values()
    assert (facts.is_proven, facts.rows_read) == (False, 1)
    assert any(
        "nothing proves that it is what ingest wrote" in each.what
        for found in doctor.examine(world.home)
        for each in found.findings
    )
