"""A run sees the decisions made in it and in earlier runs, and writes off what those made in it give up."""

from dataclasses import replace
from typing import Any

from tests.review.test_decisions import decision
from zentra_pipeline.decisions import run_adjustments
from zentra_pipeline.decisions.run_adjustments import DecidedState, ManualMatch, RunDecisions, WriteOff
from zentra_pipeline.store.decisions import Decision

ITEM = {
    "item_type": "ledger_transaction",
    "item_id": "T1",
    "currency": "USD",
    "exception_type": "unmatched_ledger_entry",
}


def written_off(number: int, exception_id: str, run_id: str, item: dict[str, Any] | None = ITEM) -> list[Decision]:
    """A proposal and its approval."""
    given: dict[str, Any] = {"exception_id": exception_id, "resolution": "written_off"}
    details = {} if item is None else {"item": item}
    return [
        decision("write_off", "pending_approval", number, run_id="run_1", **given),
        decision("approve", "resolved", number + 1, run_id=run_id, actor="bob", details=details, **given),
    ]


def write_off(exception_id: str, number: int) -> WriteOff:
    return WriteOff("ledger_transaction", "T1", "USD", exception_id, "unmatched_ledger_entry", f"dec_{number}")


def test_a_write_off_is_in_the_run_that_approved_it_and_a_resolution_for_those_after() -> None:
    log = written_off(1, "exc_1", "run_2")
    assert run_adjustments.of_run(log, "run_1", []) == RunDecisions(
        (DecidedState("exc_1", "pending_approval", None, None),)
    )
    resolved = (DecidedState("exc_1", "resolved", None, "written_off"),)
    assert run_adjustments.of_run(log, "run_2", ["run_1"]) == RunDecisions(resolved, (write_off("exc_1", 2),))
    assert run_adjustments.of_run(log, "run_3", ["run_1", "run_2"]) == RunDecisions(resolved)


def test_a_write_off_gives_up_what_was_approved() -> None:
    """Named by the decision, else what its approver saw; an older decision that knows neither is written as it was."""
    items = [{"item_id": "T0", "amount_minor": 1}, {"item_id": "T1", "amount_minor": 70}]
    shown = {"approval": {"ledger": {"items": items, "amount_minor": 71}}}
    of_details: list[tuple[dict[str, Any], int | None]] = [
        ({"item": {**ITEM, "amount_minor": 100}, **shown}, 100),
        ({"item": ITEM, **shown}, 70),
        ({"item": ITEM}, None),
    ]
    for details, amount in of_details:
        proposal, approval = written_off(1, "exc_1", "run_1")
        found = run_adjustments.of_run([proposal, replace(approval, details=details)], "run_1", [])
        assert [each.amount_minor for each in found.write_offs] == [amount]
        (content,) = found.content()["write_offs"]
        assert content.get("amount_minor", "absent") == ("absent" if amount is None else amount)
        assert RunDecisions.of_content(found.content()) == found


def test_decisions_of_other_providers_or_later_runs_are_not_seen() -> None:
    log = written_off(1, "exc_1", "run_9")
    assert run_adjustments.of_run(log, "run_2", []) == RunDecisions()


def test_a_reopened_write_off_gives_nothing_up() -> None:
    log = [*written_off(1, "exc_1", "run_1"), decision("reopen", "open", 3, reason="it came")]
    assert run_adjustments.of_run(log, "run_1", []) == RunDecisions((DecidedState("exc_1", "open", None, None),))


def test_a_comment_behind_a_write_off_changes_nothing_about_it() -> None:
    log = [*written_off(1, "exc_1", "run_1"), decision("comment", "resolved", 3, reason="done")]
    assert run_adjustments.of_run(log, "run_1", []).write_offs == (write_off("exc_1", 2),)


def test_of_two_write_offs_of_one_item_the_first_counts() -> None:
    log = [*written_off(1, "exc_2", "run_1"), *written_off(3, "exc_1", "run_1")]
    assert run_adjustments.of_run(log, "run_1", []).write_offs == (write_off("exc_2", 2),)


def test_what_has_no_open_item_is_resolved_and_gives_nothing_up() -> None:
    found = run_adjustments.of_run(written_off(1, "exc_1", "run_1", None), "run_1", [])
    assert (found.states[0].resolution, found.write_offs) == ("written_off", ())


NAMED: dict[str, Any] = {
    "settlement_lines": ["L1"],
    "ledger_transactions": ["T1", "T2"],
    "currency": "USD",
    "method": "manual",
}
BREAK = {"item_type": "settlement_line", "item_id": "L1", "exception_id": "exc_1", "exception_type": "ambiguous_match"}


def matched(number: int, run_id: str, **named: Any) -> Decision:
    given = {"run_id": run_id, "exception_id": f"exc_{number}", "resolution": "matched_manually"}
    return decision("match", "resolved", number, details={**NAMED, "breaks": [BREAK], **named}, **given)


def leg(item_type: str, item_id: str, broken: tuple[str | None, str | None] = (None, None)) -> ManualMatch:
    return ManualMatch(item_type, item_id, "USD", "manual", "dec_1", "exc_1", *broken)


def test_a_match_is_in_the_run_it_was_decided_in_and_a_resolution_for_those_after() -> None:
    log = [matched(1, "run_2")]
    assert run_adjustments.of_run(log, "run_2", ["run_1"]).matches == (
        leg("ledger_transaction", "T1"),
        leg("ledger_transaction", "T2"),
        leg("settlement_line", "L1", ("exc_1", "ambiguous_match")),
    )
    later = run_adjustments.of_run(log, "run_3", ["run_1", "run_2"])
    assert later == RunDecisions((DecidedState("exc_1", "resolved", None, "matched_manually"),))


def test_a_match_that_awaits_a_second_person_or_was_taken_back_takes_nothing() -> None:
    given: dict[str, Any] = {"exception_id": "exc_1", "resolution": "matched_manually", "details": NAMED}
    proposal = decision("match", "pending_approval", 1, **given)
    assert run_adjustments.of_run([proposal], "run_1", []).matches == ()
    named = {side: NAMED[side] for side in ("settlement_lines", "ledger_transactions")}
    reopened = decision("reopen", "open", 2, reason="no", details=named)
    assert run_adjustments.of_run([matched(1, "run_1"), reopened], "run_1", []).matches == ()
    assert [run_adjustments.changes_items(each) for each in (proposal, matched(1, "run_1"), reopened)] == [
        False,
        True,
        True,
    ]


def test_of_a_match_and_a_write_off_of_one_item_the_first_counts_whole() -> None:
    match_first = run_adjustments.of_run([matched(1, "run_1"), *written_off(2, "exc_9", "run_1")], "run_1", [])
    assert (len(match_first.matches), match_first.write_offs) == (3, ())
    write_off_first = run_adjustments.of_run([*written_off(2, "exc_9", "run_1"), matched(4, "run_1")], "run_1", [])
    assert (write_off_first.matches, write_off_first.write_offs) == ((), (write_off("exc_9", 3),))


def test_states_have_an_order_of_their_own() -> None:
    log = [decision("assign", "assigned", number, exception_id=f"exc_{9 - number}", owner="o") for number in range(5)]
    names = [state.exception_id for state in run_adjustments.of_run(log, "run_1", []).states]
    assert names == sorted(names)
    assert len(names) == 5


def test_what_a_manifest_holds_gives_the_same_again() -> None:
    found = run_adjustments.of_run(written_off(1, "exc_1", "run_1"), "run_1", [])
    assert RunDecisions.of_content(found.content()) == found
    of_match = run_adjustments.of_run([matched(1, "run_1")], "run_1", [])
    assert RunDecisions.of_content(of_match.content()) == of_match
    assert RunDecisions.of_content(None) == RunDecisions.of_content({}) == RunDecisions()
