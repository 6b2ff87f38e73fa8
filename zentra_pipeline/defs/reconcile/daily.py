"""The schedule that reconciles the previous window of every provider once a day; what a run does is elsewhere."""

from collections.abc import Iterator
from datetime import UTC, timedelta

import dagster as dg

from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, scope_key
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.ledger_windows import window_of
from zentra_pipeline.store import files as file_store
from zentra_pipeline.tenants.tenant import Tenant


@dg.schedule(
    name="reconcile_previous_window",
    job_name="reconcile_window",
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Daily: each provider's last window that has ended, if its settlement file is there. Turn it on where "
    "no server, no cron and no drop folder asks for runs.",
)
def reconcile_previous_window(
    context: dg.ScheduleEvaluationContext, reconciler: dg.ResourceParam[Reconciler]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for a run of every scope, and say which wait for what."""
    at = context.scheduled_execution_time.astimezone(UTC)
    asked, waiting = list[dg.RunRequest](), list[str]()
    for tenant, provider in _scopes(reconciler):
        name = scope_key(tenant.name, provider)
        try:
            profile = load_profile(tenant.paths, provider)
        except ZentraError as cause:
            waiting.append(f"{name}: {cause}")
            continue
        window = window_of(at, profile.timezone, profile.window_cutoff) - timedelta(days=1)
        expected = profile.settlement_file(window)
        if not _is_ingested(tenant, provider, expected):
            waiting.append(f"{name}: settlement file {expected} of window {window} was not ingested yet")
            continue
        context.instance.add_dynamic_partitions(SCOPE_PARTITIONS, [name])
        asked.append(
            dg.RunRequest(run_key=f"daily-{name}-{window}", partition_key=partition_key(tenant.name, provider, window))
        )
    for line in waiting:
        context.log.info(line)
    return asked or dg.SkipReason("; ".join(waiting) or "no provider has sent a settlement file yet")


def _scopes(reconciler: Reconciler) -> Iterator[tuple[Tenant, str]]:
    """Every tenant's providers that ever sent a settlement file, in alphabetical order."""
    for tenant in reconciler.tenants():
        with tenant.reading() as connection:
            providers = {file.provider for file in file_store.staged_files(connection, "settlement")}
        yield from ((tenant, provider) for provider in sorted(providers))


def _is_ingested(tenant: Tenant, provider: str, file_id: str) -> bool:
    with tenant.reading() as connection:
        files = file_store.staged_files(connection, "settlement")
    return any(file.provider == provider and file.file_id == file_id for file in files)
