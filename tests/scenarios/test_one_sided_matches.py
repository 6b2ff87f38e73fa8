"""Items of one side that cancel, matched with each other by decision (contract §5): what it takes, what tables show.

Decisions are taken after Tuesday's run, about it.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.scenarios.rows import MON, TUE, call, post, settle
from tests.scenarios.test_manual_matches import amounts_of, decide, exceptions_of, match, recorded_alone, run_again
from tests.scenarios.world import World
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import NotPossibleError, RefusedError, UsageError

PROFILE = {"amount_date_rule": "off", "settlement_lag_days": 0, "amount_tolerance_minor": {"USD": 2}}


@dataclass(frozen=True)
class Story:
    world: World
    said: dict[str, list[str]]
    answers: dict[str, DecisionResult]
    conservation: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(tmp_path_factory.mktemp("one_sided"), PROFILE)
    world.add(
        # A posting and its reversal; a callback of it would be beside the point.
        *(post("T1", "P1", 1_000), post("T2", "P1", -1_000, at="11:00"), call("C1", "P1", 1_000)),
        # Three lines that cancel; a pair within tolerance, and one beyond it; three whose rest a pair might leave.
        *(settle("L1", "a", 500), settle("L2", "b", -200, type="refund"), settle("L3", "c", -300, type="chargeback")),
        *(post("T3", "d", 70), post("T4", "e", -69), post("T5", "f", 80), post("T6", "g", -77)),
        *(post("T7", "h", 30), post("T8", "i", -20), post("T9", "j", -9)),
        # Taken back again.
        *(settle("L4", "k", 40), settle("L5", "m", -40, type="refund")),
    )
    said = {day: run_again(world, day) for day in (MON, TUE)}
    with recorded_alone():
        answers = {
            "pair": match(world, "T1", "", "T1 T2"),
            "three lines": match(world, "L2", "L1 L2 L3", ""),
            "within tolerance": match(world, "T3", "", "T3 T4"),
            "approved": decide(world, "T3", "approve", "bob"),
            "taken back": match(world, "L4", "L4 L5", ""),
        }
    said["decided"] = run_again(world, TUE)
    conservation = world.query(
        f"select conservation.* from conservation where ledger_window = date '{TUE}' and currency = 'USD'"
    )
    evidence = world.query("select * from three_way where match_id is not null order by transaction_id, line_id")
    with pytest.raises(NotPossibleError, match="reopen the exception that the match was decided about"):
        decide(world, "L5", "reopen", "ann", reason="the wrong one")
    with recorded_alone():
        decide(world, "L4", "reopen", "ann", reason="the wrong one")
    said["reopened"] = run_again(world, TUE)
    return Story(world, said, answers, conservation, evidence)


def test_what_cancels_on_one_side_is_matched_with_each_other(story: Story) -> None:
    assert [text for text in story.said["decided"] if text.startswith("manual")] == [
        "manual many_to_none manual: L1 + L2 + L3 = , 0 USD",
        "manual many_to_none manual: L4 + L5 = , 0 USD",
        "manual none_to_many forced:  = T3 + T4, 0 against 1 USD, off by -1",
        "manual none_to_many manual:  = T1 + T2, 0 USD",
    ]


@pytest.mark.parametrize("subject", ["T1", "T2", "T3", "T4", "L1", "L2", "L3"])
def test_every_exception_of_the_items_ends_as_matched_manually(story: Story, subject: str) -> None:
    kind = "unmatched_ledger_entry" if subject.startswith("T") else "unmatched_provider_row"
    assert exceptions_of(story.world, subject) == [(kind, "resolved", "matched_manually")]


def test_no_exception_comes_of_the_match_itself(story: Story) -> None:
    """Neither a callback is missing, nor is a difference within tolerance beyond it."""
    rows = story.world.query(
        "select exception_type from exceptions where match_id is not null and status <> 'resolved'"
    )
    assert rows == []


def test_a_pair_within_tolerance_waits_for_a_second_person_and_more_of_them_is_refused(story: Story) -> None:
    assert story.answers["pair"].state.status == "resolved"
    assert story.answers["within tolerance"].state.status == "pending_approval"
    with pytest.raises(RefusedError, match=r"T5 \+ T6 come to 0.03 USD: .* or to at most 0.02 USD for two; name what"):
        match(story.world, "T5", "", "T5 T6")
    with pytest.raises(RefusedError, match=r"the ledger transactions T7 \+ T8 \+ T9 come to 0.01 USD"):
        match(story.world, "T7", "", "T7 T8 T9")
    with pytest.raises(UsageError, match="match needs two items or more"):
        match(story.world, "T7", "", "T7")


def test_what_the_movements_come_to_is_settled(story: Story) -> None:
    amounts = amounts_of(story.world, TUE)
    assert (amounts["settled"], amounts["difference"]) == (1, 0)
    assert amounts["opening"] + amounts["posted"] - amounts["settled"] == amounts["closing"]


def test_conservation_counts_them_as_matched(story: Story) -> None:
    matched = {row["side"]: (row["matched"], row["matched_minor"]) for row in story.conservation}
    assert (matched["settlement"], matched["ledger"]) == ((5, 0), (4, 1))


def test_three_way_shows_the_side_they_are_on(story: Story) -> None:
    seen = [
        (
            row["transaction_id"],
            row["line_id"],
            row["settlement_minor"],
            row["ledger_minor"],
            row["settlement_vs_ledger_minor"],
        )
        for row in story.evidence
    ]
    assert seen == [
        ("T1", None, None, 0, None),
        ("T3", None, None, 1, None),
        (None, "L1", 0, None, None),
        (None, "L4", 0, None, None),
    ]


def test_reopening_the_exception_that_was_decided_about_takes_the_whole_match_back(story: Story) -> None:
    for subject in ("L4", "L5"):
        assert exceptions_of(story.world, subject) == [("unmatched_provider_row", "open", None)]
    rows = story.world.query("select item_id from open_items where item_id in ('L4', 'L5')")
    assert {row["item_id"] for row in rows} == {"L4", "L5"}
