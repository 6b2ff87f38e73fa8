"""Dagster's sensor launches each request once, also after a tick that was cut off, and records how it ended."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.build_resources import wrap_resources_for_execution

from tests.scenarios.rows import TUE
from tests.scenarios.world import TENANT, World
from zentra_pipeline.definitions import defs
from zentra_pipeline.defs import partitions
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.reconcile.requests import sensor
from zentra_pipeline.defs.reconcile.window import reconciliation_window
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store

pytestmark = pytest.mark.ci


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.ingest("settlement", "set_1", [])
    return world


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        yield instance


def tick(world: World, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """What the daemon would launch; like the daemon, the context gets the instance by reference."""
    context = dg.SensorEvaluationContext(
        instance_ref=instance.get_ref(),
        repository_def=defs().get_repository_def(),
        resources=wrap_resources_for_execution({"reconciler": Reconciler(world.home)}),
    )
    with context:
        return list(sensor.evaluate_tick(context).run_requests or [])


def submit(world: World) -> str:
    request = RunRequest(world.provider, "set_1", date(2026, 4, 20), "finance_ops", None, "somebody")
    return run_requests.submit(world.tenant, request, datetime.now(UTC)).run.run_id


@pytest.mark.parametrize(
    ("actor", "owner", "name"),
    [
        ("\u0455omebody", "finance_ops", "somebody"),
        ("somebody", "finance_\u043eps", "finance_ops"),
        ("ana", "s0mebody", "somebody"),
    ],
)
def test_nobody_asks_for_a_run_by_a_name_that_looks_like_another(
    world: World, actor: str, owner: str, name: str
) -> None:
    """An approval by such a name was refused, and a run asked for by it was not."""
    submit(world)
    request = RunRequest(world.provider, "set_1", date(2026, 4, 21), owner, None, actor)
    with pytest.raises(ZentraError, match=f"looks like '{name}'|mixes letters"):
        run_requests.submit(world.tenant, request, datetime.now(UTC))


def stored(world: World, run_id: str) -> request_store.Request:
    with world.tenant.reading() as connection:
        found = request_store.find(connection, run_id)
    assert found is not None
    return found


def ended(instance: dg.DagsterInstance, launched: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """Have Dagster know of a run under the request's key that ended like this."""
    tags = {**launched.tags, "dagster/run_key": str(launched.run_key)}
    job = dg.GraphDefinition(name="window").to_job()
    instance.create_run_for_job(job, tags=tags, status=status)


def test_the_code_location_has_the_sensor_once() -> None:
    assert [found.name for found in defs().sensors or ()].count("run_requests") == 1


@pytest.mark.on_postgresql
def test_a_request_is_launched_with_its_own_key_and_partition(world: World, instance: dg.DagsterInstance) -> None:
    run_id = submit(world)
    (launched,) = tick(world, instance)
    assert launched.run_key == run_id
    assert launched.tags["zentra/run_id"] == run_id
    assert launched.partition_key == f"2026-04-20|{TENANT}/{world.provider}"
    config = launched.run_config["ops"]["reconciliation_window"]["config"]
    assert config == {"settlement_file": "set_1", "actor": "somebody"}
    assert stored(world, run_id).launched_by == request_store.DAGSTER


def test_a_window_that_dagster_does_not_know_yet_holds_up_no_other(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window before the home's first failed the whole tick, and so every request."""
    early = submit(world)
    later = RunRequest(world.provider, "set_1", date(2026, 4, 22), "finance_ops", None, "somebody")
    run_requests.submit(world.tenant, later, datetime.now(UTC))
    shown = partitions.windows_from(date(2026, 4, 21))
    with monkeypatch.context() as loaded:
        loaded.setattr(partitions, "windows_shown", lambda: shown)
        (launched,) = tick(world, instance)
        assert launched.partition_key == f"2026-04-22|{TENANT}/{world.provider}"
        ended(instance, launched, dg.DagsterRunStatus.SUCCESS)
        assert tick(world, instance) == []
    assert stored(world, early).status == "queued"
    (launched,) = tick(world, instance)  # after the definitions were loaded again
    assert launched.run_key == early


@pytest.mark.on_postgresql
def test_a_launch_that_was_cut_off_is_repeated_under_the_same_key(world: World, instance: dg.DagsterInstance) -> None:
    submit(world)
    (first,), (second,) = tick(world, instance), tick(world, instance)
    assert first.run_key == second.run_key


def execute(world: World, instance: dg.DagsterInstance, launched: dg.RunRequest) -> None:
    """Execute what the daemon would launch, in this process."""
    done = dg.materialize(
        [reconciliation_window],
        instance=instance,
        partition_key=launched.partition_key,
        run_config={**launched.run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        resources={"reconciler": Reconciler(world.home)},
        tags={**launched.tags, "dagster/run_key": str(launched.run_key)},
    )
    assert done.success


def test_a_request_asked_for_ten_times_is_executed_once_and_so_is_what_it_makes_outdated(
    world: World, instance: dg.DagsterInstance
) -> None:
    (run_id,) = {submit(world) for _ in range(10)}
    (launched,) = tick(world, instance)
    assert tick(world, instance) == [launched]  # not known to Dagster yet
    execute(world, instance, launched)
    assert tick(world, instance) == []
    assert stored(world, run_id).status == "done"
    assert submit(world) == run_id
    assert tick(world, instance) == []
    assert len(instance.get_runs()) == 1
    # A later run starts from it: a fact that changes the first has both reconciled, one after the other.
    later = world.reconcile(TUE).run
    world.post("T1", "R1", 500)
    world.deliver()
    submit(world)
    (again,) = tick(world, instance)
    assert again.run_key == f"{run_id}@{stored(world, run_id).requested_at}"
    execute(world, instance, again)
    assert stored(world, later.run_id).status == "done"
    assert tick(world, instance) == []
    assert [status for _, status in transitions(world, later.run_id)][-1] == "in_review"
    assert {actor for actor, _ in transitions(world, later.run_id)} == {"test", "somebody"}


def transitions(world: World, run_id: str) -> list[tuple[str, str]]:
    with world.tenant.reading() as connection:
        return [(made.actor, made.status) for made in run_store.transitions(connection, run_id)]


@pytest.mark.parametrize(
    ("status", "expected"), [(dg.DagsterRunStatus.SUCCESS, "done"), (dg.DagsterRunStatus.CANCELED, "failed")]
)
def test_the_end_of_a_run_is_recorded_and_it_is_launched_no_more(
    world: World, instance: dg.DagsterInstance, status: dg.DagsterRunStatus, expected: str
) -> None:
    run_id = submit(world)
    (launched,) = tick(world, instance)
    ended(instance, launched, dg.DagsterRunStatus.STARTED)
    assert tick(world, instance) == []
    assert stored(world, run_id).status == "launched"
    (run,) = instance.get_runs()
    instance.delete_run(run.run_id)
    ended(instance, launched, status)
    assert tick(world, instance) == []
    assert stored(world, run_id).status == expected
    assert tick(world, instance) == []


def test_a_run_that_was_cut_off_is_launched_again_under_another_key_and_given_up_after_five(
    world: World, instance: dg.DagsterInstance
) -> None:
    """Killed with its daemon, a request was once left launched, or failed and never tried again."""
    run_id = submit(world)
    keys = []
    for _ in range(5):
        (launched,) = tick(world, instance)
        keys.append(launched.run_key)
        ended(instance, launched, dg.DagsterRunStatus.FAILURE)
    assert tick(world, instance) == []
    assert keys == [run_id, f"{run_id}#2", f"{run_id}#3", f"{run_id}#4", f"{run_id}#5"]
    assert stored(world, run_id).status == "failed" and "5 times" in str(stored(world, run_id).failure)


def test_what_a_dead_worker_or_a_run_without_a_process_left_is_launched_within_a_minute(
    world: World, instance: dg.DagsterInstance
) -> None:
    run_id = submit(world)
    with world.tenant.writing() as connection:
        request_store.launch(connection, run_id, request_store.WORKER, datetime.now(UTC) - timedelta(seconds=60))
    (launched,) = tick(world, instance)
    ended(instance, launched, dg.DagsterRunStatus.STARTED)
    assert tick(world, instance) == []  # it may be at work
    with world.tenant.writing() as connection:
        request_store.renew(connection, run_id, datetime.now(UTC) - timedelta(seconds=60))
    (again,) = tick(world, instance)
    assert (launched.run_key, again.run_key) == (f"{run_id}#2", f"{run_id}#3")


@pytest.mark.on_postgresql
def test_one_run_a_provider_and_no_more_than_may_be_at_once_are_launched(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENTRA_MAX_RUNS", "2")
    scopes = []
    for provider in ("rail_primary", "alipay", "wero"):
        for day in (20, 21):
            world.beside(provider).ingest("settlement", "set_1", [])
            request = RunRequest(provider, "set_1", date(2026, 4, day), "finance_ops", None, "somebody")
            run_requests.submit(world.tenant, request, datetime.now(UTC))
    scopes = [str(launched.partition_key) for launched in tick(world, instance)]
    assert scopes == [f"2026-04-20|{TENANT}/rail_primary", f"2026-04-20|{TENANT}/alipay"]
