"""Any attempts by any actors: what gets through is legal, has an actor, and never one for maker and checker."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from zentra_pipeline import vocabulary
from zentra_pipeline.decisions import exception_state, policy
from zentra_pipeline.decisions.exception_state import ACTIONS, KEEPS_STATUS, MATCHING, RESOLVING, ExceptionState
from zentra_pipeline.decisions.policy import DecisionStep, Policy
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.store.decisions import Decision

pytestmark = pytest.mark.ci

EXCEPTION = "exc_1"
POLICY = Policy(second_person=("written_off", "matched_manually"), limits={"approver": {"USD": 1000}})
# The contract's life of an exception, written down a second time.
FOLLOWS = {
    "open": {"open", "assigned", "investigating", "pending_approval", "resolved"},
    "assigned": {"assigned", "investigating", "pending_approval", "resolved"},
    "investigating": {"assigned", "investigating", "pending_approval", "resolved"},
    "pending_approval": {"pending_approval", "investigating", "resolved"},
    "resolved": {"resolved", "open"},
}
ACTORS = ["ann", "Ann ", "bob", "carol", "", "  "]
RESOLUTIONS = [None, *vocabulary.values("resolution"), "unheard_of"]


class Attempts(RuleBasedStateMachine):
    """Operators try things on one exception; the log holds what got through."""

    in_force = POLICY

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Decision] = []
        self.statuses = ["open"]

    @property
    def state(self) -> ExceptionState:
        return exception_state.fold(self.log, ExceptionState(EXCEPTION))

    @rule(
        action=st.sampled_from([*ACTIONS, "haggle"]),
        actor=st.sampled_from(ACTORS),
        role=st.sampled_from([*policy.ROLE_ACTIONS, "approver", "admin", "root"]),
        resolution=st.sampled_from(RESOLUTIONS),
        reason=st.sampled_from(["because", "because", None, " "]),
        owner=st.sampled_from([None, None, "treasury", ""]),
        amount=st.sampled_from([0, 1000, -1001, None]),
        is_unequal=st.booleans(),
    )
    def attempt(
        self,
        action: str,
        actor: str,
        role: str,
        resolution: str | None,
        reason: str | None,
        owner: str | None,
        amount: int | None,
        is_unequal: bool,
    ) -> None:
        before = self.state
        is_forced = self.is_forced_by(action, is_unequal)
        if action not in RESOLVING:  # most attempts shall get past the words
            resolution = None
        if action != "assign":
            owner = None
        try:
            given = exception_state.resolution_of(action, resolution)
            exception_state.check_words(action, actor, reason, owner)
            verdict = policy.evaluate(
                self.in_force, before, DecisionStep(action, actor, role, given, "USD", amount, is_forced)
            )
        except (UsageError, RefusedError):
            assert self.state == before
            return
        self.log.append(
            Decision(
                sequence=len(self.log) + 1,
                decision_id=f"dec_{len(self.log) + 1}",
                exception_id=EXCEPTION,
                run_id="run_1",
                action=action,
                actor=actor,
                decided_at=f"2026-04-28T09:00:00.{len(self.log):06d}Z",
                reason=reason,
                policy=verdict.passed,
                result=verdict.result,
                owner=owner,
                resolution=verdict.resolution,
                details={"amount_minor": amount, "role": role, "is_forced": is_forced},
            )
        )
        self.statuses.append(self.state.status)

    @precondition(lambda self: self.state.status != "resolved")
    @rule()
    def escalate(self) -> None:
        """The system hands the exception on, whatever waits for whom."""
        before = self.state
        self.log.append(
            Decision(
                sequence=len(self.log) + 1,
                decision_id=f"dec_{len(self.log) + 1}",
                exception_id=EXCEPTION,
                run_id="run_1",
                action=exception_state.ESCALATE,
                actor=exception_state.SYSTEM_ACTOR,
                decided_at=f"2026-04-28T09:00:00.{len(self.log):06d}Z",
                reason="overdue",
                policy={"rule": "escalation.1", "digest": self.in_force.digest()},
                result=before.status,
                owner="cfo",
                resolution=None,
                details={"lane": "late", "after_business_days": 0, "is_forced": False},
            )
        )
        self.statuses.append(self.state.status)
        assert self.state == replace(before, owner="cfo", lane="late", reason="overdue", decisions=before.decisions + 1)

    def is_forced_by(self, action: str, is_unequal: bool) -> bool:
        """A match may be of unequal sums; its approval is of the sums that were proposed."""
        if action == "approve":
            proposals = [
                made for made in self.log if made.result == "pending_approval" and made.action not in KEEPS_STATUS
            ]
            return bool(proposals and proposals[-1].details["is_forced"])
        return action in MATCHING and is_unequal

    @invariant()
    def every_step_is_one_of_the_contracts(self) -> None:
        for before, after in zip(self.statuses, self.statuses[1:], strict=False):
            assert after in FOLLOWS[before]

    @invariant()
    def every_decision_has_an_actor_and_a_policy_it_passed(self) -> None:
        for made in self.log:
            assert made.actor.strip()
            assert made.policy["rule"]
            assert made.policy["digest"] == self.in_force.digest()

    @invariant()
    def what_needs_a_second_person_had_one_within_the_limit(self) -> None:
        proposal: Decision | None = None
        for made in self.log:
            if made.result == "pending_approval" and made.action not in KEEPS_STATUS:
                proposal = made
            elif made.action == "approve":
                assert proposal is not None
                assert made.actor.strip().casefold() != proposal.actor.strip().casefold()
                assert made.resolution == proposal.resolution
                limit = self.in_force.limit(made.details["role"], "USD")
                if made.resolution == "written_off" and limit is not None:
                    assert abs(made.details["amount_minor"] or 0) <= limit
            elif made.result == "resolved" and made.action != "comment":
                assert made.resolution not in (*self.in_force.second_person, "matched_late", None)
                assert not made.details["is_forced"]

    @invariant()
    def a_resolution_is_there_when_resolved_and_only_then(self) -> None:
        state = self.state
        assert (state.status == "resolved") == (state.resolution is not None) == (state.resolved_by is not None)
        assert (state.status == "pending_approval") == (state.proposed_by is not None)
        assert state.decisions == len(self.log)


class AttemptsUnderDefaults(Attempts):
    """Only write-offs and matches against the amounts need a second person."""

    in_force = Policy()


AttemptsUnderDefaults.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAttemptsUnderDefaults = AttemptsUnderDefaults.TestCase
Attempts.TestCase.settings = settings(max_examples=500, stateful_step_count=30, deadline=None)
TestAttempts = Attempts.TestCase
