"""The public reports of `shared/cases`, a folder each: its commands carried out, and what its README says is right.

Does not belong here: what a report's story is (its README).
"""

import json
from pathlib import Path

import pytest

from tests.cases.reports import command, play
from zentra_pipeline import cli

pytestmark = pytest.mark.ci


def test_a_posting_and_its_reversal_stay_open_until_somebody_matches_them_with_each_other(tmp_path: Path) -> None:
    report = play("reversal_pair_on_one_side", tmp_path)
    assert report.exceptions() == [("unmatched_ledger_entry", "t1"), ("unmatched_ledger_entry", "t1r")]
    (decided,) = report.query("select exception_id, run_id from exceptions where subject_id = 't1'")
    match = "zentra exceptions match {} --actor ann --reason 'reversed the same day' --transaction t1 {}"
    assert command(report, match.format(decided["exception_id"], "")).code == 2
    assert command(report, match.format(decided["exception_id"], "--transaction t1r")).code == 0
    assert report.query("select distinct status, resolution from exceptions") == [
        {"status": "resolved", "resolution": "matched_manually"}
    ]
    assert report.query("select * from open_items where ledger_window = date '2026-03-09'") == []
    (row,) = report.query(f"select * from rollforward where run_id = '{decided['run_id']}'")
    assert (row["opening_minor"], row["settled_minor"], row["closing_minor"]) == (0, 0, 0)
    closed = f"zentra close --run {decided['run_id']}"
    assert command(report, f"{closed} --actor ann").code == 0
    sealed = command(report, f"{closed} --actor bob --approve --json")
    assert sealed.code == 0
    bundle = json.loads(sealed.text[sealed.text.index("{") :])["bundle"]
    assert cli.invoke(["verify", bundle, "--trust", str(report.home.root / "trust.json")]) == 0


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


def test_two_rows_of_one_id_are_both_in_quarantine_and_counted(tmp_path: Path) -> None:
    report = play("one_id_two_rows", tmp_path)
    assert "WARNING: set_2026_03_02: 1 id used twice" in report.said[1].text
    quarantined = report.query("select row_number, reason from quarantine order by all")
    assert quarantined == [{"row_number": 1, "reason": "id_used_twice"}, {"row_number": 2, "reason": "id_used_twice"}]
    counted = report.query("select currency, rows_in, quarantined from conservation where side = 'settlement'")
    assert counted == [{"currency": "", "rows_in": 2, "quarantined": 2}]


def test_a_ledger_that_numbers_its_entries_again_in_each_transaction_keeps_them_all(tmp_path: Path) -> None:
    report = play("ledger_line_numbers_restart", tmp_path)
    assert report.exceptions() == []
    legs = report.query(
        "select leg_id, amount_minor from match_legs where leg_type = 'ledger_transaction' order by all"
    )
    assert legs == [{"leg_id": "t1", "amount_minor": 1000}, {"leg_id": "t2", "amount_minor": 2000}]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("classic_mac_line_ends", "its lines end with CR alone"),
        ("event_file_given_to_inspect", "it is a webhook event (JSON), and this reads settlement reports"),
        (
            "lines_above_the_header",
            "line 1 ('Account,acct_1') is not the header of this report: the header is in line 4",
        ),
        ("symbol_or_blank_in_amount", "gross: '$40.00' has letters or a currency symbol"),
        ("two_byte_order_marks", "it begins with two byte order marks"),
    ],
)
def test_a_file_of_another_form_is_refused_with_what_it_looks_like_and_what_to_do(
    tmp_path: Path, report: str, words: str
) -> None:
    said = play(report, tmp_path).said
    assert [each.code for each in said] == [4] * len(said)
    assert words in said[0].text.replace("\\'", "'")


def test_a_payout_report_after_the_activity_report_adds_the_payout_and_its_total(tmp_path: Path) -> None:
    report = play("activity_then_payout_report", tmp_path)
    assert report.exceptions() == []
    assert report.query("select count(*) as quarantined from quarantine") == [{"quarantined": 0}]
    changed = report.query("select line_id, batch_after from restatements order by all")
    assert changed == [{"line_id": "txn_1", "batch_after": "po_1"}, {"line_id": "txn_2", "batch_after": "po_1"}]
