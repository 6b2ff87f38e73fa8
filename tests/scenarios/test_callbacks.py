"""Claims about callbacks: missing, late, orphaned, conflicting, and the last word (contract §6, §10.8, §10.9)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import MON, THU, TUE, WED, call, post, settle

WINDOWS = (MON, TUE, WED, THU)
PAID = (settle("L1", "R", 500), post("T1", "R", 500))
PAIR = "exact_reference one_to_one exact: L1 = T1, 500 USD"

CLAIMS = [
    # missing_callback
    claim(
        "a settled and posted movement with a successful callback is in order",
        *PAID,
        call("E1", "R", 500),
        gives=[PAIR, "callback E1 of L1 = T1"],
    ),
    claim(
        "a settled and posted movement that no callback reports is missing one, once",
        *PAID,
        gives=[PAIR, "missing_callback T1, 500 USD"],
    ),
    claim(
        "a line or a movement alone misses no callback",
        settle("L1", "R", 500),
        post("T2", "Q", 600, on=WED),
        gives={
            MON: ["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0"],
            TUE: ["open L1, 500 USD, aged 1"],
            WED: ["open L1, 500 USD, aged 2", "open T2, 600 USD, aged 0"],
            THU: ["open L1, 500 USD, aged 3", "open T2, 600 USD, aged 1"],
        },
    ),
    claim(
        "a callback that is pending, failed, reversed or disputed is no success",
        *PAID,
        call("E1", "R", 500, status="pending", at="11:00"),
        call("E2", "R", 500, status="disputed", at="11:01"),
        gives=[PAIR, "callback E1 of L1 = T1", "callback E2 of L1 = T1", "missing_callback T1, 500 USD"],
    ),
    claim(
        "one success is enough, whatever came before it",
        *PAID,
        call("E1", "R", 500, status="pending", at="11:00"),
        call("E2", "R", 500, status="succeeded", at="11:01"),
        gives=[PAIR, "callback E1 of L1 = T1", "callback E2 of L1 = T1"],
    ),
    claim(
        "one success is enough for a group",
        settle("L1", "R", 500),
        post("T1", "R", 300),
        post("T2", "R", 200),
        call("E1", "R", 500),
        gives=["exact_reference one_to_many exact: L1 = T1 + T2, 500 USD", "callback E1 of L1 = T1 + T2"],
    ),
    claim(
        "a group without a success misses one callback, of its first transaction",
        settle("L1", "R", 500),
        post("T1", "R", 300),
        post("T2", "R", 200),
        gives=["exact_reference one_to_many exact: L1 = T1 + T2, 500 USD", "missing_callback T1, 500 USD"],
    ),
    claim(
        "a callback belongs to a match by its transaction, its intent or its merchant reference",
        settle("L1", "R1", 500),
        post("T1", "R1", 500),
        call("E1", "", 500, merchant="T1"),
        settle("L2", "R2", 600),
        post("T2", "R2", 600, intent="I2"),
        call("E2", "", 600, merchant="I2"),
        settle("L3", "R3", 700, merchant="M3"),
        post("T3", "R3", 700),
        call("E3", "", 700, merchant="M3"),
        gives=[
            PAIR,
            "callback E1 of L1 = T1",
            "exact_reference one_to_one exact: L2 = T2, 600 USD",
            "callback E2 of L2 = T2",
            "exact_reference one_to_one exact: L3 = T3, 700 USD",
            "callback E3 of L3 = T3",
        ],
    ),
    # late_callback: the review cut-off of Monday is Tuesday 01:00
    claim(
        "a success at the review cut-off is not late",
        *PAID,
        call("E1", "R", 500, received="2026-04-21T01:00:00Z"),
        gives=[PAIR, "callback E1 of L1 = T1"],
    ),
    claim(
        "a success after the cut-off and as_of is missing first; the next run resolves that and calls it late",
        *PAID,
        call("E1", "R", 500, received="2026-04-21T01:00:00.000001Z"),
        gives={
            MON: [PAIR, "missing_callback T1, 500 USD"],
            TUE: [
                "callback E1 of L1 = T1",
                "late_callback E1, 500 USD",
                "resolved as matched_late: missing_callback T1, 500 USD",
            ],
        },
    ),
    claim(
        "a callback that occurred in time and was received late is late",
        *PAID,
        call("E1", "R", 500, at="11:00", received="2026-04-22T11:00:00Z"),
        gives={
            MON: [PAIR, "missing_callback T1, 500 USD"],
            WED: [
                "callback E1 of L1 = T1",
                "late_callback E1, 500 USD",
                "resolved as matched_late: missing_callback T1, 500 USD",
            ],
        },
    ),
    claim(
        "a second success after the cut-off is not late: the first was in time",
        *PAID,
        call("E1", "R", 500),
        call("E2", "R", 500, on=TUE),
        gives={MON: [PAIR, "callback E1 of L1 = T1"], TUE: ["callback E2 of L1 = T1"]},
    ),
    claim(
        "a late failure is no late callback, and the success is still missing",
        *PAID,
        call("E1", "R", 500, status="pending", on=TUE),
        gives={MON: [PAIR, "missing_callback T1, 500 USD"], TUE: ["callback E1 of L1 = T1"]},
    ),
    claim(
        "a match is judged by the cut-off of the run that makes it",
        post("T1", "R", 500, on=MON),
        call("E1", "R", 500, on=TUE, at="20:00"),
        settle("L1", "R", 500, on=TUE),
        gives={MON: ["open T1, 500 USD, aged 0"], TUE: [PAIR, "callback E1 of L1 = T1"]},
    ),
    claim(
        "a missing callback of a match made again is resolved when the callback comes",
        settle("L1", "R", 800),
        post("T1", "R", 1000),
        settle("L2", "R", 200, on=TUE),
        call("E1", "R", 1000, on=WED),
        gives={
            MON: [
                "exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "amount_mismatch L1, 800 USD, off by -200",
                "missing_callback T1, 1000 USD",
            ],
            TUE: [
                "reversed exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "exact_reference many_to_one exact: L1 + L2 = T1, 1000 USD",
                "resolved as matched_late: amount_mismatch L1, 800 USD, off by -200",
            ],
            WED: [
                "callback E1 of L1 + L2 = T1",
                "late_callback E1, 1000 USD",
                "resolved as matched_late: missing_callback T1, 1000 USD",
            ],
        },
    ),
    # orphan_callback
    claim(
        "a success that neither a line nor a movement answers is an orphan after the lag",
        call("E1", "R", 500, on=MON),
        gives={THU: ["orphan_callback E1, 500 USD"]},
    ),
    claim(
        "an orphan's age counts from the window of its first delivery",
        call("E1", "R", 500, on=MON, received="2026-04-21T00:00:00Z"),
        call("E2", "Q", 600, on=MON, received="2026-04-20T23:59:59Z"),
        call("E2", "Q", 600, on=MON, received="2026-04-22T12:00:00Z"),
        gives={THU: ["orphan_callback E2, 600 USD"]},
    ),
    claim(
        "a callback that reports no success is never an orphan",
        call("E1", "R", 500, status="failed"),
        call("E2", "Q", 500, status="pending"),
        gives=[],
    ),
    claim(
        "a callback that a line or a movement answers is no orphan, matched or not",
        settle("L1", "R", 500, on=WED),
        call("E1", "R", 500, on=MON),
        post("T2", "Q", 600, on=WED),
        call("E2", "", 600, on=MON, merchant="T2"),
        gives={
            WED: ["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0", "open T2, 600 USD, aged 0"],
            THU: ["open L1, 500 USD, aged 1", "open T2, 600 USD, aged 1"],
        },
    ),
    # conflicting_callback
    claim(
        "one event id with two payloads is a conflict, believed in neither, and the success is missing",
        *PAID,
        call("E1", "R", 500),
        call("E1", "R", 500, at="11:00:01"),
        gives=[PAIR, "conflicting_callback E1, 500 USD", "missing_callback T1, 500 USD"],
    ),
    claim(
        "a delivery that differs only in its receipt and its verification is a redelivery",
        *PAID,
        call("E1", "R", 500),
        call("E1", "R", 500, received="2026-04-20T12:30:00Z"),
        call("E1", "R", 500, received="2026-04-21T12:30:00Z"),
        gives=[PAIR, "callback E1 of L1 = T1"],
    ),
    claim(
        "a conflict takes back no other event's success",
        *PAID,
        call("E1", "R", 500),
        call("E1", "R", 501),
        call("E2", "R", 500),
        gives=[PAIR, "callback E2 of L1 = T1", "conflicting_callback E1, 500 USD"],
    ),
    # The amount a callback reports
    claim(
        "a callback of another amount is a mismatch of its own where line and ledger agree",
        *PAID,
        call("E1", "R", 490),
        gives=[PAIR, "callback E1 of L1 = T1", "amount_mismatch E1, 490 USD, off by -10"],
    ),
    claim(
        "the last success counts, by the time it occurred and not by its arrival",
        *PAID,
        call("E1", "R", 510, at="12:00", received="2026-04-20T12:00:00Z"),
        call("E2", "R", 500, at="11:00", received="2026-04-20T13:00:00Z"),
        gives=[
            PAIR,
            "callback E1 of L1 = T1",
            "callback E2 of L1 = T1",
            "amount_mismatch E1, 510 USD, off by 10",
        ],
    ),
    claim(
        "at one instant the greater sequence is the last word, and then the greater id",
        *PAID,
        call("E1", "R", 500, sequence=10),
        call("E2", "R", 499, sequence=9),
        settle("L2", "Q", 600),
        post("T2", "Q", 600),
        call("E3", "Q", 601),
        call("E4", "Q", 600),
        gives=[
            PAIR,
            "callback E1 of L1 = T1",
            "callback E2 of L1 = T1",
            "exact_reference one_to_one exact: L2 = T2, 600 USD",
            "callback E3 of L2 = T2",
            "callback E4 of L2 = T2",
        ],
    ),
    claim(
        "a callback's amount is signed like the line, also where a failed debit takes its payment back",
        settle("L1", "R", -500),
        post("T1", "R", -500),
        call("E1", "R", 500),
        gives=["exact_reference one_to_one exact: L1 = T1, -500 USD", "callback E1 of L1 = T1"],
    ),
    claim(
        "where line and ledger differ already, the callback adds no second mismatch",
        settle("L1", "R", 490),
        post("T1", "R", 500),
        call("E1", "R", 500),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 490 against 500 USD, off by -10",
            "amount_mismatch L1, 490 USD, off by -10",
            "callback E1 of L1 = T1",
        ],
    ),
    claim(
        "in a group a callback's amount is not compared",
        settle("L1", "R", 500),
        post("T1", "R", 300),
        post("T2", "R", 200),
        call("E1", "R", 300),
        gives=["exact_reference one_to_many exact: L1 = T1 + T2, 500 USD", "callback E1 of L1 = T1 + T2"],
    ),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "callbacks", CLAIMS, WINDOWS)


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim(said: list[Said], number: int, each: Claim) -> None:
    assert said[number] == expected(each)
