"""Closeouts prepared, sealed or blocked outside Dagster, as the events of their asset; closing itself is elsewhere."""

from dataclasses import dataclass
from typing import Any, Final

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from zentra_pipeline.defs.check_results import evaluated
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.tenants.tenant import Tenant

_MOST_SEALS: Final = 10


@dataclass(frozen=True)
class ReportedStep:
    """What a closeout came to: `closeout` as prepared or sealed, null for a run whose closing is blocked."""

    run_id: str
    provider: str
    ledger_window: str
    closeout: Closeout | None


def steps(tenant: Tenant, before: dict[str, Any]) -> tuple[list[ReportedStep], dict[str, Any]]:
    """The steps taken since `before`, in the order of seals, and what has been reported then: the next `before`.

    Of many seals the first come first, the others with the next report: each is verified, and so is its chain.
    """
    with tenant.reading() as connection:
        closeouts = closeout_store.listed(connection)
        blocked = [run for run in run_store.list_runs(connection) if run.closeout_status == "blocked"]
    sealed = sorted(
        (item for item in closeouts if item.chain_sequence is not None),
        key=lambda item: (item.provider, item.chain_sequence or 0),
    )
    prepared = [item for item in closeouts if item.chain_sequence is None]
    last, known, stuck = (before.get(name, {}) for name in ("sealed", "prepared", "blocked"))
    new = [item for item in sealed if (item.chain_sequence or 0) > last.get(item.provider, 0)][:_MOST_SEALS]
    now = {
        "sealed": {**last, **{item.provider: item.chain_sequence for item in new}},
        "prepared": {item.closeout_id: item.prepared_at for item in prepared},
        "blocked": {run.run_id: run.revision for run in blocked},
    }
    taken = [*new, *(item for item in prepared if known.get(item.closeout_id) != item.prepared_at)]
    return [
        *(ReportedStep(item.run_id, item.provider, item.ledger_window, item) for item in taken),
        *(
            ReportedStep(run.run_id, run.provider, run.ledger_window, None)
            for run in blocked
            if stuck.get(run.run_id) != run.revision
        ),
    ], now


def report(instance: dg.DagsterInstance, tenant: Tenant, key: dg.MultiPartitionKey, step: ReportedStep) -> None:
    """Report a step as the asset would have, unless the asset itself took it."""
    from zentra_pipeline.closeout import closing
    from zentra_pipeline.defs.closeout import bundle

    if step.closeout is None:
        name = "materialize `closeouts` of this window: it lists each blocker and what clears it"
        check = dg.AssetCheckKey(bundle.CLOSEOUT_KEY, bundle.BLOCKERS_CHECK)
        if not _has_failed(instance, key, check):
            evaluated(instance, key, check, passed=False, shown={"what they are": name})
        return
    sealed = step.closeout.chain_sequence is not None
    path = closing.kept_bundle(tenant.paths, step.closeout) if sealed else None
    outcome = closing.CloseoutResult("sealed" if sealed else "prepared", step.closeout, path)
    shown = bundle.figures([outcome])
    if _is_shown(instance, key, shown):
        return
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset_key=bundle.CLOSEOUT_KEY, partition=key, metadata=shown)
    )
    for found in bundle.evaluations(tenant, step.provider, [outcome]):
        check = dg.AssetCheckKey(bundle.CLOSEOUT_KEY, found.name)
        evaluated(instance, key, check, passed=found.passed, shown=found.shown)


def _is_shown(instance: dg.DagsterInstance, key: dg.MultiPartitionKey, shown: dict[str, Any]) -> bool:
    """Whether the window's latest materialization already says it."""
    from zentra_pipeline.defs.closeout.bundle import CLOSEOUT_KEY

    wanted = dg.AssetRecordsFilter(asset_key=CLOSEOUT_KEY, asset_partitions=[key])
    found = instance.fetch_materializations(wanted, limit=1).records
    made = found[0].asset_materialization if found else None
    return made is not None and all(made.metadata.get(name) == shown[name] for name in ("closeout", "status"))


def _has_failed(instance: dg.DagsterInstance, key: dg.MultiPartitionKey, check: dg.AssetCheckKey) -> bool:
    """Whether the window's latest result of a check is that it failed."""
    only = PartitionKeyFilter(key=key)
    found = instance.event_log_storage.get_asset_check_execution_history(check, limit=1, partition_filter=only)
    return bool(found) and found[0].status is AssetCheckExecutionRecordStatus.FAILED
