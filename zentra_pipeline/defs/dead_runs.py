"""Ends Dagster runs whose process died: Dagster keeps them as started, and ten of them block its queue permanently.

A run holds a lock while it works: a file, which the system releases however it ends, or a lease, which runs out. What a
run left of our own facts is healed by the next one and does not belong here.
"""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg

from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.settings import Home
from zentra_pipeline.store import leases

# A run that has not come to hold its lock by then never will.
_SECONDS_TO_BEGIN: Final = 3600


def at_work(home: Home, run_id: str) -> AbstractContextManager[None]:
    """Show for as long as it lasts that somebody works on the Dagster run."""
    return leases.holding_of_home(home, *_lock(home, run_id), is_passing=True)


def _lock(home: Home, run_id: str) -> tuple[str, Path]:
    return f"dagster-run-{run_id}", home.dagster / "at_work" / run_id


@dg.sensor(
    name="end_dead_runs",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends Dagster runs whose process died, so that they do not count as running for ever.",
)
def end_dead_runs(context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]) -> dg.SkipReason:
    """Fail every started run that nobody works on."""
    ended = []
    for record in context.instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        run_id = record.dagster_run.run_id
        if not _is_dead(reconciler.home, run_id, record.start_time):
            continue
        run = context.instance.get_run_by_id(run_id)
        if run is not None and run.status is dg.DagsterRunStatus.STARTED:  # it may have ended since it was listed
            context.instance.report_run_failed(run, "its process died; whatever asked for it may ask again")
            leases.forget(reconciler.home, *_lock(reconciler.home, run_id))
            ended.append(run_id)
    return dg.SkipReason(f"ended {', '.join(ended)}" if ended else "no started run is dead")


def _is_dead(home: Home, run_id: str, started_at: float | None) -> bool:
    is_abandoned = leases.is_abandoned(home, *_lock(home, run_id))
    if is_abandoned is None:
        return started_at is not None and datetime.now(UTC).timestamp() - started_at > _SECONDS_TO_BEGIN
    return is_abandoned
