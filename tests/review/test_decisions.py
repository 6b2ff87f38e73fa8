"""The state of an exception is the fold of its log: legal steps only, and nothing of how the log was read."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_pipeline import vocabulary
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.exception_state import ACTIONS, RESOLVING, ExceptionState
from zentra_pipeline.errors import RefusedError, UsageError, ZentraError
from zentra_pipeline.store.decisions import Decision

EXCEPTION = "exc_1"


def decision(action: str, result: str, number: int = 1, **given: Any) -> Decision:
    fields = {
        "sequence": number,
        "decision_id": f"dec_{number}",
        "exception_id": EXCEPTION,
        "run_id": "run_1",
        "actor": "ann",
        "decided_at": f"2026-04-28T09:00:{number:02d}.000000Z",
        "reason": None,
        "policy": {},
        "owner": None,
        "resolution": None,
        "details": {},
    }
    return Decision(action=action, result=result, **{**fields, **given})


PROPOSED = decision("write_off", "pending_approval", 1, resolution="written_off", reason="too small")
APPROVED = decision("approve", "resolved", 2, actor="bob", resolution="written_off")
REOPENED = decision("reopen", "open", 3, reason="the money came")


def folded(*log: Decision) -> ExceptionState:
    return exception_state.fold(log, ExceptionState(EXCEPTION))


def test_an_assignment_gives_an_owner_that_stays_whatever_follows() -> None:
    assigned = decision("assign", "assigned", owner="treasury")
    assert (folded(assigned).status, folded(assigned).owner) == ("assigned", "treasury")
    assert folded(assigned, PROPOSED, APPROVED, REOPENED).owner == "treasury"


def test_a_proposal_waits_with_its_maker_and_its_approval_resolves_by_the_checker() -> None:
    waiting = folded(PROPOSED)
    assert (waiting.status, waiting.proposed_resolution, waiting.proposed_by) == (
        "pending_approval",
        "written_off",
        "ann",
    )
    assert (waiting.resolution, waiting.resolved_by) == (None, None)
    done = folded(PROPOSED, APPROVED)
    assert (done.status, done.resolution, done.resolved_by, done.run_id) == ("resolved", "written_off", "bob", "run_1")
    assert (done.resolved_at, done.proposed_by) == (APPROVED.decided_at, None)


def test_a_rejected_proposal_is_investigated_and_nothing_of_it_remains() -> None:
    state = folded(PROPOSED, decision("reject", "investigating", 2, actor="bob", reason="ask the bank"))
    assert (state.status, state.proposed_resolution, state.resolution) == ("investigating", None, None)
    assert state.reason == "ask the bank"


def test_a_reopened_exception_has_no_resolution_any_more() -> None:
    state = folded(PROPOSED, APPROVED, REOPENED)
    assert (state.status, state.resolution, state.resolved_by, state.decision_id, state.run_id) == ("open", *[None] * 4)


def test_a_comment_changes_nothing_but_the_version_and_the_last_reason() -> None:
    said = decision("comment", "resolved", 3, reason="see ticket 12")
    before, state = folded(PROPOSED, APPROVED), folded(PROPOSED, APPROVED, said)
    assert (state.status, state.resolution, state.reason) == (before.status, before.resolution, "see ticket 12")
    assert state.decisions == before.decisions + 1


def test_a_comment_on_what_the_system_resolved_leaves_that_to_the_system() -> None:
    """The log says `resolved` beside the comment; nobody resolved anything by it."""
    (row,) = exception_state.exception_states([decision("comment", "resolved", reason="good")])
    assert row == (EXCEPTION, "open", None, None, None, None, None, 1)


def test_what_a_run_matched_late_is_resolved_unless_a_person_was_first() -> None:
    assert exception_state.seen(folded(PROPOSED), "resolved", "matched_late").resolution == "matched_late"
    assert exception_state.seen(folded(PROPOSED), "resolved", "matched_late").proposed_by is None
    assert exception_state.seen(folded(PROPOSED, APPROVED), "resolved", "matched_late").resolution == "written_off"
    assert exception_state.seen(folded(PROPOSED), "open", None) == folded(PROPOSED)


def test_states_are_only_of_exceptions_that_somebody_decided_about() -> None:
    about_a_closeout = decision("comment", "sealed", 4, exception_id=None)
    log = [PROPOSED, decision("assign", "assigned", 2, exception_id="exc_2", owner="treasury"), about_a_closeout]
    assert exception_state.exception_states(log) == [
        (EXCEPTION, "pending_approval", None, None, None, None, None, 1),
        ("exc_2", "assigned", "treasury", None, None, None, None, 1),
    ]
    (resolved,) = exception_state.exception_states([PROPOSED, APPROVED])
    assert resolved[4:7] == ("written_off", "2026-04-28T09:00:02.000000", "bob")


@st.composite
def logs(draw: st.DrawFn) -> list[Decision]:
    """Any log of some exceptions, sensible or not: a fold judges nothing."""
    results = st.sampled_from(vocabulary.values("exception_status"))
    words = st.sampled_from([None, *vocabulary.values("resolution")])
    return [
        decision(
            draw(st.sampled_from(ACTIONS)),
            draw(results),
            number,
            exception_id=draw(st.sampled_from(["exc_1", "exc_2", None])),
            actor=draw(st.sampled_from(["ann", "bob"])),
            owner=draw(st.sampled_from([None, "treasury"])),
            resolution=draw(words),
        )
        for number in range(draw(st.integers(0, 12)))
    ]


@settings(max_examples=200, deadline=None)
@given(logs(), st.integers(0, 12))
def test_a_fold_does_not_depend_on_where_the_log_was_cut(log: list[Decision], cut: int) -> None:
    start = ExceptionState(EXCEPTION)
    whole = exception_state.fold(log, start)
    assert exception_state.fold(log[cut:], exception_state.fold(log[:cut], start)) == whole
    assert exception_state.states(log).get(EXCEPTION, start) == whole


@pytest.mark.parametrize(
    ("action", "statuses"),
    [
        ("assign", "open assigned investigating"),
        ("comment", "open assigned investigating pending_approval resolved"),
        ("investigate", "open assigned investigating"),
        ("dispute", "open assigned investigating"),
        *[(action, "open assigned investigating") for action in RESOLVING],
        ("approve", "pending_approval"),
        ("reject", "pending_approval"),
        ("reopen", "resolved"),
    ],
)
def test_an_action_follows_on_these_statuses_and_on_no_other(action: str, statuses: str) -> None:
    for status in vocabulary.values("exception_status"):
        state = ExceptionState(EXCEPTION, status=status)
        assert (action in exception_state.possible(state)) == (status in statuses.split())
        if status in statuses.split():
            exception_state.check_step(state, action)
        else:
            with pytest.raises(
                RefusedError, match=f"is {status}.*{action} is not possible; possible are comment|assign"
            ):
                exception_state.check_step(state, action)


def test_what_the_system_resolved_can_only_be_commented_on() -> None:
    state = ExceptionState(EXCEPTION, status="resolved", resolution="matched_late")
    assert exception_state.possible(state) == ("comment",)
    for action in ACTIONS:
        if action == "comment":
            exception_state.check_step(state, action)
        else:
            with pytest.raises(RefusedError, match="resolved by the system"):
                exception_state.check_step(state, action)


@pytest.mark.parametrize(
    ("action", "resolution", "given"),
    [
        ("resolve", "false_positive", "false_positive"),
        ("write_off", None, "written_off"),
        ("write_off", "written_off", "written_off"),
        ("accept_timing", None, "accepted_timing"),
        ("confirm_duplicate", None, "duplicate_confirmed"),
        ("match", None, "matched_manually"),
        ("split", None, "matched_manually"),
        ("approve", None, None),
        ("comment", None, None),
    ],
)
def test_an_action_gives_its_resolution(action: str, resolution: str | None, given: str | None) -> None:
    assert exception_state.resolution_of(action, resolution) == given


@pytest.mark.parametrize(
    ("action", "resolution", "kind", "words"),
    [
        ("haggle", None, UsageError, "use one of assign, comment"),
        ("resolve", None, UsageError, "needs a resolution"),
        ("resolve", "gone", UsageError, "use one of matched_manually, adjustment_required"),
        ("resolve", "matched_late", RefusedError, "what the system says"),
        ("resolve", "superseded", RefusedError, "what the system says"),
        ("write_off", "false_positive", UsageError, "use resolve"),
        ("approve", "written_off", UsageError, "takes no resolution"),
    ],
)
def test_words_that_cannot_be_are_refused(
    action: str, resolution: str | None, kind: type[ZentraError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        exception_state.resolution_of(action, resolution)


@pytest.mark.parametrize(
    ("action", "actor", "reason", "owner", "words"),
    [
        ("comment", "ann", "  ", None, "comment needs a reason"),
        ("resolve", "ann", None, None, "resolve needs a reason"),
        ("reopen", "ann", None, None, "reopen needs a reason"),
        ("dispute", "ann", None, None, "dispute needs a reason"),
        ("match", "ann", None, None, "match needs a reason"),
        ("assign", "ann", None, None, "assign needs an owner"),
        ("assign", "ann", None, " ", "owner ' ' is not allowed"),
        ("comment", "ann", "x", "bob", "takes no owner"),
        ("comment", "", "x", None, "actor '' is not allowed"),
        ("comment", "a\nb", "x", None, "is not allowed"),
        ("comment", "ann", "x" * 4097, None, "at most 4096"),
    ],
)
def test_an_action_without_what_it_needs_is_misuse(
    action: str, actor: str, reason: str | None, owner: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        exception_state.check_words(action, actor, reason, owner)


def again(log: list[Decision], action: str, actor: str, **given: str | None) -> Decision | None:
    words: dict[str, str | None] = {"owner": None, "resolution": None, "reason": None}
    return exception_state.repeated(log, folded(*log), action=action, actor=actor, **{**words, **given})


def test_the_same_again_by_the_same_actor_is_a_repeat_even_with_comments_between() -> None:
    log = [PROPOSED, decision("comment", "pending_approval", 2, actor="bob", reason="hm")]
    assert again(log, "write_off", "ann", resolution="written_off") == PROPOSED
    assert again(log, "write_off", "bob", resolution="written_off") is None
    assert again([PROPOSED, APPROVED], "approve", "bob") == APPROVED
    assert again([PROPOSED, APPROVED, REOPENED], "approve", "bob") is None


def test_a_match_of_other_items_is_no_repeat() -> None:
    named = {"settlement_lines": ["L1"], "ledger_transactions": ["T1"]}
    matched = decision("match", "resolved", resolution="matched_manually", details={**named, "method": "manual"})
    state = folded(matched)

    def repeat(**other: list[str]) -> Decision | None:
        words: dict[str, Any] = {"owner": None, "resolution": "matched_manually", "reason": None}
        return exception_state.repeated(
            [matched], state, action="match", actor="ann", named={**named, **other}, **words
        )

    assert repeat() == matched
    assert repeat(ledger_transactions=["T1", "T2"]) is None


def test_a_dispute_is_investigated_and_keeps_its_word() -> None:
    state = folded(decision("dispute", "investigating", reason="asked for the remittance"))
    assert (state.status, state.reason, state.resolution) == ("investigating", "asked for the remittance", None)


def test_another_owner_or_another_comment_is_no_repeat() -> None:
    assigned = decision("assign", "assigned", owner="treasury")
    assert again([assigned], "assign", "ann", owner="treasury") == assigned
    assert again([assigned], "assign", "ann", owner="tokyo_desk") is None
    said = decision("comment", "open", reason="one")
    assert again([said], "comment", "ann", reason="one") == said
    assert again([said], "comment", "ann", reason="two") is None
