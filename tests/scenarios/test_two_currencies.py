"""Claims about lines that settle in another currency than the customer paid in (contract §10.1, Two currencies)."""

from typing import Any

import pytest

from tests.scenarios import invariants
from tests.scenarios.claims import Claim, Said, claim, expected, played
from tests.scenarios.rows import MON, THU, TUE, WED, call, post, settle
from tests.scenarios.world import NOW, World
from zentra_pipeline.decisions.manual_match import Named
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import NotPossibleError
from zentra_pipeline.published import movement_history
from zentra_pipeline.review.record import DecisionRequest

SILENT = {"expects_callbacks": False}
EUR_100 = (10_000, "EUR")

CLAIMS = [
    claim(
        "a payment of 100.00 EUR that settled as 108.32 USD matches its posting of 100.00 EUR",
        settle("L1", "R", 10_832, fee=344, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        gives=["exact_reference one_to_one exact: L1 = T1, 10000 EUR"],
    ),
    claim(
        "where the ledger posts what was settled, what the customer paid plays no part",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 10_832),
        gives=["exact_reference one_to_one exact: L1 = T1, 10832 USD"],
    ),
    claim(
        "a movement of the settled currency goes first, even with another amount",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 10_800),
        post("T2", "R", 10_000, "EUR"),
        gives={
            MON: [
                "amount_mismatch L1, 10832 USD, off by 32",
                "exact_reference one_to_one exact: L1 = T1, 10832 against 10800 USD, off by 32",
                "open T2, 10000 EUR, aged 0",
            ],
            TUE: ["open T2, 10000 EUR, aged 1"],
            WED: ["open T2, 10000 EUR, aged 2"],
            THU: ["open T2, 10000 EUR, aged 3", "unmatched_ledger_entry T2, 10000 EUR"],
        },
    ),
    claim(
        "a fee posted in the settled currency under the same reference is of another class and changes nothing",
        settle("L1", "R", 10_832, fee=344, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        post("T2", "R", -344, type="fee"),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, 10000 EUR", "open T2, -344 USD, aged 0"],
            TUE: ["open T2, -344 USD, aged 1"],
            WED: ["open T2, -344 USD, aged 2"],
            THU: ["open T2, -344 USD, aged 3", "unmatched_ledger_entry T2, -344 USD"],
        },
    ),
    claim(
        "what the customer paid and what was posted differ in the currency of the match",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 9_900, "EUR"),
        gives=[
            "amount_mismatch L1, 10000 EUR, off by 100",
            "exact_reference one_to_one exact: L1 = T1, 10000 against 9900 EUR, off by 100",
        ],
    ),
    claim(
        "a third currency is a mismatch, and the line is open in the currency it settled in",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 8_600, "GBP"),
        gives={
            MON: ["currency_mismatch L1, 10832 USD", "open L1, 10832 USD, aged 0", "open T1, 8600 GBP, aged 0"],
            TUE: ["open L1, 10832 USD, aged 1", "open T1, 8600 GBP, aged 1"],
            WED: ["open L1, 10832 USD, aged 2", "open T1, 8600 GBP, aged 2"],
            THU: ["open L1, 10832 USD, aged 3", "open T1, 8600 GBP, aged 3", "unmatched_ledger_entry T1, 8600 GBP"],
        },
    ),
    claim(
        "a line of the same reference that states no other currency is compared as settled: here nothing is in USD",
        settle("L1", "R", 10_832, paid=EUR_100),
        settle("L2", "R", 5_416),
        post("T1", "R", 10_000, "EUR"),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
                "open L2, 5416 USD, aged 0",
                "unmatched_provider_row L2, 5416 USD",
            ],
            TUE: ["open L2, 5416 USD, aged 1"],
            WED: ["open L2, 5416 USD, aged 2"],
            THU: ["open L2, 5416 USD, aged 3"],
        },
    ),
    claim(
        "captures in two currencies are one group of what the customer paid",
        settle("L1", "R", 5_416, paid=(5_000, "EUR")),
        settle("L2", "R", 4_300, "GBP", paid=(5_000, "EUR")),
        post("T1", "R", 10_000, "EUR"),
        gives=["exact_reference many_to_one exact: L1 + L2 = T1, 10000 EUR"],
    ),
    claim(
        "a capture of half waits for the other, which settles at another rate two days later",
        settle("L1", "R", 5_416, paid=(5_000, "EUR")),
        post("T1", "R", 10_000, "EUR"),
        settle("L2", "R", 5_530, paid=(5_000, "EUR"), on=WED),
        gives={
            MON: [
                "amount_mismatch L1, 5000 EUR, off by -5000",
                "exact_reference one_to_one exact: L1 = T1, 5000 against 10000 EUR, off by -5000",
            ],
            WED: [
                "exact_reference many_to_one exact: L1 + L2 = T1, 10000 EUR",
                "resolved as matched_late: amount_mismatch L1, 5000 EUR, off by -5000",
                "reversed exact_reference one_to_one exact: L1 = T1, 5000 against 10000 EUR, off by -5000",
            ],
        },
    ),
    claim(
        "the same payment settled twice at another rate is a duplicate: of what the customer paid",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        settle("L2", "R", 10_901, paid=EUR_100, on=TUE),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, 10000 EUR"],
            TUE: ["duplicate_settlement_line L2, 10901 USD, off by 10901", "open L2, 10901 USD, aged 0"],
            WED: ["open L2, 10901 USD, aged 1"],
            THU: ["open L2, 10901 USD, aged 2"],
        },
    ),
    claim(
        "a posting that comes two days later is met in its own currency, and the line is open in USD until then",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 10_000, "EUR", on=WED),
        gives={
            MON: ["open L1, 10832 USD, aged 0", "unmatched_provider_row L1, 10832 USD"],
            TUE: ["open L1, 10832 USD, aged 1"],
            WED: [
                "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
                "resolved as matched_late: unmatched_provider_row L1, 10832 USD",
            ],
        },
    ),
    claim(
        "a posting in the settled currency that comes a day later is met as settled",
        settle("L1", "R", 10_832, paid=EUR_100),
        post("T1", "R", 10_832, on=TUE),
        gives={
            MON: ["open L1, 10832 USD, aged 0", "unmatched_provider_row L1, 10832 USD"],
            TUE: [
                "exact_reference one_to_one exact: L1 = T1, 10832 USD",
                "resolved as matched_late: unmatched_provider_row L1, 10832 USD",
            ],
        },
    ),
    claim(
        "our own reference, and a callback that bridges to it, are references of the settled currency too",
        settle("L1", "ch1", 10_832, merchant="pi1", paid=EUR_100),
        post("T1", "", 10_832, intent="pi1"),
        settle("L2", "ch2", 10_832, paid=EUR_100),
        call("C2", "ch2", 10_832, merchant="pi2"),
        post("T2", "", 10_832, intent="pi2"),
        gives=[
            "callback C2 of L2 = T2",
            "callback_bridge one_to_one exact: L2 = T2, 10832 USD",
            "internal_reference one_to_one exact: L1 = T1, 10832 USD",
        ],
    ),
    claim(
        "and of the currency that the customer paid in, where no movement is in the settled one",
        settle("L1", "ch1", 10_832, merchant="pi1", paid=EUR_100),
        post("T1", "", 10_000, "EUR", intent="pi1"),
        settle("L2", "ch2", 10_832, paid=EUR_100),
        call("C2", "ch2", 10_000, "EUR", merchant="pi2"),
        post("T2", "", 10_000, "EUR", intent="pi2"),
        gives=[
            "callback C2 of L2 = T2",
            "callback_bridge one_to_one exact: L2 = T2, 10000 EUR",
            "internal_reference one_to_one exact: L1 = T1, 10000 EUR",
        ],
    ),
    claim(
        "a refund and a chargeback are compared by what went back to the customer",
        settle("L1", "P", 10_832, paid=EUR_100),
        post("T1", "P", 10_000, "EUR"),
        settle("L2", "re", -11_010, type="refund", original="P", paid=(-10_000, "EUR"), on=TUE),
        post("T2", "re", -10_000, "EUR", type="refund", on=TUE),
        settle("L3", "Q", 10_832, paid=EUR_100),
        post("T3", "Q", 10_000, "EUR"),
        settle("L4", "dp", -10_700, type="chargeback", original="Q", paid=(-10_000, "EUR"), on=TUE),
        post("T4", "dp", -10_000, "EUR", type="chargeback", on=TUE),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
                "exact_reference one_to_one exact: L3 = T3, 10000 EUR",
            ],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, -10000 EUR",
                "exact_reference one_to_one exact: L4 = T4, -10000 EUR",
            ],
        },
    ),
    claim(
        "more went back than was paid, by what the customer saw, though less by what was settled",
        settle("L1", "P", 10_832, paid=EUR_100),
        post("T1", "P", 10_000, "EUR"),
        settle("L2", "re", -10_700, type="refund", original="P", paid=(-10_100, "EUR"), on=TUE),
        post("T2", "re", -10_100, "EUR", type="refund", on=TUE),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, 10000 EUR"],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, -10100 EUR",
                "over_applied_reference L2, -10100 EUR, off by 100",
            ],
        },
    ),
    claim(
        "a refund that states no other currency is held against what was settled",
        settle("L1", "P", 10_832, paid=EUR_100),
        post("T1", "P", 10_000, "EUR"),
        settle("L2", "re", -10_900, type="refund", original="P", on=TUE),
        post("T2", "re", -10_900, type="refund", on=TUE),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, 10000 EUR"],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, -10900 USD",
                "over_applied_reference L2, -10900 USD, off by 68",
            ],
        },
    ),
    claim(
        "a refund out of the EUR balance, and one whose original only the ledger knows, find their originals",
        settle("L1", "P", 10_832, paid=EUR_100),
        post("T1", "P", 10_000, "EUR"),
        settle("L2", "re", -4_000, "EUR", type="refund", original="P", on=TUE),
        post("T2", "re", -4_000, "EUR", type="refund", on=TUE),
        settle("L3", "re3", -2_200, type="refund", original="Q", paid=(-2_000, "EUR"), on=TUE),
        post("T3", "re3", -2_000, "EUR", type="refund", on=TUE),
        post("T4", "Q", 2_000, "EUR", on=TUE),
        settle("L4", "Q", 2_166, paid=(2_000, "EUR"), on=WED),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, 10000 EUR"],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, -4000 EUR",
                "exact_reference one_to_one exact: L3 = T3, -2000 EUR",
                "open T4, 2000 EUR, aged 0",
            ],
            WED: ["exact_reference one_to_one exact: L4 = T4, 2000 EUR"],
        },
    ),
    claim(
        "what stands in the file again is a redelivery; a batch is of what was settled",
        settle("L1", "R", 10_832, fee=332, paid=EUR_100),
        settle("L1", "R", 10_832, fee=332, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        settle("L2", "", 10_832, fee=332, paid=EUR_100, batch="B"),
        settle("L3", "", 2_166, fee=66, paid=(2_000, "EUR"), batch="B"),
        post("T2", "B", 12_600, type="payout"),
        gives=[
            "batch_total many_to_one exact: L2 + L3 = T2, 12600 USD",
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
        ],
    ),
    claim(
        "two captures against two postings of other amounts are told apart by nobody: ambiguous, and no wrong currency",
        settle("L1", "R", 5_416, paid=(5_000, "EUR")),
        settle("L2", "R", 6_500, paid=(6_000, "EUR")),
        post("T1", "R", 4_900, "EUR"),
        post("T2", "R", 5_900, "EUR"),
        gives={
            MON: [
                "ambiguous_match L1, 5416 USD",
                "ambiguous_match L2, 6500 USD",
                "open L1, 5416 USD, aged 0",
                "open L2, 6500 USD, aged 0",
                "open T1, 4900 EUR, aged 0",
                "open T2, 5900 EUR, aged 0",
            ],
            TUE: [
                "open L1, 5416 USD, aged 1",
                "open L2, 6500 USD, aged 1",
                "open T1, 4900 EUR, aged 1",
                "open T2, 5900 EUR, aged 1",
            ],
            WED: [
                "open L1, 5416 USD, aged 2",
                "open L2, 6500 USD, aged 2",
                "open T1, 4900 EUR, aged 2",
                "open T2, 5900 EUR, aged 2",
            ],
            THU: [
                "open L1, 5416 USD, aged 3",
                "open L2, 6500 USD, aged 3",
                "open T1, 4900 EUR, aged 3",
                "open T2, 5900 EUR, aged 3",
                "unmatched_ledger_entry T1, 4900 EUR",
                "unmatched_ledger_entry T2, 5900 EUR",
            ],
        },
    ),
    claim(
        "a line that settled nothing though the customer paid is no line of nothing",
        settle("L1", "R", 0, paid=EUR_100),
        gives={
            MON: ["open L1, 0 USD, aged 0", "unmatched_provider_row L1, 0 USD"],
            TUE: ["open L1, 0 USD, aged 1"],
            WED: ["open L1, 0 USD, aged 2"],
            THU: ["open L1, 0 USD, aged 3"],
        },
    ),
]


WORDS = [
    claim(
        "a callback in the currency of the match speaks for it, one in the settled currency does not",
        settle("L1", "R", 10_832, fee=344, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        call("C1", "R", 10_000, "EUR"),
        settle("L2", "S", 10_832, fee=344, paid=EUR_100),
        post("T2", "S", 10_000, "EUR"),
        call("C2", "S", 10_832),
        gives=[
            "callback C1 of L1 = T1",
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
            "exact_reference one_to_one exact: L2 = T2, 10000 EUR",
            "missing_callback T2, 10000 EUR",
        ],
    ),
    claim(
        "a callback of another amount differs in the currency of the match",
        settle("L1", "R", 10_832, fee=344, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        call("C1", "R", 9_900, "EUR"),
        gives=[
            "amount_mismatch C1, 9900 EUR, off by -100",
            "callback C1 of L1 = T1",
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
        ],
    ),
    claim(
        "the tolerance is that of the currency of the match",
        settle("L1", "R", 10_833, fee=344, paid=(10_001, "EUR")),
        post("T1", "R", 10_000, "EUR"),
        call("C1", "R", 10_000, "EUR"),
        gives=[
            "callback C1 of L1 = T1",
            "exact_reference one_to_one tolerance: L1 = T1, 10001 against 10000 EUR, off by 1",
        ],
    ),
    claim(
        "without any reference what the customer paid suggests the posting of that amount",
        settle("L1", "", 8_424, fee=274, paid=(7_777, "EUR")),
        post("T1", "", 7_777, "EUR"),
        gives=[
            "open L1, 8424 USD, aged 0",
            "open T1, 7777 EUR, aged 0",
            "suggested amount_date one_to_one exact: L1 = T1, 7777 EUR",
            "unmatched_provider_row L1, 8424 USD",
        ],
    ),
    claim(
        "a fee is judged by what was settled: 2.90 % of 108.32 USD and 0.30",
        settle("L1", "R", 10_832, fee=400, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        call("C1", "R", 10_000, "EUR"),
        gives=[
            "callback C1 of L1 = T1",
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
            "fee_variance L1, 400 USD, off by 56",
        ],
    ),
    claim(
        "a failed line is contradicted by a success in the currency that the customer was to pay in",
        settle("L1", "R", 10_832, status="failed", fee=344, paid=EUR_100),
        call("C1", "R", 10_000, "EUR"),
        gives=[
            "failed_settlement L1, 10832 USD",
            "open L1, 10832 USD, aged 0",
            "status_conflict L1, 10832 USD",
        ],
    ),
    claim(
        "money that went back to the customer contradicts no reversal, whatever it settled as",
        settle("L1", "R", 10_832, fee=344, paid=EUR_100),
        post("T1", "R", 10_000, "EUR"),
        call("C1", "R", 10_000, "EUR"),
        call("C2", "R", 10_000, "EUR", status="reversed", at="12:00"),
        settle("L2", "R", -11_010, type="refund", paid=(-10_000, "EUR")),
        post("T2", "R", -10_000, "EUR", type="refund"),
        call("C3", "R", -10_000, "EUR", at="12:30"),
        gives=[
            "callback C1 of L1 = T1",
            "callback C2 of L1 = T1",
            "callback C3 of L2 = T2",
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
            "exact_reference one_to_one exact: L2 = T2, -10000 EUR",
        ],
    ),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Said], World]:
    return played(tmp_path_factory, "two_currencies", CLAIMS, (MON, TUE, WED, THU), SILENT)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Said], World]:
    profile = {
        "amount_date_rule": "suggest",
        "amount_tolerance_minor": {"EUR": 1},
        "fee_schedule": {"USD": {"payment": {"rate_bps": 290, "fixed_minor": 30}}},
    }
    return played(tmp_path_factory, "words", WORDS, (MON,), profile)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim_about_two_currencies(told: tuple[list[Said], World], number: int, each: Claim) -> None:
    assert told[0][number] == expected(each)


@pytest.mark.parametrize(("number", "each"), list(enumerate(WORDS)), ids=[each.says for each in WORDS])
def test_claim_about_words_and_rules_of_two_currencies(
    words: tuple[list[Said], World], number: int, each: Claim
) -> None:
    assert words[0][number] == expected(each)


def test_all_claims_together_leave_nothing_unexplained(
    told: tuple[list[Said], World], words: tuple[list[Said], World]
) -> None:
    assert invariants.faults(told[1]) == []
    assert invariants.faults(words[1]) == []


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Monday: two sales to Paris, one of them refunded on Tuesday, and a line whose posting lost its reference."""
    world = World(tmp_path_factory.mktemp("books"), {"expects_callbacks": False, "amount_date_rule": "off"})
    world.settle("L1", "P", 10_832, fee=344, paid=EUR_100, batch="po")
    world.settle("L2", "Q", 5_416, fee=187, paid=(5_000, "EUR"), batch="po")
    world.settle("L3", "", 2_166, fee=93, paid=(2_000, "EUR"), batch="po")
    world.settle("PO", "po", -17_790, type="payout", batch="po")
    world.post("T1", "P", 10_000, "EUR")
    world.post("T2", "Q", 5_000, "EUR")
    world.post("T3", "lost", 2_000, "EUR")
    world.run(MON)
    return world


def rows_of(world: World, table: str, window: str = MON) -> list[dict[str, Any]]:
    """The rows of a table in a window's run, without ids of runs, tenants and matches, and what is 0 or null."""
    shown = world.query(f"select * from {table} where ledger_window = date '{window}' order by all")
    hidden = {"run_id", "tenant_id", "provider", "ledger_window", "match_id", "review_cutoff_at"}
    return [{k: v for k, v in row.items() if k not in hidden and v not in (None, 0, False)} for row in shown]


def people_match(world: World, exception_id: str, named: Named) -> DecisionResult:
    """Match by decision, as of a time after the runs."""
    items = {"settlement_lines": named.settlement_lines, "ledger_transactions": named.ledger_transactions}
    wanted = DecisionRequest(exception_id, "match", "ann", reason="order 77", **items)
    return deciding.decide(world.tenant, wanted, NOW)


def test_a_match_shows_what_was_compared_and_what_was_settled(books: World) -> None:
    of_t1 = {"currency": "EUR", "settlement_minor": 10_000, "ledger_minor": 10_000}
    settled = {"settled_currency": "USD", "settled_minor": 10_832}
    (match,) = books.query("select * from matches where first_line_id = 'L1'")
    assert {name: match[name] for name in (*of_t1, *settled)} == of_t1 | settled
    assert match["difference_minor"] == 0
    legs = books.query(f"select * from match_legs where match_id = '{match['match_id']}' order by leg_id")
    assert [
        (leg["leg_type"], leg["leg_id"], leg["amount_minor"], leg["item_currency"], leg["item_minor"]) for leg in legs
    ] == [
        ("settlement_line", "L1", 10_000, "USD", 10_832),
        ("ledger_transaction", "T1", 10_000, None, None),
    ]
    sentences = [entry.sentence for entry in movement_history.history_of(books.paths, "P").entries]
    by = "exact reference, one to one"
    assert f"Matched L1 with T1 by {by}: settled 100.00 EUR (as 108.32 USD), posted 100.00 EUR" in sentences
    (row,) = books.query("select * from three_way where line_id = 'L1'")
    assert {name: row[name] for name in (*of_t1, *settled)} == of_t1 | settled
    assert row["settlement_vs_ledger_minor"] == 0


def test_each_side_is_conserved_in_its_own_currency_and_movements_roll_forward_in_theirs(books: World) -> None:
    assert rows_of(books, "conservation") == [
        {
            "side": "ledger",
            "currency": "EUR",
            "rows_in": 3,
            "matched": 2,
            "in_transit": 1,
            "amount_in_minor": 17_000,
            "matched_minor": 15_000,
            "in_transit_minor": 2_000,
        },
        {
            "side": "settlement",
            "currency": "USD",
            "rows_in": 4,
            "matched": 2,
            "excepted": 1,
            "accounted": 1,
            "amount_in_minor": 624,
            "matched_minor": 16_248,
            "excepted_minor": 2_166,
            "accounted_minor": -17_790,
        },
    ]
    assert rows_of(books, "rollforward") == [
        {"currency": "EUR", "posted_minor": 17_000, "settled_minor": 15_000, "closing_minor": 2_000}
    ]
    assert books.query("select * from exceptions where exception_type = 'control_total_mismatch'") == []
    assert [
        (row["item_id"], row["currency"], row["amount_minor"], row["presentment_currency"], row["presentment_minor"])
        for row in books.query("select * from open_items order by item_id")
    ] == [("L3", "USD", 2_166, "EUR", 2_000), ("T3", "EUR", 2_000, None, None)]


def test_people_match_a_line_by_what_the_customer_paid_and_the_next_window_knows_all_of_it(books: World) -> None:
    (row,) = books.query("select * from exceptions where subject_id = 'L3'")
    with pytest.raises(NotPossibleError, match="settlement line L1 is not open in USD in the newest run that sees it"):
        people_match(books, row["exception_id"], Named(("L1", "L3"), ("T3",)))
    answer = people_match(books, row["exception_id"], Named(("L3",), ("T3",)))
    assert (answer.state.status, answer.state.resolution) == ("resolved", "matched_manually")
    (match,) = books.query("select * from matches where rule = 'manual'")
    assert (match["currency"], match["settlement_minor"], match["ledger_minor"]) == ("EUR", 2_000, 2_000)
    assert (match["settled_currency"], match["settled_minor"], match["method"]) == ("USD", 2_166, "manual")
    assert books.query("select * from open_items") == []
    books.settle("L4", "re", -5_530, type="refund", original="Q", paid=(-5_000, "EUR"), on=TUE)
    books.post("T4", "re", -5_000, "EUR", type="refund", on=TUE)
    books.settle("L1", "P", 10_832, fee=344, paid=EUR_100, batch="po", file="set_2026_04_21")
    books.run(TUE)
    assert rows_of(books, "rollforward", TUE) == [{"currency": "EUR", "posted_minor": -5_000, "settled_minor": -5_000}]
    assert rows_of(books, "conservation", TUE) == [
        {
            "side": "ledger",
            "currency": "EUR",
            "rows_in": 1,
            "matched": 1,
            "amount_in_minor": -5_000,
            "matched_minor": -5_000,
        },
        {
            "side": "settlement",
            "currency": "USD",
            "rows_in": 2,
            "matched": 1,
            "duplicates": 1,
            "amount_in_minor": 5_302,
            "matched_minor": -5_530,
            "duplicates_minor": 10_832,
        },
    ]
    assert books.query("select * from open_items where ledger_window = date '2026-04-21'") == []
    assert invariants.faults(books) == []


def test_a_restated_file_that_states_what_the_customer_paid_brings_the_line_to_its_posting(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(tmp_path_factory.mktemp("restated"), {"expects_callbacks": False, "amount_date_rule": "off"})
    world.settle("L1", "R", 10_832)
    world.settle("L2", "S", 10_832, paid=(9_900, "EUR"))
    world.post("T1", "R", 10_000, "EUR")
    world.post("T2", "S", 10_000, "EUR")
    assert [each.text for each in world.run(MON)] == [
        "amount_mismatch L2, 9900 EUR, off by -100",
        "currency_mismatch L1, 10832 USD",
        "exact_reference one_to_one exact: L2 = T2, 9900 against 10000 EUR, off by -100",
        "open L1, 10832 USD, aged 0",
        "open T1, 10000 EUR, aged 0",
    ]
    world.settle("L1", "R", 10_832, paid=EUR_100)
    world.settle("L2", "S", 10_832, paid=EUR_100)
    world.run(MON)
    assert [
        (row["first_line_id"], row["settlement_minor"], row["difference_minor"])
        for row in world.query("select * from matches order by first_line_id")
    ] == [("L1", 10_000, 0), ("L2", 10_000, 0)]
    assert world.query("select * from exceptions where status = 'open'") == []
    assert rows_of(world, "rollforward") == [{"currency": "EUR", "posted_minor": 20_000, "settled_minor": 20_000}]
    assert [
        (row["line_id"], row["change_type"]) for row in world.query("select * from restatements order by line_id")
    ] == [
        ("L1", "changed"),
        ("L2", "changed"),
    ]
    assert invariants.faults(world) == []
