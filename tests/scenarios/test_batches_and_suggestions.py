"""Claims about the passes without a shared reference: batch_total and amount_date (contract §5, §10.5, §10.7)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, THU, TUE, entry, post, settle

SUGGEST = {"expects_callbacks": False, "amount_date_rule": "suggest"}
MATCH = {"expects_callbacks": False, "amount_date_rule": "match"}

BATCHES = [
    claim(
        "the net of a batch's settled lines but its payout equals the one movement that names the batch, fees included",
        settle("L1", "x1", 11_100, fee=59, batch="B"),
        settle("L2", "x2", -2_200, type="refund", batch="B"),
        settle("L3", "", -55, type="fee", batch="B"),
        settle("L4", "po", -8_786, type="payout", batch="B"),
        post("T1", "B", 8_786, type="payout"),
        gives=["batch_total many_to_one exact: L1 + L2 + L3 = T1, 8786 USD"],
    ),
    claim(
        "a batch whose sum is not the movement stays open on both sides",
        settle("L1", "x1", 11_200, batch="B"),
        post("T1", "B", 11_201, type="payout"),
        gives=["open L1, 11200 USD, aged 0", "open T1, 11201 USD, aged 0", "unmatched_provider_row L1, 11200 USD"],
    ),
    claim(
        "a batch of which one line is matched already is no batch any more",
        settle("L1", "R1", 11_300, batch="B"),
        settle("L2", "x2", 400, batch="B"),
        post("T1", "R1", 11_300),
        post("T2", "B", 11_700, type="payout"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 11300 USD",
            "open L2, 400 USD, aged 0",
            "open T2, 11700 USD, aged 0",
            "unmatched_provider_row L2, 400 USD",
        ],
    ),
    claim(
        "two movements that both equal the batch leave its lines ambiguous",
        settle("L1", "x1", 11_400, batch="B"),
        post("T1", "B", 11_400, type="payout"),
        post("T2", "B", 11_400, type="payout"),
        gives=[
            "ambiguous_match L1, 11400 USD",
            "open L1, 11400 USD, aged 0",
            "open T1, 11400 USD, aged 0",
            "open T2, 11400 USD, aged 0",
        ],
    ),
    claim(
        "a batch that comes to nothing or below matches like any other",
        settle("L1", "x1", 11_500, batch="B"),
        settle("L2", "x2", -11_600, type="chargeback", batch="B"),
        post("T1", "B", -100, type="payout"),
        gives=["batch_total many_to_one exact: L1 + L2 = T1, -100 USD"],
    ),
    claim(
        "a batch movement posted a day later finds the fee line the first day had accounted for",
        settle("L1", "x1", 11_800, batch="B"),
        settle("L2", "", -80, type="fee", batch="B"),
        post("T1", "B", 11_720, type="payout", on=TUE),
        gives={
            MON: ["open L1, 11800 USD, aged 0", "unmatched_provider_row L1, 11800 USD"],
            TUE: [
                "batch_total many_to_one exact: L1 + L2 = T1, 11720 USD",
                "resolved as matched_late: unmatched_provider_row L1, 11800 USD",
            ],
        },
    ),
    claim(
        "a failed line counts in no batch total",
        settle("L1", "x1", 11_900, batch="B"),
        settle("L2", "x2", 70, batch="B", status="failed"),
        post("T1", "B", 11_900, type="payout"),
        gives=[
            "batch_total one_to_one exact: L1 = T1, 11900 USD",
            "failed_settlement L2, 70 USD",
            "open L2, 70 USD, aged 0",
        ],
    ),
]

SUGGESTIONS = [
    claim(
        "a sole pair of the same amount is suggested and consumes nothing",
        settle("L1", "", 21_100),
        post("T1", "", 21_100),
        gives=[
            "open L1, 21100 USD, aged 0",
            "open T1, 21100 USD, aged 0",
            "suggested amount_date one_to_one exact: L1 = T1, 21100 USD",
            "unmatched_provider_row L1, 21100 USD",
        ],
    ),
    claim(
        "two lines for one movement are ambiguous and nothing is suggested",
        settle("L1", "a", 21_200),
        settle("L2", "b", 21_200),
        post("T1", "c", 21_200),
        gives=[
            "ambiguous_match L1, 21200 USD",
            "ambiguous_match L2, 21200 USD",
            "open L1, 21200 USD, aged 0",
            "open L2, 21200 USD, aged 0",
            "open T1, 21200 USD, aged 0",
        ],
    ),
    claim(
        "another class, another currency and zero are no candidates",
        settle("L1", "a", 21_300),
        post("T1", "b", 21_300, type="refund"),
        settle("L2", "c", 21_301),
        post("T2", "d", 21_301, "EUR"),
        settle("L3", "e", 0),
        entry("T3.1", "T3", "f", "settlement_account", "debit", 5),
        entry("T3.2", "T3", "f", "settlement_account", "credit", 5),
        gives=[
            "open L1, 21300 USD, aged 0",
            "open L2, 21301 USD, aged 0",
            "open T1, 21300 USD, aged 0",
            "open T2, 21301 EUR, aged 0",
            "open T3, 0 USD, aged 0",
            "unmatched_provider_row L1, 21300 USD",
            "unmatched_provider_row L2, 21301 USD",
        ],
    ),
]

CONFIRMED = [
    claim(
        "a sole mutual pair matches where the profile says so",
        settle("L1", "", 31_100),
        post("T1", "", 31_100),
        gives=["amount_date one_to_one exact: L1 = T1, 31100 USD"],
    ),
    claim(
        "more business days apart than the lag are no candidates",
        post("T1", "", 31_200),
        settle("L1", "", 31_200, on=THU),
        gives={
            MON: ["open T1, 31200 USD, aged 0"],
            THU: [
                "open L1, 31200 USD, aged 0",
                "open T1, 31200 USD, aged 3",
                "unmatched_ledger_entry T1, 31200 USD",
                "unmatched_provider_row L1, 31200 USD",
            ],
        },
    ),
]


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "batches", BATCHES, (MON, TUE), {"expects_callbacks": False})


@pytest.fixture(scope="module")
def suggestions(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "suggestions", SUGGESTIONS, (MON,), SUGGEST)


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "confirmed", CONFIRMED, (MON, THU), MATCH)


@pytest.mark.parametrize(("number", "each"), list(enumerate(BATCHES)), ids=[each.says for each in BATCHES])
def test_claim_about_batches(batches: list[Said], number: int, each: Claim) -> None:
    said = {window: [text for text in texts if ", aged 1" not in text] for window, texts in batches[number].items()}
    assert {window: texts for window, texts in said.items() if texts} == expected(each)


@pytest.mark.parametrize(("number", "each"), list(enumerate(SUGGESTIONS)), ids=[each.says for each in SUGGESTIONS])
def test_claim_about_suggestions(suggestions: list[Said], number: int, each: Claim) -> None:
    assert suggestions[number] == expected(each)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CONFIRMED)), ids=[each.says for each in CONFIRMED])
def test_claim_about_amount_and_date_that_match(confirmed: list[Said], number: int, each: Claim) -> None:
    assert confirmed[number] == expected(each)
