"""The cases of `shared/cases/ledger_cases.md`: every claim that a case states as rows holds after the run it names.

Cases whose steps are more than runs are in test_steps_of_their_own. Does not belong here: what is right.
"""

import pytest

from tests.cases.ledger import Played, play
from tests.cases.shared import groups

# A name is added as its case comes out right.
RIGHT = (
    "parts_over_three_files",
    "later_lines_after_an_exact_match",
    "a_refund_comes_before_a_smaller_original",
    "a_chargeback_on_top_of_a_full_refund",
    "n_to_m_equal_sums_other_counts",
    "a_pair_a_duplicate_and_a_difference",
    "a_duplicate_finds_its_movement_later",
    "the_wrong_currency_then_the_right_one",
    "one_transaction_in_two_currencies",
    "payout_totals",
    "a_batch_with_fees_and_a_reserve",
    "a_batch_over_two_files",
    "negative_fees_and_wrong_nets",
    "overlapping_sets",
    "returned_after_it_was_matched",
    "the_same_line_in_a_second_file",
    "an_entry_comes_late_for_a_matched_movement",
    "a_late_entry_and_the_line_for_it",
    "a_difference_becomes_another",
    "the_true_line_comes_after_a_short_one",
    "a_later_movement_completes",
    "an_original_known_by_its_movement_only",
    "leftovers_go_on_to_later_passes",
    "a_suggestion_consumes_nothing",
    "failed_succeeded_reversed",
    "a_conflicting_payload_then_a_correction",
    "the_cutoff_to_the_second",
    "a_success_after_as_of",
    "a_refund_under_the_reference_of_its_payment",
    "a_failed_refund_under_the_reference_of_its_payment",
    "an_orphan_that_is_answered_at_last",
    "a_bridge",
    "reversed_the_day_after_the_match",
    "the_border_of_a_fee",
    "a_tolerance_for_pairs_only",
    "holidays_do_not_age",
    "london_in_spring",
    "new_york_in_autumn",
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    """Every case after its runs, by name."""
    worlds = (play(group, tmp_path_factory.mktemp("cases")) for group in groups(RIGHT))
    return {each.case.name: each for world in worlds for each in world}


@pytest.mark.parametrize("name", RIGHT)
def test_the_case_comes_out_right(played: dict[str, Played], name: str) -> None:
    assert played[name].differences() == {}


# What the cases say in words ---------------------------------------------------------------------------------------


def test_three_lines_and_two_movements_of_equal_sums_are_many_to_many(played: dict[str, Played]) -> None:
    case = played["n_to_m_equal_sums_other_counts"]
    rows = case.world.query(f"select cardinality from matches where provider_reference = '{case.prefix}X'")
    assert [row["cardinality"] for row in rows] == ["many_to_many"]


def test_the_one_open_difference_shows_what_is_left(played: dict[str, Played]) -> None:
    case = played["a_difference_becomes_another"]
    rows = case.world.query(
        f"select difference_minor, runs.ledger_window, exceptions.status <> 'resolved' as is_open from exceptions "
        f"inner join runs using (run_id) where exception_type = 'amount_mismatch' and subject_id = '{case.prefix}L1'"
    )
    assert [(row["difference_minor"], str(row["ledger_window"]), row["is_open"]) for row in rows] == [
        (-20, "2026-03-03", True)
    ]


def test_the_difference_of_a_short_line_is_superseded_by_its_being_unmatched(played: dict[str, Played]) -> None:
    case = played["the_true_line_comes_after_a_short_one"]
    rows = case.world.query(
        "select new.exception_type from exceptions as old inner join exceptions as new "
        f"on old.superseded_by = new.exception_id where old.subject_id = '{case.prefix}L1'"
    )
    assert rows == [{"exception_type": "unmatched_provider_row"}]


def test_a_suggestion_ends_when_its_movement_finds_another_line(played: dict[str, Played]) -> None:
    case = played["a_suggestion_consumes_nothing"]
    assert case.world.query("select * from matches where rule = 'amount_date'") == []


def test_holidays_do_not_count_as_business_days(played: dict[str, Played]) -> None:
    case = played["holidays_do_not_age"]
    rows = case.world.query("select age_business_days from open_items")
    assert sorted(row["age_business_days"] for row in rows) == [0, 1, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("london_in_spring", {"T1": "2026-03-28", "T2": "2026-03-29", "T3": "2026-03-29", "T4": "2026-03-30"}),
        ("new_york_in_autumn", {"T1": "2026-10-31", "T2": "2026-11-01", "T3": "2026-11-01", "T4": "2026-11-02"}),
    ],
)
def test_a_window_is_named_for_the_local_day_on_which_it_begins(
    played: dict[str, Played], name: str, opened: dict[str, str]
) -> None:
    case = played[name]
    rows = case.world.query("select distinct item_id, opened_window from open_items")
    assert {row["item_id"].removeprefix(case.prefix): str(row["opened_window"]) for row in rows} == opened
