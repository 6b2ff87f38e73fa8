"""What an exception names as candidates, and in what words: hints for whoever decides, never matches."""

import json
import time
from pathlib import Path

import pytest

from tests.scenarios.rows import FRI, THU, TUE, Row, entry, post, settle, settlement_file
from tests.scenarios.world import World


def on_account(transaction_id: str, reference: str, amount: int, account: str = "customer_funds") -> tuple[Row, ...]:
    """A balanced transaction that touches no clearing account."""
    first = entry(f"{transaction_id}.1", transaction_id, reference, "reserved", "debit", amount)
    return first, first.again(entry_id=f"{transaction_id}.2", account=account, direction="credit")


def candidates(world: World, subject: str) -> list[tuple[str, str, int]]:
    """The candidates of a subject's exception in their order: predicate, id, amount."""
    (row,) = world.query(f"select candidates from exceptions where subject_id = '{subject}'")
    return [(each["predicate"], each["candidate_id"], each["amount_minor"]) for each in json.loads(row["candidates"])]


def explanation(world: World, subject: str) -> str:
    (row,) = world.query(f"select explanation from exceptions where subject_id = '{subject}'")
    return str(row["explanation"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("candidates"), {"expects_callbacks": False, "amount_date_rule": "match"})
    world.add(
        # One line for three postings; every currency is a page of its own.
        *(settle("L1", "a", 600, "EUR"), post("T1", "b", 100, "EUR"), post("T2", "c", 200, "EUR")),
        *(post("T3", "d", 300, "EUR"), post("T4", "e", 7_000, "EUR"), post("T5", "f", -50, "EUR", type="refund")),
        # Four, one of them a refund: class plays no part in a match by decision.
        *(settle("L2", "a", 1_000, "GBP"), post("T11", "b", 700, "GBP"), post("T12", "c", 500, "GBP")),
        *(post("T13", "d", -190, "GBP", type="refund"), post("T14", "e", -10, "GBP", type="refund")),
        # Two are enough, so the three that add up as well are not named.
        *(settle("L3", "a", 90, "CHF"), post("T21", "b", 50, "CHF"), post("T22", "c", 40, "CHF")),
        *(post("T23", "d", 20, "CHF"), post("T24", "e", 30, "CHF")),
        # Five do not count.
        *(settle("L4", "a", 31, "SEK"), *(post(f"T3{n}", f"b{n}", 2**n, "SEK") for n in range(5))),
        # A posting and its reversal that the provider never saw.
        *(post("T41", "pay_4", 1_000, "NOK"), post("T42", "pay_4", -1_000, "NOK")),
        # Posted, but on no clearing account; one line is posted on both.
        *(settle("L5", "pay_5", 810), on_account("T51", "pay_5", 810), on_account("T52", "pay_5", 810, "suspense")),
        *(settle("L6", "pay_6", 820), post("T61", "pay_6", 820)),
        # The same amount on two days.
        *(settle("L7", "", 1_201), settle("L8", "", 1_201, on=TUE, file="set_2026_04_20")),
        *(post("T71", "", 1_201, at="09:00"), post("T72", "", 1_201, on=TUE)),
        # Several by reference.
        *(settle("L9", "R9", 50), settle("L10", "R9", 60), post("T91", "R9", 70), post("T92", "R9", 20)),
    )
    world.make(TUE, file="set_2026_04_20")
    world.make(FRI)
    return world


def test_three_open_items_that_add_up_to_a_line_are_named_together(world: World) -> None:
    how = "adds up to it: T1 + T2 + T3 = 6.00 EUR, found by adding two to four open items of the other side"
    assert candidates(world, "L1") == [(how, "T1", 100), (how, "T2", 200), (how, "T3", 300)]


def test_refunds_may_be_among_what_adds_up(world: World) -> None:
    how = "adds up to it: T11 + T12 + T13 + T14 = 10.00 GBP, found by adding two to four open items of the other side"
    assert [each[:2] for each in candidates(world, "L2")] == [(how, f"T1{n}") for n in range(1, 5)]


def test_the_smallest_set_is_named_and_one_of_five_is_not(world: World) -> None:
    assert [each[1] for each in candidates(world, "L3")] == ["T21", "T22"]
    assert candidates(world, "L4") == []


def test_what_adds_up_is_never_matched_by_itself(world: World) -> None:
    rows = world.query("select distinct leg_id from match_legs order by all")
    assert [row["leg_id"] for row in rows] == ["L6", "T61"]


def test_a_posting_and_its_reversal_name_each_other(world: World) -> None:
    how = "same reference on its own side, opposite amount: the two cancel"
    assert candidates(world, "T41") == [(how, "T42", -1_000)]
    assert candidates(world, "T42") == [(how, "T41", 1_000)]


def test_a_reference_that_is_posted_on_another_account_is_said_to_be(world: World) -> None:
    assert candidates(world, "L5") == [
        ("reference pay_5 is posted on customer_funds, which is not a clearing account", "T51", 810),
        ("reference pay_5 is posted on reserved, which is not a clearing account", "T51", -810),
        ("reference pay_5 is posted on suspense, which is not a clearing account", "T52", 810),
    ]
    assert explanation(world, "L5") == (
        "settlement line L5 of 8.10 USD (reference pay_5) has no ledger movement: its reference is posted on "
        "customer_funds by transaction T51, and customer_funds is not a clearing account of the profile: name it in "
        "clearing_accounts, or have the posting corrected"
    )


def test_twins_on_two_days_are_said_to_be_on_which_days_and_for_a_decision(world: World) -> None:
    assert explanation(world, "L7") == (
        "settlement line L7 of 12.01 USD (reference none) has 2 open movements of the same amount within the "
        "settlement lag of 2 business days, on 2026-04-20, 2026-04-21, for 2 lines of that amount, and no reference "
        "connects them: pair them by decision"
    )


def test_what_is_ambiguous_by_reference_says_so(world: World) -> None:
    assert explanation(world, "L9") == (
        "settlement line L9 of 0.50 USD (reference R9) has several possible counterparts by its reference or batch, "
        "and neither amounts nor sums tell them apart: pair them by decision"
    )


@pytest.mark.slow
def test_twenty_thousand_equal_amounts_cost_no_more_than_their_rows(tmp_path: Path) -> None:
    """10,000 lines and 10,000 overdue movements of one amount, no references: nothing meets everything."""
    world = World(tmp_path, {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(THU), [settle(f"L{n}", "", 200, on=THU) for n in range(10_000)])
    world.ingest("ledger", "ledger", [row for n in range(10_000) for row in post(f"T{n}", "", 100)])
    started = time.process_time()
    world.reconcile(THU)
    seconds = time.process_time() - started
    (row,) = world.query("select count(*) as exceptions, max(length(candidates)) as longest from exceptions")
    assert row["exceptions"] == 20_000
    assert row["longest"] < 1_000
    (named,) = world.query("select count(*) as named from exceptions where candidates like '%adds up to it%'")
    assert named["named"] == 200
    assert seconds < 20


def searched(world: World, subject: str) -> list[tuple[str, str | None, int, str]]:
    """What the passes looked for of a subject's exception, in their order."""
    passes = (
        "exact_reference",
        "normalized_reference",
        "internal_reference",
        "callback_bridge",
        "batch_total",
        "amount_date",
    )
    rows = world.query(
        "select ledger_search.* from ledger_search inner join exceptions using (exception_id) "
        f"where subject_id = '{subject}'"
    )
    by_rule = {row["rule"]: row for row in rows}
    assert by_rule.keys() == set(passes)
    return [
        (rule, by_rule[rule]["searched_key"], by_rule[rule]["movements_examined"], by_rule[rule]["result"])
        for rule in passes
    ]


def test_every_exception_about_an_unmatched_item_says_what_each_pass_looked_for(world: World) -> None:
    assert searched(world, "L5") == [
        ("exact_reference", "pay_5", 0, "not_found"),
        ("normalized_reference", None, 0, "nothing_to_look_for"),
        ("internal_reference", None, 0, "nothing_to_look_for"),
        ("callback_bridge", "pay_5", 0, "not_found"),
        ("batch_total", None, 0, "nothing_to_look_for"),
        ("amount_date", "8.10 USD", 0, "not_found"),
    ]
    assert searched(world, "L9")[0] == ("exact_reference", "R9", 2, "ambiguous")
    assert searched(world, "L7")[5] == ("amount_date", "12.01 USD", 2, "ambiguous")
    assert searched(world, "T41")[0] == ("exact_reference", "pay_4", 0, "not_found")
    (row,) = world.query(
        "select ledger_search.windows_from, ledger_search.windows_to from ledger_search inner join exceptions "
        "using (exception_id) where subject_id = 'L7' and rule = 'amount_date'"
    )
    assert (str(row["windows_from"]), str(row["windows_to"])) == ("2026-04-16", "2026-04-21")
    (left,) = world.query(
        "select count(*) as missing from exceptions left join ledger_search using (exception_id) "
        "where ledger_search.exception_id is null"
    )
    assert left["missing"] == 0
