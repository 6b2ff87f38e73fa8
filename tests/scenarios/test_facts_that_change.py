"""Claims about what later runs know better: late entries, reasons, payout totals, conflicts (contract §6, §10).

Does not belong here: a later part that joins a match by its reference (test_windows), restated settlement files.
"""

import json
from typing import Any

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, TUE, WED, Row, call, entry, flat, post, settle
from tests.scenarios.world import World

WINDOWS = (MON, TUE, WED)
PAIR = "exact_reference one_to_one exact: L1 = T1, 500 USD"
TAKEN_BACK = f"reversed {PAIR}"


def _late_entry(amount: int, **options: Any) -> tuple[Row, ...]:
    """What the ledger adds to T1 on Tuesday, on both sides."""
    added = entry("T1.3", "T1", "R", "settlement_account", "credit", amount, on=TUE, **options)
    return added, added.again(entry_id="T1.4", account="reserved", direction="debit")


CLAIMS = [
    # The ledger changes a movement
    claim(
        "an entry that comes late for a matched movement is in sight: the match is made again with its difference",
        settle("L1", "R", 500),
        post("T1", "R", 500),
        _late_entry(100),
        gives={
            MON: [PAIR],
            TUE: [
                TAKEN_BACK,
                "exact_reference one_to_one exact: L1 = T1, 500 against 600 USD, off by -100",
                "amount_mismatch L1, 500 USD, off by -100",
            ],
        },
    ),
    claim(
        "an entry that comes late and takes a matched difference away resolves its mismatch",
        settle("L1", "R", 600),
        post("T1", "R", 500),
        _late_entry(100),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 600 against 500 USD, off by 100",
                "amount_mismatch L1, 600 USD, off by 100",
            ],
            TUE: [
                "reversed exact_reference one_to_one exact: L1 = T1, 600 against 500 USD, off by 100",
                "exact_reference one_to_one exact: L1 = T1, 600 USD",
                "resolved as matched_late: amount_mismatch L1, 600 USD, off by 100",
            ],
        },
    ),
    claim(
        "a batch whose movement is changed falls apart, each line for itself",
        settle("L1", "x1", 450, batch="B"),
        settle("L2", "", 60, type="fee", batch="B"),
        settle("L3", "x3", -10, type="refund", batch="B"),
        post("T1", "B", 500, type="payout"),
        _late_entry(100),
        gives={
            MON: ["batch_total many_to_one exact: L1 + L2 + L3 = T1, 500 USD"],
            TUE: [
                "reversed batch_total many_to_one exact: L1 + L2 + L3 = T1, 500 USD",
                "open L1, 450 USD, aged 1",
                "open L3, -10 USD, aged 1",
                "open T1, 600 USD, aged 1",
                "unmatched_provider_row L1, 450 USD",
                "unmatched_provider_row L3, -10 USD",
            ],
            WED: ["open L1, 450 USD, aged 2", "open L3, -10 USD, aged 2", "open T1, 600 USD, aged 2"],
        },
    ),
    claim(
        "a batch whose movement is changed matches again when new lines make up the difference",
        settle("L1", "x1", 450, fee=20, batch="B"),
        settle("L2", "", -30, type="fee", batch="B"),
        post("T1", "B", 400, type="payout"),
        _late_entry(100),
        settle("L3", "x3", 100, batch="B", on=TUE),
        gives={
            MON: ["batch_total many_to_one exact: L1 + L2 = T1, 400 USD"],
            TUE: [
                "reversed batch_total many_to_one exact: L1 + L2 = T1, 400 USD",
                "batch_total many_to_one exact: L1 + L2 + L3 = T1, 500 USD",
            ],
        },
    ),
    claim(
        "an open movement that an entry changes opens at what it closed with",
        post("T1", "R", 500),
        _late_entry(100),
        gives={
            MON: ["open T1, 500 USD, aged 0"],
            TUE: ["open T1, 600 USD, aged 1"],
            WED: ["open T1, 600 USD, aged 2"],
        },
    ),
    claim(
        "a later movement of the intent that a callback bridges to joins the match, whose difference is gone",
        settle("L1", "P", 900),
        post("T1", "", 600, intent="I"),
        call("E1", "P", 900, merchant="I"),
        post("T2", "", 300, intent="I", on=TUE),
        gives={
            MON: [
                "callback_bridge one_to_one exact: L1 = T1, 900 against 600 USD, off by 300",
                "callback E1 of L1 = T1",
                "amount_mismatch L1, 900 USD, off by 300",
            ],
            TUE: [
                "reversed callback_bridge one_to_one exact: L1 = T1, 900 against 600 USD, off by 300",
                "callback_bridge one_to_many exact: L1 = T1 + T2, 900 USD",
                "callback E1 of L1 = T1 + T2",
                "resolved as matched_late: amount_mismatch L1, 900 USD, off by 300",
            ],
        },
    ),
    claim(
        "a payment captured in parts has a reference for each: a callback bridges the later line to the movement too",
        settle("L1", "P", 600),
        post("T1", "", 900, intent="I"),
        call("E1", "P", 600, merchant="I"),
        call("E2", "Q", 300, merchant="T1"),
        settle("L2", "Q", 300, on=WED),
        gives={
            MON: [
                "callback_bridge one_to_one exact: L1 = T1, 600 against 900 USD, off by -300",
                "callback E1 of L1 = T1",
                "callback E2 of L1 = T1",
                "amount_mismatch L1, 600 USD, off by -300",
            ],
            WED: [
                "reversed callback_bridge one_to_one exact: L1 = T1, 600 against 900 USD, off by -300",
                "callback_bridge many_to_one exact: L1 + L2 = T1, 900 USD",
                "callback E1 of L1 + L2 = T1",
                "callback E2 of L1 + L2 = T1",
                "resolved as matched_late: amount_mismatch L1, 600 USD, off by -300",
            ],
        },
    ),
    # One reason for being unmatched
    claim(
        "twins wait without a movement; it comes, and the later one is a duplicate and no longer just unmatched",
        settle("L1", "R", 500, at="10:00"),
        settle("L2", "R", 500, at="10:01"),
        post("T1", "R", 500, on=TUE),
        gives={
            MON: [
                "open L1, 500 USD, aged 0",
                "open L2, 500 USD, aged 0",
                "unmatched_provider_row L1, 500 USD",
                "unmatched_provider_row L2, 500 USD",
            ],
            TUE: [
                PAIR,
                "resolved as matched_late: unmatched_provider_row L1, 500 USD",
                "resolved as superseded: unmatched_provider_row L2, 500 USD",
                "duplicate_settlement_line L2, 500 USD, off by 500",
                "open L2, 500 USD, aged 1",
            ],
            WED: ["open L2, 500 USD, aged 2"],
        },
    ),
    claim(
        "a movement in another currency comes after its line: a wrong currency and no longer just unmatched",
        settle("L1", "R", 500, "EUR"),
        post("T1", "R", 500, on=TUE),
        gives={
            MON: ["open L1, 500 EUR, aged 0", "unmatched_provider_row L1, 500 EUR"],
            TUE: [
                "currency_mismatch L1, 500 EUR",
                "open L1, 500 EUR, aged 1",
                "open T1, 500 USD, aged 0",
                "resolved as superseded: unmatched_provider_row L1, 500 EUR",
            ],
            WED: ["open L1, 500 EUR, aged 2", "open T1, 500 USD, aged 1"],
        },
    ),
    claim(
        "a wrong currency stays until somebody decides, though its movement finds another line",
        settle("L1", "R", 500, "EUR"),
        post("T1", "R", 500),
        settle("L2", "R", 500, on=TUE),
        gives={
            MON: ["currency_mismatch L1, 500 EUR", "open L1, 500 EUR, aged 0", "open T1, 500 USD, aged 0"],
            TUE: ["exact_reference one_to_one exact: L2 = T1, 500 USD", "open L1, 500 EUR, aged 1"],
            WED: ["open L1, 500 EUR, aged 2"],
        },
    ),
    # The total that a payout states
    claim(
        "a payout that the rows of its batch do not add up to is reported, on the payout",
        settle("L1", "R1", 1_000, fee=30, batch="B"),
        post("T1", "R1", 1_000),
        settle("L2", "", -20, type="fee", batch="B"),
        settle("PO", "po_1", -900, type="payout", batch="B"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1000 USD",
            "control_total_mismatch PO, -900 USD, off by 50",
        ],
    ),
    claim(
        "a payout's sign says nothing, and what failed is in no total",
        settle("L1", "R1", 1_000, fee=30, batch="B"),
        post("T1", "R1", 1_000),
        settle("L2", "R2", 70, batch="B", status="failed"),
        settle("PO", "po_1", 970, type="payout", batch="B"),
        settle("PX", "po_0", -5, type="payout", batch="B", status="returned"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1000 USD",
            "failed_settlement L2, 70 USD",
            "failed_settlement PX, -5 USD",
            "open L2, 70 USD, aged 0",
        ],
    ),
    claim(
        "a payout is judged with the rows of its batch in all files, by currency, and not without any",
        settle("L1", "R1", 1_000, batch="B"),
        post("T1", "R1", 1_000),
        settle("L2", "R2", 500, batch="B", on=TUE),
        post("T2", "R2", 500, on=TUE),
        settle("L3", "R3", 70, "EUR", batch="B", on=TUE),
        post("T3", "R3", 70, "EUR", on=TUE),
        settle("PO", "po_1", -1_500, type="payout", batch="B", on=TUE),
        settle("PM", "po_2", -44, type="payout", batch="M", on=TUE),
        settle("PN", "po_3", -45, type="payout", on=TUE),
        gives={
            MON: ["exact_reference one_to_one exact: L1 = T1, 1000 USD"],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, 500 USD",
                "exact_reference one_to_one exact: L3 = T3, 70 EUR",
            ],
        },
    ),
    claim(
        "a payout is right again when the rows that were missing from its batch have come",
        settle("L1", "R1", 1_000, batch="B"),
        post("T1", "R1", 1_000),
        settle("PO", "po_1", -1_500, type="payout", batch="B"),
        settle("L2", "R2", 500, batch="B", on=TUE),
        post("T2", "R2", 500, on=TUE),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 1000 USD",
                "control_total_mismatch PO, -1500 USD, off by -500",
            ],
            TUE: [
                "exact_reference one_to_one exact: L2 = T2, 500 USD",
                "resolved as matched_late: control_total_mismatch PO, -1500 USD, off by -500",
            ],
        },
    ),
    # Originals
    claim(
        "a payment that failed is known, and any refund of it takes back too much",
        settle("P", "pay", 1_000, status="failed"),
        settle("L1", "r1", -100, type="refund", original="pay"),
        post("T1", "r1", -100, type="refund"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, -100 USD",
            "failed_settlement P, 1000 USD",
            "open P, 1000 USD, aged 0",
            "over_applied_reference L1, -100 USD, off by 100",
        ],
    ),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "changes", CLAIMS, WINDOWS, {"expects_callbacks": False})


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim(said: list[Said], number: int, each: Claim) -> None:
    reported = {
        window: [text for text in texts if not _is_carried(window, text)] for window, texts in said[number].items()
    }
    wanted = {
        window: [text for text in texts if not _is_carried(window, text)] for window, texts in expected(each).items()
    }
    assert {window: texts for window, texts in reported.items() if texts} == {w: t for w, t in wanted.items() if t}


def _is_carried(window: str, text: str) -> bool:
    """An open item of Monday said again: every claim about one window would have to repeat it."""
    return window != MON and text.startswith("open ") and "T1, 600" not in text


# Roll-forward over the same facts ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"), {"expects_callbacks": False, "amount_date_rule": "off"})
    world.add(post("T1", "R", 500), _late_entry(100))
    world.add(*(row.prefixed("m.") for row in flat((settle("L1", "R", 500), post("T1", "R", 500), _late_entry(100)))))
    world.settle("L1", "Q", 500, "EUR", at="10:00")
    world.settle("L2", "Q", 500, "EUR", at="10:01")
    world.post("T2", "Q", 500, "EUR", on=TUE)
    world.settle("L0", "P", 80, "EUR")
    world.post("T3", "P", 80, "EUR")
    world.settle("L3", "P", 80, "EUR", on=TUE)
    world.call("E1", "Z", 500)
    world.call("E1", "Z", 700)
    world.call("E2", "Y", 40)
    world.call("E2", "Y", 41, received="2026-04-21T09:00:00Z")
    world.call("E2", "Y", 40, received="2026-04-21T09:00:01Z")
    world.call("E2", "Y", 41, received="2026-04-21T09:00:02Z")
    for window in (MON, TUE):
        world.make(window)
    return world


def test_a_run_opens_with_what_the_one_before_closed_with_though_the_ledger_changed_a_movement(world: World) -> None:
    reported = world.query(
        "select opening_minor, posted_minor, settled_minor, closing_minor, difference_minor "
        "from rollforward where currency = 'USD' order by ledger_window"
    )
    # On Tuesday both movements gain 100: the open one by itself, the matched one as its match is made again.
    assert [tuple(row.values()) for row in reported] == [(0, 1000, 500, 500, 0), (500, 200, 100, 600, 0)]


def test_the_second_payload_of_an_event_is_no_redelivery_of_the_first(world: World) -> None:
    reported = world.query(
        "select rows_in, in_transit, excepted, duplicates, amount_in_minor, in_transit_minor, excepted_minor, "
        "duplicates_minor from conservation where side = 'callback' "
        "order by ledger_window"
    )
    assert [tuple(row.values()) for row in reported] == [
        # E1 says 500 and 700, E2 waits with 40.
        (3, 1, 2, 0, 1240, 40, 1200, 0),
        # All three are carried; E2 says 41 as well, and repeats both.
        (6, 0, 4, 2, 1362, 0, 1281, 81),
    ]


def test_a_better_reason_replaces_the_previous_one_and_names_the_nearest_counterpart(world: World) -> None:
    reported = world.query("select * from exceptions where subject_id = 'L2' order by exception_type")
    better, previous = reported
    assert previous["exception_type"] == "unmatched_provider_row"
    assert (previous["resolution"], previous["superseded_by"]) == ("superseded", better["exception_id"])
    assert f"; superseded by duplicate_settlement_line {better['exception_id']} by run run_" in previous["explanation"]
    nearest, *_ = json.loads(better["candidates"])
    assert (nearest["predicate"], nearest["candidate_id"]) == ("same reference, already matched", "T2")


def test_what_a_line_repeats_is_named_though_an_earlier_run_matched_it(world: World) -> None:
    (reported,) = world.query("select candidates from exceptions where subject_id = 'L3'")
    nearest, *_ = json.loads(reported["candidates"])
    assert (nearest["predicate"], nearest["candidate_id"]) == ("same reference, already matched", "T3")
