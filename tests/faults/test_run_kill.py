"""A run killed at any point leaves whole runs or nothing to readers, and the next one publishes what it would have."""

import json
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.closeout.closed_world import copied
from tests.scenarios.rows import MON, call, post, settle, settlement_file
from tests.scenarios.world import World
from tests.support.forked import Forking, forking
from zentra_pipeline import durable_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import row_keys, window_run
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]

CHILD = """
from datetime import UTC, date, datetime
import polars, zentra_pipeline.store.engine
from zentra_pipeline.published import catalog
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

dbt_project.statements()
WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree", "sqlite3.connect", "duckdb.connect"}

def take(root, provider, file_id, day, stop_at):
    seen = counted(root, "kill", stop_at)
    run_window(Tenant.of(Home.at(root), "acme"), RunRequest(provider, file_id, date.fromisoformat(day), "finance_ops",
               datetime(2026, 4, 21, 12, tzinfo=UTC), "test"))
    return seen()
"""
TABLES = ("matches", "match_legs", "three_way", "exceptions", "open_items", "conservation", "rollforward")


@pytest.fixture(scope="module")
def prepared(sqlite_for_module: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Files that were ingested, and nothing run; copied for each kill."""
    world = World(tmp_path_factory.mktemp("prepared"))
    world.ingest("settlement", settlement_file(MON), [settle(f"L{n}", f"R{n}", 100 + n) for n in range(40)])
    world.ingest("ledger", "ledger", [row for n in range(3, 45) for row in post(f"T{n}", f"R{n}", 100 + n)])
    world.ingest("callbacks", "callbacks", [call(f"E{n}", f"R{n}", 100 + n) for n in range(0, 45, 2)])
    return world


@pytest.fixture(scope="module")
def process(sqlite_for_module: None) -> Iterator[Forking]:
    with forking(CHILD) as process:
        yield process


def run_and_die(process: Forking, world: World, stop_at: int) -> tuple[int, str]:
    """Run Monday in a process of its own that dies at a step; its exit code, and the steps of one that lived."""
    return process.take(str(world.home.root), world.provider, settlement_file(MON), MON, stop_at)


def published(world: World) -> dict[str, str]:
    return {name: table["sha256"] for name, table in world.revision(MON).tables.items()}


def rerun(world: World) -> None:
    window_run.run_window(
        Tenant.of(world.home, "acme"),
        RunRequest(world.provider, settlement_file(MON), date.fromisoformat(MON), None, None, "test"),
    )


@pytest.fixture(scope="module")
def undisturbed(
    prepared: World, process: Forking, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], int]:
    """Digests of a run nobody killed, and how many steps it took."""
    world = copied(prepared, tmp_path_factory.mktemp("undisturbed"))
    code, said = run_and_die(process, world, 0)
    assert code == 0, said
    return published(world), int(said)


def assert_whole_or_nothing(world: World, whole: dict[str, str]) -> None:
    """Readers answer every query, and see the run as it should be or not at all."""
    counts = lake.query(world.paths, " union all ".join(f"select count(*) from {table}" for table in TABLES)).rows
    (revision,) = lake.query(world.paths, "select coalesce(max(revision), 0) from runs").rows[0]
    if revision == 0:
        assert set(counts) == {(0,)}
    else:
        assert published(world) == whole
    for pointer in (world.paths.lake / "_current").glob("*.json"):
        tables = json.loads(pointer.read_text())["tables"]
        assert all((world.paths.root / table["path"]).exists() for table in tables.values())


@pytest.mark.parametrize("points", [5, pytest.param(80, marks=pytest.mark.slow)])
def test_run_killed_anywhere_is_whole_or_absent_and_heals(
    tmp_path_factory: pytest.TempPathFactory,
    prepared: World,
    process: Forking,
    undisturbed: tuple[dict[str, str], int],
    points: int,
) -> None:
    whole, steps = undisturbed
    for kill_at in sorted({1 + number * (steps - 1) // (points - 1) for number in range(points)}):
        world = copied(prepared, tmp_path_factory.mktemp(f"killed_{kill_at}"))
        assert run_and_die(process, world, kill_at)[0] == -signal.SIGKILL
        assert_whole_or_nothing(world, whole)
        if not lake.query(world.paths, "select * from runs").rows:
            continue  # killed before the request was recorded: nothing to heal
        rerun(world)
        assert published(world) == whole
        assert world.revision(MON).revision == 1
        assert not [path for path in world.paths.root.rglob("*") if path.name.endswith(".tmp")]
        with row_keys.writing(world.paths.root) as own:  # as the next run that writes key files does
            assert list(own.parent.iterdir()) == [own]
        assert not list(world.paths.scratch.iterdir())


def test_run_that_cannot_write_the_lake_fails_with_a_reason_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: World, undisturbed: tuple[dict[str, str], int]
) -> None:
    world = copied(prepared, tmp_path)
    written = 0

    def disk_full(temporary: Path, final: Path) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise OSError(28, "No space left on device", str(final))
        temporary.rename(final)

    with monkeypatch.context() as patched:
        patched.setattr(durable_files, "rename_durably", disk_full)
        with pytest.raises(OSError, match="No space left"):
            world.reconcile(MON, "2026-04-21T12:00:00+00:00")
    assert_whole_or_nothing(world, undisturbed[0])
    ((status, failure),) = lake.query(world.paths, "select status, failure from runs").rows
    assert status == "failed"
    assert "No space left" in failure
    rerun(world)
    assert published(world) == undisturbed[0]
