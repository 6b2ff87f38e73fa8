"""A range of windows in one Dagster run: each window is reported when it is published, under its own partition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from tests.scenarios.rows import FRI, MON, SAT, SUN, THU, TUE, WED, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, scope_key, windows
from zentra_pipeline.defs.reconcile.window import reconciliation_window
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ControlFailedError
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import WindowResult
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

SCOPE = scope_key(TENANT, "rail_primary")
CONTROL = "conservation_holds"


class OneControlFails(Reconciler):
    """Stands in for a window whose money is not conserved: Thursday's."""

    def run(self, tenant: Tenant, request: RunRequest) -> WindowResult:
        if request.ledger_window.isoformat() == THU:
            raise ControlFailedError("controls do not hold, so nothing was published", ((CONTROL, 2),))
        return super().run(tenant, request)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A week in which Tuesday and Saturday have no settlement file."""
    world = World(tmp_path)
    world.add(post("T1", "R1", 500), post("T2", "R2", 700, on=WED))
    world.add(settle("L1", "R1", 500), settle("L2", "R2", 700, on=WED))
    world.deliver()
    for day in (THU, FRI):
        world.ingest("settlement", settlement_file(day), [])
    return world


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, [SCOPE])
        yield instance


def materialize(
    instance: dg.DagsterInstance, reconciler: Reconciler, first: str, last: str
) -> dg.ExecuteInProcessResult:
    """The windows of a range in one Dagster run, as the UI launches them."""
    return dg.materialize(
        [reconciliation_window],
        instance=instance,
        tags={
            ASSET_PARTITION_RANGE_START_TAG: f"{first}|{SCOPE}",
            ASSET_PARTITION_RANGE_END_TAG: f"{last}|{SCOPE}",
        },
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        resources={"reconciler": reconciler},
        raise_on_error=False,
    )


def materialized(instance: dg.DagsterInstance, asset_key: dg.AssetKey) -> dict[str, Any]:
    """Window → what the UI shows of it, of all that was ever materialized."""
    found = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key), limit=1000).records
    return {
        str(record.partition_key).split("|")[0]: {
            name: value.value
            for name, value in record.asset_materialization.metadata.items()  # type: ignore[union-attr]
        }
        for record in found
    }


def checked(instance: dg.DagsterInstance, window: str) -> AssetCheckExecutionRecordStatus | None:
    """What the latest evaluation of the window's conservation came to."""
    partition = PartitionKeyFilter(key=f"{window}|{SCOPE}")
    (key,) = (key for key in reconciliation_window.check_keys if key.name == CONTROL)
    found = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, partition_filter=partition)
    return found[0].status if found else None


def states(instance: dg.DagsterInstance, *days: str) -> list[str | None]:
    """How the UI paints the windows of `matches`; null for one of which nothing is known."""
    keys = [f"{day}|{SCOPE}" for day in days]
    found = instance.get_status_by_partition(dg.AssetKey("matches"), keys, windows) or {}
    return [state.value if (state := found.get(key)) else None for key in keys]


def failure(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str:
    """Why the Dagster run ended, as its page says."""
    (failed,) = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    error = failed.dagster_event.step_failure_data.error  # type: ignore[union-attr]
    return str(error.cause.message if error.cause else error.message)


def test_a_failed_window_fails_alone_and_the_run_says_which_and_a_skipped_day_is_not_reported(
    world: World, instance: dg.DagsterInstance
) -> None:
    result = materialize(instance, OneControlFails(world.home), MON, SAT)
    assert not result.success
    assert failure(instance, result).splitlines() == [
        "zentra_pipeline.errors.RunFailedError: 1 of 6 windows failed, 3 published, 2 skipped; materialize again what "
        "failed:",
        f"{THU} of {SCOPE}: controls do not hold, so nothing was published",
    ]
    shown = materialized(instance, dg.AssetKey("matches"))
    assert sorted(shown) == [MON, WED, FRI]
    assert [shown[day]["matches"] for day in (MON, WED, FRI)] == [1, 1, 0]
    for key, group in reconciliation_window.group_names_by_key.items():
        of_banks = group in ("bank", "exceptions_of_banks")  # a provider's run makes none of them
        assert sorted(materialized(instance, key)) == ([] if of_banks else [MON, WED, FRI]), key
    succeeded, failed = AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED
    assert {day: checked(instance, day) for day in (MON, WED, FRI, THU)} == {
        **dict.fromkeys((MON, WED, FRI), succeeded),
        THU: failed,
    }
    assert states(instance, MON, WED, FRI, THU) == [*["MATERIALIZED"] * 3, "FAILED"]
    assert (states(instance, TUE, SAT), checked(instance, TUE)) == ([None, None], None)
    again = materialize(instance, Reconciler(world.home), THU, SAT)
    assert again.success, failure(instance, again)
    assert states(instance, THU, FRI, SAT) == ["MATERIALIZED", "MATERIALIZED", None]
    assert (checked(instance, THU), len(materialized(instance, dg.AssetKey("matches")))) == (succeeded, 4)


def test_a_range_without_any_settlement_file_is_a_mistake(world: World, instance: dg.DagsterInstance) -> None:
    result = materialize(instance, Reconciler(world.home), SAT, SUN)
    assert not result.success
    assert "no window of the range has an ingested settlement file: ingest one first" in failure(instance, result)
    assert materialized(instance, dg.AssetKey("matches")) == {}
