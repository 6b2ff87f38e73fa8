"""Results of checks that no Dagster run made, as Dagster shows them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from zentra_pipeline.defs.corrections import withdraw_result


def evaluated(
    instance: dg.DagsterInstance,
    key: dg.MultiPartitionKey,
    check: dg.AssetCheckKey,
    *,
    passed: bool,
    shown: Mapping[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> None:
    """Report the result of a check of a window outside any Dagster run."""
    withdraw_result(instance, check, key)
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=passed,
            metadata=shown,
            severity=severity,
            blocking=severity is dg.AssetCheckSeverity.ERROR,
            partition=key,
        )
    )
