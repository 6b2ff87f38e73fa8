"""A run killed at any point leaves whole runs or nothing to readers, and the next one publishes what it would have."""

import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, call, post, settle, settlement_file
from tests.scenarios.world import World
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import window_run
from zentra_pipeline.reconcile.window_run import RunRequest

# The child counts what it does to files of the home and dies at the n-th; with a count of 0 it only reports how often.
CHILD = """
import os, sys
from datetime import UTC, date, datetime
from zentra_pipeline.settings import Home
from zentra_pipeline.reconcile.window_run import RunRequest, run_window
import zentra_pipeline.store.engine

root, kill_at, provider, file_id, day = sys.argv[1:]
left, seen = int(kill_at), 0
WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree", "sqlite3.connect", "duckdb.connect"}

def die_at_the_nth_step(event, arguments):
    global seen
    if event in WATCHED and root in str(arguments):
        seen += 1
        if seen == left:
            os.kill(os.getpid(), 9)

sys.addaudithook(die_at_the_nth_step)
run_window(Home.at(root), "acme", RunRequest(provider, file_id, date.fromisoformat(day), "finance_ops",
           datetime(2026, 4, 21, 12, tzinfo=UTC), "test"))
print(seen)
"""
TABLES = ("matches", "match_legs", "three_way", "exceptions", "open_items", "conservation", "rollforward")


def prepared(folder: Path) -> World:
    world = World(folder)
    world.ingest("settlement", settlement_file(MON), [settle(f"L{n}", f"R{n}", 100 + n) for n in range(40)])
    world.ingest("ledger", "ledger", [row for n in range(3, 45) for row in post(f"T{n}", f"R{n}", 100 + n)])
    world.ingest("callbacks", "callbacks", [call(f"E{n}", f"R{n}", 100 + n) for n in range(0, 45, 2)])
    return world


def child(world: World, kill_at: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(world.home.root), str(kill_at), world.provider, settlement_file(MON), MON]
    return subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)


def published(world: World) -> dict[str, str]:
    return {name: table["sha256"] for name, table in world.revision(MON).tables.items()}


def rerun(world: World) -> None:
    window_run.run_window(
        world.home,
        "acme",
        RunRequest(world.provider, settlement_file(MON), date.fromisoformat(MON), None, None, "test"),
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], int]:
    """Digests of a run nobody killed, and how many steps it took."""
    world = prepared(tmp_path_factory.mktemp("undisturbed"))
    outcome = child(world, 0)
    assert outcome.returncode == 0, outcome.stderr
    return published(world), int(outcome.stdout.split()[-1])


def assert_whole_or_nothing(world: World, whole: dict[str, str]) -> None:
    """Readers answer every query, and see the run as it should be or not at all."""
    counts = {table: lake.query(world.paths, f"select count(*) from {table}").rows[0][0] for table in TABLES}
    (revision,) = lake.query(world.paths, "select coalesce(max(revision), 0) from runs").rows[0]
    if revision == 0:
        assert set(counts.values()) == {0}
    else:
        assert published(world) == whole
    for pointer in (world.paths.lake / "_current").glob("*.json"):
        tables = json.loads(pointer.read_text())["tables"]
        assert all((world.paths.root / table["path"]).exists() for table in tables.values())


def check_kills(folders: pytest.TempPathFactory, undisturbed: tuple[dict[str, str], int], points: int) -> None:
    whole, steps = undisturbed
    for kill_at in sorted({1 + number * (steps - 1) // (points - 1) for number in range(points)}):
        world = prepared(folders.mktemp(f"killed_{kill_at}"))
        assert child(world, kill_at).returncode == -signal.SIGKILL
        assert_whole_or_nothing(world, whole)
        if not lake.query(world.paths, "select * from runs").rows:
            continue  # killed before the request was recorded: nothing to heal
        rerun(world)
        assert published(world) == whole
        assert world.revision(MON).revision == 1
        assert not [path for path in world.paths.root.rglob("*") if path.name.endswith(".tmp")]
        assert not list(world.paths.scratch.iterdir())


def test_run_killed_anywhere_is_whole_or_absent_and_heals(
    tmp_path_factory: pytest.TempPathFactory, undisturbed: tuple[dict[str, str], int]
) -> None:
    check_kills(tmp_path_factory, undisturbed, 5)


@pytest.mark.slow
def test_run_killed_at_every_step_is_whole_or_absent_and_heals(
    tmp_path_factory: pytest.TempPathFactory, undisturbed: tuple[dict[str, str], int]
) -> None:
    check_kills(tmp_path_factory, undisturbed, 80)


def test_run_that_cannot_write_the_lake_fails_with_a_reason_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[dict[str, str], int]
) -> None:
    world = prepared(tmp_path)
    written = 0

    def disk_full(temporary: Path, final: Path) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise OSError(28, "No space left on device", str(final))
        temporary.rename(final)

    with monkeypatch.context() as patched:
        patched.setattr(lake, "make_durable", disk_full)
        with pytest.raises(OSError, match="No space left"):
            world.reconcile(MON, "2026-04-21T12:00:00+00:00")
    assert_whole_or_nothing(world, undisturbed[0])
    ((status, failure),) = lake.query(world.paths, "select status, failure from runs").rows
    assert status == "failed"
    assert "No space left" in failure
    rerun(world)
    assert published(world) == undisturbed[0]
