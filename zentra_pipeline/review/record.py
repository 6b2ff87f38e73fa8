"""Records what people decide about exceptions: one write transaction from reading the log to the event.

A write-off of an open item changes a run's roll-forward, so that run is reconciled anew behind the decision. Does not
belong here: what decisions mean (decisions), who may take them (policy), what a run makes of them (dbt).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline import lake
from zentra_pipeline.errors import OutdatedError, RefusedError, RunFailedError, UsageError, ZentraError
from zentra_pipeline.events import types
from zentra_pipeline.events.facts import exception_event
from zentra_pipeline.review import decisions, policy
from zentra_pipeline.review.decisions import ExceptionState
from zentra_pipeline.review.run_decisions import OPEN_ITEM_TYPES
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.store.instants import instant_text
from zentra_pipeline.tenancy import require_tenant

# The role of whoever works on the home's own machine: the files below it are theirs.
LOCAL_ROLE: Final = "admin"


@dataclass(frozen=True)
class Recorded:
    """What a decision came to: `state` as readers see it, its owner filled in.

    `is_new` is false when the actor had decided just that before; `run_id` is the run in whose books it stands, and
    `is_reconciled` says whether that run was reconciled anew for it.
    """

    state: ExceptionState
    decision_id: str
    run_id: str
    is_new: bool
    is_reconciled: bool


@dataclass(frozen=True)
class _Books:
    """The run in whose books a decision stands, and the open item it takes out of them or puts back, if any."""

    run: run_store.Run
    item: Mapping[str, str] | None = None


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
    role: str = LOCAL_ROLE,
    expected_version: int | None = None,
) -> Recorded:
    """Decide about an exception and record it; the same again by the same actor changes nothing.

    Raises UsageError for words and ids that cannot be, RefusedError where the state, the policy or a seal forbids it,
    OutdatedError when the exception has been decided on since `expected_version`, and RunFailedError when the decision
    stands but the run it concerns could not be reconciled anew.
    """
    given = decisions.resolution_of(action, resolution)
    decisions.check_words(action, actor, reason, owner)
    paths = require_tenant(home, tenant)
    rules = policy.load_policy(paths)
    with operational_store(paths).begin() as connection:
        row = _published(paths, exception_id)
        log = decision_store.listed(connection, [exception_id])
        state = _state(row, log)
        known = decisions.repeated(log, state, action=action, actor=actor, owner=owner, resolution=given, reason=reason)
        if known is not None:
            books = _Books(run_store.get(connection, known.run_id), known.details.get("item"))
        else:
            _check_version(state, expected_version)
            step = policy.Step(action, actor, role, given, row["currency"] or None, _amount_at_stake(row))
            verdict = policy.weigh(rules, state, step)
            books = _books(connection, paths, row, state, log, action, verdict)
            decision = Decision(
                sequence=decision_store.next_sequence(connection),
                decision_id=decision_id_of(tenant, exception_id, state.decisions + 1),
                exception_id=exception_id,
                run_id=books.run.run_id,
                action=action,
                actor=actor,
                decided_at=instant_text(now),
                reason=reason,
                policy=verdict.passed,
                result=verdict.result,
                owner=owner,
                resolution=verdict.resolution,
                details={} if books.item is None else {"item": dict(books.item)},
            )
            decision_store.append(connection, decision)
            _append_event(connection, tenant, row, decision, now)
            state = _state(row, [*log, decision])
    lake.refresh(paths)
    if books.item is not None:
        _reconcile_anew(home, tenant, books.run, actor)
    stands = known or decision
    return Recorded(state, stands.decision_id, stands.run_id, known is None, books.item is not None)


def decision_id_of(tenant: str, exception_id: str, ordinal: int) -> str:
    """The id of the n-th decision about an exception."""
    canonical = json.dumps([tenant, exception_id, ordinal], ensure_ascii=False, separators=(",", ":"))
    return "dec_" + hashlib.sha256(canonical.encode()).hexdigest()[:24]


def _published(paths: TenantPaths, exception_id: str) -> dict[str, Any]:
    """The exception as readers see it; UsageError when there is none."""
    found = lake.query(paths, "SELECT * FROM exceptions WHERE exception_id = ?", [exception_id])
    if not found.rows:
        raise UsageError(f"there is no exception {exception_id!r}: `zentra exceptions list` names those of a tenant")
    (row,) = found.rows
    return dict(zip(found.columns, row, strict=True))


def _state(row: Mapping[str, Any], log: Sequence[Decision]) -> ExceptionState:
    """The fold over the log and the published row, whose owner and late match hold where nobody decided otherwise."""
    state = decisions.fold(log, ExceptionState(row["exception_id"]))
    if row["resolution"] == decisions.SYSTEM_RESOLUTION:
        state = decisions.seen(state, row["status"], row["resolution"])
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


def _books(
    connection: Connection,
    paths: TenantPaths,
    row: Mapping[str, Any],
    state: ExceptionState,
    log: Sequence[Decision],
    action: str,
    verdict: policy.Verdict,
) -> _Books:
    """The provider's newest published run, or for a write-off of an open item the newest that carries it."""
    provider = run_store.get(connection, row["run_id"]).provider
    published = [run for run in run_store.list_runs(connection, provider) if run.revision > 0]
    if verdict.result == "resolved" and verdict.resolution == policy.WRITE_OFF:
        return _carrying(connection, paths, row, published) or _Books(published[-1])
    if action == "reopen":
        written_off = next((each for each in log if each.decision_id == state.decision_id), None)
        item = None if written_off is None else written_off.details.get("item")
        if item is not None:
            return _Books(_taken_back_from(connection, state, published), item)
    return _Books(published[-1])


def _carrying(
    connection: Connection, paths: TenantPaths, row: Mapping[str, Any], published: Sequence[run_store.Run]
) -> _Books | None:
    """The newest run that sees the exception's item, provided it leaves it open and is not sealed."""
    if row["exception_type"] not in OPEN_ITEM_TYPES:
        return None
    left_open = lake.query(
        paths,
        "SELECT run_id, opened_window FROM open_items WHERE item_type = ? AND item_id = ? AND currency = ?",
        [row["subject_type"], row["subject_id"], row["currency"]],
    ).rows
    by_run: dict[str, date] = {
        run.run_id: window for run in published for run_id, window in left_open if run_id == run.run_id
    }
    if not by_run:
        return None
    opened = min(by_run.values()).isoformat()
    newest = [run for run in published if run.ledger_window >= opened][-1]
    if newest.run_id not in by_run:
        return None
    if is_sealed(connection, newest.run_id):
        raise RefusedError(
            f"run {newest.run_id} of window {newest.ledger_window} is sealed, and a write-off changes its "
            "roll-forward: reconcile the next window first, and write off in its books"
        )
    item = {
        "item_type": row["subject_type"],
        "item_id": row["subject_id"],
        "currency": row["currency"],
        "exception_type": row["exception_type"],
    }
    return _Books(newest, item)


def _taken_back_from(
    connection: Connection, state: ExceptionState, published: Sequence[run_store.Run]
) -> run_store.Run:
    """The run whose write-off a reopening takes back; later books stand on it once there are any, or it is sealed."""
    run = run_store.get(connection, str(state.run_id))
    following = [later for later in published if later.sequence > run.sequence]
    if following or is_sealed(connection, run.run_id):
        why = f"run {following[0].run_id} was reconciled on top of it" if following else "it is sealed"
        raise RefusedError(
            f"exception {state.exception_id} was written off in the books of run {run.run_id}, and {why}: "
            "it cannot be reopened; a counterpart that comes later opens an exception of its own"
        )
    return run


def is_sealed(connection: Connection, run_id: str) -> bool:
    """Whether a closeout of the run carries a seal."""
    return any(closeout.chain_sequence is not None for closeout in closeout_store.of_run(connection, run_id))


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


def _reconcile_anew(home: Home, tenant: str, run: run_store.Run, actor: str) -> None:
    from zentra_pipeline.reconcile import RunRequest, reconcile

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
            f"the decision is recorded, but run {run.run_id} could not be reconciled anew: {cause}; run it again"
        ) from cause
