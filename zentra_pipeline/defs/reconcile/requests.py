"""The sensor that launches what is queued, where no worker beside the server does; no asset belongs here.

A request is taken in the operational store first, and launched under a run key of its own: it is launched once, also
when a tick is cut off in between. One run a provider is launched at a time, for the next would wait for it, and no more
at once than the home makes.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

import dagster as dg
from sqlalchemy import Connection

from zentra_pipeline import settings
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, is_shown, partition_key, scope_key
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.requests import Request
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

_RUN_KEY: Final = "dagster/run_key"
_BEFORE_IT_STARTS: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.MANAGED,
)


@dg.sensor(
    name="run_requests",
    job_name="reconcile_window",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Launches queued runs: asked for over HTTP, or to be made again. For servers without a worker.",
)
def sensor(
    context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Record what has ended, queue again what was cut off, and launch what is queued."""
    tenants, now = reconciler.tenants(), datetime.now(UTC)
    launched = 0
    under_way = sum(_look_after(context.instance, tenant, now) for tenant in tenants)
    for tenant in tenants:
        for request, run in _taken(tenant, settings.most_runs() - under_way, now):
            under_way += 1
            if not _known_to_dagster(context.instance, request, run):
                launched += 1
                yield _launch(context, tenant.name, request, run)
    if not launched:
        unknown = sorted({window for tenant in tenants for window in _unknown_windows(tenant)})
        hint = f"; reload the definitions to launch windows {', '.join(unknown)}" if unknown else ""
        yield dg.SkipReason(f"nothing new is queued, or as much is under way as may be at once{hint}")


def run_key(request: Request, run: Run) -> str:
    """The run id; with the time when a run is asked for that was there before, and the launch when it was cut off.

    Dagster launches each key once.
    """
    again = f"#{request.launch}" if request.launch > 1 else ""
    return (run.run_id if request.requested_at == run.created_at else f"{run.run_id}@{request.requested_at}") + again


def _look_after(instance: dg.DagsterInstance, tenant: Tenant, now: datetime) -> int:
    """Bring what this sensor launched in line with what Dagster knows of it; how much of it is still under way."""
    with tenant.reading() as connection:
        launched = _launched(connection)
        dead = [request for request in request_store.of_status(connection, "launched") if request.is_cut_off(now)]
    under_way = 0
    for request, run in launched:
        known = _known_to_dagster(instance, request, run)
        if known is not None and known.status in _BEFORE_IT_STARTS:
            with tenant.writing() as connection:
                request_store.renew(connection, request.run_id, now)
            under_way += 1
        elif known is not None and known.status is not dg.DagsterRunStatus.STARTED:
            _record_end(tenant, request, known)
        else:
            under_way += known is not None and not request.is_cut_off(now)
    if dead:
        with tenant.writing() as connection:
            request_store.put_back_dead(connection, now)
    return under_way


def _taken(tenant: Tenant, places: int, now: datetime) -> list[tuple[Request, Run]]:
    """Requests to launch: those taken by a tick that was cut off, and as many queued ones as there are places for."""
    with tenant.reading() as connection:
        if places <= 0 or not request_store.of_status(connection, "queued"):
            return _launched(connection)
    with tenant.writing() as connection:
        at_work = {run.provider for _, run in _launched(connection)}
        for request in request_store.of_status(connection, "queued"):
            run = run_store.get(connection, request.run_id)
            if places > 0 and run.provider not in at_work and _is_shown(run):
                request_store.launch(connection, request.run_id, request_store.DAGSTER, now)
                at_work.add(run.provider)
                places -= 1
        return _launched(connection)


def _launched(connection: Connection) -> list[tuple[Request, Run]]:
    taken = request_store.of_status(connection, "launched", request_store.DAGSTER)
    found = [(request, run_store.get(connection, request.run_id)) for request in taken]
    return [(request, run) for request, run in found if _is_shown(run)]


def _is_shown(run: Run) -> bool:
    return is_shown(date.fromisoformat(run.ledger_window))


def _unknown_windows(tenant: Tenant) -> list[str]:
    """Queued windows that Dagster knows only after its definitions are loaded again: launching one fails the tick."""
    with tenant.reading() as connection:
        runs = [run_store.get(connection, each.run_id) for each in request_store.of_status(connection, "queued")]
    return [run.ledger_window for run in runs if not _is_shown(run)]


def _known_to_dagster(instance: dg.DagsterInstance, request: Request, run: Run) -> dg.DagsterRun | None:
    return next(iter(instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: run_key(request, run)}), limit=1)), None)


def _launch(context: dg.SensorEvaluationContext, tenant: str, request: Request, run: Run) -> dg.RunRequest:
    asked = run_requests.as_request(run, request.actor)
    context.instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope_key(tenant, asked.provider)])
    config = {"settlement_file": asked.settlement_file, "actor": asked.actor}
    return dg.RunRequest(
        run_key=run_key(request, run),
        partition_key=partition_key(tenant, asked.provider, asked.ledger_window),
        run_config={"ops": {"reconciliation_window": {"config": config}}},
        tags={"zentra/run_id": request.run_id},
    )


def _record_end(tenant: Tenant, request: Request, run: dg.DagsterRun) -> None:
    """A run itself records that it answered its request; one that ended without doing so was cut off, or cancelled."""
    with tenant.writing() as connection:
        now = datetime.now(UTC)
        if run.status is dg.DagsterRunStatus.FAILURE:
            request_store.put_back(connection, request.run_id, now)
        elif run.status is dg.DagsterRunStatus.CANCELED:
            failure = f"the Dagster run {run.run_id} was cancelled: ask for the run again"
            request_store.finish(connection, request.run_id, now, failure, request.asked)
        else:
            request_store.finish(connection, request.run_id, now, None, request.asked)
