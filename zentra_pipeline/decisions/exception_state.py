"""The state of an exception as the fold of what operators decided about it; pure: reads nothing, writes nothing.

    open → assigned → investigating → pending_approval → resolved, and back by reject and reopen

Whether somebody may decide (policy) and recording it (record) do not belong here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from zentra_pipeline import vocabulary
from zentra_pipeline.errors import NotPossibleError, RefusedError, UsageError
from zentra_pipeline.store.decisions import Decision

# What runs resolve as, and nobody else: what the item waited for has come; its reason is another or its match is gone.
SYSTEM_RESOLUTIONS: Final = ("matched_late", "superseded")
_SAYS: Final[Mapping[str, str]] = {
    "matched_late": "a later run matches the item, or finds what it waited for",
    "superseded": "another exception replaces it, or its match is gone",
}
SYSTEM_ACTOR: Final = "system"
# What the system decides and nobody else: whose an overdue exception is (escalation).
ESCALATE: Final = "escalate"
MAX_NAME: Final = 256
MAX_REASON: Final = 4_096

# Actions that end an exception; null where the decision itself names the resolution.
RESOLVING: Final[Mapping[str, str | None]] = {
    "resolve": None,
    "write_off": "written_off",
    "accept_timing": "accepted_timing",
    "confirm_duplicate": "duplicate_confirmed",
    "match": "matched_manually",
    "split": "matched_manually",
}
# Actions that name lines and movements (matching).
MATCHING: Final = frozenset({"match", "split"})
_WORKING: Final = frozenset({"open", "assigned", "investigating"})
_ANY: Final = frozenset({*_WORKING, "pending_approval", "resolved"})
# From which statuses an action may be taken.
_MAY_BE_TAKEN_FROM: Final[Mapping[str, frozenset[str]]] = {
    "assign": _WORKING,
    "comment": _ANY,
    "investigate": _WORKING,
    "dispute": _WORKING,
    **dict.fromkeys(RESOLVING, _WORKING),
    "approve": frozenset({"pending_approval"}),
    "reject": frozenset({"pending_approval"}),
    "reopen": frozenset({"resolved"}),
}
ACTIONS: Final = tuple(_MAY_BE_TAKEN_FROM)
# What leaves an exception's status, and a proposal about it, as they are.
KEEPS_STATUS: Final = frozenset({"comment", ESCALATE})
_NEEDS_REASON: Final = frozenset({"comment", "dispute", *RESOLVING, "reject", "reopen"})
_NEEDS_OWNER: Final = frozenset({"assign"})
# The status an action leads to where it is always the same one; a comment leaves it.
_LEADS_TO: Final[Mapping[str, str]] = {
    "assign": "assigned",
    "investigate": "investigating",
    "dispute": "investigating",
    "approve": "resolved",
    "reject": "investigating",
    "reopen": "open",
}


@dataclass(frozen=True)
class ExceptionState:
    """What was decided about an exception; `decisions` counts them: its version.

    `owner` and `lane` are null until a decision names them: those it opened with hold.

    `proposed_resolution` and `proposed_by` are set while a second person is awaited. `decision_id` is the
    decision that resolved it, `run_id` the run in which it did, `reason` the last one given.
    """

    exception_id: str
    status: str = "open"
    owner: str | None = None
    lane: str | None = None
    resolution: str | None = None
    resolved_at: str | None = None
    resolved_by: str | None = None
    decision_id: str | None = None
    run_id: str | None = None
    proposed_resolution: str | None = None
    proposed_by: str | None = None
    reason: str | None = None
    decisions: int = 0

    @property
    def is_resolved_by_system(self) -> bool:
        return self.resolution in SYSTEM_RESOLUTIONS

    @property
    def is_settled_with_another(self) -> bool:
        """Whether a run resolved it with the match by decision that takes its item, and nobody decided about it."""
        return self.status == "resolved" and self.resolution == RESOLVING["match"] and self.decision_id is None


def fold(log: Iterable[Decision], start: ExceptionState) -> ExceptionState:
    """The state after the decisions about `start`'s exception, in the order of the log; others are skipped."""
    state = start
    for decision in log:
        if decision.exception_id == state.exception_id:
            state = after(state, decision)
    return state


def after(state: ExceptionState, decision: Decision) -> ExceptionState:
    """The state after one recorded decision: what it led to then holds, whatever the policy is now."""
    state = replace(state, reason=decision.reason or state.reason, decisions=state.decisions + 1)
    if decision.action == ESCALATE:
        return replace(state, owner=decision.owner or state.owner, lane=decision.details["lane"] or state.lane)
    if decision.action in KEEPS_STATUS:
        return state
    state = replace(state, status=decision.result)
    if decision.action == "assign":
        return replace(state, owner=decision.owner)
    if decision.result == "pending_approval":
        return replace(state, proposed_resolution=decision.resolution, proposed_by=decision.actor)
    state = replace(state, proposed_resolution=None, proposed_by=None)
    if decision.result == "resolved":
        return replace(
            state,
            resolution=decision.resolution,
            resolved_at=decision.decided_at,
            resolved_by=decision.actor,
            decision_id=decision.decision_id,
            run_id=decision.run_id,
        )
    return replace(state, resolution=None, resolved_at=None, resolved_by=None, decision_id=None, run_id=None)


def seen(state: ExceptionState, published_status: str, published_resolution: str | None) -> ExceptionState:
    """The state as readers see it: what a run resolved is resolved, unless a person resolved it before."""
    if published_status == "resolved" and state.status != "resolved":
        return replace(
            state, status="resolved", resolution=published_resolution, proposed_resolution=None, proposed_by=None
        )
    return state


def states(log: Iterable[Decision]) -> dict[str, ExceptionState]:
    """The state of every exception that somebody decided about, by id, in the order of the first decision."""
    found: dict[str, ExceptionState] = {}
    for decision in log:
        if decision.exception_id is not None:
            known = found.get(decision.exception_id) or ExceptionState(decision.exception_id)
            found[decision.exception_id] = after(known, decision)
    return found


def exception_states(
    decisions: Sequence[Decision],
) -> list[tuple[str, str, str | None, str | None, str | None, str | None, str | None, int]]:
    """Rows of the table exception_states but for its first column, one for each decided exception."""
    return [
        (
            state.exception_id,
            state.status,
            state.owner,
            state.lane,
            state.resolution,
            None if state.resolved_at is None else state.resolved_at.removesuffix("Z"),
            state.resolved_by,
            state.decisions,
        )
        for state in states(decisions).values()
    ]


def resolution_of(action: str, resolution: str | None) -> str | None:
    """The resolution an action gives, null when it gives none; UsageError for words that cannot be."""
    if action not in ACTIONS:
        raise UsageError(f"action {action!r} is not known: use one of {', '.join(ACTIONS)}")
    if action not in RESOLVING:
        if resolution is not None:
            raise UsageError(f"{action} takes no resolution; {', '.join(RESOLVING)} do")
        return None
    given = RESOLVING[action] or resolution
    if resolution not in (None, given):
        raise UsageError(f"{action} resolves as {given}, not as {resolution}: use resolve for another resolution")
    if given is None:
        raise UsageError(f"resolve needs a resolution: use one of {', '.join(personal_resolutions())}")
    if given not in vocabulary.values("resolution"):
        raise UsageError(f"resolution {given!r} is not known: use one of {', '.join(personal_resolutions())}")
    if given in SYSTEM_RESOLUTIONS:
        raise RefusedError(
            f"{given} is what the system says when {_SAYS[given]}: use one of {', '.join(personal_resolutions())}"
        )
    return given


def personal_resolutions() -> tuple[str, ...]:
    """The resolutions a person may give."""
    return tuple(word for word in vocabulary.values("resolution") if word not in SYSTEM_RESOLUTIONS)


def check_words(action: str, actor: str, reason: str | None, owner: str | None) -> None:
    """Refuse with UsageError an action that lacks what it needs, or is given what it cannot take."""
    for what, name in (("actor", actor), ("owner", owner)):
        if name is not None and (not name.strip() or len(name) > MAX_NAME or not name.isprintable()):
            raise UsageError(f"{what} {name!r} is not allowed: use 1 to {MAX_NAME} printable characters")
    if reason is not None and len(reason) > MAX_REASON:
        raise UsageError(f"the reason has {len(reason)} characters; at most {MAX_REASON} are allowed")
    if action in _NEEDS_REASON and not (reason or "").strip():
        raise UsageError(f"{action} needs a reason: whoever reads the log later must be able to follow it")
    if action in _NEEDS_OWNER and owner is None:
        raise UsageError(f"{action} needs an owner: name the person or team that takes the exception on")
    if action not in _NEEDS_OWNER and owner is not None:
        raise UsageError(f"{action} takes no owner: use assign for that")


def check_step(state: ExceptionState, action: str) -> None:
    """Refuse with NotPossibleError an action that does not follow on the state, saying what does."""
    if state.status == "resolved" and state.is_resolved_by_system and action != "comment":
        raise NotPossibleError(
            f"exception {state.exception_id} was resolved by the system as {state.resolution}: "
            f"{_SAYS[str(state.resolution)]} ({action} cannot change that); if the break comes back, the next run "
            "opens a new one"
        )
    if state.is_settled_with_another and action not in KEEPS_STATUS:
        raise NotPossibleError(
            f"exception {state.exception_id} ended with a match that was decided about another exception of its items "
            f"({action} cannot change that): reopen the exception that the match was decided about"
        )
    if state.status not in _MAY_BE_TAKEN_FROM[action]:
        waiting = f" as {state.resolution}" if state.resolution else ""
        if state.proposed_resolution:
            waiting = f" as {state.proposed_resolution}, proposed by {state.proposed_by}"
        raise NotPossibleError(
            f"exception {state.exception_id} is {state.status}{waiting}: {action} is not possible; "
            f"possible are {', '.join(possible(state))}"
        )


def possible(state: ExceptionState) -> tuple[str, ...]:
    """The actions that may follow on a state, whoever takes them."""
    if state.is_resolved_by_system or state.is_settled_with_another:
        return ("comment",)
    return tuple(action for action, statuses in _MAY_BE_TAKEN_FROM.items() if state.status in statuses)


def result_of(action: str, state: ExceptionState, needs_second_person: bool) -> str:
    """The status an action leads to."""
    if action in RESOLVING:
        return "pending_approval" if needs_second_person else "resolved"
    return _LEADS_TO.get(action, state.status)


def repeated(
    log: Sequence[Decision],
    state: ExceptionState,
    *,
    action: str,
    actor: str,
    owner: str | None,
    resolution: str | None,
    reason: str | None,
    named: Mapping[str, Sequence[str]] | None = None,
) -> Decision | None:
    """The decision that the same actor would only say again: the last one, and its outcome still holds.

    `named` holds what a match names, as the log keeps it. What leaves the status does not count in between, unless a
    comment itself is repeated word for word.
    """
    said = [each for each in log if each.action == action or each.action not in KEEPS_STATUS]
    last = said[-1] if said else None
    if last is None or (last.action, last.actor) != (action, actor):
        return None
    if action == "comment":
        return last if last.reason == reason else None
    if state.status != last.result or (action in RESOLVING and last.resolution != resolution):
        return None
    if any(last.details.get(side) != list(ids) for side, ids in (named or {}).items()):
        return None
    return None if action == "assign" and not last.owner == state.owner == owner else last


def decision_id_of(tenant: str, exception_id: str, ordinal: int) -> str:
    """The id of the n-th decision about an exception."""
    canonical = json.dumps([tenant, exception_id, ordinal], ensure_ascii=False, separators=(",", ":"))
    return "dec_" + hashlib.sha256(canonical.encode()).hexdigest()[:24]
