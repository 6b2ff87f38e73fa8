"""Decides about an exception and makes the run again that the decision changes; meaning is in decisions.

The decision is recorded with its run queued (review.record), so that nothing is lost where the second half is cut off.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from zentra_pipeline.decisions.exception_state import ExceptionState
from zentra_pipeline.decisions.policy import check_role
from zentra_pipeline.errors import ConfigurationError, RunFailedError, ZentraError
from zentra_pipeline.published import lake
from zentra_pipeline.review import record
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant


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


def decide(tenant: Tenant, request: DecisionRequest, now: datetime) -> DecisionResult:
    """Decide about an exception, record it, and make its run again where it changes; see review.record.

    Raises what review.record.record_decision raises, and RunFailedError when the decision is recorded but its run
    could not be made again.
    """
    recorded = record.record_decision(tenant, request, now)
    if recorded.is_run_queued:
        _rerun(tenant, recorded.run, request.actor)
    return DecisionResult(
        recorded.state, recorded.decision_id, recorded.run.run_id, recorded.is_new, recorded.is_run_queued
    )


@dataclass(frozen=True)
class Verdict:
    """What one of many decisions came to: recorded, or the error that refused it."""

    request: DecisionRequest
    error: ZentraError | None


def decide_all(tenant: Tenant, requests: Iterable[DecisionRequest], now: Callable[[], datetime]) -> list[Verdict]:
    """Decide about many exceptions, each accepted or refused by itself; a run that they change is made again once.

    Raises ConfigurationError for an invalid policy, which no decision is to blame for.
    """
    verdicts: list[Verdict] = []
    changed: dict[str, tuple[Run, list[int]]] = {}
    for request in requests:
        try:
            check_role(request.actor, request.role, request.action)
            recorded = record.record_decision(tenant, request, now(), is_one_of_many=True)
        except ConfigurationError:
            raise
        except ZentraError as error:
            verdicts.append(Verdict(request, error))
            continue
        if recorded.is_run_queued:
            changed.setdefault(recorded.run.run_id, (recorded.run, []))[1].append(len(verdicts))
        verdicts.append(Verdict(request, None))
    lake.refresh(tenant.paths)
    for run, numbers in changed.values():
        try:
            _rerun(tenant, run, verdicts[numbers[0]].request.actor)
        except RunFailedError as error:
            for number in numbers:
                verdicts[number] = Verdict(verdicts[number].request, error)
    return verdicts


def _rerun(tenant: Tenant, run: Run, actor: str) -> None:
    from zentra_pipeline.defs.launch import RunRequest, reconcile  # Dagster is loaded where a run is made again

    request = RunRequest(
        provider=run.provider,
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        owner=None,
        actor=actor,
    )
    try:
        reconcile(tenant, request, is_queued=True)
    except ZentraError as cause:
        raise RunFailedError(
            f"the decision is recorded, but run {run.run_id} could not be re-reconciled: {cause}; run it again"
        ) from cause
