"""The sensor that prepares windows whose run has been clean for as long as the policy asks; a person approves them."""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from zentra_pipeline.closeout.readiness import ReadyRun, ready_runs
from zentra_pipeline.defs.closeout.bundle import CLOSEOUT_KEY
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, scope_key, scopes
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.tenants.tenancy import is_initialised

_PREPARES: Final = "zentra/prepares"
_MOST_ATTEMPTS: Final = 3


@dg.sensor(
    name="prepare_clean_windows",
    asset_selection=dg.AssetSelection.assets(CLOSEOUT_KEY),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Prepares the closeout of runs that have been clean for closeout.prepare_after_minutes of policy.yml.",
)
def prepare_clean_windows(
    context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]
) -> dg.SensorResult | dg.SkipReason:
    """Ask for one preparation per run and revision, and again where it ended without one."""
    if not is_initialised(reconciler.home):
        return dg.SkipReason(f"{reconciler.home.root} is not a Zentra home yet")
    ready = ready_runs(reconciler.home, datetime.now(UTC))
    if not ready:
        return dg.SkipReason("no run has been clean for long enough, or no policy asks for it")
    asked = [(run, attempt) for run in ready if (attempt := _attempt(context.instance, run)) <= _MOST_ATTEMPTS]
    known = set(context.instance.get_dynamic_partitions(SCOPE_PARTITIONS))
    new = sorted({scope_key(run.tenant, run.provider) for run, _ in asked} - known)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"prepare-{run.tenant}-{run.run_id}-r{run.revision}-{attempt}",
                partition_key=dg.MultiPartitionKey(
                    {"scope": scope_key(run.tenant, run.provider), "ledger_window": run.ledger_window}
                ),
                tags={"zentra/run_id": run.run_id, _PREPARES: _what(run)},
            )
            for run, attempt in asked
        ],
        dynamic_partitions_requests=[scopes.build_add_request(new)] if new else [],
    )


def _attempt(instance: dg.DagsterInstance, run: ReadyRun) -> int:
    """Which attempt at preparing a run that is still not prepared comes next: Dagster takes each key only once."""
    ended = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    return 1 + len(instance.get_runs(dg.RunsFilter(tags={_PREPARES: _what(run)}, statuses=ended)))


def _what(run: ReadyRun) -> str:
    return f"{run.tenant}-{run.run_id}-r{run.revision}"
