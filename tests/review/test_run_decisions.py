"""A run sees the decisions in its own books and in earlier ones, and writes off what its own books give up."""

from typing import Any

from tests.review.test_decisions import decision
from zentra_pipeline import vocabulary
from zentra_pipeline.review import run_decisions
from zentra_pipeline.review.run_decisions import DecidedState, RunDecisions, WriteOff
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


def test_a_write_off_is_in_the_books_that_approved_it_and_a_resolution_for_those_after() -> None:
    log = written_off(1, "exc_1", "run_2")
    assert run_decisions.of_run(log, "run_1", []) == RunDecisions(
        (DecidedState("exc_1", "pending_approval", None, None),)
    )
    resolved = (DecidedState("exc_1", "resolved", None, "written_off"),)
    assert run_decisions.of_run(log, "run_2", ["run_1"]) == RunDecisions(resolved, (write_off("exc_1", 2),))
    assert run_decisions.of_run(log, "run_3", ["run_1", "run_2"]) == RunDecisions(resolved)


def test_decisions_in_the_books_of_other_providers_or_later_runs_are_not_seen() -> None:
    log = written_off(1, "exc_1", "run_9")
    assert run_decisions.of_run(log, "run_2", []) == RunDecisions()


def test_a_reopened_write_off_gives_nothing_up() -> None:
    log = [*written_off(1, "exc_1", "run_1"), decision("reopen", "open", 3, reason="it came")]
    assert run_decisions.of_run(log, "run_1", []) == RunDecisions((DecidedState("exc_1", "open", None, None),))


def test_a_comment_behind_a_write_off_changes_nothing_about_it() -> None:
    log = [*written_off(1, "exc_1", "run_1"), decision("comment", "resolved", 3, reason="done")]
    assert run_decisions.of_run(log, "run_1", []).write_offs == (write_off("exc_1", 2),)


def test_of_two_write_offs_of_one_item_the_first_counts() -> None:
    log = [*written_off(1, "exc_2", "run_1"), *written_off(3, "exc_1", "run_1")]
    assert run_decisions.of_run(log, "run_1", []).write_offs == (write_off("exc_2", 2),)


def test_what_has_no_open_item_is_resolved_and_gives_nothing_up() -> None:
    found = run_decisions.of_run(written_off(1, "exc_1", "run_1", None), "run_1", [])
    assert (found.states[0].resolution, found.write_offs) == ("written_off", ())


def test_states_stand_in_an_order_of_their_own() -> None:
    log = [decision("assign", "assigned", number, exception_id=f"exc_{9 - number}", owner="o") for number in range(5)]
    names = [state.exception_id for state in run_decisions.of_run(log, "run_1", []).states]
    assert names == sorted(names)
    assert len(names) == 5


def test_what_a_manifest_holds_gives_the_same_again() -> None:
    found = run_decisions.of_run(written_off(1, "exc_1", "run_1"), "run_1", [])
    assert RunDecisions.of_content(found.content()) == found
    assert RunDecisions.of_content(None) == RunDecisions.of_content({}) == RunDecisions()


def test_the_types_about_open_items_are_types_of_the_vocabulary() -> None:
    assert {row.exception_type for row in vocabulary.exception_types()} >= run_decisions.OPEN_ITEM_TYPES
