"""Matches by decision: what operators name is matched before any pass, at once or by two of them, and stays so.

One story over three windows. Decisions are taken after Tuesday's run, about it; later facts arrive on Wednesday.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.scenarios.rows import MON, TUE, WED, call, entry, post, settle
from tests.scenarios.world import World
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import NotPossibleError, RefusedError, UsageError
from zentra_pipeline.review import decision_run
from zentra_pipeline.review.record import DecisionRequest

NOW = datetime(2026, 4, 22, 9, tzinfo=UTC)
PROFILE = {"amount_date_rule": "off", "settlement_lag_days": 0, "expects_callbacks": False}
WHY = "the remittance says so"


@dataclass(frozen=True)
class Story:
    """The world at the end, what each step newly said, and what decisions were answered with."""

    world: World
    said: dict[str, list[str]]
    answers: dict[str, DecisionResult]


def decide(world: World, subject: str, action: str, actor: str, **given: Any) -> DecisionResult:
    """Decide about the exception for which an item is, or was, unmatched."""
    (row,) = world.query(
        f"select exception_id from exceptions where subject_id = '{subject}' and exception_type <> 'amount_mismatch'"
    )
    return deciding.decide(world.tenant, DecisionRequest(row["exception_id"], action, actor, **given), NOW)


def match(world: World, subject: str, lines: str, movements: str, **given: Any) -> DecisionResult:
    named = {"settlement_lines": lines.split(), "ledger_transactions": movements.split()}
    return decide(world, subject, given.pop("action", "match"), given.pop("actor", "ann"), reason=WHY, **named, **given)


@contextmanager
def recorded_alone() -> Iterator[list[str]]:
    """Decisions are recorded, and the runs they change are named but not run again: one run does for all."""
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "_rerun", lambda _tenant, run, _actor: asked.append(run.run_id))
        yield asked


def run_again(world: World, window: str) -> list[str]:
    return [statement.text for statement in world.run(window)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(tmp_path_factory.mktemp("manual_matches"), PROFILE)
    world.add(
        # One line and one movement without a reference in common; T1 is overdue on Tuesday.
        *(settle("L1", "R1", 500), post("T1", "X1", 500), call("C1", "X1", 500)),
        # One line for three postings, two of which come on Tuesday; two lines for one posting, ambiguous before.
        *(settle("L2", "R2", 600), post("T2", "X2", 100), post("T3", "X3", 200, on=TUE), post("T4", "X4", 300, on=TUE)),
        *(settle("L3", "R3", 100), settle("L4", "R3", 320), post("T5", "R3", 420), post("T6", "R3", 270)),
        # Off by seven: against the amounts.
        *(settle("L7", "R7", 1000), post("T7", "X7", 993)),
        # A line that repeats another is matched with what it was meant for, and so is a line of a batch.
        *(settle("L8", "R8", 80), post("T8", "R8", 80), settle("L9", "R8", 80, at="10:30"), post("T9", "X9", 80)),
        *(settle("LB", "RB", 30, batch="B1"), settle("LC", "RC", 60, batch="B1"), post("TB", "XB", 30)),
        # Matched and taken back, and one that waits for a second person.
        *(settle("LA", "RA", 40), post("TA", "XA", 40), settle("LP", "RP", 90), post("TP", "XP", 91)),
    )
    said = {day: run_again(world, day) for day in (MON, TUE)}
    with recorded_alone() as asked:
        answers = {
            "manual": match(world, "L1", "L1", "T1"),
            "one line": match(world, "L2", "L2", "T4 T3 T2", action="split"),
            "one movement": match(world, "L3", "L4 L3", "T5", action="split"),
            "forced": match(world, "L7", "L7", "T7"),
            "approved": decide(world, "L7", "approve", "bob"),
            "duplicate": match(world, "T9", "L9", "T9"),
            "of a batch": match(world, "LB", "LB", "TB"),
            "taken": match(world, "LA", "LA", "TA"),
            "waiting": match(world, "LP", "LP", "TP"),
        }
    assert set(asked) == {world.revision(TUE).run_id}
    said["decided"] = run_again(world, TUE)
    with recorded_alone():
        answers["back"] = decide(world, "LA", "reopen", "ann", reason="the wrong one")
    said["taken back"] = run_again(world, TUE)
    world.add(
        # What shares a reference with matched items, the batch's movement, and the counterpart of what was taken back.
        *(settle("L7b", "R7", -7, on=WED), post("TL1", "R1", 500, on=WED), post("TB1", "B1", 90, on=WED)),
        *(post("TAA", "RA", 40, on=WED), settle("L1", "R1", 500, file="set_2026_04_22")),
        # What repeats L3, beside the movement of its reference that is left.
        settle("L3b", "R3", 100, on=WED),
    )
    said[WED] = run_again(world, WED)
    return Story(world, said, answers)


def amounts_of(world: World, window: str) -> dict[str, int]:
    (row,) = world.query(
        f"select rollforward.* from rollforward where currency = 'USD' and ledger_window = date '{window}'"
    )
    return {name.removesuffix("_minor"): value for name, value in row.items() if name.endswith("_minor")}


def exceptions_of(world: World, subject: str) -> list[tuple[str, str, str | None]]:
    rows = world.query(f"select * from exceptions where subject_id = '{subject}' order by exception_type")
    return [(row["exception_type"], row["status"], row["resolution"]) for row in rows]


def test_what_operators_name_is_matched_in_the_run_they_decide_in(story: Story) -> None:
    assert [text for text in story.said["decided"] if text.startswith("manual")] == [
        "manual many_to_one manual: L3 + L4 = T5, 420 USD",
        "manual one_to_many manual: L2 = T2 + T3 + T4, 600 USD",
        "manual one_to_one forced: L7 = T7, 1000 against 993 USD, off by 7",
        "manual one_to_one manual: L1 = T1, 500 USD",
        "manual one_to_one manual: L9 = T9, 80 USD",
        "manual one_to_one manual: LA = TA, 40 USD",
        "manual one_to_one manual: LB = TB, 30 USD",
    ]
    assert "callback C1 of L1 = T1" in story.said["decided"]
    assert [story.world.revision(day).revision for day in (MON, TUE, WED)] == [1, 3, 1]


def test_the_roll_forward_settles_what_was_matched_and_conservation_holds(story: Story) -> None:
    tuesday, wednesday = amounts_of(story.world, TUE), amounts_of(story.world, WED)
    assert tuesday["settled"] == 500 + 600 + 420 + 993 + 80 + 30
    assert (tuesday["written_off"], tuesday["difference"], wednesday["difference"]) == (0, 0, 0)
    assert tuesday["closing"] == wednesday["opening"] == 270 + 40 + 91
    rows = story.world.query(
        "select side, matched, matched_minor, rows_unexplained, amount_unexplained_minor from conservation "
        f" where ledger_window = date '{TUE}' and side <> 'callback' and currency = 'USD'"
    )
    assert {row.pop("side"): tuple(row.values()) for row in rows} == {
        "ledger": (8, 2623, 0, 0),
        "settlement": (7, 2630, 0, 0),
    }


def test_all_sides_of_a_match_are_shown_together(story: Story) -> None:
    (row,) = story.world.query(
        "select * from three_way inner join matches using (match_id) where matches.rule = 'manual' and line_id = 'L1'"
    )
    assert (row["has_callback"], row["has_settlement"], row["has_ledger"], row["callback_minor"]) == (
        True,
        True,
        True,
        500,
    )


@pytest.mark.parametrize(
    ("subject", "exception_type", "resolution"),
    [
        # Decided about: by the person.
        ("L1", "unmatched_provider_row", "matched_manually"),
        ("L2", "unmatched_provider_row", "matched_manually"),
        ("L3", "ambiguous_match", "matched_manually"),
        ("L7", "unmatched_provider_row", "matched_manually"),
        ("T9", "unmatched_ledger_entry", "matched_manually"),
        # Of the same items: by the system, whether an earlier run had opened them or this one.
        ("L4", "ambiguous_match", "matched_late"),
        ("T1", "unmatched_ledger_entry", "matched_late"),
        ("T2", "unmatched_ledger_entry", "matched_late"),
        ("T5", "unmatched_ledger_entry", "matched_late"),
        ("T7", "unmatched_ledger_entry", "matched_late"),
    ],
)
def test_an_exception_of_a_matched_item_is_resolved_once(
    story: Story, subject: str, exception_type: str, resolution: str
) -> None:
    found = [each for each in exceptions_of(story.world, subject) if each[0] != "amount_mismatch"]
    assert found == [(exception_type, "resolved", resolution)]


def test_a_duplicate_that_a_decision_matches_is_none_any_more(story: Story) -> None:
    assert exceptions_of(story.world, "L9") == [("duplicate_settlement_line", "resolved", "matched_late")]


def test_a_movement_in_transit_that_is_matched_never_was_an_exception(story: Story) -> None:
    assert exceptions_of(story.world, "T3") == exceptions_of(story.world, "T4") == []


def test_the_difference_of_a_forced_match_is_an_exception_of_its_own_once(story: Story) -> None:
    assert "amount_mismatch L7, 1000 USD, off by 7" in story.said["decided"]
    assert ("amount_mismatch", "open", None) in exceptions_of(story.world, "L7")
    assert len(exceptions_of(story.world, "L7")) == 2


def test_unequal_sums_wait_for_a_second_person_and_change_nothing_until_then(story: Story) -> None:
    proposed, approved = story.answers["forced"], story.answers["approved"]
    assert (proposed.state.status, proposed.is_reconciled) == ("pending_approval", False)
    assert (approved.state.status, approved.state.resolved_by, approved.is_reconciled) == ("resolved", "bob", True)
    (row,) = story.world.query("select policy, result from decisions where action = 'match' and details like '%L7%'")
    assert ('"rule":"second_person.forced"' in row["policy"], row["result"]) == (True, "pending_approval")
    assert exceptions_of(story.world, "LP") == [("unmatched_provider_row", "pending_approval", None)]
    assert "open LP, 90 USD, aged 1" in story.said[TUE]
    assert story.world.query("select * from match_legs where leg_id in ('LP', 'TP')") == []


def test_nobody_approves_a_forced_match_of_their_own(story: Story) -> None:
    with pytest.raises(RefusedError, match="ann proposed matched_manually, so somebody else has to approve it"):
        decide(story.world, "LP", "approve", "Ann ")


def test_a_later_run_starts_from_it_as_from_any_match(story: Story) -> None:
    """Neither a later part of its reference nor a second delivery reopens what operators have matched."""
    assert not [text for text in story.said[WED] if "manual" in text or "reversed" in text]
    assert exceptions_of(story.world, "L7b") == [("unmatched_provider_row", "open", None)]
    assert "open TL1, 500 USD, aged 0" in story.said[WED]
    (row,) = story.world.query(
        "select duplicates from conservation "
        f"where ledger_window = date '{WED}' and side = 'settlement' and currency = 'USD'"
    )
    assert row["duplicates"] == 1


def test_a_line_that_repeats_one_matched_by_decision_is_a_duplicate(story: Story) -> None:
    """It once matched the next best movement of its reference, with a difference."""
    assert exceptions_of(story.world, "L3b") == [("duplicate_settlement_line", "open", None)]
    assert exceptions_of(story.world, "T6") == [("unmatched_ledger_entry", "open", None)]


def test_a_batch_of_which_a_line_was_matched_by_decision_does_not_match_as_a_whole(story: Story) -> None:
    assert "open TB1, 90 USD, aged 0" in story.said[WED]
    assert exceptions_of(story.world, "LC") == [("unmatched_provider_row", "open", None)]


def test_a_match_taken_back_is_gone_and_its_items_are_open_again(story: Story) -> None:
    assert story.answers["back"].is_reconciled
    assert {"open LA, 40 USD, aged 1", "open TA, 40 USD, aged 1"} <= {*story.said[TUE]}
    legs = "select distinct rule from matches inner join match_legs using (match_id) where leg_id in ('LA', 'TA')"
    assert [row["rule"] for row in story.world.query(legs)] == ["exact_reference"]
    assert "exact_reference one_to_one exact: LA = TAA, 40 USD" in story.said[WED]
    assert exceptions_of(story.world, "LA") == [("unmatched_provider_row", "resolved", "matched_late")]
    assert exceptions_of(story.world, "TA") == [("unmatched_ledger_entry", "open", None)]


def test_the_event_log_has_the_match_its_exceptions_and_the_taking_back(story: Story) -> None:
    rows = story.world.query(
        "select event_type, actor from events inner join exceptions on events.subject = exceptions.exception_id "
        "where subject_id = 'TA' order by position"
    )
    assert [(row["event_type"].removeprefix("reconciliation.exception."), row["actor"]) for row in rows] == [
        ("opened", "test"),
        ("resolved", "system"),
        ("reopened", "system"),
    ]
    matches = story.world.query(
        "select event_type, count(*) as events from events where event_type like 'reconciliation.match.%' "
        'and data like \'%"rule":"manual"%\' group by event_type order by 1'
    )
    assert [(row["event_type"].rpartition(".")[2], row["events"]) for row in matches] == [
        ("created", 7),
        ("reversed", 1),
    ]


def test_a_match_cannot_be_taken_back_once_a_later_run_rests_on_it(story: Story) -> None:
    with pytest.raises(RefusedError, match=r"was matched by decision in run .* was reconciled on top of it"):
        decide(story.world, "L1", "reopen", "ann", reason="no")


def test_the_manifest_and_the_log_hold_what_was_named(story: Story) -> None:
    reported = story.world.revision(TUE).manifest["decisions"]["matches"]
    named = {(item["item_id"], item["method"]) for item in reported}
    assert {("L7", "forced"), ("T7", "forced"), ("L3", "manual"), ("T4", "manual")} <= named
    assert not {"LA", "LP"} & {item_id for item_id, _ in named}
    (row,) = story.world.query(
        "select details from decisions where action = 'split' and details like '%T4%' order by sequence"
    )
    assert '"settlement_lines":["L2"]' in row["details"]
    assert '"ledger_transactions":["T2","T3","T4"]' in row["details"]


def test_the_same_match_again_is_recorded_once_and_another_one_is_refused(story: Story) -> None:
    assert not match(story.world, "LP", "LP", "TP").is_new
    with pytest.raises(RefusedError, match="is pending_approval as matched_manually, proposed by ann"):
        match(story.world, "LP", "LP", "TA")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One run with open items of two currencies, a failed line, and a match that is off."""
    made = World(tmp_path_factory.mktemp("refused"), PROFILE)
    made.add(
        *(settle("L1", "R1", 500), post("T1", "X1", 500), post("TE", "XE", 500, "EUR"), settle("LG", "RG", 500)),
        *(settle("LF", "RF", 70, status="failed"), post("TF", "XF", 70)),
        *(settle("LM", "RM", 100), post("TM", "RM", 97)),
    )
    made.run(MON)
    return made


@pytest.mark.parametrize(
    ("subject", "lines", "movements", "words"),
    [
        ("L1", "L1", "TE", "ledger transaction TE is not open in USD .* items of one currency"),
        ("L1", "L1", "TM", "ledger transaction TM is not open"),
        ("L1", "L1 L99", "T1", "settlement line L99 is not open"),
        ("L1", "LG", "T1", "is about settlement line L1: name it among what you match"),
        ("L1", "L1 LF", "T1", "settlement line LF has failed or was returned"),
        ("LF", "LF", "TF", "failed_settlement about settlement line LF: matching answers"),
    ],
)
def test_what_is_not_open_in_one_currency_and_one_run_cannot_be_matched(
    world: World, subject: str, lines: str, movements: str, words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        match(world, subject, lines, movements)


def test_an_exception_of_a_match_is_not_answered_by_matching(world: World) -> None:
    (row,) = world.query("select exception_id from exceptions where exception_type = 'amount_mismatch'")
    named = {"settlement_lines": ["LM"], "ledger_transactions": ["TM"]}
    with pytest.raises(RefusedError, match="is amount_mismatch about settlement line LM"):
        deciding.decide(world.tenant, DecisionRequest(row["exception_id"], "match", "ann", reason=WHY, **named), NOW)


def test_a_split_has_one_item_on_one_side(world: World) -> None:
    with pytest.raises(UsageError, match="split takes one line with several movements"):
        match(world, "L1", "L1", "T1", action="split")


def test_in_a_sealed_run_nothing_is_matched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_run, "is_sealed", lambda _connection, _run_id: True)
    with pytest.raises(
        RefusedError, match="is sealed, and a match changes its roll-forward: reconcile the next window"
    ):
        match(world, "L1", "L1", "T1")


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Operators matched, or proposed to; then the file was restated without L2 and with other amounts."""
    world = World(tmp_path_factory.mktemp("restated"), PROFILE)
    world.add(
        *(settle("L1", "R1", 200), settle("L2", "R2", 300), post("T1", "X1", 500)),
        *(settle("L3", "R3", 500), post("T3", "X3", 500)),
        *(settle("L4", "R4", 500), post("T4", "X4", 493)),
    )
    world.run(MON)
    with recorded_alone():
        match(world, "L1", "L1 L2", "T1")
        match(world, "L3", "L3", "T3")
        match(world, "L4", "L4", "T4")
    world.add(settle("L1", "R1", 200), settle("L3", "R3", 480), settle("L4", "R4", 400))
    return Story(world, {MON: run_again(world, MON)}, {})


def test_a_match_of_which_a_restated_file_takes_a_line_out_is_none(restated: Story) -> None:
    items = restated.world.query("select item_id from open_items order by 1")
    assert [row["item_id"] for row in items] == ["L1", "L4", "T1", "T4"]
    assert not [text for text in restated.said[MON] if "T1, " in text and "manual" in text]


def test_an_item_that_is_open_again_has_an_open_exception_that_names_the_one_decided_about(restated: Story) -> None:
    """The exception said matched_manually of a line that is open, and nothing blocked the close."""
    rows = restated.world.query(
        "select new.amount_minor, old.resolution, old.explanation like '%restated file has taken away%' as says_why "
        "from exceptions as new inner join exceptions as old on new.previous_exception_id = old.exception_id "
        "where new.subject_id = 'L1' and new.status = 'open'"
    )
    assert rows == [{"amount_minor": 200, "resolution": "matched_manually", "says_why": True}]
    assert len(exceptions_of(restated.world, "L1")) == 2


def test_a_match_that_was_equal_shows_its_difference_when_the_file_is_restated(restated: Story) -> None:
    assert "manual one_to_one manual: L3 = T3, 480 against 500 USD, off by -20" in restated.said[MON]
    assert "amount_mismatch L3, 480 USD, off by -20" in restated.said[MON]


def test_a_proposal_about_other_amounts_is_withdrawn_by_the_system(restated: Story) -> None:
    with pytest.raises(NotPossibleError, match="is investigating: approve is not possible"):
        decide(restated.world, "L4", "approve", "bob")
    (row,) = restated.world.query("select * from decisions where action = 'withdraw'")
    assert (row["actor"], row["result"]) == ("system", "investigating")
    assert row["reason"].startswith("ann proposed matched_manually about 5.00 USD; since run run_")
    assert row["reason"].endswith(f"of window {MON} the exception shows 4.00 USD: propose again what holds now")


def test_an_approval_is_refused_when_another_item_of_the_match_has_changed(restated: Story) -> None:
    with recorded_alone():
        match(restated.world, "L4", "L4", "T4")
    world = restated.world
    world.add(entry("T4.3", "T4", "X4", "settlement_account", "credit", 7, on=MON))
    world.add(entry("T4.4", "T4", "X4", "reserved", "debit", 7, on=MON))
    run_again(world, MON)
    words = r"proposed to match 4\.00 USD against 4\.93 USD, and it is 4\.00 USD against 5\.00 USD"
    with pytest.raises(RefusedError, match=words):
        decide(world, "L4", "approve", "bob")


def test_a_dispute_keeps_the_exception_investigated_with_the_word_in_the_log(world: World) -> None:
    answer = decide(world, "LG", "dispute", "ann", reason="asked the provider for the remittance, case 77")
    assert (answer.state.status, answer.is_reconciled) == ("investigating", False)
    (row,) = world.query("select result, reason from decisions where action = 'dispute'")
    assert (row["result"], row["reason"]) == ("investigating", "asked the provider for the remittance, case 77")
    reported = world.query(
        "select event_type from events where subject = "
        "(select exception_id from exceptions where subject_id = 'LG') order by position"
    )
    assert [row["event_type"] for row in reported] == ["reconciliation.exception.opened"]


def test_an_item_that_another_decision_has_taken_is_taken_though_its_run_is_not_made_again_yet(world: World) -> None:
    with recorded_alone():
        match(world, "L1", "L1", "T1")
        with pytest.raises(RefusedError, match="ledger transaction T1 is taken by decision dec_"):
            match(world, "LG", "LG", "T1")
