"""Any decisions by anybody over HTTP, single and in sheets: what is recorded is legal, and every event has an actor.

The same attempts on the rules alone, many more of them: tests/review/test_maker_checker.py.
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.api.conftest import ROLES, Api, Books, serving
from tests.review.test_maker_checker import FOLLOWS
from tests.scenarios.rows import MON
from tests.scenarios.world import TENANT, World
from zentra_pipeline.decisions.exception_state import ACTIONS, MATCHING, RESOLVING
from zentra_pipeline.desk import deciding
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.review import escalation
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.engine import kept_connections, operational_store, reading
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

RUNS = 120
_TOLD = {"assign": "assigned", "escalate": "assigned", "reopen": "reopened"}
_numbers = count(1)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A tenant with a line without a movement for each run of the machine, and movements to match them with by hand."""
    world = World(tmp_path_factory.mktemp("any"), {"amount_date_rule": "off", "expects_callbacks": False})
    for number in range(1, 2 * RUNS):
        world.settle(f"L{number:04d}", f"R{number:04d}", 500)
        world.post(f"T{number:04d}", f"S{number:04d}", 500 if number % 2 else 497)
    world.make(MON)
    world.paths.routing.write_text(
        "escalation:\n  - {after_business_days: 0, lane: late}\n  - {after_business_days: 3, owner: cfo}\n",
        encoding="utf-8",
    )
    now = datetime.now(UTC)
    tokens = {
        (TENANT, role): access.create_token(world.home, tenant=TENANT, actor=role, role=role, now=now)[0]
        for role in ROLES
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        kept_connections(),
        serving(Books(world.home, tokens)) as served,
    ):
        patch.setattr(deciding, "_rerun", lambda *_arguments: None)
        yield served


class Attempts(RuleBasedStateMachine):
    """Everybody tries things on one exception that nobody has decided about yet."""

    api: Api

    @initialize()
    def begin(self) -> None:
        self.number = next(_numbers)
        listed = self.api.as_("analyst").get(
            "/reconciliation/exceptions", exception_type="unmatched_provider_row", limit=1000
        )
        ids = {row["subject_id"]: row["exception_id"] for row in listed.json()["items"]}
        self.exception_id = ids[f"L{self.number:04d}"]
        self.statuses = ["open"]

    @rule(
        action=st.sampled_from([*ACTIONS, *ACTIONS, "escalate", "haggle"]),
        role=st.sampled_from([*ROLES, "approver", "admin"]),
        is_in_a_sheet=st.booleans(),
        is_told_why=st.sampled_from([True, True, True, False]),
        owner=st.sampled_from(["treasury", "treasury", ""]),
        resolution=st.sampled_from(["false_positive", "written_off", "matched_late"]),
    )
    def attempt(
        self, action: str, role: str, is_in_a_sheet: bool, is_told_why: bool, owner: str, resolution: str
    ) -> None:
        decision: dict[str, Any] = {"action": action, **({"reason": "because"} if is_told_why else {})}
        if action == "assign":
            decision["owner"] = owner
        if action == "resolve":
            decision["resolution"] = resolution
        if action in MATCHING:
            decision |= {"settlement_lines": [f"L{self.number:04d}"], "ledger_transactions": [f"T{self.number:04d}"]}
            is_in_a_sheet = False
        is_taken = self.send_sheet(role, decision) if is_in_a_sheet else self.send(role, decision)
        log = self.log()
        assert not (is_taken and action in ("escalate", "haggle"))
        self.statuses += [made.result for made in log[len(self.statuses) - 1 :]]

    def send(self, role: str, decision: dict[str, Any]) -> bool:
        answer = self.api.as_(role).post(f"/reconciliation/exceptions/{self.exception_id}/decisions", decision)
        assert answer.status_code in (200, 403, 409, 422), answer.text
        return answer.status_code == 200

    def send_sheet(self, role: str, decision: dict[str, Any]) -> bool:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["exception_id", *decision])
        writer.writeheader()
        writer.writerow({"exception_id": self.exception_id, **decision})
        path = "/reconciliation/exceptions/decisions"
        answer = self.api.as_(role).post(path, content=text.getvalue().encode(), media_type="text/csv")
        if role == "analyst":
            assert answer.status_code == 403
            return False
        assert answer.status_code == 200, answer.text
        (reported,) = answer.json()["items"]
        assert reported["is_accepted"] or reported["reason"]
        return bool(reported["is_accepted"])

    def log(self) -> list[decision_store.Decision]:
        with reading(operational_store(self.api.books.paths(TENANT))) as connection:
            return decision_store.listed(connection, [self.exception_id])

    @invariant()
    def every_step_is_one_of_the_contracts_and_has_an_actor(self) -> None:
        if not hasattr(self, "statuses"):
            return
        log = self.log()
        assert len(log) == len(self.statuses) - 1
        for before, made in zip(self.statuses, log, strict=False):
            assert made.result in FOLLOWS[before]
            assert made.actor in ROLES
            assert made.action in ACTIONS
            assert made.policy["rule"]

    def teardown(self) -> None:
        """Every decision that changes whose it is, or its state, is one event by whoever took it."""
        if not hasattr(self, "statuses"):
            return
        shown = self.api.as_("analyst").get(f"/reconciliation/exceptions/{self.exception_id}").json()
        assert shown["status"] == self.statuses[-1]
        reported = [
            (event["type"].rpartition(".")[2], event["actor"])
            for _, event in event_reading.read(self.api.books.paths(TENANT)).events
            if event["subject"] == self.exception_id and not event["type"].endswith(".opened")
        ]
        expected = [
            (_TOLD.get(made.action, "resolved"), made.actor)
            for made in self.log()
            if made.action in _TOLD or (made.result == "resolved" and made.action in (*RESOLVING, "approve"))
        ]
        assert reported == expected


def attempts(api: Api, runs: int) -> None:
    class OfApi(Attempts):
        pass

    OfApi.api = api
    run_state_machine_as_test(
        OfApi,
        settings=settings(
            max_examples=runs,
            stateful_step_count=8,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_attempts_leave_a_legal_log_and_events_with_actors(api: Api) -> None:
    attempts(api, 8)


@pytest.mark.slow
def test_many_attempts_leave_a_legal_log_and_events_with_actors(api: Api) -> None:
    attempts(api, RUNS)


def test_what_is_overdue_is_escalated_whatever_was_attempted(api: Api) -> None:
    """Last of the file: every exception that is not resolved takes each step once, and keeps its status."""
    paths = api.books.paths(TENANT)
    before = {row["exception_id"]: row for row in api.as_("analyst").items("/reconciliation/exceptions", limit=1000)}
    now = datetime.now(UTC)
    taken = escalation.escalate(Tenant.of(api.books.home, TENANT), now, now=now)
    assert escalation.escalate(Tenant.of(api.books.home, TENANT), now, now=now) == []
    after = {row["exception_id"]: row for row in api.as_("analyst").items("/reconciliation/exceptions", limit=1000)}
    unresolved = {found for found, row in before.items() if row["status"] != "resolved"}
    assert len(taken) == 2 * len(unresolved)
    assert {made.actor for made in taken} == {"system"}
    assert {found: row["status"] for found, row in after.items()} == {
        found: row["status"] for found, row in before.items()
    }
    assert {(row["owner"], row["lane"]) for found, row in after.items() if found in unresolved} == {("cfo", "late")}
    with reading(operational_store(paths)) as connection:
        assert len(decision_store.listed(connection)) >= len(taken)
