"""Records what operators decide about exceptions: one write transaction from reading the log to the event.

A write-off or a match of open items changes a run's roll-forward, so the decision's transaction queues that run; making
it again is for whoever called (desk), and for whoever comes next where that is cut off.
Does not belong here: what decisions mean (decisions), who may take them (decisions.policy), the run they belong to
(decision_run), what a run makes of them (dbt).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline.actors import PROGRAM, Origin
from zentra_pipeline.decisions import exception_state, manual_match, policy
from zentra_pipeline.decisions.exception_state import ExceptionState
from zentra_pipeline.errors import NotFoundError, OutdatedError, UsageError
from zentra_pipeline.events import types
from zentra_pipeline.events.facts import exception_event
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.review import approvals, attachments, decision_run
from zentra_pipeline.review.attachments import Attachment
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenant import Tenant

# The role of whoever works on the home's own machine: the files below it are theirs.
LOCAL_ROLE: Final = "admin"


@dataclass(frozen=True)
class RecordedDecision:
    """What a decision came to: `state` as readers see it, its owner filled in.

    `is_new` is false when the actor had decided just that before; `run` is the run that it belongs to, and
    `is_run_queued` says whether it has to be made again for it.
    """

    state: ExceptionState
    decision_id: str
    run: run_store.Run
    is_new: bool
    is_run_queued: bool


@dataclass(frozen=True)
class DecisionRequest:
    """What somebody wants to decide about an exception.

    `settlement_lines` and `ledger_transactions` are what match and split name; `expected_version` is the state they
    decide on, null for whichever it is. `origin` is how the actor came; the log keeps it. `attachment` is a file that
    is kept already, with a comment.
    """

    exception_id: str
    action: str
    actor: str
    reason: str | None = None
    owner: str | None = None
    resolution: str | None = None
    settlement_lines: Sequence[str] = ()
    ledger_transactions: Sequence[str] = ()
    role: str = LOCAL_ROLE
    expected_version: int | None = None
    origin: Origin = PROGRAM
    attachment: Attachment | None = None

    def checked(self) -> "DecisionRequest":
        """The same with the resolution that its action implies; UsageError for words that no decision can have."""
        resolution = exception_state.resolution_of(self.action, self.resolution)
        exception_state.check_words(self.action, self.actor, self.reason, self.owner)
        manual_match.named(self.action, self.settlement_lines, self.ledger_transactions)
        if self.attachment is not None and self.action != "comment":
            raise UsageError("a file is attached to a comment, and to no other decision")
        return replace(self, resolution=resolution)

    def with_attachment(self, attachment: Attachment) -> "DecisionRequest":
        """The same with a file that is kept."""
        return replace(self, attachment=attachment)

    @property
    def named(self) -> manual_match.Named | None:
        """The lines and movements of a match; null for an action that names none."""
        return manual_match.named(self.action, self.settlement_lines, self.ledger_transactions)


def record_decision(
    tenant: Tenant, request: DecisionRequest, now: datetime, *, is_one_of_many: bool = False
) -> RecordedDecision:
    """Decide about an exception and record it; the same again by the same actor changes nothing.

    With a proposal and its approval the log keeps what was to be approved. One of many leaves the catalog file as it
    was: who records them brings it up to date (lake.refresh) after the last.

    Raises UsageError for invalid words and ids, RefusedError where the state, the policy or a seal forbids it,
    and OutdatedError when the exception has been decided on since `expected_version`.
    """
    request = request.checked()
    access.require_actor(tenant, request.actor)
    rules = policy.load_policy(tenant.paths)
    with tenant.writing() as connection:
        row = _published(tenant.paths, request.exception_id)
        log = decision_store.listed(connection, [request.exception_id])
        state = _state(row, log)
        known = _repeated_decision(log, state, request)
        if known is not None:
            affected = decision_run.of_known(connection, known)
        else:
            _check_version(state, request.expected_version)
            verdict, affected = _authorize(connection, tenant.paths, rules, row, state, log, request)
            decision = Decision(
                sequence=decision_store.next_sequence(connection),
                decision_id=exception_state.decision_id_of(tenant.name, request.exception_id, state.decisions + 1),
                exception_id=request.exception_id,
                run_id=affected.run.run_id,
                action=request.action,
                actor=request.actor,
                decided_at=instant_text(now),
                reason=request.reason,
                policy=verdict.passed,
                result=verdict.result,
                owner=request.owner,
                resolution=verdict.resolution,
                details={
                    **_details(row, verdict, affected),
                    **({} if request.attachment is None else {attachments.DETAIL: request.attachment.content()}),
                    "origin": request.origin.content(),
                },
            )
            decision = _with_approval(connection, tenant.paths, rules, row, log, decision)
            decision_store.append(connection, decision)
            _append_event(connection, tenant.name, row, decision, now)
            if affected.is_changed:
                why = f"made again: decision {decision.decision_id} of {request.actor}"
                request_store.queue(connection, affected.run.run_id, request.actor, now, why)
            state = exception_state.after(state, decision)
    if not is_one_of_many:
        lake.refresh(tenant.paths)
    recorded = known or decision
    return RecordedDecision(state, recorded.decision_id, affected.run, known is None, affected.is_changed)


def _repeated_decision(log: Sequence[Decision], state: ExceptionState, request: DecisionRequest) -> Decision | None:
    """The recorded decision that the requested one only repeats, what is attached included."""
    known = exception_state.repeated(
        log,
        state,
        action=request.action,
        actor=request.actor,
        owner=request.owner,
        resolution=request.resolution,
        reason=request.reason,
        named=None if request.named is None else request.named.content(),
    )
    return known if known is None or attachments.named(known) == request.attachment else None


def _authorize(
    connection: Connection,
    paths: TenantPaths,
    rules: policy.Policy,
    row: Mapping[str, Any],
    state: ExceptionState,
    log: Sequence[Decision],
    request: DecisionRequest,
) -> tuple[policy.PolicyResult, decision_run.DecisionRun]:
    """What the policy says of a decision, and the run it belongs to."""
    exception_state.check_step(state, request.action)
    match = decision_run.match_of(connection, paths, row, log, request.action, request.named)
    step = policy.DecisionStep(
        request.action,
        request.actor,
        request.role,
        request.resolution,
        row["currency"] or None,
        _amount_at_stake(row),
        is_forced=match is not None and match.match.is_forced,
        origin=request.origin,
    )
    verdict = policy.evaluate(rules, state, step)
    return verdict, decision_run.of_decision(connection, paths, row, state, log, request.action, verdict, match)


def _with_approval(
    connection: Connection,
    paths: TenantPaths,
    rules: policy.Policy,
    row: Mapping[str, Any],
    log: Sequence[Decision],
    decision: Decision,
) -> Decision:
    """A proposal, or its approval, together with what there was to approve when it was decided."""
    proposal = decision if decision.result == "pending_approval" else None
    if decision.action == "approve":
        proposal = decision_run.proposal(log)
    if proposal is None or decision.action in exception_state.KEEPS_STATUS:
        return decision
    found = approvals.of_proposals(connection, paths, rules, [(row, proposal)])
    return replace(decision, details={**decision.details, approvals.DETAIL: found[row["exception_id"]]})


def _details(
    row: Mapping[str, Any], verdict: policy.PolicyResult, affected: decision_run.DecisionRun
) -> dict[str, Any]:
    """What the log keeps of the decision's items, and of a proposal what the exception showed when it was made."""
    if verdict.result != "pending_approval":
        return dict(affected.details)
    shown = {name: row[name] for name in ("amount_minor", "difference_minor")}
    return {**affected.details, "about": shown}


def _published(paths: TenantPaths, exception_id: str) -> dict[str, Any]:
    """The exception as readers see it; NotFoundError when there is none."""
    found = lake.query(paths, "SELECT * FROM exceptions WHERE exception_id = ?", [exception_id])
    if not found.rows:
        raise NotFoundError(
            f"there is no exception {exception_id!r}",
            remedy=Remedy("look at the list of exceptions", "list_exceptions"),
        )
    (row,) = found.rows
    return dict(zip(found.columns, row, strict=True))


def _state(row: Mapping[str, Any], log: Sequence[Decision]) -> ExceptionState:
    """The fold over the log and the published row, whose owner and late match hold where nobody decided otherwise."""
    state = exception_state.fold(log, ExceptionState(row["exception_id"]))
    if row["resolution"] in exception_state.SYSTEM_RESOLUTIONS or row["resolved_run_id"] is not None:
        state = exception_state.seen(state, row["status"], row["resolution"])
    return state if state.owner is not None else replace(state, owner=row["owner"])


def _check_version(state: ExceptionState, expected: int | None) -> None:
    if expected is not None and expected != state.decisions:
        raise OutdatedError(
            f"exception {state.exception_id} is at version {state.decisions}, not {expected}: somebody has decided on "
            "it since; read it again before you decide"
        )


def _amount_at_stake(row: Mapping[str, Any]) -> int | None:
    """What writing the exception off gives up: its difference, else its amount."""
    amount: int | None = row["amount_minor"] if row["difference_minor"] is None else row["difference_minor"]
    return amount


def _append_event(
    connection: Connection, tenant: str, row: Mapping[str, Any], decision: Decision, now: datetime
) -> None:
    event_type = {
        "assigned": types.EXCEPTION_ASSIGNED if decision.action == "assign" else None,
        "resolved": types.EXCEPTION_RESOLVED if decision.action != "comment" else None,
        "open": types.EXCEPTION_REOPENED if decision.action == "reopen" else None,
    }.get(decision.result)
    if event_type is None:
        return
    event = exception_event(
        event_type,
        tenant=tenant,
        exception=row,
        decision_id=decision.decision_id,
        run_id=decision.run_id,
        actor=decision.actor,
        at=now,
        owner=decision.owner,
        resolution=decision.resolution,
        reason=decision.reason,
    )
    event_log.append(connection, event)
