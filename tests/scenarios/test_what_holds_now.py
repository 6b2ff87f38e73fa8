"""Claims about five windows: an exception shows what holds now, and ends when it no longer does (contract §6, §10).

Parts over several files, entries that come late, originals that come late or change, duplicates that are answered. Does
not belong here: callbacks (test_callbacks), decisions (test_manual_matches, test_write_offs), restated files.
"""

import json
from dataclasses import dataclass

import pytest

from tests.events.test_run_events import assert_each_emitted_once_and_as_documented, assert_log_gives_tables
from tests.scenarios import claims
from tests.scenarios.claims import Claim, Said, claim, expected
from tests.scenarios.invariants import faults
from tests.scenarios.rows import FRI, MON, THU, TUE, WED, Row, entry, post, settle
from tests.scenarios.world import World
from zentra_pipeline.events import types
from zentra_pipeline.review import history

WINDOWS = (MON, TUE, WED, THU, FRI)


def _late_entry(amount: int, on: str, name: str = "late", transaction: str = "T1") -> tuple[Row, ...]:
    """What the ledger adds to a movement later, on both sides."""
    one, other = ("credit", "debit") if amount > 0 else ("debit", "credit")
    added = entry(f"{name}.1", transaction, "R", "settlement_account", one, abs(amount), on=on)
    return added, added.again(entry_id=f"{name}.2", account="reserved", direction=other)


def _made(legs: str, sums: str, of: str = "one_to_one", rule: str = "exact_reference", method: str = "exact") -> str:
    return f"{rule} {of} {method}: {legs}, {sums}"


@dataclass(frozen=True)
class _Part:
    """A match as it is made, and as it is taken back."""

    made: str

    @property
    def back(self) -> str:
        return f"reversed {self.made}"


SHORT = _Part(_made("L1 = T1", "60 against 100 USD, off by -40"))

CLAIMS = [
    # Parts of one settlement, over several files
    claim(
        "parts of a settlement arrive in any order; the difference is on the first line, and ends with the last",
        settle("L2", "R", 35),
        post("T1", "R", 100),
        settle("L1", "R", 40, on=TUE),
        settle("L3", "R", 25, on=WED),
        gives={
            MON: [_made("L2 = T1", "35 against 100 USD, off by -65"), "amount_mismatch L2, 35 USD, off by -65"],
            TUE: [
                "reversed " + _made("L2 = T1", "35 against 100 USD, off by -65"),
                _made("L1 + L2 = T1", "75 against 100 USD, off by -25", "many_to_one"),
                "amount_mismatch L1, 75 USD, off by -25",
                "resolved as superseded: amount_mismatch L2, 35 USD, off by -65",
            ],
            WED: [
                "reversed " + _made("L1 + L2 = T1", "75 against 100 USD, off by -25", "many_to_one"),
                _made("L1 + L2 + L3 = T1", "100 USD", "many_to_one"),
                "resolved as matched_late: amount_mismatch L1, 75 USD, off by -25",
            ],
        },
    ),
    claim(
        "parts of a posting come one by one: one exception, which shows what is still missing",
        settle("L1", "R", 100),
        post("T1", "R", 40),
        post("T2", "R", 35, on=TUE),
        post("T3", "R", 25, on=WED),
        gives={
            MON: [_made("L1 = T1", "100 against 40 USD, off by 60"), "amount_mismatch L1, 100 USD, off by 60"],
            TUE: [
                "reversed " + _made("L1 = T1", "100 against 40 USD, off by 60"),
                _made("L1 = T1 + T2", "100 against 75 USD, off by 25", "one_to_many"),
                "amount_mismatch L1, 100 USD, off by 25",
            ],
            WED: [
                "reversed " + _made("L1 = T1 + T2", "100 against 75 USD, off by 25", "one_to_many"),
                _made("L1 = T1 + T2 + T3", "100 USD", "one_to_many"),
                "resolved as matched_late: amount_mismatch L1, 100 USD, off by 25",
            ],
        },
    ),
    claim(
        "a movement waits, its parts come, the last one after a day without any",
        post("T1", "R", 100),
        settle("L1", "R", 60, on=TUE),
        settle("L2", "R", 40, on=THU),
        gives={
            TUE: [SHORT.made, "amount_mismatch L1, 60 USD, off by -40"],
            THU: [
                SHORT.back,
                _made("L1 + L2 = T1", "100 USD", "many_to_one"),
                "resolved as matched_late: amount_mismatch L1, 60 USD, off by -40",
            ],
        },
    ),
    claim(
        "a part too much, and what takes it back: the difference changes its sign and goes",
        settle("L1", "R", 60),
        post("T1", "R", 100),
        settle("L2", "R", 70, on=TUE),
        settle("L3", "R", -30, on=WED),
        gives={
            MON: [SHORT.made, "amount_mismatch L1, 60 USD, off by -40"],
            TUE: [
                SHORT.back,
                _made("L1 + L2 = T1", "130 against 100 USD, off by 30", "many_to_one"),
                "amount_mismatch L1, 130 USD, off by 30",
            ],
            WED: [
                "reversed " + _made("L1 + L2 = T1", "130 against 100 USD, off by 30", "many_to_one"),
                _made("L1 + L2 + L3 = T1", "100 USD", "many_to_one"),
                "resolved as matched_late: amount_mismatch L1, 130 USD, off by 30",
            ],
        },
    ),
    claim(
        "parts on both sides over three windows come to equal sums in the end",
        settle("L1", "R", 30),
        post("T1", "R", 50),
        post("T2", "R", 20, on=TUE),
        settle("L2", "R", 40, on=WED),
        gives={
            MON: [_made("L1 = T1", "30 against 50 USD, off by -20"), "amount_mismatch L1, 30 USD, off by -20"],
            TUE: [
                "reversed " + _made("L1 = T1", "30 against 50 USD, off by -20"),
                _made("L1 = T1 + T2", "30 against 70 USD, off by -40", "one_to_many"),
                "amount_mismatch L1, 30 USD, off by -40",
            ],
            WED: [
                "reversed " + _made("L1 = T1 + T2", "30 against 70 USD, off by -40", "one_to_many"),
                _made("L1 + L2 = T1 + T2", "70 USD", "many_to_many"),
                "resolved as matched_late: amount_mismatch L1, 30 USD, off by -40",
            ],
        },
    ),
    claim(
        "several on both sides are ambiguous, until a part makes their sums equal",
        settle("L1", "R", 50),
        settle("L2", "R", 70),
        post("T1", "R", 100),
        post("T2", "R", 90),
        settle("L3", "R", 70, on=TUE),
        gives={
            MON: ["ambiguous_match L1, 50 USD", "ambiguous_match L2, 70 USD"],
            TUE: [
                _made("L1 + L2 + L3 = T1 + T2", "190 USD", "many_to_many"),
                "resolved as matched_late: ambiguous_match L1, 50 USD",
                "resolved as matched_late: ambiguous_match L2, 70 USD",
            ],
        },
    ),
    claim(
        "what a later pass takes from an ambiguous group leaves a single item, which the others match",
        settle("L1", "R", 50),
        settle("L2", "R", 70),
        post("T1", "R", 100),
        post("T2", "R", 90),
        settle("L3", "Z", 90, merchant="T2", on=TUE),
        gives={
            MON: ["ambiguous_match L1, 50 USD", "ambiguous_match L2, 70 USD"],
            TUE: [
                _made("L3 = T2", "90 USD", rule="internal_reference"),
                _made("L1 + L2 = T1", "120 against 100 USD, off by 20", "many_to_one"),
                "amount_mismatch L1, 120 USD, off by 20",
                "resolved as matched_late: ambiguous_match L1, 50 USD",
                "resolved as matched_late: ambiguous_match L2, 70 USD",
            ],
        },
    ),
    # What holds is another match, or none
    claim(
        "the true movement comes after a short one: the difference is superseded, and the short one stays open",
        settle("L1", "R", 100),
        post("T1", "R", 60),
        post("T2", "R", 100, on=TUE),
        gives={
            MON: [_made("L1 = T1", "100 against 60 USD, off by 40"), "amount_mismatch L1, 100 USD, off by 40"],
            TUE: [
                "reversed " + _made("L1 = T1", "100 against 60 USD, off by 40"),
                _made("L1 = T2", "100 USD"),
                "resolved as superseded: amount_mismatch L1, 100 USD, off by 40",
            ],
            THU: ["unmatched_ledger_entry T1, 60 USD"],
        },
    ),
    claim(
        "the true line comes after a short one, whose own movement comes later still",
        settle("L1", "R", 60),
        post("T1", "R", 100),
        settle("L2", "R", 100, on=TUE),
        post("T2", "R", 60, on=WED),
        gives={
            MON: [SHORT.made, "amount_mismatch L1, 60 USD, off by -40"],
            TUE: [
                SHORT.back,
                _made("L2 = T1", "100 USD"),
                "resolved as superseded: amount_mismatch L1, 60 USD, off by -40",
                "unmatched_provider_row L1, 60 USD",
            ],
            WED: [_made("L1 = T2", "60 USD"), "resolved as matched_late: unmatched_provider_row L1, 60 USD"],
        },
    ),
    claim(
        "a difference that was superseded comes back with another movement: a new exception",
        settle("L1", "R", 60),
        post("T1", "R", 100),
        settle("L2", "R", 100, on=TUE),
        post("T2", "R", 70, on=WED),
        gives={
            MON: [SHORT.made, "amount_mismatch L1, 60 USD, off by -40"],
            TUE: [
                SHORT.back,
                _made("L2 = T1", "100 USD"),
                "resolved as superseded: amount_mismatch L1, 60 USD, off by -40",
                "unmatched_provider_row L1, 60 USD",
            ],
            WED: [
                _made("L1 = T2", "60 against 70 USD, off by -10"),
                "amount_mismatch L1, 60 USD, off by -10",
                "resolved as matched_late: unmatched_provider_row L1, 60 USD",
            ],
        },
    ),
    claim(
        "line and movement of a difference each find another: it is superseded by nothing",
        settle("L1", "R", 30),
        post("T1", "R", 50),
        settle("L2", "R", 50, on=TUE),
        settle("L3", "R", 7, on=TUE),
        post("T2", "R", 30, on=TUE),
        gives={
            MON: [_made("L1 = T1", "30 against 50 USD, off by -20"), "amount_mismatch L1, 30 USD, off by -20"],
            TUE: [
                "reversed " + _made("L1 = T1", "30 against 50 USD, off by -20"),
                _made("L1 = T2", "30 USD"),
                _made("L2 = T1", "50 USD"),
                "resolved as superseded: amount_mismatch L1, 30 USD, off by -20",
                "unmatched_provider_row L3, 7 USD",
            ],
        },
    ),
    claim(
        "two lines too few for their movement, then one of the whole: both are unmatched",
        settle("L1", "R", 30),
        settle("L2", "R", 20),
        post("T1", "R", 100),
        settle("L3", "R", 100, on=TUE),
        gives={
            MON: [
                _made("L1 + L2 = T1", "50 against 100 USD, off by -50", "many_to_one"),
                "amount_mismatch L1, 50 USD, off by -50",
            ],
            TUE: [
                "reversed " + _made("L1 + L2 = T1", "50 against 100 USD, off by -50", "many_to_one"),
                _made("L3 = T1", "100 USD"),
                "resolved as superseded: amount_mismatch L1, 50 USD, off by -50",
                "unmatched_provider_row L1, 30 USD",
                "unmatched_provider_row L2, 20 USD",
            ],
        },
    ),
    # Duplicates, and wrong currencies, that are answered
    claim(
        "a line that repeats another finds its own movement later",
        settle("L1", "R", 50),
        post("T1", "R", 50),
        settle("L2", "R", 50, on=TUE),
        post("T2", "R", 50, on=THU),
        gives={
            MON: [_made("L1 = T1", "50 USD")],
            TUE: ["duplicate_settlement_line L2, 50 USD, off by 50"],
            THU: [
                _made("L2 = T2", "50 USD"),
                "resolved as matched_late: duplicate_settlement_line L2, 50 USD, off by 50",
            ],
        },
    ),
    claim(
        "a posting that repeats another finds its own line later",
        settle("L1", "R", 50),
        post("T1", "R", 50),
        post("T2", "R", 50, at="09:30"),
        settle("L2", "R", 50, on=WED),
        gives={
            MON: [_made("L1 = T1", "50 USD"), "duplicate_ledger_posting T2, 50 USD, off by -50"],
            WED: [
                _made("L2 = T2", "50 USD"),
                "resolved as matched_late: duplicate_ledger_posting T2, 50 USD, off by -50",
            ],
        },
    ),
    claim(
        "a line repeats another until the movement grows to both",
        settle("L1", "R", 50, at="10:00"),
        settle("L2", "R", 50, at="10:01"),
        post("T1", "R", 50),
        _late_entry(50, TUE),
        gives={
            MON: [_made("L1 = T1", "50 USD"), "duplicate_settlement_line L2, 50 USD, off by 50"],
            TUE: [
                "reversed " + _made("L1 = T1", "50 USD"),
                _made("L1 + L2 = T1", "100 USD", "many_to_one"),
                "resolved as matched_late: duplicate_settlement_line L2, 50 USD, off by 50",
            ],
        },
    ),
    claim(
        "a line in the wrong currency finds a movement in its own; the other one is overdue in time",
        settle("L1", "R", 50, "EUR"),
        post("T1", "R", 50),
        post("T2", "R", 50, "EUR", on=TUE),
        gives={
            MON: ["currency_mismatch L1, 50 EUR"],
            TUE: [_made("L1 = T2", "50 EUR"), "resolved as matched_late: currency_mismatch L1, 50 EUR"],
            THU: ["unmatched_ledger_entry T1, 50 USD"],
        },
    ),
    # What the ledger adds to a movement, in each state
    claim(
        "a matched movement shrinks and grows back",
        settle("L1", "R", 100),
        post("T1", "R", 100),
        _late_entry(-20, TUE),
        _late_entry(20, WED, "later"),
        gives={
            MON: [_made("L1 = T1", "100 USD")],
            TUE: [
                "reversed " + _made("L1 = T1", "100 USD"),
                _made("L1 = T1", "100 against 80 USD, off by 20"),
                "amount_mismatch L1, 100 USD, off by 20",
            ],
            WED: [
                "reversed " + _made("L1 = T1", "100 against 80 USD, off by 20"),
                _made("L1 = T1", "100 USD"),
                "resolved as matched_late: amount_mismatch L1, 100 USD, off by 20",
            ],
        },
    ),
    claim(
        "a matched movement changes its sign",
        settle("L1", "R", 100),
        post("T1", "R", 100),
        _late_entry(-250, WED),
        gives={
            MON: [_made("L1 = T1", "100 USD")],
            WED: [
                "reversed " + _made("L1 = T1", "100 USD"),
                _made("L1 = T1", "100 against -150 USD, off by 250"),
                "amount_mismatch L1, 100 USD, off by 250",
            ],
        },
    ),
    claim(
        "a difference becomes another, and then none, by what the ledger takes from the movement",
        settle("L1", "R", 60),
        post("T1", "R", 100),
        _late_entry(-20, TUE),
        _late_entry(-20, THU, "later"),
        gives={
            MON: [SHORT.made, "amount_mismatch L1, 60 USD, off by -40"],
            TUE: [
                SHORT.back,
                _made("L1 = T1", "60 against 80 USD, off by -20"),
                "amount_mismatch L1, 60 USD, off by -20",
            ],
            THU: [
                "reversed " + _made("L1 = T1", "60 against 80 USD, off by -20"),
                _made("L1 = T1", "60 USD"),
                "resolved as matched_late: amount_mismatch L1, 60 USD, off by -20",
            ],
        },
    ),
    claim(
        "an overdue movement that grows is the same exception with what is open now",
        post("T1", "R", 100),
        _late_entry(20, FRI),
        gives={THU: ["unmatched_ledger_entry T1, 100 USD"], FRI: ["unmatched_ledger_entry T1, 120 USD"]},
    ),
    claim(
        "entries on one side arrive in two steps: what is missing is shown as it is, and ends with the second",
        entry("E1", "T1", "", "fees", "debit", 100),
        entry("E2", "T1", "", "revenue", "credit", 60, on=TUE),
        entry("E3", "T1", "", "revenue", "credit", 40, on=WED),
        gives={
            MON: ["unbalanced_transaction T1, 100 USD, off by -100"],
            TUE: ["unbalanced_transaction T1, 100 USD, off by -40"],
            WED: ["resolved as matched_late: unbalanced_transaction T1, 100 USD, off by -40"],
        },
    ),
    claim(
        "the rows of a payout arrive in two more files: what is unaccounted for shrinks and goes",
        settle("L1", "R1", 1_000, batch="B"),
        post("T1", "R1", 1_000),
        settle("PO", "po", -1_500, type="payout", batch="B"),
        settle("L2", "R2", 200, batch="B", on=TUE),
        post("T2", "R2", 200, on=TUE),
        settle("L3", "R3", 300, batch="B", on=WED),
        post("T3", "R3", 300, on=WED),
        gives={
            MON: [_made("L1 = T1", "1000 USD"), "control_total_mismatch PO, -1500 USD, off by -500"],
            TUE: [_made("L2 = T2", "200 USD"), "control_total_mismatch PO, -1500 USD, off by -300"],
            WED: [
                _made("L3 = T3", "300 USD"),
                "resolved as matched_late: control_total_mismatch PO, -1500 USD, off by -300",
            ],
        },
    ),
    # Originals
    claim(
        "a refund is above its original until more of the original is settled",
        settle("L1", "R", 50),
        post("T1", "R", 50),
        settle("R1", "rf", -60, type="refund", original="R"),
        post("T2", "rf", -60, type="refund"),
        settle("L2", "R", 30, on=TUE),
        post("T3", "R", 30, on=TUE),
        gives={
            MON: [
                _made("L1 = T1", "50 USD"),
                _made("R1 = T2", "-60 USD"),
                "over_applied_reference R1, -60 USD, off by 10",
            ],
            TUE: [
                _made("L2 = T3", "30 USD"),
                "resolved as matched_late: over_applied_reference R1, -60 USD, off by 10",
            ],
        },
    ),
    claim(
        "an earlier refund that comes late makes a later one take back more than it seemed",
        settle("L1", "R", 100),
        post("T1", "R", 100),
        settle("RA", "ra", -60, type="refund", original="R", on=TUE, at="12:00"),
        post("TA", "ra", -60, type="refund", on=TUE),
        settle("RB", "rb", -50, type="refund", original="R", on=TUE, at="13:00"),
        post("TB", "rb", -50, type="refund", on=TUE),
        settle("RC", "rc", -30, type="refund", original="R", file="set_2026_04_22"),
        post("TC", "rc", -30, type="refund", on=WED),
        gives={
            MON: [_made("L1 = T1", "100 USD")],
            TUE: [
                _made("RA = TA", "-60 USD"),
                _made("RB = TB", "-50 USD"),
                "over_applied_reference RB, -50 USD, off by 10",
            ],
            WED: [_made("RC = TC", "-30 USD"), "over_applied_reference RB, -50 USD, off by 40"],
        },
    ),
    claim(
        "an original known by its movement alone shrinks: a refund of an earlier window is above it",
        post("T1", "R", 100),
        settle("R1", "rf", -100, type="refund", original="R"),
        post("T2", "rf", -100, type="refund"),
        _late_entry(-30, TUE),
        gives={
            MON: [_made("R1 = T2", "-100 USD")],
            TUE: ["over_applied_reference R1, -100 USD, off by 30"],
            THU: ["unmatched_ledger_entry T1, 70 USD"],
        },
    ),
    claim(
        "a line that repeats the original adds nothing to it, until it finds a movement of its own",
        settle("L1", "R", 100),
        post("T1", "R", 100),
        settle("L2", "R", 100, on=TUE),
        settle("R1", "rf", -150, type="refund", original="R", on=TUE),
        post("T2", "rf", -150, type="refund", on=TUE),
        post("T3", "R", 100, on=WED),
        gives={
            MON: [_made("L1 = T1", "100 USD")],
            TUE: [
                "duplicate_settlement_line L2, 100 USD, off by 100",
                _made("R1 = T2", "-150 USD"),
                "over_applied_reference R1, -150 USD, off by 50",
            ],
            WED: [
                _made("L2 = T3", "100 USD"),
                "resolved as matched_late: duplicate_settlement_line L2, 100 USD, off by 100",
                "resolved as matched_late: over_applied_reference R1, -150 USD, off by 50",
            ],
        },
    ),
    claim(
        "an original in another currency is none; in the refund's own it is known, and too small",
        settle("L1", "R", 100),
        post("T1", "R", 100),
        settle("R1", "rf", -50, "EUR", type="refund", original="R"),
        post("T2", "rf", -50, "EUR", type="refund"),
        settle("L2", "R", 30, "EUR", on=WED),
        post("T3", "R", 30, "EUR", on=WED),
        gives={
            MON: [_made("L1 = T1", "100 USD"), _made("R1 = T2", "-50 EUR"), "unresolved_reference R1, -50 EUR"],
            WED: [
                _made("L2 = T3", "30 EUR"),
                "resolved as matched_late: unresolved_reference R1, -50 EUR",
                "over_applied_reference R1, -50 EUR, off by 20",
            ],
        },
    ),
    claim(
        "a chargeback on top of a refund is above the original until the refund's own reversal is known to be earlier",
        settle("L1", "R", 100),
        post("T1", "R", 100),
        settle("R1", "rf", -100, type="refund", original="R", at="12:00"),
        post("T2", "rf", -100, type="refund"),
        settle("C1", "cb", -100, type="chargeback", original="R", on=TUE),
        post("T3", "cb", -100, type="chargeback", on=TUE),
        settle("C2", "cr", 100, type="chargeback_reversal", original="R", at="13:00", file="set_2026_04_22"),
        post("T4", "cr", 100, type="chargeback", on=WED),
        gives={
            MON: [_made("L1 = T1", "100 USD"), _made("R1 = T2", "-100 USD")],
            TUE: [_made("C1 = T3", "-100 USD"), "over_applied_reference C1, -100 USD, off by 100"],
            WED: [
                _made("C2 = T4", "100 USD"),
                "resolved as matched_late: over_applied_reference C1, -100 USD, off by 100",
            ],
        },
    ),
    # What failed, and what comes instead
    claim(
        "a line that failed stays reported when the money comes by another line",
        settle("L1", "R", 100, status="failed"),
        post("T1", "R", 100),
        settle("L2", "R", 100, on=TUE),
        gives={MON: ["failed_settlement L1, 100 USD"], TUE: [_made("L2 = T1", "100 USD")]},
    ),
]
# The items that each claim leaves open after Friday, in its order.
LEFT_OPEN = {
    "the true movement comes after a short one: the difference is superseded, and the short one stays open": ["T1"],
    "line and movement of a difference each find another: it is superseded by nothing": ["L3"],
    "two lines too few for their movement, then one of the whole: both are unmatched": ["L1", "L2"],
    "a line in the wrong currency finds a movement in its own; the other one is overdue in time": ["T1"],
    "an overdue movement that grows is the same exception with what is open now": ["T1"],
    "an original known by its movement alone shrinks: a refund of an earlier window is above it": ["T1"],
    "a line that failed stays reported when the money comes by another line": ["L1"],
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Said], World]:
    return claims.played(tmp_path_factory, "what_holds_now", CLAIMS, WINDOWS, {"expects_callbacks": False})


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim(played: tuple[list[Said], World], number: int, each: Claim) -> None:
    reported = {window: [text for text in texts if not _is_open(text)] for window, texts in played[0][number].items()}
    assert {window: texts for window, texts in reported.items() if texts} == expected(each)
    left = sorted(text.split()[1].removesuffix(",") for text in played[0][number].get(FRI, ()) if _is_open(text))
    assert left == LEFT_OPEN.get(each.says, [])


def test_the_tables_hold_together_after_every_window(played: tuple[list[Said], World]) -> None:
    assert faults(played[1]) == []


def test_what_is_superseded_names_what_replaces_it(played: tuple[list[Said], World]) -> None:
    rows = played[1].query(
        "select old.exception_type, old.subject_id, new.exception_type as by_type, new.subject_id as by_subject "
        "from exceptions as old left join exceptions as new on old.superseded_by = new.exception_id "
        "where old.resolution = 'superseded' order by old.subject_id"
    )
    reported = {row["subject_id"][5:]: (row["by_type"], (row["by_subject"] or "")[5:]) for row in rows}
    assert reported["L2"] == ("amount_mismatch", "L1")  # another line of the group is its first by now
    replaced = {(row["by_type"], row["subject_id"][5:]) for row in rows if row["by_subject"] == row["subject_id"]}
    assert replaced == {("unmatched_provider_row", "L1")}
    assert sorted(row["subject_id"][5:] for row in rows if row["by_type"] is None) == ["L1", "L1"]


def test_one_that_comes_back_names_the_one_before(played: tuple[list[Said], World]) -> None:
    rows = played[1].query(
        "select new.subject_id, new.occurrence, old.resolution from exceptions as new "
        "join exceptions as old on new.previous_exception_id = old.exception_id"
    )
    assert [(row["subject_id"][5:], row["occurrence"], row["resolution"]) for row in rows] == [("L1", 2, "superseded")]


def test_the_history_of_an_exception_has_what_it_showed_before(played: tuple[list[Said], World]) -> None:
    number = next(place for place, each in enumerate(CLAIMS) if each.says.startswith("parts of a posting"))
    (row,) = played[1].query(f"select exception_id from exceptions where subject_id = 'c{number:03d}.L1'")
    shown = history.of_exception(played[1].tenant, row["exception_id"])
    assert [(each.ledger_window, each.amount_minor, each.difference_minor) for each in shown] == [
        (MON, 100, 60),
        (TUE, 100, 25),
    ]


def test_the_log_gives_the_tables_and_has_everything_once(played: tuple[list[Said], World]) -> None:
    assert_log_gives_tables(played[1])
    assert_each_emitted_once_and_as_documented(played[1])


def test_the_log_has_each_change_with_what_was_shown_before(played: tuple[list[Said], World]) -> None:
    rows = played[1].query(
        "select exceptions.subject_id, events.data from events inner join exceptions on events.subject = exception_id "
        f"where event_type = '{types.EXCEPTION_CHANGED}' and exceptions.exception_type = 'amount_mismatch'"
    )
    reported = [json.loads(row["data"]) for row in rows]
    assert sorted((each["former_difference_minor"], each["difference_minor"]) for each in reported) == [
        (-40, -20),
        (-40, 30),
        (-20, -40),
        (60, 25),
    ]
    assert {each["ledger_window"] for each in reported} == {TUE}


def _is_open(text: str) -> bool:
    return text.startswith("open ")
