"""A close that is killed, or whose disk fails, leaves the run prepared or sealed, and the next one heals."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.closeout.closed_world import approve, clean_world, copied, monday, prepare, verified
from tests.scenarios.world import World
from tests.support.forked import forking
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import runs as run_store

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]

CHILD = """
from datetime import UTC, datetime
from zentra_pipeline.closeout import candidate as candidates, closing, event_lines, report, verify
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree", "sqlite3.connect", "duckdb.connect"}

def take(root, run_id, step, how, stop_at):
    seen = counted(root, how, stop_at)
    with candidates.of_run(Tenant.of(Home.at(root), "acme"), run_id) as opened:
        actor = "alice" if step == "prepare" else "bob"
        getattr(closing, step)(opened, actor, datetime(2026, 4, 21, 12, tzinfo=UTC))
    return seen()
"""
UNSEALED = {"prepare": ("in_review", "open", []), "approve": ("closing", "prepared", ["prepared"])}
DONE = {"prepare": ("closing", "prepared", ["prepared"]), "approve": ("closed", "sealed", ["sealed"])}
WAYS = ("kill", "ENOSPC", "EIO")


Child = Callable[[World, str, str, int], tuple[int, str]]


@pytest.fixture(scope="module")
def child(sqlite_for_module: None) -> Iterator[Child]:
    """Takes a step of a close in a process of its own, stopped somewhere: exit code, and steps or what went wrong."""
    with forking(CHILD) as process:
        yield lambda world, step, how, stop_at: process.take(str(world.home.root), monday(world), step, how, stop_at)


@pytest.fixture(scope="module")
def worlds(sqlite_for_module: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    """A world before each step."""
    clean = clean_world(tmp_path_factory.mktemp("clean"))
    prepared = copied(clean, tmp_path_factory.mktemp("prepared"))
    assert prepare(prepared).status == "prepared"
    return {"prepare": clean, "approve": prepared}


@pytest.fixture(scope="module")
def steps(child: Child, worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many steps each takes undisturbed."""
    found = {}
    for step, world in worlds.items():
        code, said = child(copied(world, tmp_path_factory.mktemp("undisturbed")), step, "kill", 0)
        assert code == 0, said
        found[step] = int(said)
    return found


def state(world: World) -> tuple[str, str, list[str]]:
    with world.tenant.reading() as connection:
        run = run_store.get(connection, monday(world))
        closeouts = closeout_store.of_run(connection, run.run_id)
    return run.status, run.closeout_status, [item.status for item in closeouts]


def seals(world: World) -> list[str | None]:
    with world.tenant.reading() as connection:
        return [item.seal_digest for item in closeout_store.of_run(connection, monday(world))]


def check(
    child: Child, worlds: dict[str, World], folders: pytest.TempPathFactory, step: str, how: str, stop_at: int
) -> None:
    world = copied(worlds[step], folders.mktemp(f"{step}_{how}_{stop_at}"))
    code, said = child(world, step, how, stop_at)
    if how == "kill":
        assert code == -signal.SIGKILL
    elif code == 0:
        assert state(world) == DONE[step]  # what failed was no more than clearing away
    else:
        assert os.strerror(getattr(errno, how)) in said
    assert state(world) in (UNSEALED[step], DONE[step])
    before = seals(world)
    if step == "prepare":
        assert prepare(world).status == "prepared"
        assert state(world) == DONE["prepare"]
    healed = approve(world)
    (after,) = seals(world)
    assert healed.status == "sealed"
    assert set(before) <= {None, after}
    assert verified(world).holds
    assert len(world.query("select * from events where event_type = 'reconciliation.closeout.completed'")) == 1
    for action in ("prepare_closeout", "approve_closeout"):
        assert len(world.query(f"select * from decisions where action = '{action}'")) == 1
    hidden = [path for path in world.paths.root.rglob(".*") if path.suffix != ".template"]  # the catalog's, kept
    leftovers = [*hidden, *world.paths.root.rglob("*tmp*")]
    assert leftovers == []
    assert not list(world.paths.scratch.iterdir())


def points(steps: int, count: int) -> list[int]:
    return sorted({1 + number * (steps - 1) // (count - 1) for number in range(count)})


@pytest.mark.parametrize(
    ("step", "how", "count"), [("prepare", "kill", 3), ("approve", "kill", 5), ("approve", "EIO", 3)]
)
def test_a_close_stopped_anywhere_is_as_before_or_after_and_heals(
    child: Child,
    worlds: dict[str, World],
    steps: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
    step: str,
    how: str,
    count: int,
) -> None:
    for stop_at in points(steps[step], count):
        check(child, worlds, tmp_path_factory, step, how, stop_at)


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("step", ["prepare", "approve"])
def test_a_close_stopped_at_every_step_is_as_before_or_after_and_heals(
    child: Child,
    worlds: dict[str, World],
    steps: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
    step: str,
    how: str,
) -> None:
    for stop_at in range(1, steps[step] + 1):
        check(child, worlds, tmp_path_factory, step, how, stop_at)


def test_a_seal_without_its_record_is_taken_over_or_never_was(worlds: dict[str, World], tmp_path: Path) -> None:
    """Killed between the bundle's place and the transaction, the same approver's seal holds; another's does not."""
    world = copied(worlds["approve"], tmp_path)
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
