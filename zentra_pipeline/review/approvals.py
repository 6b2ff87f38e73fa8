"""What somebody is asked to approve about an exception: items of both sides, difference, statement lines, policy limit.

`pending` works it out from the published tables as they are; the log keeps it with the proposal and the approval
(`details.approval`), so that history shows what was seen. Does not belong here: what of it a surface shows and how
(cli, api), deciding (record), what a closeout seals (closeout.approval).

The content, as JSON values, amounts in minor units of `currency`:

    exception_id, decision_id, action, resolution, method, proposed_by, proposed_at, reason, currency
    settlement, ledger, callback   {items: [{item_id, provider_reference, opened_window, amount_minor}], amount_minor}
    difference_minor               settlement − ledger
    run                            {run_id, revision, provider, settlement_file, ledger_window, is_sealed}
    statement                      [{table, side, line, label, currency, before_minor, after_minor}], [] for none
    policy                         {rule, digest, amount_minor, limits: [{role, limit_minor, may_approve}]}
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection

from zentra_pipeline import sql_text, vocabulary
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.exception_state import ExceptionState
from zentra_pipeline.decisions.manual_match import LINE, MOVEMENT, Named
from zentra_pipeline.decisions.policy import ROLE_ACTIONS, WRITE_OFF, Policy
from zentra_pipeline.published import lake
from zentra_pipeline.review import decision_run
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.decisions import Decision

DETAIL: Final = "approval"
SIDES: Final[Mapping[str, str]] = {LINE: "settlement", MOVEMENT: "ledger", "callback": "callback"}
LABELS: Final[Mapping[str, str]] = {
    "settled_minor": "less settled by confirmed matches",
    "written_off_minor": "less written off",
    "closing_minor": "unsettled movements carried forward",
    "matched_minor": "matched",
    "in_transit_minor": "in transit",
    "excepted_minor": "excepted",
    "accounted_minor": "accounted for",
}
_APPROVERS: Final = tuple(role for role, actions in ROLE_ACTIONS.items() if "approve" in actions)

Item: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class _Facts:
    """What the published tables say of the items concerned."""

    open_items: Sequence[Mapping[str, Any]]
    legs: Sequence[Mapping[str, Any]]
    statement: Mapping[tuple[str, str, str, str], Mapping[str, Any]]  # by table, run, side, currency


def pending(
    connection: Connection,
    paths: TenantPaths,
    rules: Policy,
    rows: Iterable[Mapping[str, Any]],
    log: Sequence[Decision],
) -> dict[str, dict[str, Any]]:
    """What waits for approval among published exceptions, by exception_id; `log` holds at least their decisions."""
    by_id = {row["exception_id"]: row for row in rows}
    waiting = [
        (by_id[state.exception_id], proposal)
        for state in exception_state.states(log).values()
        if state.exception_id in by_id and _is_pending(by_id[state.exception_id], state)
        if (proposal := proposal_of(log, state.exception_id)) is not None
    ]
    return of_proposals(connection, paths, rules, waiting)


def proposal_of(log: Iterable[Decision], exception_id: str) -> Decision | None:
    """The newest decision that proposes an end of the exception."""
    return decision_run.proposal([each for each in log if each.exception_id == exception_id])


def of_proposals(
    connection: Connection,
    paths: TenantPaths,
    rules: Policy,
    proposals: Sequence[tuple[Mapping[str, Any], Decision]],
) -> dict[str, dict[str, Any]]:
    """The content of each proposal about a published exception, from the tables as they are."""
    if not proposals:
        return {}
    items = {item for row, proposal in proposals for item in _named(row, proposal)}
    facts = _facts(paths, sorted({item_id for _, item_id in items}))
    return {row["exception_id"]: _content(connection, rules, facts, row, proposal) for row, proposal in proposals}


def _is_pending(row: Mapping[str, Any], state: ExceptionState) -> bool:
    return exception_state.seen(state, row["status"], row["resolution"]).status == "pending_approval"


def _named(row: Mapping[str, Any], proposal: Decision) -> tuple[Item, ...]:
    """The items a proposal is about: those it matches, else the exception's subject."""
    named = Named.of_details(proposal.details)
    return ((row["subject_type"], row["subject_id"]),) if named is None else named.items


def _facts(paths: TenantPaths, item_ids: Sequence[str]) -> _Facts:
    found: dict[str, list[dict[str, Any]]] = {"open": [], "leg": [], "rollforward": [], "conservation": []}
    for fact, content in lake.query(paths, sql_text.statement("review", "approval_facts"), [item_ids]).rows:
        found[fact].append(json.loads(content))
    statement = {
        (table, row["run_id"], row.get("side", "ledger"), row["currency"]): row
        for table in ("rollforward", "conservation")
        for row in found[table]
    }
    return _Facts(found["open"], found["leg"], statement)


def _content(
    connection: Connection, rules: Policy, facts: _Facts, row: Mapping[str, Any], proposal: Decision
) -> dict[str, Any]:
    named = Named.of_details(proposal.details)
    currency = proposal.details.get("currency", row["currency"])
    published = decision_run.published_runs(connection, row)
    is_of_items = named is not None or row["exception_type"] in vocabulary.unmatched_reasons()
    open_items = (
        decision_run.newest_open(facts.open_items, published, _named(row, proposal), currency) if is_of_items else {}
    )
    changes_items = named is not None or proposal.resolution == WRITE_OFF
    run = next((item.run for item in open_items.values()), published[-1])
    sides = _sides(row, [*open_items.values()], facts.legs, named)
    amounts = {side: sum(item["amount_minor"] or 0 for item in items) for side, items in sides.items()}
    statement = _statement(facts, open_items, is_match=named is not None) if changes_items else []
    return {
        "exception_id": row["exception_id"],
        "decision_id": proposal.decision_id,
        "action": proposal.action,
        "resolution": proposal.resolution,
        "method": proposal.details.get("method"),
        "proposed_by": proposal.actor,
        "proposed_at": proposal.decided_at,
        "reason": proposal.reason,
        "currency": currency or None,
        **{side: {"items": items, "amount_minor": amounts[side]} for side, items in sides.items()},
        "difference_minor": amounts["settlement"] - amounts["ledger"],
        "run": {
            "run_id": run.run_id,
            "revision": run.revision,
            "provider": run.provider,
            "settlement_file": run.settlement_file,
            "ledger_window": run.ledger_window,
            "is_sealed": decision_run.is_sealed(connection, run.run_id),
        },
        "statement": statement,
        "policy": _policy(rules, row, proposal, currency),
    }


def _sides(
    row: Mapping[str, Any],
    open_items: Sequence[decision_run.OpenItem],
    legs: Sequence[Mapping[str, Any]],
    named: Named | None,
) -> dict[str, list[dict[str, Any]]]:
    """The items of each side: the open ones; else the legs of the subject's match; else the subject by itself."""
    subject = (row["subject_type"], row["subject_id"])
    of_match = {leg["match_id"] for leg in legs if (leg["item_type"], leg["item_id"]) == subject}
    found: list[tuple[str, dict[str, Any]]] = [
        (item.item_type, _item(item.item_id, item.provider_reference, item.opened_window, item.amount_minor))
        for item in open_items
    ]
    if not found and named is None:
        found = [
            (leg["item_type"], _item(leg["item_id"], leg["provider_reference"], None, leg["amount_minor"]))
            for leg in legs
            if leg["match_id"] in of_match
        ]
    if not found and named is None and row["subject_type"] in SIDES:
        alone = _item(row["subject_id"], row["provider_reference"], None, row["amount_minor"])
        found = [(row["subject_type"], alone)]
    return {side: [item for kind, item in found if SIDES[kind] == side] for side in SIDES.values()}


def _item(item_id: str, reference: str | None, window: str | None, amount_minor: int | None) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "provider_reference": reference,
        "opened_window": window,
        "amount_minor": amount_minor,
    }


def _statement(
    facts: _Facts, open_items: Mapping[Item, decision_run.OpenItem], *, is_match: bool
) -> list[dict[str, Any]]:
    """The lines of the run's statement that change: the roll-forward's first, then conservation by side."""
    changes: dict[tuple[str, str, str, str], int] = {}

    def change(table: str, item: decision_run.OpenItem, line: str, amount: int) -> None:
        place = (table, SIDES[item.item_type], line, item.own_currency)
        changes[place] = changes.get(place, 0) + amount

    for item in open_items.values():
        if item.item_type == MOVEMENT:
            change("rollforward", item, "settled_minor" if is_match else "written_off_minor", item.own_minor)
            change("rollforward", item, "closing_minor", -item.own_minor)
        change("conservation", item, f"{item.item_state}_minor", -item.own_minor)
        change("conservation", item, "matched_minor" if is_match else "accounted_minor", item.own_minor)
    run_id = next((item.run.run_id for item in open_items.values()), "")
    lines = []
    for (table, side, line, currency), amount in sorted(changes.items(), key=lambda each: each[0][0] != "rollforward"):
        before = facts.statement.get((table, run_id, side, currency), {}).get(line, 0)
        lines.append(
            {
                "table": table,
                "side": side,
                "line": line,
                "label": LABELS[line],
                "currency": currency,
                "before_minor": before,
                "after_minor": before + amount,
            }
        )
    return lines


def _policy(rules: Policy, row: Mapping[str, Any], proposal: Decision, currency: str) -> dict[str, Any]:
    """The rule that asks for a second person, and up to what each role may approve; null is without limit."""
    at_stake = row["amount_minor"] if row["difference_minor"] is None else row["difference_minor"]
    if "settlement_minor" in proposal.details:  # a match gives up what its sides differ by
        at_stake = proposal.details["settlement_minor"] - proposal.details["ledger_minor"]
    amount = abs(at_stake or 0)
    limits = {
        role: rules.limit(role, currency or None) if proposal.resolution == WRITE_OFF else None for role in _APPROVERS
    }
    return {
        "rule": proposal.policy.get("rule"),
        "digest": rules.digest(),
        "amount_minor": amount,
        "limits": [
            {"role": role, "limit_minor": limit, "may_approve": limit is None or amount <= limit}
            for role, limit in limits.items()
        ],
    }
