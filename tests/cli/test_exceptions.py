"""`zentra exceptions` lists what is open and explains one so that its owner can act."""

from datetime import date, datetime
from typing import Any

import pytest

from tests.cli.conftest import Publish, Zentra
from zentra_pipeline.cli import exception_decisions
from zentra_pipeline.decisions.exception_state import ACTIONS

FIRST = "exc_000000000000000000000001"
SECOND = "exc_000000000000000000000002"
MISMATCH = {
    "exception_id": FIRST,
    "exception_type": "amount_mismatch",
    "severity": "high",
    "subject_type": "settlement_line",
    "subject_id": "L1",
    "provider_reference": "pay_1",
    "currency": "USD",
    "amount_minor": 125_000,
    "difference_minor": -100,
    "owner": "treasury",
    "lane": "settlement_breaks",
    "status": "open",
    "due_at": datetime(2026, 4, 29),
    "opened_at": datetime(2026, 4, 27, 1),
    "explanation": "line L1 says 1,250.00 USD, the ledger 1,251.00 USD",
    "candidates": "[]",
}
UNMATCHED = MISMATCH | {
    "exception_id": SECOND,
    "exception_type": "unmatched_provider_row",
    "subject_id": "L\x1b[2J",
    "difference_minor": None,
    "owner": "finance_ops",
    "due_at": datetime(2026, 4, 28),
    "candidates": '[{"predicate":"same reference, currency differs","candidate_type":"ledger_transaction",'
    '"candidate_id":"T9","amount_minor":-1200,"currency":"JPY"}]',
}


@pytest.fixture
def run_id(publish: Publish) -> str:
    return publish(date(2026, 4, 26), exceptions=[MISMATCH, UNMATCHED])


def listed(zentra: Zentra, *filters: str) -> list[str]:
    done = zentra("exceptions", "list", "--tenant", "acme", "--json", *filters)
    assert done.code == 0
    return [row["exception_id"] for row in done.json["items"]]


def test_exceptions_are_listed_by_when_they_are_due(acme: Zentra, run_id: str) -> None:
    assert listed(acme) == [SECOND, FIRST]


def test_every_filter_narrows_the_list(acme: Zentra, run_id: str) -> None:
    assert listed(acme, "--owner", "treasury") == [FIRST]
    assert listed(acme, "--type", "unmatched_provider_row") == [SECOND]
    assert listed(acme, "--status", "resolved") == []
    assert listed(acme, "--run", run_id, "--status", "open") == [SECOND, FIRST]
    assert listed(acme, "--run", "run_none") == []
    assert listed(acme, "--provider", "rail") == [SECOND, FIRST]
    assert listed(acme, "--provider", "another") == []
    assert listed(acme, "--reference", "pay_1") == [SECOND, FIRST]
    assert listed(acme, "--reference", "L1") == [FIRST]
    assert listed(acme, "--reference", "L1", "--owner", "finance_ops") == []
    assert listed(acme, "--reference", "%") == []


def test_what_is_overdue_is_so_as_of_an_instant_and_says_by_how_many_business_days(acme: Zentra, run_id: str) -> None:
    on_due_date = ("--as-of", "2026-04-28T12:00:00Z")
    assert listed(acme, "--overdue", *on_due_date) == [SECOND]
    assert listed(acme, "--overdue", "--as-of", "2026-04-27T23:59:59.999999Z") == []
    assert listed(acme, "--lane", "settlement_breaks", "--owner", "treasury") == [FIRST]
    row = acme("exceptions", "show", "--tenant", "acme", SECOND, "--json", "--as-of", "2026-05-04T12:00:00Z").json
    # Its window is a Sunday; it was due as Monday ended, and Tuesday to Friday have passed since.
    assert (row["age_business_days"], row["is_overdue"], row["overdue_business_days"]) == (6, True, 4)
    out = acme("exceptions", "list", "--tenant", "acme", *on_due_date).out
    assert "2026-04-28T00:00:00Z, 0 business days overdue" in out


def test_an_exception_as_json_has_its_facts_and_its_remedy(acme: Zentra, run_id: str) -> None:
    row = acme("exceptions", "show", "--tenant", "acme", SECOND, "--json").json
    assert (row["run_id"], row["amount_minor"], row["difference_minor"]) == (run_id, 125_000, None)
    assert (row["due_at"], row["ledger_window"]) == ("2026-04-28T00:00:00Z", None)
    assert row["candidates"][0]["candidate_id"] == "T9"
    assert "Find the posting" in row["remedy"]


def test_operators_read_what_happened_what_came_close_and_what_to_do(acme: Zentra, run_id: str) -> None:
    out = acme("exceptions", "show", "--tenant", "acme", SECOND).out
    assert "line L1 says 1,250.00 USD, the ledger 1,251.00 USD." in out
    assert "subject      settlement line L\\x1b[2J" in out
    assert "amount       1,250.00 USD" in out
    assert "difference" not in out
    assert "due          2026-04-28T00:00:00Z" in out
    assert "  - ledger transaction T9 of -1,200 JPY: same reference, currency differs" in out
    assert "What to do: Find the posting" in out
    assert "difference   -1.00 USD" in acme("exceptions", "show", "--tenant", "acme", FIRST).out


def test_the_list_for_operators_has_a_line_each(acme: Zentra, run_id: str) -> None:
    done = acme("exceptions", "list", "--tenant", "acme")
    assert [line.split()[0] for line in done.out.splitlines()[2:]] == [SECOND, FIRST]
    assert "1,250.00 USD" in done.out
    assert done.err == "2 exceptions\n"


def test_an_unknown_exception_is_misuse(acme: Zentra, run_id: str) -> None:
    done = acme("exceptions", "show", "--tenant", "acme", "exc_none")
    assert (done.code, done.out) == (2, "")
    assert "there is no exception 'exc_none'" in done.err


def test_an_unknown_type_names_the_known_ones(acme: Zentra) -> None:
    done = acme("exceptions", "list", "--tenant", "acme", "--type", "typo")
    assert done.code == 2
    assert "use one of unmatched_provider_row, " in done.err


def take(zentra: Zentra, action: str, *arguments: str, actor: str = "ann", code: int = 0) -> Any:
    done = zentra("exceptions", action, FIRST, "--tenant", "acme", "--actor", actor, "--json", *arguments)
    assert done.code == code, done.err
    return done.json if code == 0 else done.json["error"]["message"]


def test_an_exception_goes_from_hand_to_hand_until_a_second_person_ends_it(acme: Zentra, run_id: str) -> None:
    assert take(acme, "assign", "--owner", "tokyo_desk")["owner"] == "tokyo_desk"
    assert take(acme, "comment", "--reason", "see the wire")["status"] == "assigned"
    assert take(acme, "investigate")["status"] == "investigating"
    proposed = take(acme, "resolve", "--resolution", "written_off", "--reason", "a cent")
    assert (proposed["status"], proposed["resolution"], proposed["proposed_resolution"]) == (
        "pending_approval",
        None,
        "written_off",
    )
    assert take(acme, "reject", "--reason", "ask again", actor="bob")["status"] == "investigating"
    take(acme, "resolve", "--resolution", "written_off", "--reason", "a cent")
    ended = take(acme, "approve", actor="bob")
    assert ended == {
        "exception_id": FIRST,
        "status": "resolved",
        "owner": "tokyo_desk",
        "resolution": "written_off",
        "proposed_resolution": None,
        "decision_id": ended["decision_id"],
        "version": 7,
        "run_id": run_id,
    }
    assert take(acme, "reopen", "--reason", "it was no cent")["status"] == "open"


def test_what_is_decided_is_listed_and_shown_with_its_history(acme: Zentra, run_id: str) -> None:
    take(acme, "assign", "--owner", "tokyo_desk")
    take(acme, "resolve", "--resolution", "false_positive", "--reason", "a\x1btest")
    assert listed(acme, "--open") == [SECOND]
    assert listed(acme, "--status", "resolved", "--owner", "tokyo_desk") == [FIRST]
    out = acme("exceptions", "show", "--tenant", "acme", FIRST).out
    assert "resolution   false_positive" in out
    assert "What was decided:" in out
    assert " ann: assign to tokyo_desk → assigned" in out
    assert " ann: resolve as false_positive → resolved (a\\x1btest)" in out
    reported = acme("exceptions", "show", "--tenant", "acme", FIRST, "--json").json
    assert reported["version"] == 2
    assert [(each["action"], each["actor"], each["policy"]["rule"]) for each in reported["decisions"]] == [
        ("assign", "ann", "roles.admin"),
        ("resolve", "ann", "roles.admin"),
    ]
    assert "What was decided" not in acme("exceptions", "show", "--tenant", "acme", SECOND).out


def test_a_decision_prints_the_status_of_the_exception_and_who_is_awaited(acme: Zentra, run_id: str) -> None:
    words = ("--tenant", "acme", "--actor", "ann")
    done = acme("exceptions", "resolve", FIRST, *words, "--resolution", "written_off", "--reason", "a cent")
    assert done.out == f"{FIRST} is pending approval as written_off, owner treasury\n"
    assert done.err == "somebody other than ann has to approve it\n"
    again = acme("exceptions", "resolve", FIRST, *words, "--resolution", "written_off", "--reason", "a cent")
    assert (again.code, again.out) == (0, done.out)
    assert "nothing new: ann already decided that (dec_" in again.err


def test_what_policy_or_state_forbids_is_refused_with_what_is_possible(acme: Zentra, run_id: str) -> None:
    assert "approve is not possible; possible are assign, comment" in take(acme, "approve", code=3)
    take(acme, "resolve", "--resolution", "written_off", "--reason", "a cent")
    assert "ann proposed written_off, so somebody else has to approve it" in take(acme, "approve", code=3)
    assert "matched_late is what the system says" in take(
        acme, "resolve", "--resolution", "matched_late", "--reason", "x", code=3
    )


def test_words_that_are_not_known_are_misuse(acme: Zentra, run_id: str) -> None:
    assert "use one of matched_manually" in take(acme, "resolve", "--resolution", "gone", "--reason", "x", code=2)
    assert "comment needs a reason" in take(acme, "comment", "--reason", " ", code=2)
    done = acme("exceptions", "approve", "exc_none", "--tenant", "acme")
    assert (done.code, "there is no exception 'exc_none'" in done.err) == (2, True)


def test_every_action_of_the_api_is_a_command() -> None:
    """Three of them were not: write_off, accept_timing and confirm_duplicate."""
    assert {command.name for command in exception_decisions.COMMANDS} == set(ACTIONS)


@pytest.mark.parametrize(
    ("action", "status", "resolution", "proposed"),
    [
        ("write_off", "pending_approval", None, "written_off"),
        ("accept_timing", "resolved", "accepted_timing", None),
        ("confirm_duplicate", "resolved", "duplicate_confirmed", None),
    ],
)
def test_a_command_that_names_its_resolution_gives_it(
    acme: Zentra, run_id: str, action: str, status: str, resolution: str | None, proposed: str | None
) -> None:
    done = acme("exceptions", action, FIRST, "--tenant", "acme", "--actor", "ann", "--reason", "seen", "--json")
    assert done.code == 0, done.err
    assert (done.json["status"], done.json["resolution"], done.json["proposed_resolution"]) == (
        status,
        resolution,
        proposed,
    )
