"""Partitions of every asset: scope (`<tenant>/<provider>`) × daily ledger window. Nothing else."""

import warnings
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

SCOPE_PARTITIONS = "scope"

scopes = dg.DynamicPartitionsDefinition(name=SCOPE_PARTITIONS)
ledger_windows = dg.DailyPartitionsDefinition(start_date="2000-01-01", end_offset=1)
windows = dg.MultiPartitionsDefinition({"scope": scopes, "ledger_window": ledger_windows})

with warnings.catch_warnings():
    # Dagster calls this one class beta; what we rely on of it is tested.
    warnings.simplefilter("ignore", dg.BetaWarning)
    # A window starts from what its provider's previous window left open.
    previous_window = dg.MultiPartitionMapping(
        {
            "scope": dg.DimensionPartitionMapping("scope", dg.IdentityPartitionMapping()),
            "ledger_window": dg.DimensionPartitionMapping(
                "ledger_window", dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
            ),
        }
    )


def reaching(ledger_window: date) -> AbstractContextManager[object]:
    """Within it a window has its partition also when it lies ahead of this machine's clock.

    Dagster's days end today; which windows there are is for the ledger to say, not for a clock.
    """
    the_day_after = datetime.combine(ledger_window, time(), UTC) + timedelta(days=1)
    return dg.partition_loading_context(effective_dt=max(datetime.now(UTC), the_day_after))


def scope_key(tenant: str, provider: str) -> str:
    """The scope partition of a tenant's provider."""
    return f"{tenant}/{provider}"


def partition_key(tenant: str, provider: str, ledger_window: date) -> dg.MultiPartitionKey:
    """The partition of one run."""
    return dg.MultiPartitionKey({"scope": scope_key(tenant, provider), "ledger_window": ledger_window.isoformat()})
