"""The reconciliation of windows as a job with a name."""

from typing import Final

import dagster as dg

from zentra_pipeline.defs.reconcile.models import EARLIER_KEY, SCOPE_KEY, model_specs

reconcile_window: Final = dg.define_asset_job(
    "reconcile_window",
    selection=dg.AssetSelection.assets(SCOPE_KEY, EARLIER_KEY, *(spec.key for spec in model_specs().assets)),
    description="Reconciles ledger windows: materialize one, or a range that is done in order.",
)
