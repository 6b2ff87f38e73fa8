"""The assets of a run: what it is about, every dbt model, what is published; one step, so that windows run in order.

Each window starts from what the one before left open. Dagster's steps run asset by asset over the whole range, which
would take all windows' inputs before any window's result; so one step holds them all and goes through the range. What
Dagster learns of a window: window_report.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import dagster as dg

from zentra_pipeline import identifiers
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.defs.asset_policies import OWNERS
from zentra_pipeline.defs.corrections import withdraw_plan
from zentra_pipeline.defs.dead_runs import at_work
from zentra_pipeline.defs.instance import kept_connected
from zentra_pipeline.defs.partitions import partition_key, windows, windows_shown
from zentra_pipeline.defs.reconcile.models import EARLIER_KEY, SCOPE_KEY
from zentra_pipeline.defs.reconcile.window_report import MODELS, WindowReport
from zentra_pipeline.defs.reporting import report_recorded
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ControlFailedError, InputRejectedError, RunFailedError
from zentra_pipeline.instants import instant_of
from zentra_pipeline.queue.run_queue import window_of
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.settings import DEFAULT_OWNER
from zentra_pipeline.store import files as file_store
from zentra_pipeline.tenants.tenant import Tenant

# A home with years of files shows them bit by bit: a run reports a few, the sensor the rest.
_MOST_FILES: Final = 20


class WindowConfig(dg.Config):
    """The options of a run; all have defaults, so that a partition is materialized with one click.

    `settlement_file` defaults to the profile's settlement_file_name, `owner` to the recorded one or finance_ops,
    `as_of` (ISO 8601 with Z) to the recorded one or the time the run is created; `is_confirmed` runs also what looks
    like a mistake.
    """

    settlement_file: str | None = None
    owner: str | None = None
    as_of: str | None = None
    actor: str = "dagster"
    is_confirmed: bool = False


def _own_specs() -> list[dg.AssetSpec]:
    scope = dg.AssetSpec(
        SCOPE_KEY,
        description="What the run is about: window, cut-off, profile, routing and calendar, one small table each.",
        group_name="ingest",
        kinds={"yaml"},
        owners=OWNERS,
        skippable=True,
    )
    earlier = dg.AssetSpec(
        EARLIER_KEY,
        description="What the run took from earlier runs of its provider: open items, matches, exceptions, callbacks.",
        group_name="ingest",
        kinds={"parquet"},
        owners=OWNERS,
        skippable=True,
    )
    return [scope, earlier]


def window_assets(partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """The assets of a run over the windows there are."""

    @dg.multi_asset(
        name="reconciliation_window",
        specs=[*_own_specs(), *MODELS.assets],
        check_specs=MODELS.checks(partitions),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def reconciliation_window(
        context: dg.AssetExecutionContext, config: WindowConfig, reconciler: dg.ResourceParam[Reconciler]
    ) -> Iterator[Any]:
        """Reconcile every window of the partition range in order, and report each as it is published."""
        with at_work(reconciler.home, context.run.run_id), kept_connected(context.instance):
            _report_recorded(context, reconciler)
            yield from _reconciled(context, config, reconciler)

    return reconciliation_window


# What `zentra run`, the API and the worker materialize, whatever the home and the window.
reconciliation_window: Final = window_assets(windows)


@dg.definitions
def code_location() -> dg.Definitions:
    """The same assets over the windows that the home has."""
    return dg.Definitions(assets=[window_assets(windows_shown())])


def _reconciled(context: dg.AssetExecutionContext, config: WindowConfig, reconciler: Reconciler) -> Iterator[Any]:
    """Run every window and report each as it is published; a failed one ends the Dagster run, after the others."""
    keys = _partitions(context)
    if len(keys) == 1:
        yield from _window(reconciler, config, WindowReport(context, keys[0], is_alone=True))
        yield from _queued(context, reconciler)
        return
    done, skipped, failed = 0, 0, list[str]()
    for key in keys:
        report = WindowReport(context, key, is_alone=False)
        try:
            missing = _missing_file(reconciler, config, report)
            if missing is not None:
                skipped += 1
                withdraw_plan(context.instance, context.run.run_id, key)
                context.log.info(f"{report.name}: skipped, settlement file {missing} was never ingested")
                continue
            yield from _window(reconciler, config, report)
            done += 1
        except Exception as cause:
            failed.append(f"{report.name}: {cause}")
            context.log.exception(failed[-1])
    yield from _queued(context, reconciler)
    if failed:
        counted = f"{len(failed)} of {len(keys)} windows failed, {done} published, {skipped} skipped"
        raise RunFailedError("\n".join([f"{counted}; materialize again what failed:", *failed]))
    if not done:
        raise InputRejectedError("no window of the range has an ingested settlement file: ingest one first")
    # Dagster waits for an output of each check, whose results were reported window by window.
    yield from (dg.Output(None, spec.get_python_identifier()) for spec in context.assets_def.check_specs)


def _report_recorded(context: dg.AssetExecutionContext, reconciler: Reconciler) -> None:
    """Show what the windows were made from before them; a fault in that is no fault of theirs."""
    tenants = sorted({key.keys_by_dimension["scope"].split("/", 1)[0] for key in _partitions(context)})
    try:
        report_recorded(context.instance, reconciler.home, tenants, most_files=_MOST_FILES)
    except Exception:
        context.log.exception("what was ingested and closed could not be reported; the sensor will try again")


def _window(reconciler: Reconciler, config: WindowConfig, report: WindowReport) -> Iterator[Any]:
    tenant = reconciler.tenant(report.tenant)
    try:
        result = reconciler.run(tenant, _request(tenant, config, report))
    except ControlFailedError as cause:
        yield from report.failed_controls(cause)
        raise
    yield from report.published(result, tenant)


def _missing_file(reconciler: Reconciler, config: WindowConfig, report: WindowReport) -> str | None:
    """The settlement file the window waits for, where it was never ingested (a weekend): the next window takes it."""
    tenant = reconciler.tenant(report.tenant)
    if identifiers.account_of(report.provider) is not None:
        return None  # a day without a statement is judged as well: payouts become overdue
    expected = config.settlement_file or load_profile(tenant.paths, report.provider).settlement_file(report.window)
    with tenant.reading() as connection:
        ingested = file_store.staged_files(connection, "settlement")
    known = any(file.provider == report.provider and file.file_id == expected for file in ingested)
    return None if known else expected


def _queued(context: dg.AssetExecutionContext, reconciler: Reconciler) -> Iterator[Any]:
    """Make again what these windows, or a process that died, left queued for the same providers, and report it too."""
    for scope in dict.fromkeys(key.keys_by_dimension["scope"] for key in _partitions(context)):
        name, provider = scope.split("/", 1)
        tenant = reconciler.tenant(name)
        followed = reconciler.run_queued(tenant, provider)
        for result in followed.results:
            window = window_of(result.run)
            report = WindowReport(context, partition_key(name, result.run.provider, window), is_alone=False)
            yield from report.published(result, tenant)
            context.log.info(f"{report.name}: made again, revision {result.run.revision}")
        for run_id, why in followed.failures.items():
            context.log.error(f"{run_id} could not be made again: {why}")


def _partitions(context: dg.AssetExecutionContext) -> list[dg.MultiPartitionKey]:
    """The partitions of this step: scope by scope, and windows in order within a scope."""
    keys = [key for key in context.partition_keys if isinstance(key, dg.MultiPartitionKey)]
    return sorted(keys, key=lambda key: (key.keys_by_dimension["scope"], key.keys_by_dimension["ledger_window"]))


def _request(tenant: Tenant, config: WindowConfig, report: WindowReport) -> run_requests.RunRequest:
    profile = load_profile(tenant.paths, report.provider)
    settlement_file = config.settlement_file or profile.settlement_file(report.window)
    known = run_requests.find(tenant, report.provider, settlement_file, report.window)
    return run_requests.RunRequest(
        provider=report.provider,
        settlement_file=settlement_file,
        ledger_window=report.window,
        owner=config.owner or (None if known else DEFAULT_OWNER),
        as_of=_instant(config.as_of),
        actor=config.actor,
        is_confirmed=config.is_confirmed,
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else instant_of(text.replace("+00:00", "Z"))
