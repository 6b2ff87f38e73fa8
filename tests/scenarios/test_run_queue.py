"""What follows from a new revision is queued with it, and run by whoever comes next, from whatever surface."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.closeout.closed_world import copied
from tests.scenarios.rows import MON, TUE, WED, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from tests.support.forked import Forking, forking
from zentra_pipeline.cli import invoke
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing
from zentra_pipeline.defs import launch
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, scope_key
from zentra_pipeline.defs.reconcile.window import reconciliation_window
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped", "dagster_as_shipped")]

NOW = datetime(2026, 5, 4, tzinfo=UTC)
CALLBACKS_OFF = {"expects_callbacks": False}


@pytest.fixture(scope="module")
def three_windows(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Tuesday settles 500 that Monday posted; every window could be closed."""
    world = World(tmp_path_factory.mktemp("three_windows"), CALLBACKS_OFF)
    world.add(post("T0", "R0", 70), settle("L0", "R0", 70), post("T1", "R1", 500), settle("L1", "R1", 500, on=TUE))
    for window in (MON, TUE, WED):
        world.make(window)
    return world


@pytest.fixture
def world(three_windows: World, tmp_path: Path) -> World:
    """Its own copy for each test."""
    return copied(three_windows, tmp_path)


@pytest.fixture
def changed(world: World) -> World:
    """The same when the ledger has another 30 of Monday, which it had forgotten."""
    return late_entry(world)


def late_entry(world: World) -> World:
    world.post("T2", "R2", 30)
    world.deliver()
    return world


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope_key(TENANT, world.provider)])
        yield instance


def run_id(world: World, window: str) -> str:
    return run_store.run_id_of(TENANT, world.provider, settlement_file(window), date.fromisoformat(window))


def rollforward(world: World) -> list[tuple[str, int, int, int, int]]:
    rows = world.query("select * from rollforward inner join runs using (run_id) order by runs.ledger_window")
    names = ("opening_minor", "posted_minor", "settled_minor", "closing_minor")
    return [(str(row["ledger_window"]), *(row[name] for name in names)) for row in rows]  # type: ignore[misc]


def requests(world: World) -> dict[str, str]:
    """The state of each run's request, by window."""
    with world.tenant.reading() as connection:
        found = request_store.of_provider(connection, world.provider)
        return {run_store.get(connection, each.run_id).ledger_window: each.status for each in found}


def blockers(world: World, window: str) -> list[tuple[str, str]]:
    """What keeps a window from being closed but files it has not seen, by kind and the window it is about."""
    with candidates.of_run(world.tenant, run_id(world, window)) as candidate:
        outcome = closing.prepare(candidate, "ana", NOW)
    windows = {run_id(world, day): day for day in (MON, TUE, WED)}
    return [(found.kind, windows[found.subject]) for found in outcome.blockers if found.subject in windows]


def monday_again(world: World) -> None:
    """Monday is run as requested before, and nothing of what follows from it."""
    request = run_requests.RunRequest(world.provider, settlement_file(MON), date.fromisoformat(MON), None)
    assert window_run.run_window(world.tenant, request).is_new_revision


MADE_AGAIN = [(MON, 0, 600, 70, 530), (TUE, 530, 0, 500, 30), (WED, 30, 0, 0, 30)]


def test_materialized_in_dagster_a_revision_has_later_windows_made_again(
    changed: World, instance: dg.DagsterInstance
) -> None:
    """Monday was once closed at 0 and Tuesday opened at 500, and both were sealed."""
    world = changed
    done = dg.materialize(
        [reconciliation_window],
        instance=instance,
        partition_key=partition_key(TENANT, world.provider, date.fromisoformat(MON)),
        run_config={
            "ops": {"reconciliation_window": {"config": {"settlement_file": settlement_file(MON)}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        resources={"reconciler": Reconciler(world.home)},
    )
    assert done.success
    assert rollforward(world) == MADE_AGAIN
    assert requests(world) == {TUE: "done", WED: "done"}
    assert [blockers(world, window) for window in (MON, TUE, WED)] == [[], [], []]


@pytest.mark.on_postgresql
def test_a_window_before_which_something_changed_cannot_be_closed_until_it_is_made_again(world: World) -> None:
    """Whoever made Monday's revision died behind it: what is prepared of later windows is gone until they are made."""
    with candidates.of_run(world.tenant, run_id(world, WED)) as candidate:
        assert closing.prepare(candidate, "ana", NOW).status == "prepared"
    monday_again(late_entry(world))
    assert requests(world) == {TUE: "queued", WED: "queued"}
    with world.tenant.reading() as connection:
        wednesday = run_store.get(connection, run_id(world, WED))
        withdrawn = run_store.transitions(connection, run_id(world, WED))[-1]
    assert (wednesday.status, wednesday.closeout_status) == ("in_review", "open")
    assert str(withdrawn.detail).startswith(f"its closeout is withdrawn: run {run_id(world, MON)} ")
    assert blockers(world, MON) == []
    assert blockers(world, TUE) == [("stale_opening", TUE)]
    assert blockers(world, WED) == [("stale_opening", TUE), ("stale_opening", WED)]
    # Whoever comes next sees to it: here somebody who runs another window from the command line.
    request = run_requests.RunRequest(world.provider, settlement_file(WED), date.fromisoformat(WED), None)
    outcome = launch.reconcile(world.tenant, request)
    assert outcome.rerun == (f"{settlement_file(TUE)} {TUE}", f"{settlement_file(WED)} {WED}")
    assert rollforward(world) == MADE_AGAIN
    assert [blockers(world, window) for window in (MON, TUE, WED)] == [[], [], []]
    with world.tenant.reading() as connection:
        steps = run_store.transitions(connection, run_id(world, TUE))
    assert [step.detail for step in steps if step.status == "ingesting"][-1] == (
        f"made again: run {run_id(world, MON)} ({settlement_file(MON)} {MON}) before it is at revision 2"
    )


def test_closing_from_the_command_line_makes_what_is_queued_first(
    changed: World, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Wednesday's closeout was blocked as `stale_opening` until somebody ran another command."""
    world = changed
    monday_again(world)
    monkeypatch.setenv("ZENTRA_HOME", str(world.home.root))
    arguments = ["close", "--tenant", TENANT, "--run", run_id(world, WED), "--actor", "ana", "--json"]
    code = invoke(arguments)
    closed = json.loads(capsysbinary.readouterr().out)
    assert closed["rerun"] == [f"{settlement_file(TUE)} {TUE}", f"{settlement_file(WED)} {WED}"]
    assert rollforward(world) == MADE_AGAIN
    assert not [blocker for blocker in closed["blockers"] if blocker["kind"] == "stale_opening"]
    assert (code, closed["status"]) == (0, "prepared")
    assert invoke(arguments) == 0
    assert json.loads(capsysbinary.readouterr().out)["rerun"] == []


def test_a_window_that_cannot_be_made_again_keeps_those_behind_it_open(
    changed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = changed
    monday_again(world)
    publish = lake_files.publish

    def fail_on_tuesday(*arguments: Any, **options: Any) -> Any:
        if options["ledger_window"] == TUE:
            raise window_run.RunFailedError("a control does not hold")
        return publish(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(lake_files, "publish", fail_on_tuesday)
        followed = launch.run_queued(world.tenant, world.provider)
    assert followed.failures == {run_id(world, TUE): "a control does not hold"}
    assert requests(world) == {TUE: "failed", WED: "done"}
    assert blockers(world, WED) == [("stale_opening", TUE)]
    world.request(TUE, settlement_file(TUE))
    assert requests(world) == {TUE: "done", WED: "done"}
    assert rollforward(world) == MADE_AGAIN


PROGRAM = """
from datetime import date
import polars, zentra_pipeline.store.engine
from zentra_pipeline.published import catalog, lake
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import dbt_project, run_requests, window_run
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

dbt_project.statements()
WATCHED = set()

def die(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

def die_behind(step):
    def wrapped(*arguments, **options):
        step(*arguments, **options)
        die()
    return wrapped

def take(root, provider, file_id, day, point):
    if point == "within the transaction":
        run_queue.follow = die_behind(run_queue.follow)
    elif point == "behind the transaction":
        lake.refresh = die
    elif point == "in what follows":
        run_requests.as_request = die
    acme = Tenant.of(Home.at(root), "acme")
    window_run.run_window(acme, run_requests.RunRequest(provider, file_id, date.fromisoformat(day), None))
    window_run.run_queued(acme, provider)
    return ""
"""


@pytest.fixture(scope="module")
def runs() -> Iterator[Forking]:
    """A process whose children run a window and what follows from it, and die at the point that is named."""
    with forking(PROGRAM) as process:
        yield process


@pytest.mark.on_postgresql
@pytest.mark.parametrize("point", ["within the transaction", "behind the transaction", "in what follows"])
def test_a_kill_between_a_run_and_what_follows_heals(
    changed: World, point: str, runs: Forking, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = changed
    code, said = runs.take(str(world.home.root), world.provider, settlement_file(MON), MON, point)
    assert code == -signal.SIGKILL, said
    if point != "within the transaction":
        assert [kind for kind, _ in blockers(world, WED)] == ["stale_opening", "stale_opening"]
    monkeypatch.setattr(request_store, "LEASE", -request_store.LEASE)  # who is dead is found to be after a while
    with world.tenant.writing() as connection:
        for request in request_store.of_status(connection, "launched"):
            request_store.renew(connection, request.run_id, datetime.now(UTC))
    monkeypatch.undo()
    world.request(MON, settlement_file(MON))
    assert rollforward(world) == MADE_AGAIN
    assert requests(world) == {TUE: "done", WED: "done"}
    assert [blockers(world, window) for window in (MON, TUE, WED)] == [[], [], []]


@pytest.mark.on_postgresql
def test_a_published_run_is_never_failed_by_a_process_that_lost_a_race_or_lacks_the_files(
    changed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = changed

    def status() -> tuple[str, int]:
        with world.tenant.reading() as connection:
            run = run_store.get(connection, run_id(world, MON))
        return run.status, run.revision

    staged = next(world.paths.staged.glob("ledger_entries/*"))
    staged.rename(staged.with_suffix(".gone"))
    with pytest.raises(Exception, match=staged.name):
        world.request(MON, settlement_file(MON))
    assert status() == ("in_review", 1)
    staged.with_suffix(".gone").rename(staged)
    publish = lake_files.publish

    def publish_second(*arguments: Any, **options: Any) -> Any:
        tables = publish(*arguments, **options)
        with world.tenant.writing() as connection:
            run = run_store.get(connection, options["run_id"])
            entries = {name: vars(table) for name, table in tables.items()}
            run_store.record_revision(
                connection, run.run_id, 2, "f", "d" * 64, run.owner, run.as_of, entries, {"earlier": []}, NOW
            )
            run_store.transition(connection, run.run_id, "in_review", "another host", NOW)
        return tables

    monkeypatch.setattr(lake_files, "publish", publish_second)
    with pytest.raises(Exception, match="revision 2"):
        world.request(MON, settlement_file(MON))
    assert status() == ("in_review", 2)
