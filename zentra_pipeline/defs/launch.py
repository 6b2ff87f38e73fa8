"""Reconciles from outside Dagster, through the same assets as its UI: one way to reconcile.

Does not belong here: what a run does (window_run), what follows from it (run_queue), or how its outcome is printed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zentra_pipeline.errors import RunFailedError, ZentraError
from zentra_pipeline.published.run_summary import RunSummary, summarize
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import Progress
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.requests import Request
from zentra_pipeline.tenants.tenant import Tenant

if TYPE_CHECKING:
    from zentra_pipeline.defs.resources import Reconciler

__all__ = ["RunOutcome", "RunRequest", "execute", "reconcile", "run_queued"]


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


def reconcile(
    tenant: Tenant,
    request: RunRequest,
    progress: Progress | None = None,
    *,
    is_alone: bool = True,
    is_queued: bool = False,
) -> RunOutcome:
    """Run one window through the Dagster assets and record it in the home's Dagster instance.

    The provider's queued runs are made again before and after; in a series of windows (not `is_alone`) only after the
    last. A window that `is_queued` as it is asked for is made as one of them, and not once more. `rerun` names the
    other runs that got a new revision so. Raises what window_run.run_window raises, and RunFailedError when the window
    is done and one that follows from it failed.
    """
    run_requests.check_request(tenant, request)
    before = run_queued(tenant, request.provider, progress) if is_alone else window_run.Followed()
    run_id = run_requests.run_id_of(tenant.name, request)
    made = [result for result in before.results if result.run.run_id == run_id] if is_queued else []
    if made:
        result, others, failed = made[-1], [each for each in before.results if each.run.run_id != run_id], before
    else:
        reconciler = _materialize(tenant, request, progress)
        result, failed = reconciler.results[-1], reconciler.followed
        others = [*before.results, *reconciler.followed.results]
    _require_followed(result.run.run_id, failed)
    return RunOutcome(
        run_id=result.run.run_id,
        revision=result.run.revision,
        status=result.run.status,
        is_new_revision=result.is_new_revision,
        inputs_digest=str(result.run.inputs_digest),
        owner=result.run.owner,
        as_of=result.run.as_of,
        summary=summarize(tenant.paths.root, result.tables),
        rerun=tuple(
            f"{again.run.settlement_file} {again.run.ledger_window}" for again in others if again.is_new_revision
        ),
    )


def run_queued(tenant: Tenant, provider: str, progress: Progress | None = None) -> window_run.Followed:
    """Make what is queued of a provider again through the Dagster assets, in order; see run_queue."""
    followed = window_run.Followed()
    _make_again(tenant, provider, followed, progress)
    for scope in run_queue.accounts_waiting(tenant):
        _make_again(tenant, scope, followed, progress)
    return followed


def _make_again(tenant: Tenant, provider: str, followed: window_run.Followed, progress: Progress | None) -> None:
    while taken := run_queue.take_next(tenant, provider, followed.failures.keys()):
        request, run = taken
        try:
            reconciler = _materialize(tenant, run_requests.as_request(run, request.actor), progress)
        except Exception as cause:  # recorded with the run and its request; those after it go on
            followed.failures[run.run_id] = str(cause) or type(cause).__name__
            continue
        followed.results += [reconciler.results[-1], *reconciler.followed.results]
        followed.failures |= reconciler.followed.failures


def execute(tenant: Tenant, request: Request) -> None:
    """Reconcile a launched request through the Dagster assets; how it ended is recorded where the run is.

    What goes wrong is recorded with the request, not raised: it is for whoever asked.
    """
    failure = None
    with run_queue.lease_renewed(tenant, request.run_id):
        try:
            with tenant.reading() as connection:
                run = run_store.get(connection, request.run_id)
            reconcile(tenant, run_requests.as_request(run, request.actor))
        except Exception as cause:
            failure = str(cause) if isinstance(cause, ZentraError) else f"{type(cause).__name__}: {cause}"
    with tenant.writing() as connection:
        known = request_store.find(connection, request.run_id)
        is_ours = known is not None and (known.status, known.launch) == ("launched", request.launch)
        if is_ours:  # it failed before the run could record it; what somebody else launched since is theirs to answer
            run_queue.answer(connection, request, datetime.now(UTC), failure)


def _require_followed(run_id: str, followed: window_run.Followed) -> None:
    if followed.failures:
        why = "; ".join(f"{failed}: {reason}" for failed, reason in followed.failures.items())
        raise RunFailedError(f"run {run_id} is done, but a later run could not be made again; run it again: {why}")


def _materialize(tenant: Tenant, request: RunRequest, progress: Progress | None) -> "Reconciler":
    """One partition of the assets, executed in this process; its result and what followed it."""
    import dagster as dg

    from zentra_pipeline.defs.instance import dagster_instance
    from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, reaching, scope_key
    from zentra_pipeline.defs.reconcile.job import reconcile_window
    from zentra_pipeline.defs.reconcile.window import reconciliation_window
    from zentra_pipeline.defs.resources import Reconciler

    reconciler = Reconciler(tenant.home, progress)
    config: dict[str, Any] = {"settlement_file": request.settlement_file, "actor": request.actor}
    if request.owner is not None:
        config["owner"] = request.owner
    if request.as_of is not None:
        config["as_of"] = request.as_of.isoformat()
    if request.is_confirmed:
        config["is_confirmed"] = True
    with dagster_instance(tenant.home) as instance, reaching(request.ledger_window):
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope_key(tenant.name, request.provider)])
        try:
            job = dg.Definitions(
                assets=[reconciliation_window], jobs=[reconcile_window], resources={"reconciler": reconciler}
            ).resolve_job_def(reconcile_window.name)
            job.execute_in_process(
                instance=instance,
                partition_key=partition_key(tenant.name, request.provider, request.ledger_window),
                run_config={
                    "ops": {"reconciliation_window": {"config": config}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
                tags={"zentra/run_id": run_requests.run_id_of(tenant.name, request)},
            )
        except dg.DagsterError as cause:
            raise _own_error(cause) from cause
    if not reconciler.results:
        window = f"window {request.ledger_window} of {request.provider}"
        raise RunFailedError(f"{window} ended without a result; run it again")
    return reconciler


def _own_error(error: BaseException) -> Exception:
    """The error of ours that a Dagster error wraps, else the Dagster error as a failed run."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ZentraError):
            return cause
        cause = cause.__cause__
    return RunFailedError(f"the Dagster run failed: {error}")
