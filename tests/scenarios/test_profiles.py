"""Claims about what a profile changes: normalizers, tolerance, net, lag, accounts, time zones (contract §1, §10)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, TUE, call, entry, post, settle

ALPHANUMERIC = {
    "expects_callbacks": False,
    "reference_normalizer": "alphanumeric",
    "amount_tolerance_minor": {"USD": 5, "KWD": 1},
}
ALPHANUMERIC_CLAIMS = [
    claim(
        "case, spaces and punctuation do not count",
        settle("L1", "Pay-001/A", 500),
        post("T1", "PAY 001a", 500),
        gives=["normalized_reference one_to_one exact: L1 = T1, 500 USD"],
    ),
    claim(
        "letters and digits of any script count, folded as Unicode folds them",
        settle("L1", "STRASSE-\u0661", 500),
        post("T1", "stra\u00dfe \u0661", 500),
        settle("L2", "\u65e5\u672c-7", 600),
        post("T2", "\u65e5\u672c7", 600),
        gives=[
            "normalized_reference one_to_one exact: L1 = T1, 500 USD",
            "normalized_reference one_to_one exact: L2 = T2, 600 USD",
        ],
    ),
    claim(
        "leading zeros count",
        settle("L1", "X-007", 500),
        post("T1", "X-7", 500),
        gives={
            MON: ["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0", "open T1, 500 USD, aged 0"],
            TUE: ["open L1, 500 USD, aged 1", "open T1, 500 USD, aged 1"],
        },
    ),
    claim(
        "an exact reference comes first, and the normalized repeat of its amount is a duplicate",
        settle("L1", "pay1", 500, at="10:00"),
        settle("L2", "PAY-1", 500, at="10:01"),
        post("T1", "PAY-1", 500),
        gives={
            MON: [
                "exact_reference one_to_one exact: L2 = T1, 500 USD",
                "duplicate_settlement_line L1, 500 USD, off by 500",
                "open L1, 500 USD, aged 0",
            ],
            TUE: ["open L1, 500 USD, aged 1"],
        },
    ),
    claim(
        "groups form by the normalized reference",
        settle("L1", "ord.1", 300),
        settle("L2", "ORD 1", 200),
        post("T1", "Ord-1", 500),
        gives=["normalized_reference many_to_one exact: L1 + L2 = T1, 500 USD"],
    ),
    claim(
        "a callback belongs to a match by its normalized reference, and its amount is compared within tolerance",
        settle("L1", "CB-1", 500),
        post("T1", "CB-1", 500),
        call("E1", "cb1", 505),
        settle("L2", "CB-2", 600),
        post("T2", "CB-2", 600),
        call("E2", "cb2", 606),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "callback E1 of L1 = T1",
            "exact_reference one_to_one exact: L2 = T2, 600 USD",
            "callback E2 of L2 = T2",
            "amount_mismatch E2, 606 USD, off by 6",
        ],
    ),
    claim(
        "a difference within tolerance is shown and no exception",
        settle("L1", "R", 995),
        post("T1", "R", 1000),
        gives=["exact_reference one_to_one tolerance: L1 = T1, 995 against 1000 USD, off by -5"],
    ),
    claim(
        "a difference beyond tolerance is a mismatch",
        settle("L1", "R", 1006),
        post("T1", "R", 1000),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1006 against 1000 USD, off by 6",
            "amount_mismatch L1, 1006 USD, off by 6",
        ],
    ),
    claim(
        "a currency the map does not name has no tolerance",
        settle("L1", "R", 1001, "EUR"),
        post("T1", "R", 1000, "EUR"),
        settle("L2", "Q", 1001, "KWD"),
        post("T2", "Q", 1000, "KWD"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1001 against 1000 EUR, off by 1",
            "amount_mismatch L1, 1001 EUR, off by 1",
            "exact_reference one_to_one tolerance: L2 = T2, 1001 against 1000 KWD, off by 1",
        ],
    ),
    claim(
        "tolerance is for a pair: a group whose sums differ by less has a difference",
        settle("L1", "R", 300),
        settle("L2", "R", 200),
        post("T1", "R", 501),
        gives={
            MON: [
                "amount_mismatch L1, 500 USD, off by -1",
                "exact_reference many_to_one exact: L1 + L2 = T1, 500 against 501 USD, off by -1",
            ],
        },
    ),
    claim(
        "a later line joins a match with a difference by its normalized reference",
        settle("L1", "SPLIT-1", 800),
        post("T1", "split1", 1000),
        settle("L2", "Split 1", 200, on=TUE),
        gives={
            MON: [
                "normalized_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "amount_mismatch L1, 800 USD, off by -200",
            ],
            TUE: [
                "reversed normalized_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "normalized_reference many_to_one exact: L1 + L2 = T1, 1000 USD",
                "resolved as matched_late: amount_mismatch L1, 800 USD, off by -200",
            ],
        },
    ),
    claim(
        "a later line that repeats an amount paired under the normalized reference is a duplicate",
        settle("L1", "DUP-1", 500),
        post("T1", "dup1", 500),
        settle("L2", "Dup 1", 500, on=TUE),
        gives={
            MON: ["normalized_reference one_to_one exact: L1 = T1, 500 USD"],
            TUE: ["duplicate_settlement_line L2, 500 USD, off by 500", "open L2, 500 USD, aged 0"],
        },
    ),
]

NET = {
    "expects_callbacks": False,
    "reference_normalizer": "PAY-([0-9]+)",
    "compare_amount": "net",
    "settlement_lag_days": 0,
    "match_line_types": ["payment"],
    "clearing_accounts": ["card_clearing", "wire_clearing"],
}
NET_CLAIMS = [
    claim(
        "the group of a regex is the reference",
        settle("L1", "PAY-0101", 500),
        entry("E1", "T1", "PAY-0101/retry", "card_clearing", "credit", 500),
        entry("E2", "T1", "PAY-0101/retry", "reserved", "debit", 500),
        gives=["normalized_reference one_to_one exact: L1 = T1, 500 USD"],
    ),
    claim(
        "a regex that does not match leaves the reference as it is",
        settle("L1", "ORD-0102", 500),
        entry("E1", "T1", "ORD-0102x", "card_clearing", "credit", 500),
        entry("E2", "T1", "ORD-0102x", "reserved", "debit", 500),
        gives={
            MON: ["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0", "open T1, 500 USD, aged 0"],
            TUE: ["unmatched_ledger_entry T1, 500 USD", "open L1, 500 USD, aged 1", "open T1, 500 USD, aged 1"],
        },
    ),
    claim(
        "net is compared, and a match shows it as the settlement amount",
        settle("L1", "R", 1000, fee=30),
        entry("E1", "T1", "R", "card_clearing", "credit", 970),
        entry("E2", "T1", "R", "reserved", "debit", 970),
        gives=["exact_reference one_to_one exact: L1 = T1, 970 USD"],
    ),
    claim(
        "a movement is the net over all clearing accounts",
        settle("L1", "R", 800),
        entry("E1", "T1", "R", "card_clearing", "credit", 1000),
        entry("E2", "T1", "R", "wire_clearing", "debit", 200),
        entry("E3", "T1", "R", "reserved", "debit", 800),
        gives=["exact_reference one_to_one exact: L1 = T1, 800 USD"],
    ),
    claim(
        "an account that is not a clearing account makes no movement",
        settle("L1", "R", 500),
        post("T1", "R", 500),
        gives={
            MON: ["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0"],
            TUE: ["open L1, 500 USD, aged 1"],
        },
    ),
    claim(
        "a line type the profile does not name needs no movement",
        settle("L1", "R", -500, type="refund"),
        gives=[],
    ),
]

NEW_YORK = {
    "expects_callbacks": False,
    "timezone": "America/New_York",
    "window_cutoff": "17:00",
    "settlement_lag_days": 0,
}
NEW_YORK_CLAIMS = [
    claim(
        "a window begins at the cut-off of its own day, local time",
        post("T1", "R1", 100, on=MON, at="21:00:00"),
        post("T2", "R2", 200, on=TUE, at="20:59:59.999999"),
        post("T3", "R3", 300, on=TUE, at="21:00:00"),
        gives={
            MON: ["open T1, 100 USD, aged 0", "open T2, 200 USD, aged 0"],
            TUE: [
                "open T1, 100 USD, aged 1",
                "open T2, 200 USD, aged 1",
                "open T3, 300 USD, aged 0",
                "unmatched_ledger_entry T1, 100 USD",
                "unmatched_ledger_entry T2, 200 USD",
            ],
        },
    ),
    claim(
        "what was posted before the cut-off belongs to the window of the day before",
        post("T1", "R1", 100, on=MON, at="20:59:59"),
        gives={
            MON: ["open T1, 100 USD, aged 1", "unmatched_ledger_entry T1, 100 USD"],
            TUE: ["open T1, 100 USD, aged 2"],
        },
    ),
]


@pytest.fixture(scope="module")
def alphanumeric(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "alphanumeric", ALPHANUMERIC_CLAIMS, (MON, TUE), ALPHANUMERIC)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "net", NET_CLAIMS, (MON, TUE), NET)


@pytest.fixture(scope="module")
def new_york(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "new_york", NEW_YORK_CLAIMS, (MON, TUE), NEW_YORK)


@pytest.mark.parametrize(
    ("number", "each"), list(enumerate(ALPHANUMERIC_CLAIMS)), ids=[each.says for each in ALPHANUMERIC_CLAIMS]
)
def test_claim_with_alphanumeric_references_and_tolerance(alphanumeric: list[Said], number: int, each: Claim) -> None:
    assert alphanumeric[number] == expected(each)


@pytest.mark.parametrize(("number", "each"), list(enumerate(NET_CLAIMS)), ids=[each.says for each in NET_CLAIMS])
def test_claim_with_net_amounts_and_a_pattern(net: list[Said], number: int, each: Claim) -> None:
    assert net[number] == expected(each)


@pytest.mark.parametrize(
    ("number", "each"), list(enumerate(NEW_YORK_CLAIMS)), ids=[each.says for each in NEW_YORK_CLAIMS]
)
def test_claim_with_a_day_that_begins_at_five_in_new_york(new_york: list[Said], number: int, each: Claim) -> None:
    assert new_york[number] == expected(each)
