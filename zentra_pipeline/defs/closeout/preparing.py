"""The sensor that prepares windows whose run has been clean for as long as the policy asks; a person approves them."""

from datetime import UTC, datetime

import dagster as dg

from zentra_pipeline.closeout.readiness import ready_runs
from zentra_pipeline.defs.closeout.bundle import CLOSEOUT_KEY
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, scope_key, scopes
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.tenancy import is_initialised


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
    """Ask for one preparation per run and revision."""
    if not is_initialised(reconciler.home):
        return dg.SkipReason(f"{reconciler.home.root} is no Zentra home yet")
    ready = ready_runs(reconciler.home, datetime.now(UTC))
    if not ready:
        return dg.SkipReason("no run has been clean for long enough, or no policy asks for it")
    known = set(context.instance.get_dynamic_partitions(SCOPE_PARTITIONS))
    new = sorted({scope_key(run.tenant, run.provider) for run in ready} - known)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"prepare-{run.tenant}-{run.run_id}-r{run.revision}",
                partition_key=dg.MultiPartitionKey(
                    {"scope": scope_key(run.tenant, run.provider), "ledger_window": run.ledger_window}
                ),
                tags={"zentra/run_id": run.run_id},
            )
            for run in ready
        ],
        dynamic_partitions_requests=[scopes.build_add_request(new)] if new else [],
    )
