"""A home that release 0.1.0 left goes on working: its tables are read, its next window runs, its seal holds.

What it holds is described in tests/fixtures/README.md. Revisions keep the columns they were published with.
"""

import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.closeout.closed_world import verified
from tests.scenarios.rows import MON, TUE, WED, call, post, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline import sql_text
from zentra_pipeline.published import declared_tables, lake, lake_files, lake_views, schema_before
from zentra_pipeline.settings import Home
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import doctor
from zentra_pipeline.upkeep.finding import ERROR
from zentra_pipeline.upkeep.rebuild import EQUAL, SAME_ROWS, rebuild
from zentra_pipeline.upkeep.reperform import reperform

pytestmark = pytest.mark.ci

HOME = Path(__file__).parent.parent / "fixtures" / "home_of_0_1_0.tar.xz"


@pytest.fixture
def world(tmp_path: Path, sqlite: None) -> World:
    with tarfile.open(HOME) as packed:
        packed.extractall(tmp_path, filter="data")
    world = World.__new__(World)
    world.tenant = Tenant.of(Home.at(tmp_path / "home"), TENANT)
    world.provider = "rail_primary"
    world.inbox = tmp_path / "inbox"
    world.inbox.mkdir()
    world._pending, world._said, world._deliveries = [], set(), 10
    world._files = {settlement_file(MON), settlement_file(TUE)}
    for folder in (world.paths.scratch, world.paths.locks):
        folder.mkdir(exist_ok=True)
    return world


def run_of(world: World, window: str) -> run_store.Run:
    with world.tenant.reading() as connection:
        return next(run for run in run_store.list_runs(connection) if run.ledger_window == window)


def exceptions(world: World) -> list[tuple[Any, ...]]:
    sql = "select subject_id, exception_type, status, resolution from exceptions order by all"
    return lake.query(world.paths, sql).rows


# What readers find of a decision or another run, whenever the row was published.
MADE_OF_OTHERS = ("resolved_at", "resolved_by")
AS_LEFT = [
    ("E3", "late_callback", "open", None),
    ("L5", "unmatched_provider_row", "open", None),
    ("L6", "control_total_mismatch", "open", None),
    ("L6", "unmatched_provider_row", "open", None),
    ("T2", "missing_callback", "open", None),
    ("T3", "missing_callback", "resolved", "accepted_timing"),
]


def test_its_tables_are_read_whole_and_what_they_lack_is_null(world: World) -> None:
    assert exceptions(world) == AS_LEFT
    for table in sorted({*lake_files.ROW_ORDER} - lake_views.INTERNAL):
        answer = lake.query(world.paths, f"select * from {table}")
        assert answer.columns == list(declared_tables.tables()[table].columns)
        added = [name for name in answer.columns if name not in schema_before.COLUMNS.get(table, answer.columns)]
        found = {row[answer.columns.index(name)] for row in answer.rows for name in added if name not in MADE_OF_OTHERS}
        assert found <= {None}
    lake.refresh(world.paths)
    with duckdb.connect(str(world.paths.catalog), read_only=True) as catalog:
        assert catalog.execute("select count(*) from exceptions_as_closed").fetchall() == [(1,)]
        assert catalog.execute("select count(*) from matches").fetchall() == [(3,)]


def test_the_next_window_starts_from_what_it_left(world: World) -> None:
    world.add(post("T5", "nobody", 900, on=WED), call("E5", "nobody", 900, on=WED), call("E2", "R2", 700, on=WED))
    world.make(WED)
    assert ("L5", "unmatched_provider_row", "resolved", "matched_late") in exceptions(world)
    assert ("T2", "missing_callback", "resolved", "matched_late") in exceptions(world)
    (row,) = world.query(f"select * from rollforward where ledger_window = '{WED}'")
    amounts = ("opening_minor", "posted_minor", "settled_minor", "closing_minor", "difference_minor")
    assert [row[name] for name in amounts] == [0, 900, 900, 0, 0]


def test_its_seal_holds_and_both_windows_are_made_again_as_they_were(world: World) -> None:
    assert verified(world).holds
    assert reperform(world.tenant, run_of(world, MON).run_id).holds
    shutil.rmtree(world.paths.lake / "exceptions")
    shutil.rmtree(world.paths.staged)
    remade = rebuild(world.tenant)
    assert {item.verdict for item in remade.revisions} <= {EQUAL, SAME_ROWS}
    assert [seal.verdict for seal in remade.seals] == [EQUAL]
    assert (remade.refused, remade.lost) == (None, ())
    assert exceptions(world) == AS_LEFT
    findings = [finding for diagnosis in doctor.examine(world.home) for finding in diagnosis.findings]
    assert [finding for finding in findings if finding.severity == ERROR] == []


def test_run_again_its_sealed_window_stays_sealed_and_the_other_takes_the_columns_of_today(world: World) -> None:
    assert not world.request(MON, settlement_file(MON)).is_new_revision
    assert (run_of(world, MON).revision, run_of(world, MON).status) == (1, "closed")
    world.request(TUE, settlement_file(TUE))
    tables = world.revision(TUE).tables
    declared = lake_files.declared_columns()
    assert {name: list(columns) for name, columns in lake_files.columns_of(tables).items()} == {
        name: declared[name] for name in lake_files.ROW_ORDER
    }
    assert exceptions(world) == AS_LEFT


def test_a_column_that_a_file_lacks_is_null_and_one_that_nobody_declares_is_left_out(tmp_path: Path) -> None:
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 'x' as b, 1::integer as a, 7 as gone) to '{old}'")
        connection.execute(f"copy (select 2::bigint as a, 'y' as b, date '2026-04-20' as c) to '{new}'")
        rows = connection.execute(
            f"from {sql_text.parquet_scan([old, new], 'a bigint, b varchar, c date')} order by a"
        ).fetchall()
    assert rows == [(1, "x", None), (2, "y", datetime(2026, 4, 20, tzinfo=UTC).date())]
