"""A close that is killed, or whose disk fails, leaves the run prepared or sealed, and the next one heals."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.closeout.closed_world import approve, clean_world, copied, monday, prepare, verified
from tests.scenarios.world import World
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading

# The child counts what it does to files of the home, and at the n-th step dies, or is told that the disk is full.
CHILD = """
import errno, os, sys
from datetime import UTC, datetime
from zentra_pipeline.closeout import case, closing
from zentra_pipeline.settings import Home

root, run_id, how, stop_at = sys.argv[1:]
left, seen = int(stop_at), 0
WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree", "sqlite3.connect", "duckdb.connect"}

def stop_at_the_nth_step(event, arguments):
    global seen
    if event in WATCHED and root in str(arguments):
        seen += 1
        if seen == left:
            if how == "kill":
                os.kill(os.getpid(), 9)
            raise OSError(errno.ENOSPC, "no space left on device")

sys.addaudithook(stop_at_the_nth_step)
with case.of_run(Home.at(root), "acme", run_id) as opened:
    closing.approve(opened, "bob", datetime(2026, 4, 21, 12, tzinfo=UTC))
print(seen)
"""


def child(world: World, how: str, stop_at: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(world.home.root), monday(world), how, str(stop_at)]
    return subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = clean_world(tmp_path_factory.mktemp("prepared"))
    assert prepare(world).status == "prepared"
    return world


@pytest.fixture(scope="module")
def steps(prepared: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many steps an undisturbed approval takes."""
    outcome = child(copied(prepared, tmp_path_factory.mktemp("undisturbed")), "kill", 0)
    assert outcome.returncode == 0, outcome.stderr
    return int(outcome.stdout.split()[-1])


def seals(world: World) -> list[str | None]:
    with reading(operational_store(world.paths)) as connection:
        run = run_store.get(connection, monday(world))
        closeouts = closeout_store.of_run(connection, run.run_id)
    state = (run.status, run.closeout_status, [item.status for item in closeouts])
    assert state in [("closing", "prepared", ["prepared"]), ("closed", "sealed", ["sealed"])]
    return [item.seal_digest for item in closeouts]


def check(prepared: World, folders: pytest.TempPathFactory, how: str, stop_at: int) -> None:
    world = copied(prepared, folders.mktemp(f"{how}_{stop_at}"))
    outcome = child(world, how, stop_at)
    assert outcome.returncode != 0
    if how == "kill":
        assert outcome.returncode == -signal.SIGKILL
    else:
        assert str(errno.ENOSPC) in outcome.stderr or "no space left" in outcome.stderr
    (before,) = seals(world)
    healed = approve(world)
    (after,) = seals(world)
    assert healed.status == "sealed"
    assert before in (None, after)
    assert verified(world).holds
    assert len(world.query("select * from events where event_type = 'reconciliation.closeout.completed'")) == 1
    assert len(world.query("select * from decisions where action = 'approve_closeout'")) == 1
    leftovers = [path for path in world.paths.closeouts.rglob("*") if path.name.startswith(".")]
    assert leftovers == []


def points(steps: int, count: int) -> list[int]:
    return sorted({1 + number * (steps - 1) // (count - 1) for number in range(count)})


@pytest.mark.parametrize("how", ["kill", "fail"])
def test_a_close_stopped_anywhere_is_prepared_or_sealed_and_heals(
    prepared: World, steps: int, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    for stop_at in points(steps, 5):
        check(prepared, tmp_path_factory, how, stop_at)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "fail"])
def test_a_close_stopped_at_every_step_is_prepared_or_sealed_and_heals(
    prepared: World, steps: int, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    for stop_at in range(1, steps + 1):
        check(prepared, tmp_path_factory, how, stop_at)


def test_a_seal_without_its_record_is_taken_over_or_never_was(prepared: World, tmp_path: Path) -> None:
    """Killed between the bundle's place and the transaction, the same approver's seal stands; another's does not."""
    world = copied(prepared, tmp_path)
    database = (world.paths.root / "ops.db").read_bytes()
    first = approve(world, "bob")
    (world.paths.root / "ops.db").write_bytes(database)
    for log in world.paths.root.glob("ops.db-*"):
        log.unlink()
    again = approve(world, "bob")
    assert first.closeout is not None
    assert again.closeout is not None
    assert again.closeout.seal_digest == first.closeout.seal_digest
    assert verified(world).holds
