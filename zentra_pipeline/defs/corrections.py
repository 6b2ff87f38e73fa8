"""Takes back what Dagster's own records say and is no longer so, where Dagster has no call for it."""

from typing import Final

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

# What Dagster calls the run of events that have none.
_NO_RUN: Final = ""


def withdraw_plan(instance: dg.DagsterInstance, run_id: str, partition: str) -> None:
    """Forget that a Dagster run meant to materialize and check a partition: it was skipped.

    Dagster plans every partition of a range before it runs. If the plan of a skipped day stayed, the day would be shown
    as failed, for good, as soon as another window of the range fails.
    """
    storage = _storage(instance)
    events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    with storage.index_connection() as connection:
        connection.execute(
            SqlEventLogStorageTable.delete().where(
                events.run_id == run_id,
                events.partition == partition,
                events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
            )
        )
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                checks.run_id == run_id,
                checks.partition == partition,
                checks.execution_status == AssetCheckExecutionRecordStatus.PLANNED.value,
            )
        )


def withdraw_result(instance: dg.DagsterInstance, check: dg.AssetCheckKey, partition: str) -> None:
    """Forget a partition's result of a check that no run made: Dagster keeps one, and refuses the next."""
    checks = AssetCheckExecutionsTable.c
    with _storage(instance).index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                checks.asset_key == check.asset_key.to_string(),
                checks.check_name == check.name,
                checks.run_id == _NO_RUN,
                checks.partition == partition,
            )
        )


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage), f"{type(storage).__name__} is no event log in SQL"
    return storage
