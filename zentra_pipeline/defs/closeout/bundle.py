"""The closeout of a window as an asset: prepared or sealed, with what blocks it and whether the seal holds.

Closing itself is in `zentra_pipeline.closeout`, which the command line and the API use as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import dagster as dg

from zentra_pipeline import settings
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.defs import charts
from zentra_pipeline.defs.asset_policies import FRESHNESS, OWNERS
from zentra_pipeline.defs.dead_runs import at_work
from zentra_pipeline.defs.partitions import partitioned_check, windows, windows_shown
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant

CLOSEOUT_KEY: Final = dg.AssetKey("closeouts")
BLOCKERS_CHECK: Final = "nothing_blocks_the_closeout"
_SHOWN_BLOCKERS: Final = 50
_CHECKS: Final = {
    BLOCKERS_CHECK: "Fails while open exceptions, quarantined rows or newer facts block the closeout.",
    "the_seal_verifies": "The bundle holds offline against the home's own keys; passes while nothing is sealed.",
    "the_chain_is_intact": "The provider's seals follow each other without gap or fork, and amend what they name.",
}


class CloseoutConfig(dg.Config):
    """Who closes; `approve` seals what somebody else prepared, `reason` says why an earlier seal is amended."""

    actor: str = "dagster"
    approve: bool = False
    reason: str | None = None


def closeout_assets(partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """The closeout over the windows there are."""

    @dg.multi_asset(
        name="closeout",
        specs=[
            dg.AssetSpec(
                CLOSEOUT_KEY,
                description="The closeout of a window: prepared by one, approved by another, sealed as an evidence "
                "bundle.",
                group_name="closeout",
                kinds={"ed25519", "json"},
                owners=OWNERS,
                deps=["evidence_items", "exceptions", "rollforward", "conservation"],
                skippable=True,
                freshness_policy=FRESHNESS,
            )
        ],
        check_specs=[partitioned_check(name, CLOSEOUT_KEY, text, partitions) for name, text in _CHECKS.items()],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
    )
    def closeout(
        context: dg.AssetExecutionContext, config: CloseoutConfig, reconciler: dg.ResourceParam[Reconciler]
    ) -> Iterator[Any]:
        """Prepare or approve the closeout of every run of the window."""
        with at_work(reconciler.home, context.run.run_id):
            yield from _closed(context, config, reconciler)

    return closeout


# The closeout of any window there can be, for tools and tests; the code location shows the home's windows.
closeout: Final = closeout_assets(windows)


@dg.definitions
def code_location() -> dg.Definitions:
    """The closeout over the windows that the home has."""
    return dg.Definitions(assets=[closeout_assets(windows_shown())])


def _closed(context: dg.AssetExecutionContext, config: CloseoutConfig, reconciler: Reconciler) -> Iterator[Any]:
    key = context.partition_key
    assert isinstance(key, dg.MultiPartitionKey)
    name, provider = key.keys_by_dimension["scope"].split("/", 1)
    window = date.fromisoformat(key.keys_by_dimension["ledger_window"])
    tenant = reconciler.tenant(name)
    outcomes = [_close(tenant, run_id, config) for run_id in _runs(tenant, provider, window)]
    if not outcomes:
        raise InputRejectedError(f"window {window} of {provider} has no run: materialize its reconciliation first")
    closed = [outcome for outcome in outcomes if outcome.closeout is not None]
    if closed:
        yield dg.MaterializeResult(asset_key=CLOSEOUT_KEY, metadata=figures(closed))
    for found in evaluations(tenant, provider, outcomes):
        yield dg.AssetCheckResult(
            asset_key=CLOSEOUT_KEY, check_name=found.name, passed=found.passed, metadata=found.shown
        )


def _runs(tenant: Tenant, provider: str, window: date) -> list[str]:
    with tenant.reading() as connection:
        runs = run_store.list_runs(connection, provider)
    return [run.run_id for run in runs if run.ledger_window == window.isoformat()]


def _close(tenant: Tenant, run_id: str, config: CloseoutConfig) -> CloseoutResult:
    now = datetime.now(UTC)
    with candidates.of_run(tenant, run_id) as candidate:
        if config.approve:
            return closing.approve(candidate, config.actor, now)
        return closing.prepare(candidate, config.actor, now, config.reason)


def figures(outcomes: list[CloseoutResult]) -> dict[str, Any]:
    """What finance looks at; of several runs of a window the last one's bundle is linked."""
    last = outcomes[-1]
    closeout = last.closeout
    assert closeout is not None
    shown: dict[str, Any] = {
        "status": dg.MetadataValue.text(last.status),
        "closeout": dg.MetadataValue.text(f"{closeout.closeout_id}, revision {closeout.revision}"),
        "evidence root": dg.MetadataValue.text(closeout.evidence_root),
        "evidence rows": dg.MetadataValue.int(sum(item.closeout.evidence_rows for item in outcomes if item.closeout)),
        "evidence status": dg.MetadataValue.text(closeout.evidence_status),
        "prepared by": dg.MetadataValue.text(closeout.prepared_by),
    }
    if last.bundle is not None:
        shown |= {
            "approved by": dg.MetadataValue.text(str(closeout.approved_by)),
            "seal": dg.MetadataValue.text(str(closeout.seal_digest)),
            "bundle": dg.MetadataValue.path(str(last.bundle)),
            "report": dg.MetadataValue.url((last.bundle / "files" / "report.html").as_uri()),
        }
    page = settings.console_url("runs", closeout.run_id, "closeout")
    if page is not None:
        shown["console"] = dg.MetadataValue.url(page)
    if closeout.amends is not None:
        shown["amends"] = dg.MetadataValue.text(f"{closeout.amends}: {closeout.reason}")
    return shown


@dataclass(frozen=True)
class Evaluation:
    """The result of one check of the closeout."""

    name: str
    passed: bool
    shown: dict[str, Any]


def evaluations(tenant: Tenant, provider: str, outcomes: list[CloseoutResult]) -> Iterator[Evaluation]:
    """The results of the closeout's checks."""
    from zentra_pipeline.closeout import verify

    blockers = [blocker for outcome in outcomes for blocker in outcome.blockers]
    rows = [
        f"| {charts.plain(item.explanation)} | {charts.plain(item.remedy.words)} |"
        for item in blockers[:_SHOWN_BLOCKERS]
    ]
    table = "\n".join(["| what blocks | what clears it |", "| --- | --- |", *rows]) if rows else "none"
    yield Evaluation(
        BLOCKERS_CHECK, not blockers, {"blockers": len(blockers), "what they are": dg.MetadataValue.md(table)}
    )
    reports = [verify.verify(outcome.bundle, tenant.home.trust) for outcome in outcomes if outcome.bundle is not None]
    failed = [finding for report in reports for finding in report.findings if not finding.holds]
    yield Evaluation("the_seal_verifies", not failed, {"sealed": len(reports), "fails": _named(failed)})
    head = tenant.paths.heads / f"{provider}.json"
    if not head.exists():
        yield Evaluation("the_chain_is_intact", True, {"seals": 0})
        return
    chain = verify.verify(tenant.paths.closeouts, tenant.home.trust, head)
    broken = [finding for finding in chain.findings if not finding.holds]
    yield Evaluation("the_chain_is_intact", not broken, {"seals": len(chain.seals), "fails": _named(broken)})


def _named(findings: list[Any]) -> str:
    return "; ".join(f"{finding.check}: {finding.detail}" for finding in findings) or "nothing"
