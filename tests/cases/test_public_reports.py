"""The public reports of `shared/cases`, a folder each: its commands carried out, and what its README says is right.

Does not belong here: what a report's story is; its README tells.
"""

from pathlib import Path

from tests.cases.reports import play


def test_a_posting_and_its_reversal_stay_open_until_somebody_decides(tmp_path: Path) -> None:
    report = play("reversal_pair_on_one_side", tmp_path)
    assert report.exceptions() == [("unmatched_ledger_entry", "t1"), ("unmatched_ledger_entry", "t1r")]


def test_a_refund_that_names_no_payment_and_nobody_booked_is_an_orphan(tmp_path: Path) -> None:
    report = play("refund_nobody_booked_silent", tmp_path, "z2_control_without_intent")
    assert report.exceptions() == [("orphan_callback", "evt_2")]
