"""Ingested rows, as assets that Dagster shows and does not make: ingest does, and `defs.reporting` says when."""

from datetime import date
from typing import Final

import dagster as dg

from zentra_pipeline.contracts.staged_tables import TABLE_OF_KIND
from zentra_pipeline.defs.asset_policies import FRESHNESS, OWNERS
from zentra_pipeline.defs.partitions import partition_preview, windows_shown
from zentra_pipeline.defs.reporting import COUNT_CHECK, QUARANTINE_CHECK, QUARANTINE_KEY, shown_counts
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.ingest import row_counts
from zentra_pipeline.ingest.file_windows import quarantined_rows
from zentra_pipeline.settings import DBT_PROJECT
from zentra_pipeline.tenants.tenant import Tenant

_ACCEPTED: Final = {
    "settlement_lines": "Settlement rows that were accepted: what the provider says it settled.",
    "ledger_entries": "Ledger rows that were accepted: what was posted.",
    "callbacks": "Callback deliveries that were accepted: what the provider said at once.",
    "internal_events": "Steps of intents that were accepted: what was asked for and under which policy.",
}
_OF_BANKS: Final = {
    "bank_statements": "Statements of bank accounts that were accepted: what each opens and closes with.",
    "bank_lines": "Lines of bank statements that were accepted: what the bank booked.",
}
_KINDS: Final = {table: kind for kind, table in TABLE_OF_KIND.items()}
_EXPECTED_DAILY: Final = frozenset({"settlement_lines", "ledger_entries"})
_SEEDS: Final = {
    "currencies": "Every currency Zentra knows and the decimals of its amounts; shipped with Zentra.",
    "exception_types": "What an exception of each type means: how grave, whose lane, by when, what to do; shipped "
    "with Zentra.",
}


def raw_specs(partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetSpec]:
    """Ingested rows, and the seeds that are shipped."""
    accepted = [
        dg.AssetSpec(
            ["raw", name],
            description=text,
            group_name="ingest",
            kinds={"parquet"},
            owners=OWNERS,
            partitions_def=partitions,
            freshness_policy=FRESHNESS if name in _EXPECTED_DAILY else None,
        )
        for name, text in [*_ACCEPTED.items(), *_OF_BANKS.items()]
    ]
    quarantine = dg.AssetSpec(
        QUARANTINE_KEY,
        description="Rows that were not accepted, each with file, row number and reason.",
        group_name="ingest",
        kinds={"parquet"},
        owners=OWNERS,
        partitions_def=partitions,
    )
    seeds = [
        dg.AssetSpec(
            name,
            description=text,
            group_name="ingest",
            kinds={"csv"},
            owners=OWNERS,
            metadata={"file": dg.MetadataValue.path(str(DBT_PROJECT / "seeds" / f"{name}.csv"))},
        )
        for name, text in _SEEDS.items()
    ]
    return [*accepted, quarantine, *seeds]


def quarantine_check(partitions: dg.MultiPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The check of what is in quarantine, which may be asked for again once rows were corrected."""
    with partition_preview():

        @dg.asset_check(
            asset=QUARANTINE_KEY,
            name=QUARANTINE_CHECK,
            description="Warns when rows of a window's files are in quarantine: they are in no total until somebody "
            "looks.",
            partitions_def=partitions,
        )
        def every_row_was_accepted(
            context: dg.AssetCheckExecutionContext, reconciler: dg.ResourceParam[Reconciler]
        ) -> dg.AssetCheckResult:
            """Count again what is in quarantine now."""
            rows = quarantined_rows(*_of_partition(context, reconciler))
            shown = {"rows in quarantine": dg.MetadataValue.int(rows)}
            return dg.AssetCheckResult(passed=rows == 0, severity=dg.AssetCheckSeverity.WARN, metadata=shown)

    return every_row_was_accepted


def count_check(table: str, partitions: dg.MultiPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The check that no row of a window's files is lost on its way from the reader, which may be asked for again."""
    with partition_preview():

        @dg.asset_check(
            asset=dg.AssetKey(["raw", table]),
            name=COUNT_CHECK,
            description="As many rows as the reader counted in a window's files lie staged and in quarantine.",
            partitions_def=partitions,
            blocking=True,
        )
        def every_row_read_is_staged_or_in_quarantine(
            context: dg.AssetCheckExecutionContext, reconciler: dg.ResourceParam[Reconciler]
        ) -> dg.AssetCheckResult:
            """Count the rows on disk again."""
            tenant, provider, window = _of_partition(context, reconciler)
            counts = row_counts.counted(tenant, _KINDS[table], provider, window)
            return dg.AssetCheckResult(passed=counts.add_up, metadata=shown_counts(counts))

    return every_row_read_is_staged_or_in_quarantine


def _of_partition(context: dg.AssetCheckExecutionContext, reconciler: Reconciler) -> tuple[Tenant, str, date]:
    """Tenant, provider and window of the partition that a check is asked for."""
    key = context.op_execution_context.partition_key
    assert isinstance(key, dg.MultiPartitionKey)
    name, provider = key.keys_by_dimension["scope"].split("/", 1)
    return reconciler.tenant(name), provider, date.fromisoformat(key.keys_by_dimension["ledger_window"])


@dg.definitions
def code_location() -> dg.Definitions:
    """Ingested rows, over the windows that the home has."""
    partitions = windows_shown()
    counts = [count_check(table, partitions) for table in _ACCEPTED]
    return dg.Definitions(assets=raw_specs(partitions), asset_checks=[quarantine_check(partitions), *counts])
