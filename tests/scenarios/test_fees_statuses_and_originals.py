"""Claims about fees, failed lines, last words and originals (contract §6, §10.9–10.11, §10.18)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, TUE, call, post, settle

PROFILE = {
    "expects_callbacks": False,
    "fee_schedule": {
        "USD": {"payment": {"rate_bps": 290, "fixed_minor": 30, "tolerance_minor": 1}},
        "*": {"refund": {"rate_bps": 0, "fixed_minor": 0, "tolerance_minor": 0}},
    },
}

CLAIMS = [
    claim(
        "a fee within tolerance and a half of its schedule is none of anybody's business",
        settle("L1", "R1", 10_000, fee=321),
        post("T1", "R1", 10_000),
        settle("L2", "R2", 10_050, fee=320),
        post("T2", "R2", 10_050),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 10000 USD",
            "exact_reference one_to_one exact: L2 = T2, 10050 USD",
        ],
    ),
    claim(
        "a fee beyond it is a variance beside the match",
        settle("L1", "R1", 10_000, fee=322),
        post("T1", "R1", 10_000),
        gives=["exact_reference one_to_one exact: L1 = T1, 10000 USD", "fee_variance L1, 322 USD, off by 2"],
    ),
    claim(
        "a fee below its schedule is a variance too",
        settle("L1", "R1", 10_000, fee=300),
        post("T1", "R1", 10_000),
        gives=["exact_reference one_to_one exact: L1 = T1, 10000 USD", "fee_variance L1, 300 USD, off by -20"],
    ),
    claim(
        "a currency without a schedule has no expected fee, a line type for all currencies has",
        settle("L1", "R1", 10_000, "EUR", fee=999),
        post("T1", "R1", 10_000, "EUR"),
        settle("L2", "R2", -500, "EUR", type="refund", fee=1),
        post("T2", "R2", -500, "EUR", type="refund"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
            "exact_reference one_to_one exact: L2 = T2, -500 EUR",
            "fee_variance L2, 1 EUR, off by 1",
        ],
    ),
    claim(
        "a failed line is reported, takes part in no match, and its movement stays open",
        settle("L1", "R1", 500, fee=45, status="failed"),
        post("T1", "R1", 500),
        gives=["failed_settlement L1, 500 USD", "open L1, 500 USD, aged 0", "open T1, 500 USD, aged 0"],
    ),
    claim(
        "a payout the provider reports returned is reported though it needs no movement",
        settle("L1", "po_1", -500, type="payout", status="returned"),
        gives=["failed_settlement L1, -500 USD"],
    ),
    claim(
        "settled money whose last word is failed is a conflict, one whose last word is disputed is none",
        settle("L1", "R1", 500, fee=45),
        post("T1", "R1", 500),
        call("E1", "R1", 500, at="10:00"),
        call("E2", "R1", 500, status="failed", at="11:00"),
        settle("L2", "R2", 500, fee=45),
        post("T2", "R2", 500),
        call("E3", "R2", 500, at="10:00"),
        call("E4", "R2", 500, status="disputed", at="11:00"),
        gives=[
            "callback E1 of L1 = T1",
            "callback E2 of L1 = T1",
            "callback E3 of L2 = T2",
            "callback E4 of L2 = T2",
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "exact_reference one_to_one exact: L2 = T2, 500 USD",
            "status_conflict T1, 500 USD",
        ],
    ),
    claim(
        "a failed line whose last word is succeeded is a conflict of the line",
        settle("L1", "R1", 500, fee=45, status="returned"),
        call("E1", "R1", 500),
        gives=["failed_settlement L1, 500 USD", "open L1, 500 USD, aged 0", "status_conflict L1, 500 USD"],
    ),
    claim(
        "a reversal heard of the next day makes the match of yesterday a conflict",
        settle("L1", "R1", 500, fee=45),
        post("T1", "R1", 500),
        call("E1", "R1", 500),
        call("E2", "R1", 500, status="reversed", on=TUE),
        gives={
            MON: ["callback E1 of L1 = T1", "exact_reference one_to_one exact: L1 = T1, 500 USD"],
            TUE: ["callback E2 of L1 = T1", "status_conflict T1, 500 USD"],
        },
    ),
    claim(
        "a refund of nobody's payment is unresolved until the payment is known",
        settle("L1", "r1", -100, type="refund", original="pay"),
        post("T1", "r1", -100, type="refund"),
        settle("L2", "pay", 100, fee=33, on=TUE),
        post("T2", "pay", 100, on=TUE),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, -100 USD", "unresolved_reference L1, -100 USD"],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, 100 USD",
                "resolved as matched_late: unresolved_reference L1, -100 USD",
            ],
        },
    ),
    claim(
        "a movement that has the reference is original enough, and a blank reference claims nothing",
        settle("L1", "r1", -100, type="refund", original="pay"),
        post("T1", "r1", -100, type="refund"),
        post("T2", "pay", 100),
        settle("L2", "r2", -100, type="refund"),
        post("T3", "r2", -100, type="refund"),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, -100 USD",
                "exact_reference one_to_one exact: L2 = T3, -100 USD",
                "open T2, 100 USD, aged 0",
            ],
            TUE: ["open T2, 100 USD, aged 1"],
        },
    ),
    claim(
        "each refund that leaves more taken back than was paid is over-applied, a reversal makes room again",
        settle("P", "pay", 1_000, fee=59),
        post("TP", "pay", 1_000),
        settle("L1", "r1", -800, type="refund", original="pay", at="10:01"),
        post("T1", "r1", -800, type="refund"),
        settle("L2", "c1", -300, type="chargeback", original="pay", at="10:02"),
        post("T2", "c1", -300, type="chargeback"),
        settle("L3", "c1r", 300, type="chargeback_reversal", original="pay", at="10:03"),
        post("T3", "c1r", 300, type="chargeback"),
        settle("L4", "r2", -200, type="refund", original="pay", at="10:04"),
        post("T4", "r2", -200, type="refund"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, -800 USD",
            "exact_reference one_to_one exact: L2 = T2, -300 USD",
            "exact_reference one_to_one exact: L3 = T3, 300 USD",
            "exact_reference one_to_one exact: L4 = T4, -200 USD",
            "exact_reference one_to_one exact: P = TP, 1000 USD",
            "over_applied_reference L2, -300 USD, off by 100",
        ],
    ),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "fees", CLAIMS, (MON, TUE), PROFILE)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim_about_fees_statuses_and_originals(said: list[Said], number: int, each: Claim) -> None:
    carried = {window: [text for text in texts if ", aged 1" not in text] for window, texts in said[number].items()}
    wanted = {window: [text for text in texts if ", aged 1" not in text] for window, texts in expected(each).items()}
    assert {w: t for w, t in carried.items() if t} == {w: t for w, t in wanted.items() if t}
