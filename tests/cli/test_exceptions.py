"""`zentra exceptions` lists what is open and explains one so that its owner can act."""

from datetime import date, datetime

import pytest

from tests.cli.conftest import Publish, Zentra

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
    "explanation": "line L1 says 1250.00 USD, the ledger 1251.00 USD",
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
    return [row["exception_id"] for row in done.json["exceptions"]]


def test_exceptions_are_listed_by_when_they_are_due(acme: Zentra, run_id: str) -> None:
    assert listed(acme) == [SECOND, FIRST]


def test_every_filter_narrows_the_list(acme: Zentra, run_id: str) -> None:
    assert listed(acme, "--owner", "treasury") == [FIRST]
    assert listed(acme, "--type", "unmatched_provider_row") == [SECOND]
    assert listed(acme, "--status", "resolved") == []
    assert listed(acme, "--run", run_id, "--status", "open") == [SECOND, FIRST]
    assert listed(acme, "--run", "run_none") == []


def test_an_exception_as_json_has_its_facts_and_its_remedy(acme: Zentra, run_id: str) -> None:
    row = acme("exceptions", "show", "--tenant", "acme", SECOND, "--json").json
    assert (row["run_id"], row["amount_minor"], row["difference_minor"]) == (run_id, 125_000, None)
    assert (row["due_at"], row["ledger_window"]) == ("2026-04-28T00:00:00Z", None)
    assert row["candidates"][0]["candidate_id"] == "T9"
    assert "Find the posting" in row["remedy"]


def test_people_read_what_happened_what_came_close_and_what_to_do(acme: Zentra, run_id: str) -> None:
    out = acme("exceptions", "show", "--tenant", "acme", SECOND).out
    assert "line L1 says 1250.00 USD, the ledger 1251.00 USD." in out
    assert "subject      settlement line L\\x1b[2J" in out
    assert "amount       1 250.00 USD" in out
    assert "difference" not in out
    assert "due          2026-04-28T00:00:00Z" in out
    assert "  - ledger transaction T9 of -1 200 JPY: same reference, currency differs" in out
    assert "What to do: Find the posting" in out
    assert "difference   -1.00 USD" in acme("exceptions", "show", "--tenant", "acme", FIRST).out


def test_the_list_for_people_has_a_line_each(acme: Zentra, run_id: str) -> None:
    done = acme("exceptions", "list", "--tenant", "acme")
    assert [line.split()[0] for line in done.out.splitlines()[2:]] == [SECOND, FIRST]
    assert "1 250.00 USD" in done.out
    assert done.err == "2 exceptions\n"


def test_an_unknown_exception_is_misuse(acme: Zentra, run_id: str) -> None:
    done = acme("exceptions", "show", "--tenant", "acme", "exc_none")
    assert (done.code, done.out) == (2, "")
    assert "there is no exception 'exc_none'" in done.err


def test_an_unknown_type_names_the_known_ones(acme: Zentra) -> None:
    done = acme("exceptions", "list", "--tenant", "acme", "--type", "typo")
    assert done.code == 2
    assert "use one of unmatched_provider_row, " in done.err
