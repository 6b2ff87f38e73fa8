"""A decision is recorded whole or not at all: log, event and what readers see, for the right run."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import duckdb
import pytest

from tests.scenarios.rows import MON
from tests.scenarios.world import OWNER, TENANT, World
from zentra_pipeline.decisions.policy import Policy
from zentra_pipeline.defs import launch
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import OutdatedError, RefusedError, RunFailedError, UsageError
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store import closeouts
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.usefixtures("catalog_as_shipped")

NOW = datetime(2026, 4, 28, 9, tzinfo=UTC)
_lines = (f"L{number:02d}" for number in count(1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One published run: twenty lines without a movement, and a match that is off by three."""
    made = World(tmp_path_factory.mktemp("record"), {"amount_date_rule": "off", "expects_callbacks": False})
    for number in range(1, 21):
        made.settle(f"L{number:02d}", f"R{number:02d}", 500)
    made.settle("L99", "R99", 500)
    made.post("T99", "R99", 497)
    made.make(MON)
    return made


@pytest.fixture
def line() -> str:
    """A line of the world that no other test decides about."""
    return next(_lines)


@pytest.fixture
def reconciled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs that decisions would make again, in place of making them."""
    asked: list[str] = []

    def note(_tenant: Tenant, run: Run, _actor: str) -> None:
        asked.append(run.run_id)

    monkeypatch.setattr(deciding, "_rerun", note)
    return asked


def exception_of(world: World, subject: str) -> dict[str, Any]:
    (row,) = world.query(f"select * from exceptions where subject_id = '{subject}'")
    return row


def decide(world: World, subject: str, action: str, actor: str, now: datetime = NOW, **given: Any) -> DecisionResult:
    exception_id = exception_of(world, subject)["exception_id"]
    return deciding.decide(world.tenant, DecisionRequest(exception_id, action, actor, **given), now)


def log_of(world: World, subject: str) -> list[dict[str, Any]]:
    exception_id = exception_of(world, subject)["exception_id"]
    return world.query(f"select * from decisions where exception_id = '{exception_id}' order by sequence")


def events_of(world: World, subject: str) -> list[dict[str, Any]]:
    exception_id = exception_of(world, subject)["exception_id"]
    return world.query(
        f"select * from events where subject = '{exception_id}' and event_type not like '%.opened' order by position"
    )


@contextmanager
def sealed(world: World) -> Iterator[None]:
    """The world's run with a sealed closeout, for as long as a block lasts."""
    run_id = world.revision(MON).run_id
    closeout = Closeout(
        closeout_id="clo_1",
        run_id=run_id,
        revision=1,
        provider=world.provider,
        settlement_file="set_2026_04_20",
        ledger_window=MON,
        run_revision=1,
        status="sealed",
        prepared_by="ann",
        prepared_at="2026-04-28T09:00:00.000000Z",
        approved_by="bob",
        sealed_at="2026-04-28T09:00:00.000000Z",
        evidence_root="0" * 64,
        evidence_rows=0,
        evidence_status="audit_ready",
        chain_sequence=1,
        seal_digest="0" * 64,
        previous_seal=None,
        amends=None,
        reason=None,
        bundle=None,
        evidence_path=None,
        evidence_sha256=None,
    )
    with world.tenant.writing() as connection:
        closeouts.prepare(connection, closeout)
    yield
    with world.tenant.writing() as connection:
        closeouts.change(connection, "clo_1", {"chain_sequence": None})
        closeouts.withdraw(connection, run_id)


@pytest.mark.on_postgresql
def test_an_assignment_is_seen_by_every_reader_and_emitted_as_an_event(world: World, line: str) -> None:
    before = exception_of(world, line)
    recorded = decide(world, line, "assign", "ann", owner="treasury", reason="theirs")
    assert (recorded.state.status, recorded.state.owner, recorded.state.decisions) == ("assigned", "treasury", 1)
    assert exception_of(world, line) == before | {"status": "assigned", "owner": "treasury"}
    with duckdb.connect(str(world.paths.catalog), read_only=True) as catalog:
        row = catalog.execute("select status, owner from exceptions where subject_id = ?", [line]).fetchall()
    assert row == [("assigned", "treasury")]
    (event,) = events_of(world, line)
    assert (event["event_type"], event["actor"]) == ("reconciliation.exception.assigned", "ann")
    assert json.loads(event["data"]) == {
        "exception_id": before["exception_id"],
        "exception_type": "unmatched_provider_row",
        "owner": "treasury",
        "due_at": before["due_at"].isoformat(timespec="microseconds") + "Z",
        "currency": "USD",
        "difference_minor": None,
        "resolution": None,
        "decision_id": recorded.decision_id,
        "reason": "theirs",
    }


@pytest.mark.on_postgresql
def test_the_log_says_who_when_why_by_which_policy_and_for_which_run(world: World, line: str) -> None:
    recorded = decide(world, line, "resolve", "ann", resolution="false_positive", reason="a test payment")
    (row,) = log_of(world, line)
    exception_id = exception_of(world, line)["exception_id"]
    digest = hashlib.sha256(json.dumps([TENANT, exception_id, 1], separators=(",", ":")).encode()).hexdigest()
    assert (row["decision_id"], row["decision_id"]) == (recorded.decision_id, "dec_" + digest[:24])
    assert (row["tenant_id"], row["action"], row["actor"], row["result"]) == (TENANT, "resolve", "ann", "resolved")
    assert (row["reason"], row["resolution"], row["owner"]) == ("a test payment", "false_positive", None)
    assert row["decided_at"] == NOW.replace(tzinfo=None)
    assert row["run_id"] == recorded.run_id == world.revision(MON).run_id
    assert json.loads(row["policy"]) == {
        "digest": Policy().digest(),
        "outcome": "allowed",
        "role": "admin",
        "rule": "roles.admin",
    }
    assert json.loads(row["details"]) == {"origin": {"via": "program"}}


def test_a_resolution_and_its_reopening_are_events_and_a_comment_is_none(world: World, line: str) -> None:
    decide(world, line, "comment", "ann", reason="hm")
    decide(world, line, "investigate", "ann")
    decide(world, line, "accept_timing", "ann", reason="a holiday")
    assert exception_of(world, line)["resolution"] == "accepted_timing"
    decide(world, line, "reopen", "bob", reason="the holiday is over")
    row = exception_of(world, line)
    assert (row["status"], row["resolution"], row["owner"]) == ("open", None, OWNER)
    assert [(event["event_type"].rpartition(".")[2], event["actor"]) for event in events_of(world, line)] == [
        ("resolved", "ann"),
        ("reopened", "bob"),
    ]


@pytest.mark.on_postgresql
def test_the_same_again_by_the_same_actor_is_recorded_once(world: World, line: str) -> None:
    first = decide(world, line, "assign", "ann", owner="treasury")
    again = decide(world, line, "assign", "ann", owner="treasury", now=NOW + timedelta(hours=1), expected_version=0)
    assert (first.is_new, again) == (True, replace(first, is_new=False))
    other = decide(world, line, "assign", "bob", owner="treasury")
    assert other.is_new
    assert [row["actor"] for row in log_of(world, line)] == ["ann", "bob"]
    assert len(events_of(world, line)) == 2


@pytest.mark.on_postgresql
def test_a_decision_on_an_older_version_is_refused_and_nothing_is_recorded(world: World, line: str) -> None:
    decide(world, line, "investigate", "ann", expected_version=0)
    with pytest.raises(OutdatedError, match="is at version 1, not 0"):
        decide(world, line, "resolve", "bob", resolution="false_positive", reason="no", expected_version=0)
    assert len(log_of(world, line)) == 1
    assert decide(world, line, "assign", "bob", owner="treasury", expected_version=1).state.decisions == 2


def test_what_is_refused_leaves_no_trace(world: World, line: str) -> None:
    for action, given in (
        ("approve", {}),
        ("resolve", {"resolution": "matched_late", "reason": "x"}),
        ("comment", {"reason": "x", "role": "analyst"}),
    ):
        with pytest.raises(RefusedError):
            decide(world, line, action, "ann", **given)
    assert (log_of(world, line), events_of(world, line)) == ([], [])
    assert exception_of(world, line)["status"] == "open"


def test_an_exception_that_does_not_exist_is_misuse(world: World) -> None:
    with pytest.raises(UsageError, match="there is no exception 'exc_none'"):
        deciding.decide(world.tenant, DecisionRequest("exc_none", "comment", "ann", reason="x"), NOW)


@pytest.mark.on_postgresql
def test_decisions_that_come_at_once_are_recorded_one_after_another(world: World, line: str) -> None:
    def comment(number: int) -> int:
        return decide(world, line, "comment", "ann", reason=f"note {number}").state.decisions

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(comment, range(4)))
    assert sorted(versions) == [1, 2, 3, 4]
    assert len({row["sequence"] for row in log_of(world, line)}) == 4


@pytest.mark.on_postgresql
def test_a_write_off_waits_for_another_person_and_then_has_its_run_reconciled_again(
    world: World, line: str, reconciled: list[str]
) -> None:
    waiting = decide(world, line, "write_off", "ann", reason="too small")
    assert (waiting.state.status, waiting.is_reconciled, reconciled) == ("pending_approval", False, [])
    with pytest.raises(RefusedError, match="ann proposed written_off"):
        decide(world, line, "approve", "ANN")
    done = decide(world, line, "approve", "bob")
    assert (done.state.status, done.state.resolution, done.is_reconciled) == ("resolved", "written_off", True)
    assert reconciled == [done.run_id] == [world.revision(MON).run_id]
    proposal, approval = log_of(world, line)
    details = json.loads(proposal["details"])
    assert details.keys() == {"about", "approval", "origin"}  # it takes nothing out of the run yet
    assert details["about"].keys() == {"amount_minor", "difference_minor"}  # what the exception showed when proposed
    assert approval["resolution"] == "written_off"
    assert json.loads(approval["details"]) == {
        "approval": details["approval"],  # bob decided on what ann proposed, and the log says what that was
        "item": {
            "item_type": "settlement_line",
            "item_id": line,
            "currency": "USD",
            "exception_type": "unmatched_provider_row",
            "amount_minor": 500,  # what is given up, whatever the line is restated to
        },
        "origin": details["origin"],
    }
    assert details["approval"]["decision_id"] == proposal["decision_id"]
    assert details["approval"]["settlement"]["amount_minor"] == details["about"]["amount_minor"] == 500
    assert [event["event_type"] for event in events_of(world, line)] == ["reconciliation.exception.resolved"]


def test_a_write_off_can_be_taken_back_while_no_later_run_rests_on_it(
    world: World, line: str, reconciled: list[str]
) -> None:
    decide(world, line, "write_off", "ann", reason="too small")
    done = decide(world, line, "approve", "bob")
    back = decide(world, line, "reopen", "ann", reason="the payer wrote")
    assert (back.state.status, back.run_id, reconciled) == ("open", done.run_id, [done.run_id] * 2)


def test_a_difference_of_a_match_is_written_off_without_touching_its_run(world: World, reconciled: list[str]) -> None:
    decide(world, "L99", "write_off", "ann", reason="three cents")
    done = decide(world, "L99", "approve", "bob")
    assert (done.state.resolution, done.is_reconciled, reconciled) == ("written_off", False, [])


def test_the_tenants_limits_hold_for_what_is_at_stake(world: World, reconciled: list[str], line: str) -> None:
    decide(world, line, "write_off", "ann", reason="too small")
    world.paths.policy.write_text("limits: {admin: {USD: 499}}", encoding="utf-8")
    try:
        with pytest.raises(RefusedError, match=r"5\.00 USD is above the 4\.99 USD that limits\.admin"):
            decide(world, line, "approve", "bob")
    finally:
        world.paths.policy.unlink()
    assert reconciled == []


def test_a_sealed_run_takes_no_write_off(world: World, line: str, reconciled: list[str]) -> None:
    decide(world, line, "write_off", "ann", reason="too small")
    with sealed(world):
        with pytest.raises(RefusedError, match="is sealed, and a write-off changes its roll-forward"):
            decide(world, line, "approve", "bob")
        assert decide(world, line, "reject", "bob", reason="next month").state.status == "investigating"
    assert reconciled == []


def test_a_write_off_in_a_run_sealed_since_cannot_be_taken_back(world: World, line: str, reconciled: list[str]) -> None:
    decide(world, line, "write_off", "ann", reason="too small")
    decide(world, line, "approve", "bob")
    with sealed(world), pytest.raises(RefusedError, match="it is sealed: it cannot be reopened"):
        decide(world, line, "reopen", "ann", reason="the payer wrote")
    assert len(reconciled) == 1


def test_a_decision_holds_when_its_run_cannot_be_reconciled_and_repeating_it_tries_again(
    world: World, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RunFailedError("no space left")

    decide(world, line, "write_off", "ann", reason="too small")
    monkeypatch.setattr(launch, "reconcile", fails)
    for _ in range(2):
        with pytest.raises(RunFailedError, match=r"the decision is recorded, but run .* no space left; run it again"):
            decide(world, line, "approve", "bob")
    assert [row["action"] for row in log_of(world, line)] == ["write_off", "approve"]
    assert exception_of(world, line)["resolution"] == "written_off"
