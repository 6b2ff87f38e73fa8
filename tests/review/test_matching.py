"""What a match names has a shape, and what it comes to follows from the sums alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_pipeline.decisions import manual_match
from zentra_pipeline.decisions.manual_match import Match, Named
from zentra_pipeline.errors import UsageError

IDS = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5, unique=True)


@pytest.mark.parametrize(
    ("action", "lines", "movements", "words"),
    [
        ("match", [], ["T1"], "match needs two items or more"),
        ("match", ["L1"], [], "match needs two items or more"),
        ("match", [], [], "match needs two items or more"),
        ("split", [], ["T1", "T2"], "split needs a settlement line"),
        ("match", ["L1", "L1"], ["T1"], "a settlement line is named twice"),
        ("match", ["L1"], ["T1", ""], "a ledger transaction has an invalid id"),
        ("match", ["L" * 4097], ["T1"], "a settlement line has an invalid id"),
        ("match", [f"L{number}" for number in range(1000)], ["T1"], "1001 items are too many"),
        ("split", ["L1"], ["T1"], "1 with 1 is for match"),
        ("split", ["L1", "L2"], ["T1", "T2"], "2 with 2 is for match"),
        ("comment", ["L1"], [], "comment takes no lines or movements; match and split do"),
        ("approve", [], ["T1"], "approve takes no lines"),
    ],
)
def test_a_shape_that_an_action_cannot_have_is_misuse(
    action: str, lines: list[str], movements: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        manual_match.named(action, lines, movements)


def test_a_split_is_one_line_with_several_movements_or_the_other_way_round() -> None:
    assert manual_match.named("split", ["L1"], ["T2", "T1"]) == Named(("L1",), ("T1", "T2"))
    assert manual_match.named("split", ["L2", "L1"], ["T1"]) == Named(("L1", "L2"), ("T1",))
    assert manual_match.named("resolve", [], []) is None


@given(IDS, IDS)
def test_what_is_named_does_not_depend_on_the_order_it_was_named_in(lines: list[str], movements: list[str]) -> None:
    named = manual_match.named("match", lines, movements)
    assert named is not None
    assert manual_match.named("match", lines[::-1], movements[::-1]) == named
    assert Named.of_details(named.content() | {"currency": "USD"}) == named
    assert len(named.items) == len(lines) + len(movements)


def test_a_decision_that_names_nothing_is_about_no_match() -> None:
    assert Named.of_details({"item": {"item_id": "T1"}}) is None


@pytest.mark.parametrize(
    ("settlement", "ledger", "method"), [(500, 500, "manual"), (500, 493, "forced"), (-5, 5, "forced")]
)
def test_only_equal_sums_are_matched_without_force(settlement: int, ledger: int, method: str) -> None:
    match = Match(Named(("L1",), ("T1",)), "USD", settlement, ledger)
    assert (match.method, match.is_forced) == (method, settlement != ledger)
    assert match.details(takes_effect=False)["method"] == method
    assert "breaks" not in match.details(takes_effect=False)
    assert match.details(takes_effect=True)["breaks"] == []
