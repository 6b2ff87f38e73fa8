"""Payouts in another currency than their account, ids that bank and Zentra give alike, days that a bank corrects."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.scenarios.bank_rows import Line, statement, without_blanks
from tests.scenarios.bank_world import SCOPE, BankWorld
from tests.scenarios.rows import MON, THU, TUE, WED, Row, post, settle, settlement_file
from zentra_pipeline import remedies
from zentra_pipeline.closeout import period

PATTERN = {"bank_reference_pattern": "BATCH ([A-Za-z0-9-]+)"}
MAY_2 = datetime(2026, 5, 2, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> BankWorld:
    return BankWorld(tmp_path, PATTERN)


def said(world: BankWorld) -> list[str]:
    """What is known of the account, digests of lines cut out."""
    return [re.sub(r"/[0-9a-f]{12}\b", "/…", line) for line in world.bank_says()]


def test_what_an_account_in_another_currency_says_counts_in_the_currency_of_the_payout(world: BankWorld) -> None:
    """Charges in euros explain no dollars; what comes back in euros is returned by the dollars instructed."""
    world.pay("po_1", 10000, on=MON, batch="B1")
    world.pay("po_2", 20000, on=MON, batch="B2")
    world.pay("po_3", 30000, on=MON, batch="B3")
    world.run(MON)
    credits = [
        Line("E1", 9000, "BATCH B1", instructed=(9500, "USD"), charges=500),
        Line("E2", 18000, "BATCH B2", instructed=(20000, "USD")),
        Line("E3", 27000, "BATCH B3", instructed=(30000, "USD")),
    ]
    world.receive(statement(TUE, 0, credits, currency="EUR"))
    world.bank_day(TUE)
    returns = [
        Line("R2", -18500, "RETURN BATCH B2", instructed=(-20000, "USD")),
        Line("R3", -9000, "RETURN BATCH B3", instructed=(-10000, "USD")),
    ]
    world.receive(statement(WED, 54000, returns, currency="EUR"))
    world.bank_day(WED)
    assert said(world) == [
        "bank_amount_mismatch: E1, 9500 USD",
        "bank_group: E2 + R2 = po_2, 0 USD",
        "bank_group: E3 + R3 = po_3, 20000 USD",
        "bank_text: E1 = po_1, 9500 USD",
        "bank_text: E2 = po_2, 20000 USD (reversed)",
        "bank_text: E3 = po_3, 30000 USD (reversed)",
        "payout po_1: partially_credited",
        "payout po_2: returned",
        "payout po_3: returned",
        "payout_returned: po_2, 20000 USD",
        "payout_returned: po_3, 10000 USD",
    ]
    (explanation,) = world.query("select explanation from exceptions where exception_type = 'bank_amount_mismatch'")
    assert "charges" not in explanation["explanation"]
    assert world.query(
        f"select credited_minor, fee_minor, returned_minor, short_minor, difference_minor from cash_in_transit "
        f"where ledger_window = date '{WED}'"
    ) == [
        {
            "credited_minor": -30000,
            "fee_minor": 0,
            "returned_minor": 30000,
            "short_minor": 0,
            "difference_minor": 0,
        }
    ]


def test_each_part_of_a_payout_that_comes_back_is_an_event(world: BankWorld) -> None:
    """30.00 of 100.00 on Wednesday, the rest on Thursday: two returns, each with what is back by then."""
    world.pay("po_1", 10000, on=MON, batch="B1")
    world.run(MON)
    for day, *lines in (
        (TUE, Line("R1", 10000, "BATCH B1")),
        (WED, Line("R2", -3000, "RETURN BATCH B1")),
        (THU, Line("R3", -7000, "RETURN BATCH B1")),
    ):
        world.state(day, *lines)
        world.bank_day(day)
    events = world.query("select event_type, data from events where event_type like '%payout%' order by position")
    assert [
        (row["event_type"].removeprefix("reconciliation."), json.loads(row["data"])["returned_minor"]) for row in events
    ] == [("payout.credited", 0), ("payout.returned", 3000), ("payout.returned", 10000)]


def test_a_name_in_a_text_counts_whatever_its_case_unless_something_is_called_just_so(world: BankWorld) -> None:
    """Banks write in capitals; where two batches differ by their case alone, the text names the one it says."""
    for number, batch in enumerate(("b-1x", "B-2", "b-2"), start=1):
        world.pay(f"po_{number}", 1000 * number, on=MON, batch=batch)
    world.run(MON)
    world.state(TUE, Line("R1", 1000, "BATCH B-1X"), Line("R2", 2000, "BATCH B-2"))
    world.bank_day(TUE)
    assert said(world) == [
        "bank_text: R1 = po_1, 1000 USD",
        "bank_text: R2 = po_2, 2000 USD",
        "payout po_1: credited",
        "payout po_2: credited",
        "payout po_3: in_transit",
    ]


def test_an_id_that_was_made_for_a_line_and_one_that_the_bank_gave_are_two_lines(world: BankWorld) -> None:
    """The bank's references X, X/2 and X again, which is X/2 where nothing else is called so."""
    for number in (1, 2, 3):
        world.pay(f"po_{number}", 10000 * number, on=MON, batch=f"B{number}")
    world.run(MON)
    world.state(TUE, Line("X", 10000, "BATCH B1"), Line("X/2", 30000, "BATCH B3"))
    world.state(WED, Line("X", 20000, "BATCH B2"))
    world.bank_day(WED)
    assert said(world) == [
        "bank_text: X = po_1, 10000 USD",
        "bank_text: X/2 = po_3, 30000 USD",
        "bank_text: X/2/… = po_2, 20000 USD",
        "payout po_1: credited",
        "payout po_2: credited",
        "payout po_3: credited",
    ]
    assert world.query(
        f"select rows_in, amount_in_minor from conservation where provider = '{SCOPE}' and side = 'bank'"
    ) == [{"rows_in": 3, "amount_in_minor": 60000}]


def test_details_stand_for_their_line_also_where_the_bank_uses_its_reference_again(world: BankWorld) -> None:
    for number, amount in ((1, 1000), (2, 2000), (3, 500)):
        world.pay(f"po_{number}", amount, on=MON, batch=f"B{number}")
    world.run(MON)
    parts = (Line("", 1000, "BATCH B1"), Line("", 2000, "BATCH B2"))
    world.receive(without_blanks(statement(TUE, 0, [Line("X", 3000, "two", details=parts)])))
    world.receive(statement(WED, 3000, [Line("X", 500, "BATCH B3")]))
    world.bank_day(WED)
    assert said(world) == [
        "bank_text: X/1 = po_1, 1000 USD",
        "bank_text: X/2 = po_2, 2000 USD",
        "bank_text: X/2/… = po_3, 500 USD",
        "payout po_1: credited",
        "payout po_2: credited",
        "payout po_3: credited",
    ]


@pytest.mark.parametrize("interest", [False, True], ids=["in another order", "with a line before them"])
def test_lines_of_a_statement_that_comes_again_are_those_that_were_read(world: BankWorld, interest: bool) -> None:
    """A reference that the statement has twice, and lines without one, which go by their place in it."""
    for number in (1, 2, 3, 4):
        world.pay(f"po_{number}", 1000 * number, on=MON, batch=f"B{number}")
    world.run(MON)
    lines = [
        *(Line("X", 1000, "BATCH B1"), Line("X", 2000, "BATCH B2")),
        *(Line("", 3000, "BATCH B3"), Line("", 4000, "BATCH B4")),
    ]
    world.receive(without_blanks(statement(TUE, 0, lines)))
    world.bank_day(TUE)
    before = world.bank_says()
    again = [Line("", 3000, "interest"), *lines] if interest else lines[::-1]
    world.receive(without_blanks(statement(TUE, 0, again)))
    world.bank_day(WED)
    assert world.bank_says() == before
    assert [line for line in before if line.startswith("payout")] == [f"payout po_{n}: credited" for n in (1, 2, 3, 4)]
    (new,) = world.query(
        "select rows_in - duplicates as rows, amount_in_minor - duplicates_minor as minor from conservation "
        f"where provider = '{SCOPE}' and side = 'bank' and ledger_window = date '{WED}' and currency = 'USD'"
    ) or [{"rows": 0, "minor": 0}]
    assert new == ({"rows": 1, "minor": 3000} if interest else {"rows": 0, "minor": 0})


def test_a_month_is_not_signed_off_over_a_day_whose_statement_was_corrected_since(world: BankWorld) -> None:
    """Tuesday was run, the bank sends it again without a line, and Wednesday's run is the first that reads that."""
    world.pay("po_1", 10000, on=MON, batch="B1")
    world.run(MON)
    world.state(TUE, Line("R1", 10000, "BATCH B1"), Line("R2", 5, "interest"))
    world.bank_day(TUE)
    world.receive(statement(TUE, 0, [Line("R2", 5, "interest")]))
    world.state(WED, opening=5)
    world.bank_day(WED)

    def outdated() -> list[str]:
        found = period.seen(world.tenant, "2026-04", MAY_2).blockers()
        return [remedies.command(each.remedy, "acme") for each in found if "restates" in each.explanation]

    (command,) = outdated()
    assert f"--ledger-window {TUE}" in command
    world.bank_day(TUE)
    assert outdated() == []
    assert "payout po_1: in_transit" in said(world)


def test_what_a_restatement_changes_or_takes_out_settled_what_the_run_has_read_of_it(world: BankWorld) -> None:
    """The way to cash of a batch of two lines: restated, it is what it was until its window is run again."""

    def rows(first: int, second: int) -> list[Row]:
        lines = [
            settle(name, f"pay-{name}", amount, on=MON, batch="B1") for name, amount in (("a", first), ("b", second))
        ]
        total = settle("po_1", "", -(first + second), on=MON, type="payout", batch="B1")
        return [*(line for line in lines if line.values["gross_minor"]), total]

    def story() -> list[tuple[str, int]]:
        found = world.query("select line_id, settled_minor from cash_story order by all")
        return [(row["line_id"], row["settled_minor"]) for row in found]

    world.add(post("txn-a", "pay-a", 1000, on=MON), post("txn-b", "pay-b", 2000, on=MON))
    world.add(*rows(1000, 2000))
    world.run(MON)
    world.state(TUE, Line("R1", 3000, "BATCH B1"))
    world.bank_day(TUE)
    assert story() == [("a", 1000), ("b", 2000)]
    world.ingest("settlement", settlement_file(MON), rows(900, 0))
    assert story() == [("a", 1000), ("b", 2000)]
    world.run(MON)
    assert story() == [("a", 900)]
