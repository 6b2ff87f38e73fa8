"""The assets of a run: what came in, every dbt model, what is published; one step, so that windows run in order.

Each window starts from what the one before left open. Dagster's steps run asset by asset over the whole range, which
would take all windows' inputs before any window's result; so one step holds them all and goes through the range.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

import dagster as dg

from zentra_pipeline import window_run
from zentra_pipeline.defs.dead_runs import at_work
from zentra_pipeline.defs.partitions import windows
from zentra_pipeline.defs.reconcile import metadata
from zentra_pipeline.defs.reconcile.models import EARLIER_KEY, OWNERS, SCOPE_KEY, ModelSpecs, model_specs
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ControlFailedError, InputRejectedError
from zentra_pipeline.profile import load_profile
from zentra_pipeline.settings import DEFAULT_OWNER
from zentra_pipeline.store.instants import instant_of

_RAW: Final = {
    "settlement_lines": "Settlement rows let in: what the provider says it settled.",
    "ledger_entries": "Ledger rows let in: what was posted.",
    "callbacks": "Callback deliveries let in: what the provider said at once.",
    "internal_events": "Steps of intents let in: what was asked for and under which policy.",
    "quarantine": "Rows not let in, each with file, row number and reason.",
}
_SEEDS: Final = {
    "currencies": "Every currency Zentra knows and the decimals of its amounts.",
    "exception_types": "What an exception of each type means: how grave, whose lane, by when, what to do.",
}
_QUARANTINE_CHECK: Final = dg.AssetCheckSpec(
    "every_row_was_let_in",
    asset=dg.AssetKey(["raw", "quarantine"]),
    description="Warns when rows of this provider stand in quarantine: they are in no total until somebody looks.",
)


class WindowConfig(dg.Config):
    """What a run can be told; all have defaults, so that a partition is materialized with one click.

    `settlement_file` defaults to the profile's settlement_file_name, `owner` to the recorded one or finance_ops,
    `as_of` (ISO 8601 with Z) to the recorded one or the time the run is created.
    """

    settlement_file: str | None = None
    owner: str | None = None
    as_of: str | None = None
    actor: str = "dagster"


def _input_specs() -> list[dg.AssetSpec]:
    raw = [
        dg.AssetSpec(["raw", name], description=text, group_name="ingest", kinds={"parquet"}, owners=OWNERS)
        for name, text in _RAW.items()
    ]
    seeds = [
        dg.AssetSpec([name], description=text, group_name="ingest", kinds={"csv"}, owners=OWNERS)
        for name, text in _SEEDS.items()
    ]
    scope = dg.AssetSpec(
        SCOPE_KEY,
        description="What the run is about: window, cut-off, profile, routing and calendar, one small table each.",
        group_name="ingest",
        kinds={"yaml"},
        owners=OWNERS,
    )
    earlier = dg.AssetSpec(
        EARLIER_KEY,
        description="What earlier runs of the provider published: open items, matches, exceptions, callback states.",
        group_name="ingest",
        kinds={"parquet"},
        owners=OWNERS,
    )
    return [*raw, *seeds, scope, earlier]


_MODELS: Final[ModelSpecs] = model_specs()


@dg.multi_asset(
    name="reconciliation_window",
    specs=[*_input_specs(), *_MODELS.assets],
    check_specs=[_QUARANTINE_CHECK, *_MODELS.checks],
    partitions_def=windows,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def reconciliation_window(
    context: dg.AssetExecutionContext, config: WindowConfig, reconciler: dg.ResourceParam[Reconciler]
) -> Iterator[Any]:
    """Reconcile every window of the partition range in order, and report each model, check and figure."""
    with at_work(reconciler.home, context.run.run_id):
        yield from _reconciled(context, config, reconciler)


def _reconciled(context: dg.AssetExecutionContext, config: WindowConfig, reconciler: Reconciler) -> Iterator[Any]:
    result = None
    for key in _partitions(context):
        tenant, provider = key.keys_by_dimension["scope"].split("/", 1)
        window = date.fromisoformat(key.keys_by_dimension["ledger_window"])
        request = _request(reconciler, config, tenant, provider, window)
        try:
            result = reconciler.run(tenant, request)
        except InputRejectedError as cause:
            # In a range, a day without a settlement file (a weekend) is picked up by the next; alone it is a mistake.
            if len(context.partition_keys) == 1:
                raise
            context.log.warning(f"{window}: {cause}")
            for asset_key in _MODELS.asset_of_node.values():
                context.add_asset_metadata({"passed over": str(cause)}, asset_key=asset_key, partition_key=key)
            continue
        except ControlFailedError as cause:
            yield from _failed_checks(cause)
            raise
        figures = metadata.of_run(reconciler.home.tenant(tenant), result)
        for asset_key, values in figures.items():
            context.add_asset_metadata(values, asset_key=asset_key, partition_key=key)
    if result is None:
        raise InputRejectedError("no window of the range has an ingested settlement file: ingest one first")
    yield from _reports(result)


def _partitions(context: dg.AssetExecutionContext) -> list[dg.MultiPartitionKey]:
    """The partitions of this step: scope by scope, and windows in order within a scope."""
    keys = [key for key in context.partition_keys if isinstance(key, dg.MultiPartitionKey)]
    return sorted(keys, key=lambda key: (key.keys_by_dimension["scope"], key.keys_by_dimension["ledger_window"]))


def _request(
    reconciler: Reconciler, config: WindowConfig, tenant: str, provider: str, window: date
) -> window_run.RunRequest:
    profile = load_profile(reconciler.home.tenant(tenant), provider)
    known = window_run.find(
        reconciler.home, tenant, provider, config.settlement_file or profile.settlement_file(window), window
    )
    return window_run.RunRequest(
        provider=provider,
        settlement_file=config.settlement_file or profile.settlement_file(window),
        ledger_window=window,
        owner=config.owner or (None if known else DEFAULT_OWNER),
        as_of=_instant(config.as_of),
        actor=config.actor,
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else instant_of(text.replace("+00:00", "Z"))


def _reports(result: window_run.WindowResult) -> Iterator[Any]:
    """Materializations of every input and model, and the result of every check, in the order dbt built them."""
    for spec in _input_specs():
        yield dg.MaterializeResult(asset_key=spec.key)
    yield dg.AssetCheckResult(
        asset_key=_QUARANTINE_CHECK.asset_key,
        check_name=_QUARANTINE_CHECK.name,
        passed=result.quarantined_rows == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rows in quarantine": result.quarantined_rows},
    )
    for node in result.nodes:
        if node.unique_id in _MODELS.asset_of_node:
            key = _MODELS.asset_of_node[node.unique_id]
            yield dg.MaterializeResult(asset_key=key, metadata={"seconds": round(node.seconds, 3)})
    for node in result.nodes:
        if node.unique_id in _MODELS.check_of_node:
            check = _MODELS.check_of_node[node.unique_id]
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=node.status == "pass",
                metadata={"failing rows": node.failures or 0},
            )


def _failed_checks(cause: ControlFailedError) -> Iterator[dg.AssetCheckResult]:
    by_name = {check.name: check for check in _MODELS.check_of_node.values()}
    for name, rows in cause.failed:
        check = by_name[name]
        yield dg.AssetCheckResult(
            asset_key=check.asset_key, check_name=check.name, passed=False, metadata={"failing rows": rows}
        )
