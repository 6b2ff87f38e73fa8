"""Ends Dagster runs whose process died: Dagster keeps them as started, and ten of them block its queue permanently.

A run holds a lock file while it works, which the system releases however it ends. What a run left of our own facts is
healed by the next one and does not belong here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from zentra_pipeline import locks
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.settings import Home

# A run that has not come to hold its lock by then never will.
_SECONDS_TO_BEGIN: Final = 3600


@contextmanager
def at_work(home: Home, run_id: str) -> Iterator[None]:
    """Show for as long as it lasts that somebody works on the Dagster run."""
    path = home.dagster / "at_work" / run_id
    with locks.locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


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
            (reconciler.home.dagster / "at_work" / run_id).unlink(missing_ok=True)
            ended.append(run_id)
    return dg.SkipReason(f"ended {', '.join(ended)}" if ended else "no started run is dead")


def _is_dead(home: Home, run_id: str, started_at: float | None) -> bool:
    path = home.dagster / "at_work" / run_id
    if not path.exists():
        return started_at is not None and datetime.now(UTC).timestamp() - started_at > _SECONDS_TO_BEGIN
    with locks.tried(path) as is_free:
        return is_free
