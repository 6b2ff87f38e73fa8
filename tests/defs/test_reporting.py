"""What ingest and closing recorded is shown in Dagster by whatever works with it next, each fact once."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.partitions.utils import get_tags_from_multi_partition_key
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.execution.build_resources import wrap_resources_for_execution
from dagster._core.storage.tags import PARTITION_NAME_TAG

from tests.closeout.closed_world import LINES, approve, clean_world, prepare
from tests.scenarios.rows import MON, TUE, call, post, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline.definitions import defs
from zentra_pipeline.defs.closeout.bundle import CLOSEOUT_KEY, closeout
from zentra_pipeline.defs.ingest.raw import count_check, quarantine_check, raw_specs
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.launch import RunRequest, reconcile
from zentra_pipeline.defs.partitions import partition_key, windows
from zentra_pipeline.defs.reporting import COUNT_CHECK, QUARANTINE_CHECK, QUARANTINE_KEY, recorded_files_and_closeouts
from zentra_pipeline.defs.resources import Reconciler

pytestmark = pytest.mark.ci


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        yield instance


def tick(world: World, instance: dg.DagsterInstance) -> str:
    """The skip message of the sensor, as the daemon evaluates it."""
    context = dg.SensorEvaluationContext(
        instance_ref=instance.get_ref(),
        repository_def=defs().get_repository_def(),
        resources=wrap_resources_for_execution({"reconciler": Reconciler(world.home)}),
    )
    with context:
        return str(recorded_files_and_closeouts.evaluate_tick(context).skip_message)


def shown(instance: dg.DagsterInstance, *key: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Window, scope and figures of every materialization of an asset, in order."""
    records = instance.fetch_materializations(dg.AssetKey(key), limit=100, ascending=True).records
    return [
        (
            *str(record.partition_key).split("|"),
            {name: value.value for name, value in record.asset_materialization.metadata.items()},  # type: ignore[union-attr]
        )
        for record in records
    ]


def rows(instance: dg.DagsterInstance, table: str) -> list[tuple[str, str, str, int]]:
    """Window, scope, file and rows of every materialization of what was ingested."""
    return [(window, scope, seen["file"], seen["rows"]) for window, scope, seen in shown(instance, "raw", table)]


def results(instance: dg.DagsterInstance, asset_key: dg.AssetKey, *names: str) -> list[bool | None]:
    """Whether each check passed when Monday was last checked; null where it never was."""
    found = [
        instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(asset_key, name), limit=1, partition_filter=PartitionKeyFilter(key=MONDAY)
        )
        for name in names
    ]
    return [history[0].event.dagster_event.asset_check_evaluation_data.passed if history else None for history in found]  # type: ignore[union-attr]


MONDAY = partition_key(TENANT, "rail_primary", date.fromisoformat(MON))
CLOSEOUT_CHECKS = ("nothing_blocks_the_closeout", "the_seal_verifies", "the_chain_is_intact")


def test_an_ingested_file_is_shown_in_each_window_it_has_rows_of_once(
    world: World, instance: dg.DagsterInstance
) -> None:
    """A settlement file belongs whole to the window it is named for; ledger rows to the day they were posted."""
    scope = f"{TENANT}/rail_primary"
    world.ingest("settlement", "set_2026_04_20", [settle("L1", "R1", 500), settle("L2", "R2", 700, on=TUE)])
    world.ingest(
        "ledger",
        "entries",
        [
            *post("T1", "R1", 500, at="23:59"),
            *post("T2", "R2", 700, on=TUE, at="00:00"),
            *post("T3", "", 1, provider="b"),
        ],
    )
    world.ingest("callbacks", "events", [call("E1", "R1", 500)])
    assert tick(world, instance) == "3 files and steps of closeouts reported"
    assert rows(instance, "settlement_lines") == [(MON, scope, "set_2026_04_20", 2)]
    assert rows(instance, "ledger_entries") == [
        (MON, f"{TENANT}/b", "entries", 2),
        (MON, scope, "entries", 2),
        (TUE, scope, "entries", 2),
    ]
    assert [found[:3] for found in rows(instance, "callbacks")] == [(MON, scope, "events")]
    assert shown(instance, "raw", "quarantine") == []
    assert results(instance, QUARANTINE_KEY, QUARANTINE_CHECK) == [True]
    assert instance.get_dynamic_partitions("scope") == [scope, f"{TENANT}/b"]
    assert tick(world, instance) == "nothing new"
    assert len(rows(instance, "ledger_entries")) == 3


def test_rows_in_quarantine_are_shown_with_their_reasons_and_fail_the_check_of_their_window(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.ingest("settlement", "set_2026_04_20", [settle("L1", "R1", 500), settle("L2", "R2", 5, currency="ZZZ")])
    tick(world, instance)
    ((window, _, seen),) = shown(instance, "raw", "quarantine")
    assert (window, seen["rows in quarantine"], seen["rows of the file"]) == (MON, 1, 2)
    assert "ZZZ" in seen["reasons"]
    assert "| 1 |" in seen["reasons"]
    assert results(instance, QUARANTINE_KEY, QUARANTINE_CHECK) == [False]
    world.ingest("settlement", "set_2026_04_20", [settle("L1", "R1", 500), settle("L2", "R2", 5)])
    again = count_again(world, instance, quarantine_check(windows))
    assert (again.passed, again.partition, again.metadata["rows in quarantine"].value) == (False, MONDAY, 1)


def test_rows_that_are_no_longer_where_the_reader_left_them_fail_the_check_of_their_table(
    world: World, instance: dg.DagsterInstance
) -> None:
    lines = dg.AssetKey(["raw", "settlement_lines"])
    bad = settle("L3", "R3", 5, currency="ZZZ")
    world.ingest("settlement", "set_2026_04_20", [settle("L1", "R1", 500), settle("L2", "R2", 700), bad])
    tick(world, instance)
    assert results(instance, lines, COUNT_CHECK) == [True]
    again = count_again(world, instance, count_check("settlement_lines", windows))
    shown = {name: value.value for name, value in again.metadata.items()}
    assert shown == {"files": 1, "rows read": 3, "rows staged": 2, "rows in quarantine": 1}
    (staged,) = (world.paths.staged / "settlement_lines").glob("*.parquet")
    pl.read_parquet(staged).head(1).write_parquet(staged)
    again = count_again(world, instance, count_check("settlement_lines", windows))
    assert (again.passed, again.partition, again.metadata["rows staged"].value) == (False, MONDAY, 1)


def count_again(world: World, instance: dg.DagsterInstance, check: dg.AssetChecksDefinition) -> dg.AssetCheckEvaluation:
    """Execute a check of Monday's rows as the UI does."""
    known = dg.Definitions(
        assets=raw_specs(windows),
        asset_checks=[check],
        resources={"reconciler": Reconciler(world.home)},
    )
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = known.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={check.check_key})
    tags = {**get_tags_from_multi_partition_key(MONDAY), PARTITION_NAME_TAG: MONDAY}
    done = job.execute_in_process(quiet, instance, tags=tags, raise_on_error=False)
    (evaluation,) = done.get_asset_check_evaluations()
    return evaluation


def test_a_run_shows_what_it_was_made_from_before_itself(world: World) -> None:
    world.ingest("settlement", "set_2026_04_20", [settle("L1", "R1", 500)])
    reconcile(world.tenant, RunRequest("rail_primary", "set_2026_04_20", date(2026, 4, 20), "finance_ops"))
    with dagster_instance(world.home) as instance:
        (raw,) = instance.fetch_materializations(dg.AssetKey(["raw", "settlement_lines"]), limit=9).records
        (staged,) = instance.fetch_materializations(dg.AssetKey("open_items"), limit=9).records
        assert raw.partition_key == staged.partition_key
        assert raw.storage_id < staged.storage_id
        assert [run.job_name for run in instance.get_runs()] == ["reconcile_window"]
        assert tick(world, instance) == "nothing new"


def test_a_close_outside_dagster_is_shown_step_by_step_with_its_checks(tmp_path: Path) -> None:
    world = clean_world(tmp_path)
    with dagster_instance(world.home) as instance:
        tick(world, instance)
        assert shown(instance, "closeouts") == []
        assert prepare(world).status == "prepared"
        tick(world, instance)
        sealed = approve(world)
        assert tick(world, instance) == "1 files and steps of closeouts reported"
        assert tick(world, instance) == "nothing new"
        steps = shown(instance, "closeouts")
        assert [(window, seen["status"], seen["prepared by"]) for window, _, seen in steps] == [
            (MON, "prepared", "alice"),
            (MON, "sealed", "alice"),
        ]
        assert (steps[1][2]["approved by"], steps[1][2]["bundle"]) == ("bob", str(sealed.bundle))
        assert results(instance, CLOSEOUT_KEY, *CLOSEOUT_CHECKS) == [True, True, True]


def test_a_close_that_is_blocked_fails_its_check_and_materializes_nothing(tmp_path: Path) -> None:
    world = clean_world(tmp_path)
    world.add(*LINES, settle("L9", "R9", 999))
    world.make(MON)
    assert prepare(world).status == "blocked"
    with dagster_instance(world.home) as instance:
        tick(world, instance)
        assert shown(instance, "closeouts") == []
        assert results(instance, CLOSEOUT_KEY, *CLOSEOUT_CHECKS) == [False, None, None]


def test_what_dagster_closed_itself_is_not_reported_again(tmp_path: Path) -> None:
    world = clean_world(tmp_path)
    with dagster_instance(world.home) as instance:
        tick(world, instance)
        dg.materialize(
            [closeout],
            instance=instance,
            partition_key=partition_key(TENANT, world.provider, date.fromisoformat(MON)),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            resources={"reconciler": Reconciler(world.home)},
        )
        tick(world, instance)
        assert [seen["status"] for _, _, seen in shown(instance, "closeouts")] == ["prepared"]
