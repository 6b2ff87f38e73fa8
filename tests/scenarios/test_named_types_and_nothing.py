"""Claims about lines of nothing, and about line types that a profile names beside the usual (contract §1, §10.2)."""

from pathlib import Path

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, THU, TUE, WED, Row, call, entry, post, settle
from tests.scenarios.world import World

USUAL = ("payment", "refund", "chargeback", "chargeback_reversal")
ALL = {"expects_callbacks": False, "match_line_types": [*USUAL, "fee", "payout", "adjustment", "reserve"]}
TRIALS = {"expects_callbacks": False, "amount_date_rule": "match", "settlement_lag_days": 2}


def in_and_out(transaction_id: str, reference: str) -> tuple[Row, ...]:
    """A movement of nothing: what it posts on the clearing account goes out of it again."""
    return tuple(
        entry(f"{transaction_id}.{direction}", transaction_id, reference, "settlement_account", direction, 5)
        for direction in ("credit", "debit")
    )


NOTHING = [
    claim(
        "a settled line of nothing that nothing answers is no exception and no open item",
        settle("L1", "trial", 0),
        gives=[],
    ),
    claim(
        "a line of nothing matches the movement of nothing that shares its reference",
        settle("L1", "R", 0),
        in_and_out("T1", "R"),
        gives=["exact_reference one_to_one exact: L1 = T1, 0 USD"],
    ),
    claim(
        "nothing never matches by amount and date: the movement stays open and is overdue after the lag",
        settle("L1", "", 0),
        in_and_out("T1", ""),
        gives={
            MON: ["open T1, 0 USD, aged 0"],
            TUE: ["open T1, 0 USD, aged 1"],
            WED: ["open T1, 0 USD, aged 2"],
            THU: ["open T1, 0 USD, aged 3", "unmatched_ledger_entry T1, 0 USD"],
        },
    ),
    claim(
        "a line of nothing beside a payment of its reference is a leg of the group",
        settle("L1", "R", 41_100),
        settle("L2", "R", 0),
        post("T1", "R", 41_100),
        gives=["exact_reference many_to_one exact: L1 + L2 = T1, 41100 USD"],
    ),
    claim(
        "a payment of nothing that cost a fee is of nothing: the fee is inside or nowhere",
        settle("L1", "trial", 0, fee=30),
        gives=[],
    ),
    claim(
        "a line of nothing whose reference is posted in another currency says so",
        settle("L1", "R", 0),
        post("T1", "R", 41_200, "EUR"),
        gives={
            MON: ["currency_mismatch L1, 0 USD", "open L1, 0 USD, aged 0", "open T1, 41200 EUR, aged 0"],
            TUE: ["open L1, 0 USD, aged 1", "open T1, 41200 EUR, aged 1"],
            WED: ["open L1, 0 USD, aged 2", "open T1, 41200 EUR, aged 2"],
            THU: ["open L1, 0 USD, aged 3", "open T1, 41200 EUR, aged 3", "unmatched_ledger_entry T1, 41200 EUR"],
        },
    ),
    claim(
        "a failed line of nothing failed, and waits for somebody",
        settle("L1", "R", 0, status="failed"),
        gives={
            MON: ["failed_settlement L1, 0 USD", "open L1, 0 USD, aged 0"],
            TUE: ["open L1, 0 USD, aged 1"],
            WED: ["open L1, 0 USD, aged 2"],
            THU: ["open L1, 0 USD, aged 3"],
        },
    ),
    claim(
        "a success of nothing belongs to the line of nothing, and is no orphan later",
        settle("L1", "trial", 0),
        call("C1", "trial", 0),
        gives=[],
    ),
    claim(
        "a line of nothing is a leg of its batch, which is posted a day later",
        settle("L1", "trial", 0, batch="B"),
        settle("L2", "", -50, type="fee", batch="B"),
        post("T1", "B", -50, type="payout", on=TUE),
        gives={TUE: ["batch_total many_to_one exact: L1 + L2 = T1, -50 USD"]},
    ),
]

NAMED = [
    claim(
        "a payout line meets the payout movement of its reference",
        settle("L1", "po", -94_100, type="payout"),
        post("T1", "po", -94_100, type="payout"),
        gives=["exact_reference one_to_one exact: L1 = T1, -94100 USD"],
    ),
    claim(
        "a fee and an adjustment meet movements of their own types by any pass",
        settle("L1", "f", -31, type="fee"),
        post("T1", "f", -31, type="fee"),
        settle("L2", "a", 77, type="adjustment", merchant="T2"),
        post("T2", "b", 77, type="adjustment"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, -31 USD",
            "internal_reference one_to_one exact: L2 = T2, 77 USD",
        ],
    ),
    claim(
        "a class meets no other, whatever reference they share",
        settle("L1", "R", -32, type="fee"),
        post("T1", "R", -32, type="payout"),
        gives=["open L1, -32 USD, aged 0", "open T1, -32 USD, aged 0", "unmatched_provider_row L1, -32 USD"],
    ),
    claim(
        "a reserve has no movement of its own type and is open until its batch or a decision takes it",
        settle("L1", "r", -33, type="reserve"),
        post("T1", "r", -33, type="adjustment"),
        settle("L2", "x", 133, batch="B"),
        settle("L3", "", -34, type="reserve", batch="B"),
        post("T2", "B", 99, type="payout"),
        gives=[
            "batch_total many_to_one exact: L2 + L3 = T2, 99 USD",
            "open L1, -33 USD, aged 0",
            "open T1, -33 USD, aged 0",
            "unmatched_provider_row L1, -33 USD",
        ],
    ),
    claim(
        "a payout line takes no part in its batch's total, named or not",
        settle("L1", "x", 500, batch="B"),
        settle("L2", "po", -500, type="payout", batch="B"),
        post("T1", "B", 500, type="payout"),
        gives=[
            "batch_total one_to_one exact: L1 = T1, 500 USD",
            "open L2, -500 USD, aged 0",
            "unmatched_provider_row L2, -500 USD",
        ],
    ),
    claim(
        "a fee that is all net and no gross is money",
        settle("L1", "f", 0, type="fee", fee=55),
        gives=["open L1, 0 USD, aged 0", "unmatched_provider_row L1, 0 USD"],
    ),
    claim(
        "a fee settled twice under one reference is a duplicate, as a payment would be",
        settle("L1", "f", -35, type="fee"),
        settle("L2", "f", -35, type="fee", at="10:30"),
        post("T1", "f", -35, type="fee"),
        gives=[
            "duplicate_settlement_line L2, -35 USD, off by -35",
            "exact_reference one_to_one exact: L1 = T1, -35 USD",
            "open L2, -35 USD, aged 0",
        ],
    ),
]


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "nothing", NOTHING, (MON, TUE, WED, THU), TRIALS)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "named", NAMED, (MON,), ALL)


@pytest.mark.parametrize(("number", "each"), list(enumerate(NOTHING)), ids=[each.says for each in NOTHING])
def test_claim_about_nothing(nothing: list[Said], number: int, each: Claim) -> None:
    assert nothing[number] == expected(each)


@pytest.mark.parametrize(("number", "each"), list(enumerate(NAMED)), ids=[each.says for each in NAMED])
def test_claim_about_named_types(named: list[Said], number: int, each: Claim) -> None:
    assert named[number] == expected(each)


def test_a_line_of_nothing_is_accounted_for_in_conservation_and_evidence_and_has_no_fee_to_judge(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, {"expects_callbacks": False, "fee_schedule": {"rate_bps": 290, "fixed_minor": 30}})
    world.settle("L1", "trial", 0)
    world.settle("L2", "card check", 0, fee=50)
    world.run(MON)
    (row,) = world.query("select * from conservation where side = 'settlement'")
    assert {name: value for name, value in row.items() if value and isinstance(value, int)} == {
        "rows_in": 2,
        "accounted": 2,
    }
    reported = [statement.text for statement in world.run(MON)]
    assert reported == []
    assert [
        (row["exception_type"], row["subject_id"], row["difference_minor"])
        for row in world.query("select * from exceptions")
    ] == [("fee_variance", "L2", 20)]
    assert world.query("select * from open_items") == []
