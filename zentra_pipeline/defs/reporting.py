"""Reports to Dagster what ingest and closing recorded, whichever entry they came by: command line, API or drop folder.

The operational store is the record; nothing is written for Dagster where it happens, so neither waits for Dagster to be
imported (ADR 0027). Whatever next works with Dagster reports it: a run, or the sensor. A cursor in Dagster's own
storage says how far it has got. What happened, and closing itself, do not belong here.
"""

import json
from collections.abc import Collection
from datetime import date
from typing import Final

import dagster as dg

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.contracts.staged_tables import TABLE_OF_KIND
from zentra_pipeline.defs import charts
from zentra_pipeline.defs.check_results import evaluated
from zentra_pipeline.defs.closeout import reported
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, scope_key
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.ingest import file_windows, row_counts
from zentra_pipeline.ingest.row_counts import RowCounts
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import leases
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

QUARANTINE_KEY: Final = dg.AssetKey(["raw", "quarantine"])
QUARANTINE_CHECK: Final = "every_row_was_accepted"
COUNT_CHECK: Final = "every_row_read_is_staged_or_in_quarantine"
_MOST_FILES: Final = 200
_SHOWN_REASONS: Final = 20


def report_recorded(
    instance: dg.DagsterInstance, home: Home, tenants: Collection[str] | None = None, most_files: int = _MOST_FILES
) -> int:
    """Report what was ingested and closed since the last report; how many files and steps of closeouts that were.

    Somebody else who is at it goes on alone. A process that is killed may leave one file reported twice.
    """
    home.dagster.mkdir(parents=True, exist_ok=True)
    lock = home.dagster / "reporting.lock"
    with leases.tried_of_home(home, "reporting", lock) as is_alone:  # nobody else reports from this home
        if not is_alone or not tenancy.is_initialised(home):
            return 0
        reported = 0
        for tenant in tenancy.tenants(home):
            if tenants is None or tenant.name in tenants:
                reported += _report_files(instance, tenant, most_files)
                reported += _report_closeouts(instance, tenant)
        return reported


@dg.sensor(
    name="recorded_files_and_closeouts",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Shows what was ingested and closed by command line, API and drop folders as assets and checks.",
)
def recorded_files_and_closeouts(
    context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]
) -> dg.SkipReason:
    """Report what is new; no run is launched."""
    reported = report_recorded(context.instance, reconciler.home)
    return dg.SkipReason(f"{reported} files and steps of closeouts reported" if reported else "nothing new")


def _report_files(instance: dg.DagsterInstance, tenant: Tenant, most: int) -> int:
    cursor = f"zentra/reported_files/{tenant.name}"
    reported = int(_read(instance, cursor, "0"))
    with tenant.reading() as connection:
        if file_store.next_sequence(connection) - 1 <= reported:
            return 0
        files = [file for kind in TABLE_OF_KIND for file in file_store.staged_files(connection, kind)]
    new = sorted((file for file in files if file.sequence > reported), key=lambda file: file.sequence)[:most]
    for file in new:
        _report_file(instance, tenant, file)
        _write(instance, cursor, str(file.sequence))
    return len(new)


def _report_file(instance: dg.DagsterInstance, tenant: Tenant, file: StagedFile) -> None:
    """The file in every window it has rows of; its quarantined rows and their check in the window it belongs to."""
    shown = {
        "file": dg.MetadataValue.text(file.file_id),
        "as received": dg.MetadataValue.text(file.original_name),
        "rows of the file": dg.MetadataValue.int(file.rows_staged + file.rows_quarantined),
        "rows in quarantine": dg.MetadataValue.int(file.rows_quarantined),
        "unknown columns": dg.MetadataValue.text(", ".join(json.loads(file.unknown_columns)) or "none"),
        "sha256": dg.MetadataValue.text(file.sha256),
        "ingested at": dg.MetadataValue.text(file.received_at),
    }
    asset_key = dg.AssetKey(["raw", TABLE_OF_KIND[file.kind]])
    for found in file_windows.rows_by_window(tenant.paths, file):
        key = _partition(instance, tenant.name, found.provider, found.window)
        rows = {"rows": dg.MetadataValue.int(found.rows)}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key=asset_key, partition=key, metadata={**shown, **rows})
        )
    window = file_windows.home_window(tenant.paths, file)
    key = _partition(instance, tenant.name, file.provider, window)
    if file.rows_quarantined:
        reasons = {"reasons": dg.MetadataValue.md(_reasons(tenant.paths, file))}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key=QUARANTINE_KEY, partition=key, metadata={**shown, **reasons})
        )
    counts = row_counts.counted(tenant, file.kind, file.provider, window)
    check = dg.AssetCheckKey(asset_key, COUNT_CHECK)
    evaluated(instance, key, check, passed=counts.add_up, shown=shown_counts(counts))
    rows_left = file_windows.quarantined_rows(tenant, file.provider, window)
    evaluated(
        instance,
        key,
        dg.AssetCheckKey(QUARANTINE_KEY, QUARANTINE_CHECK),
        passed=rows_left == 0,
        shown={"rows in quarantine": rows_left},
        severity=dg.AssetCheckSeverity.WARN,
    )


def shown_counts(counts: RowCounts) -> dict[str, int]:
    """What the check of a window's rows shows."""
    return {
        "files": counts.files,
        "rows read": counts.read,
        "rows staged": counts.staged,
        "rows in quarantine": counts.quarantined,
    }


def _reasons(paths: TenantPaths, file: StagedFile) -> str:
    """Why rows of a file are in quarantine, the most frequent first, as a Markdown table."""
    assert file.quarantine_path is not None
    source = sql_text.parquet_scan([paths.root / file.quarantine_path], "reason varchar")
    with private_database.opened() as connection:
        rows = connection.execute(
            f"select reason, count(*) from {source} group by reason order by 2 desc, 1 limit {_SHOWN_REASONS}"
        ).fetchall()
    return "\n".join(["| reason | rows |", "| --- | --- |", *(f"| {charts.plain(why)} | {n:,} |" for why, n in rows)])


def _report_closeouts(instance: dg.DagsterInstance, tenant: Tenant) -> int:
    """Report closeouts that were prepared, sealed or blocked, each once; those Dagster made itself it knows."""
    cursor = f"zentra/reported_closeouts/{tenant.name}"
    before = json.loads(_read(instance, cursor, "{}"))
    steps, now = reported.steps(tenant, before)
    for step in steps:
        key = _partition(instance, tenant.name, step.provider, date.fromisoformat(step.ledger_window))
        reported.report(instance, tenant, key, step)
    if now != before:
        _write(instance, cursor, json.dumps(now, sort_keys=True))
    return len(steps)


def _partition(instance: dg.DagsterInstance, tenant: str, provider: str, window: date) -> dg.MultiPartitionKey:
    """The window's partition, its scope made known to Dagster."""
    scope = scope_key(tenant, provider)
    if not instance.has_dynamic_partition(SCOPE_PARTITIONS, scope):
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope])
    return partition_key(tenant, provider, window)


def _read(instance: dg.DagsterInstance, cursor: str, default: str) -> str:
    return instance.daemon_cursor_storage.get_cursor_values({cursor}).get(cursor, default)


def _write(instance: dg.DagsterInstance, cursor: str, value: str) -> None:
    instance.daemon_cursor_storage.set_cursor_values({cursor: value})
