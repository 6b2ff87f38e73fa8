"""Reconciles from outside Dagster, through the same assets as its UI: one way to reconcile.

A new revision may change what later runs of the provider started from; those are then reconciled again, in order. Does
not belong here: what a run does (window_run), or how its outcome is told.
"""

from dataclasses import dataclass
from typing import Any

from zentra_pipeline import window_run
from zentra_pipeline.errors import RunFailedError, ZentraError
from zentra_pipeline.run_summary import RunSummary, summarize
from zentra_pipeline.settings import Home
from zentra_pipeline.tenancy import require_tenant
from zentra_pipeline.window_run import Progress, RunRequest, WindowResult

__all__ = ["RunOutcome", "RunRequest", "reconcile"]


@dataclass(frozen=True)
class RunOutcome:
    """How a requested run ended: its identity and state, whether anything new was published, and its figures."""

    run_id: str
    revision: int
    status: str
    is_new_revision: bool
    inputs_digest: str
    owner: str
    as_of: str
    summary: RunSummary
    rerun: tuple[str, ...]


def reconcile(home: Home, tenant: str, request: RunRequest, progress: Progress | None = None) -> RunOutcome:
    """Run one window through the Dagster assets and record it in the home's Dagster instance.

    Raises what window_run.run_window raises. `rerun` names the later runs that were reconciled again.
    """
    window_run.check_request(home, tenant, request)
    result = _materialize(home, tenant, request, progress)
    rerun = []
    if result.is_new_revision:
        for later in window_run.later_requests(home, tenant, result.run):
            if _materialize(home, tenant, later, progress).is_new_revision:
                rerun.append(f"{later.settlement_file} {later.ledger_window}")
    paths = require_tenant(home, tenant)
    return RunOutcome(
        run_id=result.run.run_id,
        revision=result.run.revision,
        status=result.run.status,
        is_new_revision=result.is_new_revision,
        inputs_digest=str(result.run.inputs_digest),
        owner=result.run.owner,
        as_of=result.run.as_of,
        summary=summarize(paths.root, result.tables),
        rerun=tuple(rerun),
    )


def _materialize(home: Home, tenant: str, request: RunRequest, progress: Progress | None) -> WindowResult:
    """One partition of the assets, executed in this process."""
    import dagster as dg

    from zentra_pipeline.defs.instance import dagster_instance
    from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, reaching, scope_key
    from zentra_pipeline.defs.reconcile.job import reconcile_window
    from zentra_pipeline.defs.reconcile.window import reconciliation_window
    from zentra_pipeline.defs.resources import Reconciler

    reconciler = Reconciler(home, progress)
    config: dict[str, Any] = {"settlement_file": request.settlement_file, "actor": request.actor}
    if request.owner is not None:
        config["owner"] = request.owner
    if request.as_of is not None:
        config["as_of"] = request.as_of.isoformat()
    with dagster_instance(home) as instance, reaching(request.ledger_window):
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope_key(tenant, request.provider)])
        try:
            job = dg.Definitions(
                assets=[reconciliation_window], jobs=[reconcile_window], resources={"reconciler": reconciler}
            ).resolve_job_def(reconcile_window.name)
            job.execute_in_process(
                instance=instance,
                partition_key=partition_key(tenant, request.provider, request.ledger_window),
                run_config={
                    "ops": {"reconciliation_window": {"config": config}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
                tags={"zentra/run_id": window_run.run_id_of(tenant, request)},
            )
        except dg.DagsterError as cause:
            raise _own_error(cause) from cause
    if not reconciler.results:
        window = f"window {request.ledger_window} of {request.provider}"
        raise RunFailedError(f"{window} ended without a result; run it again")
    return reconciler.results[-1]


def _own_error(error: BaseException) -> Exception:
    """The error of ours that a Dagster error wraps, else the Dagster error as a failed run."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ZentraError):
            return cause
        cause = cause.__cause__
    return RunFailedError(f"the Dagster run failed: {error}")
