"""Follows an intent from the request to sealed evidence: six states, each with what shows it. It only reads.

The first four are what was committed with the intent, or what its ingested files state. `synchronized` is what runs
published: a verified callback that
succeeded, or a settlement line, in a confirmed match with the intent's movement (or a callback alone, before the line
comes). `evidenced` is a seal over evidence that holds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.published import lake
from zentra_pipeline.queries.result_text import json_value
from zentra_pipeline.runtime import intent as stages
from zentra_pipeline.runtime import intents
from zentra_pipeline.runtime.intent_rules import PASSED, REFUSED
from zentra_pipeline.runtime.intents import OpenIntent
from zentra_pipeline.runtime.ledger_flow import Account, ledger_flow
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sql_text import statement
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store.intents import StoredIntent
from zentra_pipeline.tenants.tenant import Tenant

_SAYS_NO: Final = ("failed", "reversed")


@dataclass(frozen=True)
class FileIntent:
    """An intent that was ingested as internal events or ledger entries, as its rows state it."""

    intent_id: str
    status: str
    is_accepted: bool
    transaction_id: str | None
    recorded_at: str | None
    submitted_by: str | None
    request: Mapping[str, Any]


@dataclass(frozen=True)
class Trace:
    """An intent, its six states in order, and its ledger flow from the customer to the payout."""

    intent: StoredIntent | OpenIntent | FileIntent
    states: list["State"]
    ledger_flow: list[Account]


@dataclass(frozen=True)
class State:
    """One of the six states; time, actor and policy result are null until it is reached, `detail` says why."""

    state: str
    is_reached: bool
    at: str | None
    actor: str | None
    policy_result: str | None
    detail: str
    evidence: Mapping[str, Any]

    @property
    def policy(self) -> str | None:
        """The rule that was applied, with its outcome: `limit_check.passed`."""
        rule = self.evidence.get("policy")
        return f"{rule}.{self.policy_result}" if rule and self.policy_result else None


def trace(tenant: Tenant, intent_id: str) -> Trace | None:
    """An intent with its states and ledger flow, recorded or ingested as a file; null when there is no such intent."""
    with tenant.reading() as connection:
        stored = intent_store.find(connection, intent_id)
        files = {} if stored is None else _files_of(connection, stored)
    if stored is not None:
        return _of_stored(tenant.paths, stored, files)
    opened = intents.find_open(tenant, intent_id)
    if opened is not None:
        accepted = State(
            stages.ACCEPTED,
            True,
            opened.recorded_at,
            str(opened.content["actor"]),
            PASSED,
            f"recorded for {opened.submitted_by}",
            {"policy": opened.policy["rule"]},
        )
        waits = f"{', '.join(opened.missing)} still to be stated"
        states = [accepted, *(_open(state, waits) for state in stages.STAGES[1:])]
        return Trace(opened, states, ledger_flow(dict(opened.content), [], is_settled=False))
    return _of_files(tenant.paths, intent_id)


def _files_of(connection: Connection, stored: StoredIntent) -> dict[str, str]:
    """Kind → SHA-256 of the landed files that hold the intent's rows."""
    return {
        kind: file.sha256
        for kind in (intents.EVENTS_KIND, intents.LEDGER_KIND)
        for file in file_store.staged_files(connection, kind)
        if stored.is_ingested and (file.provider, file.file_id) == (stored.provider, stored.batch)
    }


def _of_stored(paths: TenantPaths, stored: StoredIntent, files: Mapping[str, str]) -> Trace:
    tenant = paths.root.name
    recorded = _recorded(tenant, stored, files)
    if stored.status == intent_store.REFUSED:
        states = [*recorded, *(_never(state) for state in stages.STAGES[len(recorded) :])]
        return Trace(stored, states, ledger_flow(stored.content, [], is_settled=False))
    movement = stages.settlement_id(tenant, stored.intent_id)
    answers = _rows(paths, "provider_answers", stored.provider, movement, stored.intent_id)
    seals = _rows(paths, "seals", stored.provider, movement)
    postings = _rows(paths, "postings_of_intent", stored.intent_id, stored.provider)
    postings = postings or intents.postings_of(tenant, stored)
    flow = ledger_flow(stored.content, postings, _is_settled(answers), _cash(paths, stored.provider, movement, answers))
    return Trace(stored, [*recorded, _synchronized(answers), _evidenced(seals)], flow)


def _of_files(paths: TenantPaths, intent_id: str) -> Trace | None:
    """What ingested files state of an intent, and what runs made of it."""
    events = _rows(paths, "events_of_intent", intent_id)
    transactions = _rows(paths, "transactions_of_intent", intent_id)
    if not events and not transactions:
        return None
    provider = str([*events, *transactions][0]["provider"])
    events = [event for event in events if event["provider"] == provider]
    movement, settlement_account = _movement(paths, provider, events, transactions)
    answers = [] if movement is None else _rows(paths, "provider_answers", provider, movement, intent_id)
    seals = [] if movement is None else _rows(paths, "seals", provider, movement)
    states = _file_states(events, transactions, _synchronized(answers), _evidenced(seals))
    reached = [state for state in states if state.is_reached]
    request = {"intent_id": intent_id, "provider": provider, "settlement_account": settlement_account}
    if events:
        request |= {"actor": events[0]["actor"], "scope": events[0]["scope"]}
    intent = FileIntent(
        intent_id=intent_id,
        status=reached[-1].state,
        is_accepted=all(state.policy_result != REFUSED for state in reached),
        transaction_id=movement,
        recorded_at=reached[0].at,
        submitted_by=reached[0].actor,
        request=request,
    )
    return Trace(
        intent,
        states,
        ledger_flow(
            request,
            _rows(paths, "postings_of_intent", intent_id, provider),
            _is_settled(answers),
            _cash(paths, provider, movement, answers),
        ),
    )


def _movement(
    paths: TenantPaths,
    provider: str,
    events: Sequence[Mapping[str, Any]],
    transactions: Sequence[Mapping[str, Any]],
) -> tuple[str | None, str]:
    """The transaction of a file's intent that runs reconcile, and the account on which it is settled."""
    clearing = load_profile(paths, provider).clearing_accounts
    for row in transactions:
        if row["provider"] == provider and row["account"] in clearing:
            return str(row["transaction_id"]), str(row["account"])
    named = [event["transaction_id"] for event in events if event["transaction_id"]]
    return (str(named[-1]) if named else None), clearing[0]


def _file_states(
    events: Sequence[Mapping[str, Any]],
    transactions: Sequence[Mapping[str, Any]],
    synchronized: State,
    evidenced: State,
) -> list[State]:
    """The six states of a file's intent: what its events state, then what was posted, then what runs published."""
    by_stage = {event["stage"]: event for event in reversed(events)}
    states = []
    for stage in stages.STAGES:
        event = by_stage.get(stage)
        computed = {stages.SYNCHRONIZED: synchronized, stages.EVIDENCED: evidenced}.get(stage)
        if computed is not None and (computed.is_reached or event is None):
            states.append(computed)
        elif event is not None:
            states.append(_stated(event))
        elif stage == stages.LEDGERED and transactions:
            posted = transactions[0]
            states.append(
                State(
                    stage,
                    True,
                    posted["posted_at"],
                    stages.SYSTEM,
                    None,
                    "posted",
                    {"transaction_ids": _ids(transactions)},
                )
            )
        else:
            states.append(_open(stage, "no ingested file states it"))
    return states


def _stated(event: Mapping[str, Any]) -> State:
    names = ("event_id", "policy", "transaction_id", "file_id", "file_sha256", "row_number")
    return State(
        state=event["stage"],
        is_reached=True,
        at=event["occurred_at"],
        actor=event["actor"],
        policy_result=event["policy_result"],
        detail=f"row {event['row_number']} of {event['file_id']} states it",
        evidence={name: event[name] for name in names if event[name] is not None},
    )


def _ids(transactions: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({str(row["transaction_id"]) for row in transactions})


def _is_settled(answers: Sequence[Mapping[str, Any]]) -> bool:
    return any(answer["leg_type"] == "settlement_line" and answer["match_id"] for answer in answers)


def _cash(
    paths: TenantPaths, provider: str, movement: str | None, answers: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """How far the money of a settled movement is on its way to the bank; of one that is not, nothing is asked."""
    if movement is None or not _is_settled(answers):
        return ()
    return _rows(paths, "cash_of_movement", provider, movement)


def _rows(paths: TenantPaths, name: str, *parameters: str | None) -> list[dict[str, Any]]:
    """The rows of a statement of `runtime/sql`."""
    found = lake.query(paths, statement("runtime", name), parameters)
    return [dict(zip(found.columns, map(json_value, row), strict=True)) for row in found.rows]


def _recorded(tenant: str, stored: StoredIntent, files: Mapping[str, str]) -> list[State]:
    """The states that were committed with the intent."""
    details = {check["rule"]: check["detail"] for check in stored.policy["checks"]}
    explanations = {
        stages.ACCEPTED: f"recorded for {stored.submitted_by}",
        stages.CONTROLLED: details[stored.policy["rule"]],
        stages.LEDGERED: "reserved and posted; debits equal credits",
        stages.ROUTED: f"to be settled by {stored.provider}",
    }
    states = []
    for event in intents.events_of(tenant, stored):
        stage = event["stage"]
        evidence: dict[str, Any] = {"event_id": event["event_id"], "policy": event["policy"]}
        if stage == stages.CONTROLLED:
            evidence |= {"checks": stored.policy["checks"], "policy_digest": stored.policy["digest"]}
        if stage == stages.LEDGERED:
            reservation = stages.reservation_id(tenant, stored.intent_id)
            evidence |= {"transaction_ids": [reservation, event["transaction_id"]]}
        kind = intents.LEDGER_KIND if stage == stages.LEDGERED else intents.EVENTS_KIND
        if kind in files:
            evidence |= {"file_id": stored.batch, "file_sha256": files[kind]}
        states.append(
            State(
                stage,
                True,
                event["occurred_at"],
                event["actor"],
                event["policy_result"],
                explanations[stage],
                evidence=evidence,
            )
        )
    return states


def _synchronized(answers: Sequence[Mapping[str, Any]]) -> State:
    """The provider's answer: its last word decides, a verified success before a settlement line."""
    callbacks = [answer for answer in answers if answer["leg_type"] == "callback"]
    last = callbacks[-1] if callbacks else None
    if last is not None and last["status"] in _SAYS_NO:
        return _open(stages.SYNCHRONIZED, f"the provider's last word is {last['status']}", last)
    verified = [found for found in callbacks if found["status"] == "succeeded" and found["signature_verified"]]
    if verified:
        first = min(verified, key=lambda found: str(found["answered_at"]))
        return _taken_in(first, "verified", "a verified callback says that it succeeded")
    lines = [answer for answer in answers if answer["leg_type"] == "settlement_line"]
    if lines:
        return _taken_in(lines[0], "matched", "the provider settled it, and a run matched the line")
    if callbacks:
        return _open(stages.SYNCHRONIZED, "no callback of it is both verified and successful", callbacks[-1])
    return _open(stages.SYNCHRONIZED, "no run has taken in an answer of the provider")


def _taken_in(answer: Mapping[str, Any], policy_result: str, detail: str) -> State:
    return State(
        state=stages.SYNCHRONIZED,
        is_reached=True,
        at=answer["answered_at"],
        actor=answer["actor"],
        policy_result=policy_result,
        detail=detail,
        evidence=_pointers(answer),
    )


def _pointers(answer: Mapping[str, Any]) -> dict[str, Any]:
    names = ("run_id", "revision", "match_id", "provider_reference", "file_id", "file_sha256", "row_number")
    key = "provider_event_id" if answer["leg_type"] == "callback" else "line_id"
    return {key: answer["leg_id"]} | {name: answer[name] for name in names if answer[name] is not None}


def _evidenced(seals: Sequence[Mapping[str, Any]]) -> State:
    if not seals:
        return _open(stages.EVIDENCED, "no sealed closeout holds it")
    (seal,) = seals
    names = ("closeout_id", "revision", "seal_digest", "run_id", "evidence_status", "signature", "ledger_entry")
    further = ("settlement_file", "line_id", "provider_event_id", "match_id")
    return State(
        state=stages.EVIDENCED,
        is_reached=True,
        at=seal["sealed_at"],
        actor=seal["approved_by"],
        policy_result=seal["evidence_status"],
        detail=f"closeout {seal['closeout_id']} is {seal['status']}",
        evidence={name: seal[name] for name in (*names, *further) if seal[name] is not None},
    )


def _open(state: str, detail: str, answer: Mapping[str, Any] | None = None) -> State:
    return State(state, False, None, None, None, detail, {} if answer is None else _pointers(answer))


def _never(state: str) -> State:
    return _open(state, "the intent was refused, so nothing was posted")
