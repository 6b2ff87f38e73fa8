"""Decides about an exception and makes the run again that the decision changes; meaning is in decisions.

The decision is recorded with its run queued (review.record), so that nothing is lost where the second half is cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from zentra_pipeline.actors import PROGRAM, Origin
from zentra_pipeline.decisions.exception_state import ExceptionState
from zentra_pipeline.errors import RunFailedError, ZentraError
from zentra_pipeline.review import record
from zentra_pipeline.review.record import LOCAL_ROLE
from zentra_pipeline.settings import Home
from zentra_pipeline.store.runs import Run


@dataclass(frozen=True)
class DecisionResult:
    """What a decision came to: `state` as readers see it, its owner filled in.

    `is_new` is false when the actor had decided just that before; `run_id` is the run that it belongs to, and
    `is_reconciled` says whether that run was made again for it.
    """

    state: ExceptionState
    decision_id: str
    run_id: str
    is_new: bool
    is_reconciled: bool


def decide(
    home: Home,
    tenant: str,
    exception_id: str,
    action: str,
    actor: str,
    *,
    now: datetime,
    reason: str | None = None,
    owner: str | None = None,
    resolution: str | None = None,
    settlement_lines: Sequence[str] = (),
    ledger_transactions: Sequence[str] = (),
    role: str = LOCAL_ROLE,
    expected_version: int | None = None,
    origin: Origin = PROGRAM,
) -> DecisionResult:
    """Decide about an exception, record it, and make its run again where it changes; see review.record.

    Raises what review.record.record_decision raises, and RunFailedError when the decision is recorded but its run
    could not be made again.
    """
    recorded = record.record_decision(
        home,
        tenant,
        exception_id,
        action,
        actor,
        now=now,
        reason=reason,
        owner=owner,
        resolution=resolution,
        settlement_lines=settlement_lines,
        ledger_transactions=ledger_transactions,
        role=role,
        expected_version=expected_version,
        origin=origin,
    )
    if recorded.is_run_queued:
        _rerun(home, tenant, recorded.run, actor)
    return DecisionResult(
        recorded.state, recorded.decision_id, recorded.run.run_id, recorded.is_new, recorded.is_run_queued
    )


def _rerun(home: Home, tenant: str, run: Run, actor: str) -> None:
    from zentra_pipeline.defs.launch import RunRequest, reconcile  # Dagster is loaded where a run is made again

    request = RunRequest(
        provider=run.provider,
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        owner=None,
        actor=actor,
    )
    try:
        reconcile(home, tenant, request)
    except ZentraError as cause:
        raise RunFailedError(
            f"the decision is recorded, but run {run.run_id} could not be re-reconciled: {cause}; run it again"
        ) from cause
