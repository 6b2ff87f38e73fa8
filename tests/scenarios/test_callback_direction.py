"""Claims about what a callback speaks for: direction, class, reference, last word, money gone back (§10.8, §10.9)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, THU, TUE, WED, call, entry, post, settle

WINDOWS = (MON, TUE, WED, THU)
PAID = (settle("L1", "R", 500), post("T1", "R", 500))
PAIR = "exact_reference one_to_one exact: L1 = T1, 500 USD"
IN_ORDER = [PAIR, "callback E1 of L1 = T1"]
REFUND = (settle("L2", "RF", -500, type="refund"), post("T2", "RF", -500, type="refund"))
REFUNDED = "exact_reference one_to_one exact: L2 = T2, -500 USD"
GONE_BACK = "exact_reference many_to_many exact: L1 + L2 = T1 + T2, 0 USD"

CLAIMS = [
    # Direction and class
    claim(
        "a refund under the reference of its payment: each callback speaks for its own",
        *PAID,
        call("E1", "R", 500),
        settle("L2", "R", -500, type="refund", original="R", on=TUE),
        post("T2", "R", -500, type="refund", on=TUE),
        call("E2", "R", -500, on=TUE),
        gives={MON: IN_ORDER, TUE: [REFUNDED, "callback E2 of L2 = T2"]},
    ),
    claim(
        "a failed refund under the reference of its payment says nothing of the payment",
        *PAID,
        call("E1", "R", 500),
        call("E2", "R", -500, status="failed", on=TUE),
        gives=IN_ORDER,
    ),
    claim(
        "payment and refund that share an order each have their own callback",
        settle("L1", "R", 1000),
        post("T1", "R", 1000, intent="O"),
        call("E1", "R", 1000, merchant="O"),
        settle("L2", "RF", -300, type="refund", original="R"),
        post("T2", "RF", -300, type="refund", intent="O"),
        call("E2", "RF", -300, merchant="O", at="12:00"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1000 USD",
            "callback E1 of L1 = T1",
            "exact_reference one_to_one exact: L2 = T2, -300 USD",
            "callback E2 of L2 = T2",
        ],
    ),
    claim(
        "a refund's success hides no missing callback of the payment",
        settle("L1", "R", 500),
        post("T1", "R", 500, intent="O"),
        *REFUND,
        call("E2", "RF", -500, merchant="O"),
        gives=[PAIR, "missing_callback T1, 500 USD", REFUNDED, "callback E2 of L2 = T2"],
    ),
    claim(
        "a refund that nobody booked is an orphan, though it names the order of a payment",
        settle("L1", "R", 500, merchant="O"),
        post("T1", "R", 500, intent="O"),
        call("E1", "R", 500, merchant="O"),
        call("E2", "RF", -500, merchant="O"),
        gives={MON: IN_ORDER, THU: ["orphan_callback E2, -500 USD"]},
    ),
    claim(
        "a refund that nobody booked is an orphan, though it names the reference of its payment",
        *PAID,
        call("E1", "R", 500),
        call("E2", "R", -500),
        gives={MON: IN_ORDER, THU: ["orphan_callback E2, -500 USD"]},
    ),
    claim(
        "a callback without a sign brings money in: it does not speak for a refund",
        *REFUND,
        call("E1", "RF", 500),
        gives={MON: [REFUNDED, "missing_callback T2, -500 USD"], THU: ["orphan_callback E1, 500 USD"]},
    ),
    claim(
        "a movement type narrows a direction to one class",
        *REFUND,
        call("E1", "RF", -500, movement="chargeback"),
        settle("L3", "S", -600, type="chargeback"),
        post("T3", "S", -600, type="chargeback"),
        call("E3", "S", -600, movement="chargeback"),
        gives={
            MON: [
                REFUNDED,
                "missing_callback T2, -500 USD",
                "exact_reference one_to_one exact: L3 = T3, -600 USD",
                "callback E3 of L3 = T3",
            ],
            THU: ["orphan_callback E1, -500 USD"],
        },
    ),
    claim(
        "a dispute that is lost, then won: the chargeback and its reversal under one reference",
        settle("L1", "D", -500, type="chargeback"),
        post("T1", "D", -500, type="chargeback"),
        call("E1", "D", -500, at="11:00"),
        settle("L2", "D", 500, type="chargeback_reversal", on=TUE),
        post("T2", "D", 500, type="chargeback", on=TUE),
        call("E2", "D", 500, on=TUE),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, -500 USD", "callback E1 of L1 = T1"],
            TUE: ["exact_reference one_to_one exact: L2 = T2, 500 USD", "callback E2 of L2 = T2"],
        },
    ),
    claim(
        "a payment and a reversal under one reference: only the movement type distinguishes their callbacks",
        *PAID,
        settle("L2", "R", 70, type="chargeback_reversal"),
        post("T2", "R", 70, type="chargeback"),
        call("E1", "R", 500, movement="payment"),
        call("E2", "R", 70, movement="chargeback_reversal"),
        gives=[
            *IN_ORDER,
            "exact_reference one_to_one exact: L2 = T2, 70 USD",
            "callback E2 of L2 = T2",
        ],
    ),
    claim(
        "a callback of another currency speaks for nothing here, and is an orphan",
        *PAID,
        call("E1", "R", 500, "EUR"),
        gives={MON: [PAIR, "missing_callback T1, 500 USD"], THU: ["orphan_callback E1, 500 EUR"]},
    ),
    claim(
        "a callback of nothing brings money in: it speaks for a payment of nothing",
        settle("L1", "R", 0),
        entry("T1.1", "T1", "R", "settlement_account", "credit", 5),
        entry("T1.2", "T1", "R", "settlement_account", "debit", 5),
        call("E1", "R", 0),
        gives=["exact_reference one_to_one exact: L1 = T1, 0 USD", "callback E1 of L1 = T1"],
    ),
    claim(
        "a fee line under the reference of a payment answers no refund of it",
        *PAID,
        call("E1", "R", 500),
        settle("L2", "R", -15, type="fee"),
        call("E2", "R", -500),
        gives={MON: IN_ORDER, THU: ["orphan_callback E2, -500 USD"]},
    ),
    # References
    claim(
        "a callback whose reference something has does not speak by its merchant reference",
        *PAID,
        settle("L2", "Q", 600),
        call("E1", "Q", 500, merchant="T1"),
        gives={
            MON: [
                PAIR,
                "missing_callback T1, 500 USD",
                "unmatched_provider_row L2, 600 USD",
                "open L2, 600 USD, aged 0",
            ],
            TUE: ["open L2, 600 USD, aged 1"],
            WED: ["open L2, 600 USD, aged 2"],
            THU: ["open L2, 600 USD, aged 3"],
        },
    ),
    claim(
        "the failed attempt of another charge of the intent has no last word, whatever its second",
        settle("L1", "R", 500, merchant="I"),
        post("T1", "R", 500, intent="I"),
        call("E9", "R0", 500, merchant="I", status="failed", at="11:00"),
        call("E1", "R", 500, merchant="I", at="11:00"),
        call("E8", "R00", 500, merchant="I", status="failed", at="12:00"),
        gives=[*IN_ORDER, "callback E8 of L1 = T1", "callback E9 of L1 = T1"],
    ),
    claim(
        "where only the failed attempt of another charge is heard of, it has the last word",
        settle("L1", "R", 500, merchant="I"),
        post("T1", "R", 500, intent="I"),
        call("E1", "R0", 500, merchant="I", status="failed"),
        gives=[*IN_ORDER, "missing_callback T1, 500 USD", "status_conflict T1, 500 USD"],
    ),
    claim(
        "callbacks that speak by merchant reference have the last word where no other speaks",
        settle("L1", "R", 500),
        post("T1", "R", 500, intent="I"),
        call("E1", "", 500, merchant="I", at="11:00"),
        call("E2", "", 500, merchant="I", status="reversed", at="12:00"),
        gives=[*IN_ORDER, "callback E2 of L1 = T1", "status_conflict T1, 500 USD"],
    ),
    claim(
        "a success by merchant reference is enough, but does not outvote the failure of the reference",
        *PAID,
        call("E1", "R", 500, status="failed", at="11:00"),
        call("E2", "", 500, merchant="T1", at="12:00"),
        gives=[*IN_ORDER, "callback E2 of L1 = T1", "status_conflict T1, 500 USD"],
    ),
    claim(
        "the amount is that of the success that speaks by reference",
        *PAID,
        call("E1", "R", 500, at="11:00"),
        call("E2", "", 490, merchant="T1", at="12:00"),
        gives=[*IN_ORDER, "callback E2 of L1 = T1"],
    ),
    claim(
        "a success that has only our reference is no second orphan beside the one that names the provider's",
        call("E1", "RF", -500, merchant="O"),
        call("E2", "", -500, merchant="O"),
        call("E3", "", -400, merchant="O"),
        gives={THU: ["orphan_callback E1, -500 USD", "orphan_callback E3, -400 USD"]},
    ),
    # The last word at one instant
    claim(
        "in one second success comes after failure, whatever the ids",
        *PAID,
        call("E2", "R", 500, status="failed"),
        call("E1", "R", 500),
        call("E3", "R", 500, status="pending"),
        gives=[*IN_ORDER, "callback E2 of L1 = T1", "callback E3 of L1 = T1"],
    ),
    claim(
        "in one second a reversal comes after success and dispute",
        *PAID,
        call("E3", "R", 500, status="disputed"),
        call("E2", "R", 500),
        call("E1", "R", 500, status="reversed"),
        gives=[
            *IN_ORDER,
            "callback E2 of L1 = T1",
            "callback E3 of L1 = T1",
            "status_conflict T1, 500 USD",
        ],
    ),
    claim(
        "a sequence comes before the rank of the status, and none before any",
        *PAID,
        call("E1", "R", 500, sequence=-2),
        call("E2", "R", 500, status="failed", sequence=-1),
        settle("L2", "Q", 600),
        post("T2", "Q", 600),
        call("E3", "Q", 600, sequence=-5),
        call("E4", "Q", 600, status="reversed"),
        gives=[
            *IN_ORDER,
            "callback E2 of L1 = T1",
            "status_conflict T1, 500 USD",
            "exact_reference one_to_one exact: L2 = T2, 600 USD",
            "callback E3 of L2 = T2",
            "callback E4 of L2 = T2",
        ],
    ),
    # Several matches of one reference
    claim(
        "two captures under one reference on two days: each amount is that of one of them",
        *PAID,
        call("E1", "R", 500),
        settle("L2", "R", 200, on=TUE),
        post("T2", "R", 200, on=TUE),
        call("E2", "R", 200, on=TUE),
        gives={
            MON: IN_ORDER,
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, 200 USD",
                "callback E1 of L2 = T2",
                "callback E2 of L1 = T1",
                "callback E2 of L2 = T2",
            ],
        },
    ),
    claim(
        "an amount that is none of the captures' is a mismatch, once",
        *PAID,
        call("E1", "R", 500),
        settle("L2", "R", 200, on=TUE),
        post("T2", "R", 200, on=TUE),
        call("E2", "R", 250, on=TUE),
        gives={
            MON: IN_ORDER,
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, 200 USD",
                "callback E1 of L2 = T2",
                "callback E2 of L1 = T1",
                "callback E2 of L2 = T2",
                "amount_mismatch E2, 250 USD, off by 50",
            ],
        },
    ),
    claim(
        "a payout's callback speaks for the batch that its movement names, whichever way it is signed",
        settle("L1", "A", 600, batch="PO"),
        settle("L2", "B", 400, batch="PO"),
        post("T1", "PO", 1000, type="payout"),
        call("E1", "A", 600),
        call("E2", "PO", -1000),
        gives=[
            "batch_total many_to_one exact: L1 + L2 = T1, 1000 USD",
            "callback E1 of L1 + L2 = T1",
            "callback E2 of L1 + L2 = T1",
        ],
    ),
    # Failed lines
    claim(
        "the success of a refund is no conflict with a payment that was returned",
        settle("L1", "R", 500, status="returned"),
        call("E1", "R", -500),
        gives={
            MON: ["failed_settlement L1, 500 USD", "open L1, 500 USD, aged 0"],
            TUE: ["open L1, 500 USD, aged 1"],
            WED: ["open L1, 500 USD, aged 2"],
            THU: ["open L1, 500 USD, aged 3", "orphan_callback E1, -500 USD"],
        },
    ),
    claim(
        "the success of the second attempt is no conflict with the line of the first",
        settle("L1", "A1", 500, merchant="O", status="failed"),
        call("E1", "A1", 500, merchant="O", status="failed"),
        settle("L2", "A2", 500, merchant="O"),
        post("T2", "A2", 500, intent="O"),
        call("E2", "A2", 500, merchant="O"),
        gives={
            MON: [
                "failed_settlement L1, 500 USD",
                "open L1, 500 USD, aged 0",
                "exact_reference one_to_one exact: L2 = T2, 500 USD",
                "callback E2 of L2 = T2",
            ],
            TUE: ["open L1, 500 USD, aged 1"],
            WED: ["open L1, 500 USD, aged 2"],
            THU: ["open L1, 500 USD, aged 3"],
        },
    ),
    claim(
        "a line that failed although its callback succeeded is a conflict, also where nothing was posted",
        settle("L1", "R", 500, status="failed"),
        call("E1", "R", 500),
        gives={
            MON: ["failed_settlement L1, 500 USD", "open L1, 500 USD, aged 0", "status_conflict L1, 500 USD"],
            TUE: ["open L1, 500 USD, aged 1"],
            WED: ["open L1, 500 USD, aged 2"],
            THU: ["open L1, 500 USD, aged 3"],
        },
    ),
    # Money gone back
    claim(
        "a debit that fails within one file: everyone agrees that the money went back",
        *PAID,
        settle("L2", "R", -500),
        post("T2", "R", -500),
        call("E1", "R", 500, at="11:00"),
        call("E2", "R", 500, status="failed", at="12:00"),
        gives=[GONE_BACK, "callback E1 of L1 + L2 = T1 + T2", "callback E2 of L1 + L2 = T1 + T2"],
    ),
    claim(
        "a debit that fails days later, settled and posted back by then, is no conflict",
        *PAID,
        call("E1", "R", 500),
        settle("L2", "R", -500, on=WED),
        post("T2", "R", -500, on=WED),
        call("E2", "R", 500, status="failed", on=WED),
        gives={
            MON: IN_ORDER,
            WED: [
                REFUNDED,
                "callback E1 of L2 = T2",
                "callback E2 of L1 = T1",
                "callback E2 of L2 = T2",
            ],
        },
    ),
    claim(
        "a debit that fails before it is settled and posted back is a conflict until then",
        *PAID,
        call("E1", "R", 500),
        call("E2", "R", 500, status="failed", on=TUE),
        settle("L2", "R", -500, on=WED),
        post("T2", "R", -500, on=WED),
        gives={
            MON: IN_ORDER,
            TUE: ["callback E2 of L1 = T1", "status_conflict T1, 500 USD"],
            WED: [
                REFUNDED,
                "callback E1 of L2 = T2",
                "callback E2 of L2 = T2",
                "resolved as matched_late: status_conflict T1, 500 USD",
            ],
        },
    ),
    claim(
        "a debit that only the provider took back is a conflict still",
        *PAID,
        settle("L2", "R", -500, on=TUE),
        call("E1", "R", 500),
        call("E2", "R", 500, status="failed", on=TUE),
        gives={
            MON: IN_ORDER,
            TUE: [
                "callback E2 of L1 = T1",
                "status_conflict T1, 500 USD",
                "unmatched_provider_row L2, -500 USD",
                "open L2, -500 USD, aged 0",
            ],
            WED: ["open L2, -500 USD, aged 1"],
            THU: ["open L2, -500 USD, aged 2"],
        },
    ),
    claim(
        "a refund that failed and came back under its reference is no conflict",
        *REFUND,
        call("E1", "RF", -500, at="11:00"),
        settle("L3", "RF", 500, type="refund"),
        post("T3", "RF", 500, type="refund"),
        call("E2", "RF", -500, status="failed", at="12:00"),
        gives=[
            "exact_reference many_to_many exact: L2 + L3 = T2 + T3, 0 USD",
            "callback E1 of L2 + L3 = T2 + T3",
            "callback E2 of L2 + L3 = T2 + T3",
        ],
    ),
    claim(
        "a reversal after which the refund of another reference was booked is a conflict: its own reference says so",
        *PAID,
        *REFUND,
        call("E1", "R", 500, at="11:00"),
        call("E2", "R", 500, status="reversed", at="12:00"),
        call("E3", "RF", -500),
        gives=[*IN_ORDER, "callback E2 of L1 = T1", "status_conflict T1, 500 USD", REFUNDED, "callback E3 of L2 = T2"],
    ),
    claim(
        "a debit that is taken back and paid again under its reference settled something: its failure is a conflict",
        *PAID,
        settle("L2", "R", -500, on=TUE),
        post("T2", "R", -500, on=TUE),
        settle("L3", "R", 300, on=TUE),
        post("T3", "R", 300, on=TUE),
        call("E1", "R", 500),
        call("E2", "R", 500, status="failed", on=TUE),
        gives={
            MON: IN_ORDER,
            TUE: [
                "exact_reference many_to_many exact: L2 + L3 = T2 + T3, -200 USD",
                "callback E1 of L2 + L3 = T2 + T3",
                "callback E2 of L1 = T1",
                "callback E2 of L2 + L3 = T2 + T3",
                "status_conflict T1, 500 USD",
                "status_conflict T2, -200 USD",
            ],
        },
    ),
    claim(
        "a late refund callback is late for its refund and not for the payment",
        *PAID,
        call("E1", "R", 500),
        *REFUND,
        call("E2", "RF", -500, on=TUE),
        gives={
            MON: [*IN_ORDER, REFUNDED, "missing_callback T2, -500 USD"],
            TUE: [
                "callback E2 of L2 = T2",
                "late_callback E2, -500 USD",
                "resolved as matched_late: missing_callback T2, -500 USD",
            ],
        },
    ),
    claim(
        "an orphan of a refund is answered when the refund is booked at last",
        settle("L1", "R", 500, merchant="O"),
        post("T1", "R", 500, intent="O"),
        call("E1", "R", 500, merchant="O"),
        call("E2", "RF", -500, merchant="O"),
        settle("L2", "RF", -500, type="refund", original="R", on=THU),
        post("T2", "RF", -500, type="refund", on=THU),
        gives={MON: IN_ORDER, THU: [REFUNDED, "callback E2 of L2 = T2"]},
    ),
    # Conflicts
    claim(
        "a second payload that comes the day after takes the success back",
        *PAID,
        call("E1", "R", 500),
        call("E1", "R", 510, received="2026-04-21T12:00:00Z"),
        gives={MON: IN_ORDER, TUE: ["conflicting_callback E1, 500 USD", "missing_callback T1, 500 USD"]},
    ),
    claim(
        "a second payload misses nothing where another success holds",
        *PAID,
        call("E1", "R", 500),
        call("E2", "R", 500),
        call("E1", "R", 510, received="2026-04-21T12:00:00Z"),
        gives={MON: [*IN_ORDER, "callback E2 of L1 = T1"], TUE: ["conflicting_callback E1, 500 USD"]},
    ),
    claim(
        "two movement types under one event id are two payloads",
        *PAID,
        call("E1", "R", 500, movement="payment"),
        call("E1", "R", 500),
        gives=[PAIR, "conflicting_callback E1, 500 USD", "missing_callback T1, 500 USD"],
    ),
]

NORMALIZED = [
    claim(
        "a callback speaks by its reference as the profile normalizes it",
        settle("L1", "pay-1", 500),
        post("T1", "pay-1", 500),
        call("E1", "PAY#1", 500, at="11:00"),
        call("E2", "PAY 1", 500, at="12:00", status="reversed"),
        gives=[*IN_ORDER, "callback E2 of L1 = T1", "status_conflict T1, 500 USD"],
    ),
    claim(
        "a reference that something has once it is normalized does not speak by the merchant reference",
        *PAID,
        settle("L2", "pay-2", 600),
        call("E1", "PAY 2", 500, merchant="T1"),
        gives={
            MON: [
                PAIR,
                "missing_callback T1, 500 USD",
                "unmatched_provider_row L2, 600 USD",
                "open L2, 600 USD, aged 0",
            ]
        },
    ),
    claim(
        "callbacks of one match, one reference written in two ways: each has its part in the last word",
        settle("L1", "pay-3", -500, type="refund"),
        post("T1", "pay-3", -500, type="refund"),
        call("E1", "PAY-3", -500, at="12:00"),
        call("E2", "pay-3", -500, at="11:00", status="failed"),
        call("E3", "pay-3", 500, at="13:00", status="failed"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, -500 USD",
            "callback E1 of L1 = T1",
            "callback E2 of L1 = T1",
        ],
    ),
]


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "normalized", NORMALIZED, (MON,), {"reference_normalizer": "alphanumeric"})


@pytest.mark.parametrize(("number", "each"), list(enumerate(NORMALIZED)), ids=[each.says for each in NORMALIZED])
def test_claim_with_a_normalizer(normalized: list[Said], number: int, each: Claim) -> None:
    assert normalized[number] == expected(each)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "direction", CLAIMS, WINDOWS)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim(said: list[Said], number: int, each: Claim) -> None:
    assert said[number] == expected(each)
