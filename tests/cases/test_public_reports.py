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


def test_a_line_of_nothing_is_no_exception_and_no_open_item(tmp_path: Path) -> None:
    report = play("zero_amount_rows", tmp_path)
    assert report.exceptions() == []
    assert report.query("select * from open_items") == []
    assert report.query("select accounted, matched from conservation where side = 'settlement'") == [
        {"accounted": 1, "matched": 1}
    ]


def test_a_payout_line_meets_the_payout_movement_where_the_profile_names_payouts(tmp_path: Path) -> None:
    report = play("payout_line_and_movement_same_reference", tmp_path)
    assert report.exceptions() == []
    assert report.query("select count(*) as matches from matches where difference_minor = 0") == [{"matches": 2}]


def test_twins_on_two_days_are_ambiguous_and_the_sentence_names_the_days(tmp_path: Path) -> None:
    report = play("twins_on_two_days", tmp_path)
    assert report.exceptions() == [("ambiguous_match", "b1"), ("ambiguous_match", "b2")]
    (said,) = report.query("select distinct split_part(explanation, ') has ', 2) as words from exceptions")
    assert said["words"] == (
        "2 open movements of the same amount within the settlement lag of 2 business days, on 2026-03-02, 2026-03-03, "
        "for 2 lines of that amount, and no reference connects them: pair them by decision"
    )
