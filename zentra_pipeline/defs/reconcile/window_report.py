"""What Dagster learns of one window as it is published: materializations and check results, under its partition.

Alone in its Dagster run, a window yields results, which steps after it may wait for. In a range Dagster would attribute
a result to every partition of the run; so each window there yields the events themselves. Running a window does not
belong here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from zentra_pipeline.defs.reconcile import metadata
from zentra_pipeline.defs.reconcile.models import EARLIER_KEY, SCOPE_KEY, ModelSpecs, model_specs
from zentra_pipeline.errors import ControlFailedError
from zentra_pipeline.reconcile.window_run import WindowResult
from zentra_pipeline.tenants.tenant import Tenant

MODELS: Final[ModelSpecs] = model_specs()
_CHECKS_BY_NAME: Final = {check.name: check for check in MODELS.check_of_node.values()}


@dataclass(frozen=True)
class WindowReport:
    """Reports on one window; `is_alone` when the Dagster run has no other."""

    context: dg.AssetExecutionContext
    key: dg.MultiPartitionKey
    is_alone: bool

    @property
    def tenant(self) -> str:
        return self.key.keys_by_dimension["scope"].split("/", 1)[0]

    @property
    def provider(self) -> str:
        return self.key.keys_by_dimension["scope"].split("/", 1)[1]

    @property
    def window(self) -> date:
        return date.fromisoformat(self.key.keys_by_dimension["ledger_window"])

    @property
    def name(self) -> str:
        """The window as log lines and errors name it."""
        return f"{self.window} of {self.tenant}/{self.provider}"

    def published(self, result: WindowResult, tenant: Tenant) -> Iterator[Any]:
        """Materializations of what the run read and of its models, in the order they were built; then its checks."""
        figures = metadata.of_run(tenant, result)
        for asset_key in (SCOPE_KEY, EARLIER_KEY):
            yield self._materialized(asset_key, figures[asset_key])
        for node in result.nodes:
            model = MODELS.asset_of_node.get(node.unique_id)
            if model is not None:
                seconds = {"seconds": round(node.seconds, 3)}
                yield self._materialized(model, {**figures.get(model, {}), **seconds})
        for node in result.nodes:
            check = MODELS.check_of_node.get(node.unique_id)
            if check is not None:
                yield self._checked(check, node.status == "pass", node.failures or 0)
        if self.is_alone:  # Dagster waits for an output of each check, those of the other kind of runs included
            done = {MODELS.check_of_node.get(node.unique_id) for node in result.nodes}
            for spec in self.context.assets_def.check_specs:
                if spec.key not in done:
                    yield dg.Output(None, spec.get_python_identifier())

    def failed_controls(self, cause: ControlFailedError) -> Iterator[Any]:
        """The checks that stopped the window; nothing of it was published."""
        for name, rows in cause.failed:
            yield self._checked(_CHECKS_BY_NAME[name], False, rows)

    def _materialized(self, asset_key: dg.AssetKey, shown: Mapping[str, Any]) -> Any:
        if self.is_alone:
            return dg.MaterializeResult(asset_key=asset_key, metadata=shown)
        return dg.AssetMaterialization(asset_key=asset_key, partition=self.key, metadata=shown)

    def _checked(self, check: dg.AssetCheckKey, passed: bool, failing_rows: int) -> Any:
        shown = {"failing rows": dg.MetadataValue.int(failing_rows)}
        if self.is_alone:
            return dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, passed=passed, metadata=shown)
        return dg.AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=passed,
            metadata=shown,
            blocking=True,
            partition=self.key,
            target_materialization_data=self._target(check.asset_key) if passed else None,
        )

    def _target(self, asset_key: dg.AssetKey) -> Target | None:
        """The materialization that a check of the window speaks of."""
        wanted = dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=[self.key])
        found = self.context.instance.fetch_materializations(wanted, limit=1).records
        if not found:
            return None
        record = found[0]
        return Target(storage_id=record.storage_id, run_id=record.event_log_entry.run_id, timestamp=record.timestamp)
