"""Takes back what Dagster planned for a window that a run then skipped; recording what was made does not belong here.

Dagster writes down, before a range runs, that each of its partitions will be materialized. Without an end of their own
those of a skipped day stay: as soon as another window of the range fails, the day is shown as failed, for good.
"""

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage


def withdraw_plan(instance: dg.DagsterInstance, run_id: str, partition: str) -> None:
    """Forget that a Dagster run meant to materialize and check a partition."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage), f"{type(storage).__name__} keeps no plans that can be taken back"
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
