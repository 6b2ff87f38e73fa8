"""The public reports about callbacks: their commands carried out, and what their READMEs say is right.

Does not belong here: reports about anything else.
"""

from pathlib import Path

import pytest

from tests.cases.reports import play

pytestmark = pytest.mark.ci

MATCH_LEGS = "select leg_type, leg_id from match_legs where leg_type = 'callback' order by all"


@pytest.mark.parametrize(
    "name",
    [
        "debit_fails_same_file",
        "dispute_won_then_refund",
        "inquiry_closed_payment_fine",
        "only_charge_refunded_comes",
        "only_checkout_session",
        "refund_callback_shares_order_canonical",
        "refund_failed_then_again",
        "two_events_in_one_second",
    ],
)
def test_what_callbacks_say_of_refunds_disputes_and_attempts_is_no_exception(tmp_path: Path, name: str) -> None:
    assert play(name, tmp_path).exceptions() == []


def test_a_refund_that_nobody_booked_is_one_orphan_though_two_events_report_it(tmp_path: Path) -> None:
    report = play("refund_nobody_booked_silent", tmp_path, "z3_unbooked_refund_silent")
    assert report.exceptions() == [("orphan_callback", "evt_2")]
    assert [row["leg_id"] for row in report.query(MATCH_LEGS)] == ["evt_1"]
