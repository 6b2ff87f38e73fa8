"""Claims about fees that are posted separately: the fee of a line is an item of its own (contract §1)."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import invariants
from tests.scenarios.claims import Claim, Said, claim, expected, played
from tests.scenarios.rows import MON, THU, TUE, WED, call, post, settle
from tests.scenarios.world import NOW, World
from zentra_pipeline.desk import deciding
from zentra_pipeline.review.record import DecisionRequest

SEPARATE = {"expects_callbacks": False, "fee_posting": "separate"}
WINDOWS = (MON, TUE, WED, THU)


def waits(item: str, amount: str, said: str = "") -> dict[str, list[str]]:
    """An item that stays open all week, and what is said of it on Monday."""
    days = {day: [f"open {item}, {amount}, aged {age}"] for age, day in enumerate(WINDOWS)}
    days[MON] += [said] if said else []
    return days


CLAIMS = [
    claim(
        "the fee of a line meets the fee movement of its reference, beside the payment",
        settle("L1", "R", 10_000, fee=290),
        post("T1", "R", 10_000),
        post("F1", "R", -290, type="fee"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 10000 USD",
            "exact_reference one_to_one exact: L1#fee = F1, -290 USD",
        ],
    ),
    claim(
        "a fee that nobody posted is an unmatched row by itself; posted on Wednesday, it is matched late",
        settle("L1", "R", 10_000, fee=290),
        post("T1", "R", 10_000),
        post("F1", "R", -290, type="fee", on=WED),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 10000 USD",
                "open L1#fee, -290 USD, aged 0",
                "unmatched_provider_row L1#fee, -290 USD",
            ],
            TUE: ["open L1#fee, -290 USD, aged 1"],
            WED: [
                "exact_reference one_to_one exact: L1#fee = F1, -290 USD",
                "resolved as matched_late: unmatched_provider_row L1#fee, -290 USD",
            ],
        },
    ),
    claim(
        "fees posted as the sum of their batch, a day later",
        settle("L1", "R1", 10_000, fee=290, batch="B"),
        settle("L2", "R2", 5_000, fee=175, batch="B"),
        settle("PO", "", -14_535, type="payout", batch="B"),
        post("T1", "R1", 10_000),
        post("T2", "R2", 5_000),
        post("F1", "B", -465, type="fee", on=TUE),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 10000 USD",
                "exact_reference one_to_one exact: L2 = T2, 5000 USD",
                "open L1#fee, -290 USD, aged 0",
                "open L2#fee, -175 USD, aged 0",
                "unmatched_provider_row L1#fee, -290 USD",
                "unmatched_provider_row L2#fee, -175 USD",
            ],
            TUE: [
                "batch_total many_to_one exact: L1#fee + L2#fee = F1, -465 USD",
                "resolved as matched_late: unmatched_provider_row L1#fee, -290 USD",
                "resolved as matched_late: unmatched_provider_row L2#fee, -175 USD",
            ],
        },
    ),
    claim(
        "a batch posted as its gross and its fees is two matches",
        settle("L1", "", 10_000, fee=290, batch="B"),
        settle("L2", "", 5_000, fee=175, batch="B"),
        post("T1", "B", 15_000),
        post("F1", "B", -465, type="fee"),
        gives=[
            "batch_total many_to_one exact: L1 + L2 = T1, 15000 USD",
            "batch_total many_to_one exact: L1#fee + L2#fee = F1, -465 USD",
        ],
    ),
    claim(
        "a batch posted as its net is one match of lines and fees: no fee counts twice",
        settle("L1", "", 10_000, fee=290, batch="B"),
        settle("L2", "", 5_000, fee=175, batch="B"),
        post("T1", "B", 14_535, type="payout"),
        gives=["batch_total many_to_one exact: L1 + L1#fee + L2 + L2#fee = T1, 14535 USD"],
    ),
    claim(
        "a batch posted as its gross alone leaves its fees to be posted",
        settle("L1", "", 10_000, fee=290, batch="B"),
        settle("L2", "", 5_000, batch="B"),
        post("T1", "B", 15_000),
        gives=waits("L1#fee", "-290 USD", "unmatched_provider_row L1#fee, -290 USD")
        | {
            MON: [
                "batch_total many_to_one exact: L1 + L2 = T1, 15000 USD",
                "open L1#fee, -290 USD, aged 0",
                "unmatched_provider_row L1#fee, -290 USD",
            ]
        },
    ),
    claim(
        "a fee that is nothing is no item, and one given back with a refund comes in",
        settle("L1", "R", 10_000),
        post("T1", "R", 10_000),
        settle("L2", "re", -4_000, type="refund", fee=-116),
        post("T2", "re", -4_000, type="refund"),
        post("F2", "re", 116, type="fee"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 10000 USD",
            "exact_reference one_to_one exact: L2 = T2, -4000 USD",
            "exact_reference one_to_one exact: L2#fee = F2, 116 USD",
        ],
    ),
    claim(
        "a fee of another amount differs by itself; what is missing of it comes a day later",
        settle("L1", "R", 10_000, fee=290),
        post("T1", "R", 10_000),
        post("F1", "R", -200, type="fee"),
        post("F2", "R", -90, type="fee", on=TUE),
        gives={
            MON: [
                "amount_mismatch L1#fee, -290 USD, off by -90",
                "exact_reference one_to_one exact: L1 = T1, 10000 USD",
                "exact_reference one_to_one exact: L1#fee = F1, -290 against -200 USD, off by -90",
            ],
            TUE: [
                "exact_reference one_to_many exact: L1#fee = F1 + F2, -290 USD",
                "resolved as matched_late: amount_mismatch L1#fee, -290 USD, off by -90",
                "reversed exact_reference one_to_one exact: L1#fee = F1, -290 against -200 USD, off by -90",
            ],
        },
    ),
    claim(
        "a line that comes again has one fee: in its own file, and in the file of the next day",
        settle("L1", "R", 10_000, fee=290),
        settle("L1", "R", 10_000, fee=290),
        settle("L1", "R", 10_000, fee=290, file="set_2026_04_21", arrives=TUE),
        post("T1", "R", 10_000),
        post("F1", "R", -290, type="fee"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 10000 USD",
            "exact_reference one_to_one exact: L1#fee = F1, -290 USD",
        ],
    ),
    claim(
        "a line settled twice cost its fee twice: the later fee is a duplicate as well",
        settle("L1", "R", 10_000, fee=290),
        settle("L2", "R", 10_000, fee=290, at="10:05"),
        post("T1", "R", 10_000),
        post("F1", "R", -290, type="fee"),
        gives={
            day: [f"open L2, 10000 USD, aged {age}", f"open L2#fee, -290 USD, aged {age}"]
            + (
                [
                    "duplicate_settlement_line L2, 10000 USD, off by 10000",
                    "duplicate_settlement_line L2#fee, -290 USD, off by -290",
                    "exact_reference one_to_one exact: L1 = T1, 10000 USD",
                    "exact_reference one_to_one exact: L1#fee = F1, -290 USD",
                ]
                if day == MON
                else []
            )
            for age, day in enumerate(WINDOWS)
        },
    ),
    claim(
        "what failed cost nothing; a line that needs no movement may still have cost a fee",
        settle("L1", "R", 10_000, fee=290, status="failed"),
        settle("L2", "S", 50, type="adjustment", fee=5),
        post("F2", "S", -5, type="fee"),
        gives=waits("L1", "10000 USD", "failed_settlement L1, 10000 USD")
        | {
            MON: [
                "exact_reference one_to_one exact: L2#fee = F2, -5 USD",
                "failed_settlement L1, 10000 USD",
                "open L1, 10000 USD, aged 0",
            ]
        },
    ),
    claim(
        "what the customer paid is in euro, and the fee in the currency that was settled",
        settle("L1", "R", 10_832, fee=344, paid=(10_000, "EUR")),
        post("T1", "R", 10_000, "EUR"),
        post("F1", "R", -344, type="fee"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 10000 EUR",
            "exact_reference one_to_one exact: L1#fee = F1, -344 USD",
        ],
    ),
    claim(
        "a fee is found by our own reference too",
        settle("L1", "ch", 10_000, fee=290, merchant="pi"),
        post("T1", "", 10_000, intent="pi"),
        post("F1", "", -290, type="fee", intent="pi"),
        gives=[
            "internal_reference one_to_one exact: L1 = T1, 10000 USD",
            "internal_reference one_to_one exact: L1#fee = F1, -290 USD",
        ],
    ),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Said], World]:
    return played(tmp_path_factory, "separate", CLAIMS, WINDOWS, SEPARATE)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim_about_separate_fees(told: tuple[list[Said], World], number: int, each: Claim) -> None:
    assert told[0][number] == expected(each)


def test_all_claims_together_leave_nothing_unexplained(told: tuple[list[Said], World]) -> None:
    assert invariants.faults(told[1]) == []


def of_side(world: World, window: str) -> dict[str, Any]:
    """What of the settlement side's conservation is not 0."""
    (row,) = world.query(f"select * from conservation where side = 'settlement' and ledger_window = date '{window}'")
    hidden = ("run_id", "tenant_id", "provider", "ledger_window", "side", "currency")
    return {name: value for name, value in row.items() if name not in hidden and value}


def test_a_fee_is_an_amount_of_its_line_s_row_and_no_row_and_can_be_written_off(tmp_path: Path) -> None:
    """Rows are those of the file. Three payments, their fees and the payout come to 0; two fees nobody has posted."""
    world = World(tmp_path, SEPARATE)
    world.settle("L1", "R1", 10_000, fee=290, batch="B")
    world.settle("L2", "R2", 5_000, fee=175, batch="B")
    world.settle("L3", "R3", 2_000, fee=60, batch="B")
    world.settle("PO", "", -16_475, type="payout", batch="B")
    for number, amount in (1, 10_000), (2, 5_000), (3, 2_000):
        world.post(f"T{number}", f"R{number}", amount)
    world.post("F2", "R2", -175, type="fee")
    world.run(MON)
    assert of_side(world, MON) == {
        "rows_in": 4,
        "matched": 3,
        "accounted": 1,
        "matched_minor": 17_000 - 175,
        "excepted_minor": -350,
        "accounted_minor": -16_475,
    }
    assert [
        (row["item_type"], row["item_id"], row["amount_minor"], row["is_fee"], row["provider_reference"])
        for row in world.query("select * from open_items order by item_id")
    ] == [
        ("settlement_line", "L1#fee", -290, True, "R1"),
        ("settlement_line", "L3#fee", -60, True, "R3"),
    ]
    (row,) = world.query("select * from exceptions where subject_id = 'L1#fee'")
    said = "the fee of settlement line L1 of -2.90 USD (reference R1) has no ledger movement"
    assert row["explanation"].startswith(said)
    assert world.query("select * from exceptions where exception_type = 'control_total_mismatch'") == []
    evidence = world.query("select * from run_metrics")
    assert (evidence[0]["lines"], evidence[0]["lines_to_match"], evidence[0]["fees_minor"]) == (4, 3, 525)

    (third,) = world.query("select * from exceptions where subject_id = 'L3#fee'")
    wanted = DecisionRequest(third["exception_id"], "resolve", "ann", resolution="written_off", reason="a trifle")
    deciding.decide(world.tenant, wanted, NOW)
    approved = DecisionRequest(third["exception_id"], "approve", "bob", reason="a trifle")
    assert deciding.decide(world.tenant, approved, NOW).state.resolution == "written_off"
    assert of_side(world, MON)["accounted_minor"] == -16_475 - 60
    assert of_side(world, MON)["excepted_minor"] == -290

    world.post("F1", "R1", -290, type="fee", on=TUE)
    world.run(TUE)
    assert of_side(world, TUE) == {"amount_in_minor": -290, "matched_minor": -290}
    assert world.query(f"select * from open_items where ledger_window = date '{TUE}'") == []
    assert invariants.faults(world) == []


def test_a_payment_that_went_back_is_no_conflict_because_the_provider_kept_its_fee(tmp_path: Path) -> None:
    """Settled and posted 100.00 and −100.00: everyone agrees that the money went back, whatever the fee (§10.9)."""
    world = World(tmp_path, {"fee_posting": "separate"})
    world.add(settle("L1", "R", 10_000, fee=290), post("T1", "R", 10_000))
    world.add(settle("L2", "R", -10_000, type="refund"), post("T2", "R", -10_000, type="refund"))
    world.add(call("C1", "R", 10_000), call("C2", "R", 10_000, status="reversed", at="11:00"), call("C3", "R", -10_000))
    world.run(MON)
    found = world.query("select exception_type, subject_id from exceptions order by all")
    assert [tuple(row.values()) for row in found] == [("unmatched_provider_row", "L1#fee")]
