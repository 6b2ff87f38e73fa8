"""Closing through Dagster, for real: what is materialized, what its checks say, and a dead run in nobody's way."""

import html
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.build_resources import wrap_resources_for_execution

from tests.closeout.closed_world import LINES, NOON, clean_world, copied, monday
from tests.scenarios.rows import MON, call, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline.closeout import readiness
from zentra_pipeline.definitions import defs
from zentra_pipeline.defs import dead_runs
from zentra_pipeline.defs.closeout.bundle import CLOSEOUT_KEY, closeout
from zentra_pipeline.defs.closeout.preparing import prepare_clean_windows
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, scope_key
from zentra_pipeline.defs.reconcile.window import reconciliation_window
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

# A process of its own that materializes the closeout and dies when the evidence is about to be written.
CHILD = """
import sys
from tests.defs import test_closeout as test
from zentra_pipeline.settings import Home

test.die_while_closing(Home.at(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> World:
    return clean_world(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def world(clean: World, tmp_path: Path) -> World:
    return copied(clean, tmp_path)


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope_key(TENANT, world.provider)])
        yield instance


def materialize(world: World, instance: dg.DagsterInstance, day: str = MON, **config: Any) -> dg.ExecuteInProcessResult:
    """A window's closeout as the UI makes it, with what somebody would type into the launchpad."""
    return dg.materialize(
        [closeout],
        instance=instance,
        partition_key=partition_key(TENANT, world.provider, date.fromisoformat(day)),
        run_config={
            "ops": {"closeout": {"config": config}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        resources={"reconciler": Reconciler(world.home)},
        raise_on_error=False,
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def figures(result: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    """What the UI shows of the asset."""
    (made,) = result.asset_materializations_for_node("closeout")
    assert made.asset_key == CLOSEOUT_KEY
    return {name: value.value for name, value in made.metadata.items()}


def evaluation(result: dg.ExecuteInProcessResult, name: str) -> Mapping[str, Any]:
    (check,) = (check for check in result.get_asset_check_evaluations() if check.check_name == name)
    return {
        label: html.unescape(value.value) if isinstance(value.value, str) else value.value
        for label, value in check.metadata.items()
    }


def state(world: World) -> tuple[str, str]:
    with world.tenant.reading() as connection:
        run = run_store.get(connection, monday(world))
    return run.status, run.closeout_status


ALL_PASS = {"nothing_blocks_the_closeout": True, "the_seal_verifies": True, "the_chain_is_intact": True}


def test_an_open_exception_fails_its_check_by_name_and_nothing_is_materialized(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.add(*LINES, settle("L9", "R9", 999))
    world.make(MON)
    result = materialize(world, instance)
    assert not result.success
    assert checks(result) == {**ALL_PASS, "nothing_blocks_the_closeout": False}
    reported = evaluation(result, "nothing_blocks_the_closeout")
    assert reported["blockers"] == 1
    assert "unmatched_provider_row is open (finance_ops)" in reported["what they are"]
    assert "resolve it, or accept it as timing" in reported["what they are"]
    assert "zentra" not in reported["what they are"]  # who looks at Dagster has no command line before them
    assert result.asset_materializations_for_node("closeout") == []
    assert state(world) == ("in_review", "blocked")


def test_one_prepares_and_a_second_person_seals_with_a_link_to_the_report(
    world: World, instance: dg.DagsterInstance
) -> None:
    prepared = materialize(world, instance)
    assert prepared.success
    assert checks(prepared) == ALL_PASS
    assert state(world) == ("closing", "prepared")
    assert (figures(prepared)["status"], figures(prepared)["prepared by"]) == ("prepared", "dagster")
    assert "report" not in figures(prepared)
    assert evaluation(prepared, "the_seal_verifies")["sealed"] == 0

    refused = materialize(world, instance, approve=True)  # by the actor that prepared it
    assert not refused.success
    assert state(world) == ("closing", "prepared")

    sealed = materialize(world, instance, approve=True, actor="ben")
    assert sealed.success
    assert checks(sealed) == ALL_PASS
    assert state(world) == ("closed", "sealed")
    shown = figures(sealed)
    assert (shown["status"], shown["prepared by"], shown["approved by"]) == ("sealed", "dagster", "ben")
    assert shown["evidence root"] == figures(prepared)["evidence root"]
    report = Path(url2pathname(urlparse(shown["report"]).path))
    assert report == Path(shown["bundle"]) / "files" / "report.html"
    assert "ben" in report.read_text(encoding="utf-8")
    assert evaluation(sealed, "the_seal_verifies") == {"sealed": 1, "fails": "nothing"}
    assert evaluation(sealed, "the_chain_is_intact") == {"seals": 1, "fails": "nothing"}


def test_a_later_fact_is_sealed_as_an_amendment_that_says_what_it_amends(
    world: World, instance: dg.DagsterInstance
) -> None:
    materialize(world, instance)
    first = figures(materialize(world, instance, approve=True, actor="ben"))
    world.add(call("E2", "R2", 700))
    world.make(MON)
    assert materialize(world, instance, actor="cleo").success
    amended = materialize(world, instance, approve=True, actor="ben")
    assert checks(amended) == ALL_PASS
    reported = figures(amended)
    assert reported["closeout"].endswith("revision 2")
    assert reported["amends"].startswith(first["closeout"].split(",")[0])
    assert "late callback" in reported["amends"]
    assert evaluation(amended, "the_chain_is_intact")["seals"] == 2


def test_a_damaged_bundle_fails_the_checks_about_it(world: World, instance: dg.DagsterInstance) -> None:
    materialize(world, instance)
    sealed = figures(materialize(world, instance, approve=True, actor="ben"))
    totals = Path(sealed["bundle"]) / "files" / "control_totals.json"
    totals.write_bytes(totals.read_bytes().replace(b"1", b"2", 1))
    again = materialize(world, instance, approve=True, actor="ben")
    assert not again.success
    assert checks(again) == {**ALL_PASS, "the_seal_verifies": False, "the_chain_is_intact": False}
    assert "control_totals.json" in evaluation(again, "the_seal_verifies")["fails"]


def test_a_window_is_reconciled_and_prepared_in_one_dagster_run(world: World, instance: dg.DagsterInstance) -> None:
    """With an open break the closeout's check ends the run, whose results are published all the same."""
    result = dg.materialize(
        [reconciliation_window, closeout],
        instance=instance,
        partition_key=partition_key(TENANT, world.provider, date.fromisoformat(MON)),
        run_config={
            "ops": {"reconciliation_window": {"config": {"as_of": "2026-04-21T01:00:00Z"}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        resources={"reconciler": Reconciler(world.home)},
    )
    assert figures(result)["status"] == "prepared"
    assert all(check.passed for check in result.get_asset_check_evaluations())


def tick(
    world: World, instance: dg.DagsterInstance, sensor: dg.SensorDefinition = prepare_clean_windows
) -> SensorExecutionData:
    """What the daemon would be asked to do; like the daemon, the context gets the instance by reference."""
    context = dg.SensorEvaluationContext(
        instance_ref=instance.get_ref(),
        repository_def=defs().get_repository_def(),
        resources=wrap_resources_for_execution({"reconciler": Reconciler(world.home)}),
    )
    with context:
        return sensor.evaluate_tick(context)


def wait_asked_for(world: World, minutes: int) -> None:
    (world.paths.root / "policy.yml").write_text(f"closeout: {{prepare_after_minutes: {minutes}}}\n", encoding="utf-8")


def test_the_sensor_prepares_a_clean_window_once_and_leaves_approving_to_operators(
    world: World, instance: dg.DagsterInstance
) -> None:
    assert tick(world, instance).run_requests == []  # nobody asked for it
    wait_asked_for(world, 0)
    instance.delete_dynamic_partition(SCOPE_PARTITIONS, scope_key(TENANT, world.provider))
    asked = tick(world, instance)
    (request,) = asked.run_requests or ()
    assert request.run_key == f"prepare-{TENANT}-{monday(world)}-r1-1"
    job = dg.GraphDefinition(name="window").to_job()
    instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.FAILURE)  # it was killed
    (request,) = tick(world, instance).run_requests or ()
    assert request.run_key == f"prepare-{TENANT}-{monday(world)}-r1-2"
    assert request.partition_key == f"{MON}|{TENANT}/{world.provider}"
    (added,) = asked.dynamic_partitions_requests or ()
    instance.add_dynamic_partitions(SCOPE_PARTITIONS, added.partition_keys)
    day, scope = request.partition_key.split("|")
    assert scope in instance.get_dynamic_partitions(SCOPE_PARTITIONS)
    assert materialize(world, instance, day).success
    assert state(world) == ("closing", "prepared")
    assert tick(world, instance).run_requests == []


def test_the_sensor_waits_as_long_as_policy_asks_and_passes_over_what_is_open(world: World) -> None:
    wait_asked_for(world, 120)
    with world.tenant.reading() as connection:
        reviewed_at = run_store.transitions(connection, monday(world))[-1].at
    at = NOON.fromisoformat(reviewed_at)
    assert readiness.ready_runs(world.home, at + timedelta(minutes=119)) == []
    (ready,) = readiness.ready_runs(world.home, at + timedelta(minutes=120))
    assert (ready.run_id, ready.revision) == (monday(world), 1)
    world.add(call("E9", "R9", 999))
    world.deliver()
    assert readiness.ready_runs(world.home, at + timedelta(days=9)) == []  # it has to be run again
    world.add(*LINES, settle("L9", "R9", 999))
    world.make(MON)
    assert readiness.ready_runs(world.home, at + timedelta(days=9)) == []


def die_while_closing(home: Any, provider: str) -> None:
    """Materialize Monday's closeout in this process and be killed in the middle of its step."""
    import os

    def die(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and "evidence.jsonl" in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    world = World.__new__(World)
    world.tenant, world.provider = Tenant.of(home, TENANT), provider
    with dagster_instance(home) as instance:
        materialize(world, instance)


def unbegun(instance: dg.DagsterInstance) -> str:
    """A run that Dagster knows as started."""
    job = dg.GraphDefinition(name="window").to_job()
    return instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED).run_id


def test_a_killed_dagster_run_blocks_neither_the_next_nor_its_pool(world: World, instance: dg.DagsterInstance) -> None:
    """Dagster keeps a dead run as started, and counts it, until the sensor ends it; no asset waits for a pool."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(world.home.root), world.provider],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    (dead,) = instance.get_runs()
    assert dead.status is dg.DagsterRunStatus.STARTED
    assert state(world) == ("in_review", "open")
    assert materialize(world, instance).success
    assert materialize(world, instance, approve=True, actor="ben").success
    assert state(world) == ("closed", "sealed")
    with dead_runs.at_work(world.home, unbegun(instance)):
        assert (tick(world, instance, dead_runs.end_dead_runs).skip_message or "") == f"ended {dead.run_id}"
    statuses = [run.status for run in instance.get_runs()]
    assert statuses.count(dg.DagsterRunStatus.STARTED) == 1  # the one that somebody works on
    assert instance.get_run_by_id(dead.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
    graph = defs().resolve_asset_graph()
    assert {pool for key in graph.get_all_asset_keys() for pool in graph.get(key).pools or ()} == set()
