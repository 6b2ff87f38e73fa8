"""What a suspicious accountant would put into a bank's statements, and what the account's runs may not make of it."""

from pathlib import Path

import pytest

from tests.scenarios.bank_rows import Line, statement
from tests.scenarios.bank_world import SCOPE, BankWorld
from tests.scenarios.rows import MON, THU, TUE, WED

pytestmark = pytest.mark.ci

PATTERN = {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"}


def test_names_amounts_and_currencies_that_look_alike_are_not_the_same(tmp_path: Path) -> None:
    """B1 is not B11; a total by chance is a suggestion; euros are dollars only where the bank says what it was told."""
    world = BankWorld(tmp_path, {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"})
    for number, amount in ((1, 1000), (11, 2000), (3, 3000), (4, 5000), (5, 7000)):
        world.pay(f"po_{number}", amount, on=MON, batch=f"B{number}")
    world.run(MON)
    world.receive(
        statement(
            TUE,
            0,
            [Line("E4", 4500, "BATCH B4", instructed=(5000, "USD")), Line("E5", 6300, "BATCH B5")],
            currency="EUR",
        )
    )
    world.state(
        TUE,
        Line("wrong name", 1000, "BATCH B12"),
        Line("right name", 2000, "x BATCH B11 x"),
        Line("by chance", 3000, "BATCH-LIKE, and none"),
        Line("outgoing", -3000, "BATCH B77"),
    )
    world.bank_day(TUE)
    assert world.bank_says() == [
        "amount_date: wrong name = po_1, 1000 USD (suggested)",
        "bank_currency_mismatch: E5, 6300 EUR",
        "bank_text: E4 = po_4, 5000 USD",
        "bank_text: right name = po_11, 2000 USD",
        "payout po_11: credited",
        "payout po_1: in_transit",
        "payout po_3: in_transit",
        "payout po_4: credited",
        "payout po_5: in_transit",
        "unexpected_bank_credit: outgoing, -3000 USD",
        "unexpected_bank_credit: wrong name, 1000 USD",
    ]
    (made,) = world.query("select booked_minor, booked_currency from bank_matches where booked_minor is not null")
    assert made == {"booked_minor": 4500, "booked_currency": "EUR"}


def test_details_stand_for_their_line_only_where_they_sum_to_it(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, PATTERN)
    for number, amount in ((1, 100), (2, 200), (3, 300), (4, 400)):
        world.pay(f"po_{number}", amount, on=MON, batch=f"B{number}")
    world.run(MON)
    parts = (Line("D1", 100, "BATCH B1"), Line("D2", 200, "BATCH B2"))
    wrong = (Line("D3", 300, "BATCH B3"), Line("D4", 450, "BATCH B4"))
    world.state(TUE, Line("sum", 300, "two payouts", details=parts), Line("no sum", 700, "two more", details=wrong))
    world.bank_day(TUE)
    assert [said for said in world.bank_says() if said.startswith("bank_text")] == [
        "bank_text: sum/D1 = po_1, 100 USD",
        "bank_text: sum/D2 = po_2, 200 USD",
    ]
    assert world.query(
        f"select rows_in, amount_in_minor, rows_unexplained from conservation where provider = '{SCOPE}' "
        "and side = 'bank'"
    ) == [{"rows_in": 3, "amount_in_minor": 1000, "rows_unexplained": 0}]


def test_a_line_that_comes_again_is_counted_and_never_matched_twice(tmp_path: Path) -> None:
    """An intraday report says a line first, the statement of the day says it again, and so does a second download."""
    world = BankWorld(tmp_path, PATTERN)
    world.pay("po_1", 500, on=MON, batch="B1")
    world.run(MON)
    world.receive(statement(TUE, 0, [Line("R1", 500, "BATCH B1")], kind="report"))
    world.bank_day(TUE)
    assert "bank_text: R1 = po_1, 500 USD" in world.bank_says()
    world.state(TUE, Line("R1", 500, "BATCH B1"))
    world.receive(
        statement(TUE, 0, [Line("R1", 500, "BATCH B1"), Line("R2", 1, "interest")], statement_id="whole week")
    )
    world.bank_day(THU)
    assert [said for said in world.bank_says() if said.startswith(("bank_", "payout"))] == [
        "bank_text: R1 = po_1, 500 USD",
        "payout po_1: credited",
    ]


def test_days_of_an_account_that_run_in_another_order_leave_nothing_open_that_one_of_them_credited(
    tmp_path: Path,
) -> None:
    """Wednesday ran before Tuesday's statement came: what Tuesday's run credits is credited, and open no longer."""
    world = BankWorld(tmp_path, PATTERN)
    for number in (1, 2, 3):
        world.pay(f"po_{number}", 1000 * number, on=MON, batch=f"B{number}")
    world.run(MON)
    world.state(WED, Line("R2", 2000, "BATCH B2"), opening=1000)
    world.bank_day(WED)
    world.receive(statement(TUE, 0, [Line("R1", 1000, "BATCH B1")]))
    world.bank_day(TUE)
    assert [said for said in world.bank_says() if said.startswith("payout")] == [
        "payout po_1: credited",
        "payout po_2: credited",
        "payout po_3: in_transit",
    ]
    now = world.query(f"select amount_minor from open_items_now where provider = '{SCOPE}'")
    assert now == [{"amount_minor": 3000}]
    assert world.query("select count(*) as credited from cash_story where payout_status = 'credited'") == [
        {"credited": 2}
    ]
