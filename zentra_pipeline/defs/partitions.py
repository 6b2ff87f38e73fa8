"""Partitions of every asset and check: scope (`<tenant>/<provider>`) × daily ledger window. Nothing else."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import dagster as dg

from zentra_pipeline.ingest.file_windows import first_window
from zentra_pipeline.settings import Home

SCOPE_PARTITIONS = "scope"
_BEFORE_ANY = date(2000, 1, 1)

scopes = dg.DynamicPartitionsDefinition(name=SCOPE_PARTITIONS)


def windows_from(first: date) -> dg.MultiPartitionsDefinition:
    """Every scope and every window since `first`."""
    days = dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=1)
    return dg.MultiPartitionsDefinition({"scope": scopes, "ledger_window": days})


# Every window that can be asked for: what `zentra run`, the API and the worker materialize, whatever the home.
windows = windows_from(_BEFORE_ANY)


@cache
def windows_shown() -> dg.MultiPartitionsDefinition:
    """The windows the code location shows: since the first of `$ZENTRA_HOME`, as it is when Dagster loads."""
    return windows_from(first_window(Home.at()) or _BEFORE_ANY)


def is_shown(ledger_window: date) -> bool:
    """Whether a window has its partition in the code location as it is loaded: Dagster launches none of the others."""
    days = windows_shown().get_partitions_def_for_dimension("ledger_window")
    return days.has_partition_key(ledger_window.isoformat())


@contextmanager
def partition_preview() -> Iterator[None]:
    """Within it a check may be partitioned without a warning: Dagster calls that a preview, and our tests hold it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield


def partitioned_check(
    name: str, asset: dg.AssetKey, description: str, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetCheckSpec:
    """A blocking check whose results belong to a window."""
    with partition_preview():
        return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=True, partitions_def=partitions)


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
