"""What a hostile accountant claims about passes, classes, ties, tolerances, normalizers and batches."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, call, post, settle

PLAIN = {"expects_callbacks": False, "amount_tolerance_minor": {"USD": 2}, "reference_normalizer": "alphanumeric"}
SUGGEST = {"expects_callbacks": False, "amount_date_rule": "suggest", "reference_normalizer": r"PAY-([0-9]+)$"}


def left(*items: str) -> list[str]:
    """Open items of Monday, aged 0: `id, amount currency`."""
    return [f"open {item}, aged 0" for item in items]


CLAIMS = [
    claim(
        "references are compared code point by code point: two forms of é are two references to the exact pass",
        settle("L1", "caf\u00e9 1", 700),
        post("T1", "cafe\u0301 2", 700),
        gives=[*left("L1, 700 USD", "T1, 700 USD"), "unmatched_provider_row L1, 700 USD"],
    ),
    claim(
        "a normalizer folds case, also where one letter becomes two, and drops what is no letter and no digit",
        settle("L1", "stra\u00dfe-7", 701),
        post("T1", "STRASSE 7", 701),
        gives=["normalized_reference one_to_one exact: L1 = T1, 701 USD"],
    ),
    claim(
        "digits of any script are kept as they are: an Arabic seven is no seven",
        settle("L1", "No \u0667", 702),
        post("T1", "no7", 702),
        gives=[*left("L1, 702 USD", "T1, 702 USD"), "unmatched_provider_row L1, 702 USD"],
    ),
    claim(
        "leading zeros are kept",
        settle("L1", "A-007", 703),
        post("T1", "a7", 703),
        gives=[*left("L1, 703 USD", "T1, 703 USD"), "unmatched_provider_row L1, 703 USD"],
    ),
    claim(
        "a difference of the tolerance is tolerated, and one beyond it is not",
        settle("L1", "R", 1_002),
        post("T1", "R", 1_000),
        settle("L2", "S", 1_003),
        post("T2", "S", 1_000),
        gives=[
            "amount_mismatch L2, 1003 USD, off by 3",
            "exact_reference one_to_one exact: L2 = T2, 1003 against 1000 USD, off by 3",
            "exact_reference one_to_one tolerance: L1 = T1, 1002 against 1000 USD, off by 2",
        ],
    ),
    claim(
        "a currency that the tolerance map does not name has none",
        settle("L1", "R", 1_001, "EUR"),
        post("T1", "R", 1_000, "EUR"),
        gives=[
            "amount_mismatch L1, 1001 EUR, off by 1",
            "exact_reference one_to_one exact: L1 = T1, 1001 against 1000 EUR, off by 1",
        ],
    ),
    claim(
        "classes of one reference never meet: a refund settled against a payment posted",
        settle("L1", "R", -500, type="refund"),
        post("T1", "R", -500),
        gives=[*left("L1, -500 USD", "T1, -500 USD"), "unmatched_provider_row L1, -500 USD"],
    ),
    claim(
        "a chargeback posted as a credit is a reversal",
        settle("L1", "R", 510, type="chargeback_reversal"),
        post("T1", "R", 510, type="chargeback"),
        gives=["exact_reference one_to_one exact: L1 = T1, 510 USD"],
    ),
    claim(
        "equal sums match as one group, many to many",
        settle("L1", "R", 30),
        settle("L2", "R", 30),
        settle("L3", "R", 40),
        post("T1", "R", 50),
        post("T2", "R", 50),
        gives=["exact_reference many_to_many exact: L1 + L2 + L3 = T1 + T2, 100 USD"],
    ),
    claim(
        "of equal seconds the smaller id comes first, and the later twin is the duplicate",
        settle("L2", "R", 610),
        settle("L1", "R", 610),
        post("T1", "R", 610),
        gives=[
            "duplicate_settlement_line L2, 610 USD, off by 610",
            "exact_reference one_to_one exact: L1 = T1, 610 USD",
            *left("L2, 610 USD"),
        ],
    ),
    claim(
        "what the exact pass consumes the next does not see",
        settle("L1", "R-1", 620),
        post("T1", "R-1", 620),
        post("T2", "r1", 620),
        gives=[
            "duplicate_ledger_posting T2, 620 USD, off by -620",
            "exact_reference one_to_one exact: L1 = T1, 620 USD",
            *left("T2, 620 USD"),
        ],
    ),
    claim(
        "a line that names a movement by its transaction, and one by its intent",
        settle("L1", "x", 630, merchant="T1"),
        post("T1", "y", 630),
        settle("L2", "v", 640, merchant="I2"),
        post("T2", "w", 640, intent="I2"),
        gives=[
            "internal_reference one_to_one exact: L1 = T1, 630 USD",
            "internal_reference one_to_one exact: L2 = T2, 640 USD",
        ],
    ),
    claim(
        "a callback that carries both references bridges",
        settle("L1", "prov", 650),
        post("T1", "own", 650),
        call("C1", "prov", 650, merchant="T1"),
        gives=["callback C1 of L1 = T1", "callback_bridge one_to_one exact: L1 = T1, 650 USD"],
    ),
    claim(
        "a failed line takes part in no batch",
        settle("L1", "a", 100, fee=3, batch="B"),
        settle("L2", "b", 200, batch="B", status="failed"),
        settle("L3", "", -7, type="fee", batch="B"),
        settle("L4", "po", -90, type="payout", batch="B"),
        post("T1", "B", 90, type="payout"),
        gives=[
            "batch_total many_to_one exact: L1 + L3 = T1, 90 USD",
            "failed_settlement L2, 200 USD",
            *left("L2, 200 USD"),
        ],
    ),
    claim(
        "two movements bear the batch and one of them is its sum: not exactly one, so none",
        settle("L1", "a", 800, batch="B"),
        post("T1", "B", 800, type="payout"),
        post("T2", "B", 5, type="payout"),
        gives=[*left("L1, 800 USD", "T1, 800 USD", "T2, 5 USD"), "unmatched_provider_row L1, 800 USD"],
    ),
    claim(
        "a batch knows its currency: what it settles in another is another batch",
        settle("L1", "a", 810, batch="B"),
        settle("L2", "b", 820, "EUR", batch="B"),
        post("T1", "B", 810, type="payout"),
        gives=[
            "batch_total one_to_one exact: L1 = T1, 810 USD",
            *left("L2, 820 EUR"),
            "unmatched_provider_row L2, 820 EUR",
        ],
    ),
    claim(
        "a batch disregards class, and takes a refund posted as a payment",
        settle("L1", "a", -830, type="refund", batch="B"),
        post("T1", "B", -830),
        gives=["batch_total one_to_one exact: L1 = T1, -830 USD"],
    ),
]

SUGGESTED = [
    claim(
        "a regex keeps its group, and leaves what it does not match unchanged",
        settle("L1", "PAY-77", 900),
        post("T1", "booked as PAY-77", 900),
        settle("L2", "pay-78", 901),
        post("T2", "booked as pay-78", 902),
        gives=[
            "normalized_reference one_to_one exact: L1 = T1, 900 USD",
            *left("L2, 901 USD", "T2, 902 USD"),
            "unmatched_provider_row L2, 901 USD",
        ],
    ),
    claim(
        "a suggestion consumes nothing and the line stays unmatched",
        settle("L1", "a", 910),
        post("T1", "b", 910),
        gives=[
            "suggested amount_date one_to_one exact: L1 = T1, 910 USD",
            *left("L1, 910 USD", "T1, 910 USD"),
            "unmatched_provider_row L1, 910 USD",
        ],
    ),
    claim(
        "a line with two candidates is ambiguous, and so is each of two lines with one",
        settle("L1", "a", 920),
        post("T1", "b", 920),
        post("T2", "c", 920),
        settle("L2", "d", 930),
        settle("L3", "e", 930),
        post("T3", "f", 930),
        gives=[
            "ambiguous_match L1, 920 USD",
            "ambiguous_match L2, 930 USD",
            "ambiguous_match L3, 930 USD",
            *left("L1, 920 USD", "L2, 930 USD", "L3, 930 USD", "T1, 920 USD", "T2, 920 USD", "T3, 930 USD"),
        ],
    ),
    claim(
        "a suggestion is within a class and a currency",
        settle("L1", "a", 940),
        post("T1", "b", 940, "EUR"),
        settle("L2", "c", -941, type="refund"),
        post("T2", "d", -941, type="chargeback"),
        gives=[
            *left("L1, 940 USD", "L2, -941 USD", "T1, 940 EUR", "T2, -941 USD"),
            "unmatched_provider_row L1, 940 USD",
            "unmatched_provider_row L2, -941 USD",
        ],
    ),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "accountant", CLAIMS, (MON,), PLAIN)


@pytest.fixture(scope="module")
def suggested(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "accountant_suggests", SUGGESTED, (MON,), SUGGEST)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim_about_passes(said: list[Said], number: int, each: Claim) -> None:
    assert said[number] == expected(each)


@pytest.mark.parametrize(("number", "each"), list(enumerate(SUGGESTED)), ids=[each.says for each in SUGGESTED])
def test_claim_about_suggestions(suggested: list[Said], number: int, each: Claim) -> None:
    assert suggested[number] == expected(each)
