"""The sensor that launches what was asked for over HTTP, where no worker beside the server does; no asset belongs here.

A request is taken in the operational store first, and launched under a run key of its own: it is launched once, also
when a tick is cut off in between.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
from sqlalchemy import Connection

from zentra_pipeline import run_requests, tenancy
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, partition_key, scope_key
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.settings import Home
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.requests import Request
from zentra_pipeline.store.runs import Run

_RUN_KEY = "dagster/run_key"
_FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dg.sensor(
    name="run_requests",
    job_name="reconcile_window",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Launches runs that were asked for over HTTP; for servers started with --no-worker.",
)
def sensor(
    context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Take what is queued, launch what is taken, and record what has ended."""
    home, launched = reconciler.home, 0
    for tenant in tenancy.tenants(home) if tenancy.is_initialised(home) else []:
        for request, run in _taken(home, tenant):
            known = context.instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: run_key(request, run)}), limit=1)
            if not known:
                launched += 1
                yield _launch(context, tenant, request, run)
            elif known[0].status in _FINISHED:
                _record_end(home, tenant, request, known[0])
    if not launched:
        yield dg.SkipReason("nothing new was asked for")


def run_key(request: Request, run: Run) -> str:
    """The run id; with the time when a run is asked for that was there before. Dagster launches each key once."""
    return run.run_id if request.requested_at == run.created_at else f"{run.run_id}@{request.requested_at}"


def _taken(home: Home, tenant: str) -> list[tuple[Request, Run]]:
    """What this sensor has taken and not seen the end of, with all that is queued now."""
    engine = operational_store(home.tenant(tenant))
    with reading(engine) as connection:
        if not request_store.of_status(connection, "queued"):
            return _launched(connection)
    with engine.begin() as connection:
        for request in request_store.of_status(connection, "queued"):
            request_store.launch(connection, request.run_id, request_store.DAGSTER)
        return _launched(connection)


def _launched(connection: Connection) -> list[tuple[Request, Run]]:
    taken = request_store.of_status(connection, "launched", request_store.DAGSTER)
    return [(request, run_store.get(connection, request.run_id)) for request in taken]


def _launch(context: dg.SensorEvaluationContext, tenant: str, request: Request, run: Run) -> dg.RunRequest:
    asked = run_requests.as_run_request(run, request.actor)
    context.instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope_key(tenant, asked.provider)])
    config = {"settlement_file": asked.settlement_file, "actor": asked.actor}
    return dg.RunRequest(
        run_key=run_key(request, run),
        partition_key=partition_key(tenant, asked.provider, asked.ledger_window),
        run_config={"ops": {"reconciliation_window": {"config": config}}},
        tags={"zentra/run_id": request.run_id},
    )


def _record_end(home: Home, tenant: str, request: Request, run: dg.DagsterRun) -> None:
    failure = None
    if run.status is not dg.DagsterRunStatus.SUCCESS:
        failure = f"the Dagster run {run.run_id} ended as {run.status.value.lower()}: see its log, then ask again"
    with operational_store(home.tenant(tenant)).begin() as connection:
        now = datetime.now(UTC)
        request_store.finish(connection, request.run_id, now, failure)
        if failure is None:
            run_requests.queue_outdated(connection, request, now)
