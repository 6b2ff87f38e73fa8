"""Escalation: what is overdue is handed on by the rules, each step once, and the log says by which rule."""

from datetime import UTC, date, datetime

import pytest

from tests.scenarios.rows import MON, TUE
from tests.scenarios.world import World
from zentra_pipeline.config import routing, strict_yaml
from zentra_pipeline.config.business_days import parse_business_days
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.published import lake
from zentra_pipeline.review import escalation
from zentra_pipeline.review.clocks import Clock, Clocks
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.decisions import Decision

RULES = """
escalation:
  - {after_business_days: 2, exception_type: unmatched_provider_row, min_amount_minor: 500, owner: head_of_finance}
  - {after_business_days: 0, lane: overdue}
  - {after_business_days: 0, lane: never_reached}
  - {after_business_days: 4, currency: USD, lane: board, owner: cfo}
"""


def rules() -> tuple[routing.EscalationRule, ...]:
    return routing.parse_escalation(strict_yaml.parse_mapping(RULES, "routing.yml"), "routing.yml")


def taken(days: int, log: list[Decision] | None = None, amount_minor: int | None = 500) -> list[int]:
    """The numbers of the rules to follow so many days after the due date."""
    found = escalation.steps(
        rules(),
        log or [],
        exception_type="unmatched_provider_row",
        provider="rail_primary",
        currency="USD",
        amount_minor=amount_minor,
        overdue_business_days=days,
    )
    return [step.number for step in found]


def decision(action: str, after_business_days: int | None = None) -> Decision:
    return Decision(
        sequence=1,
        decision_id="dec_1",
        exception_id="exc_1",
        run_id="run_1",
        action=action,
        actor="system",
        decided_at="2026-05-04T00:00:00.000000Z",
        reason=None,
        policy={},
        result="open",
        owner=None,
        resolution=None,
        details={"lane": None, "after_business_days": after_business_days},
    )


def test_steps_come_in_the_order_of_their_days_and_of_one_day_the_first_rule() -> None:
    assert [taken(days) for days in (0, 1, 2, 3, 9)] == [[2], [2], [2, 1], [2, 1], [2, 1, 4]]
    assert taken(9, amount_minor=499) == [2, 4]
    assert taken(9, amount_minor=None) == [2, 4]


def test_a_day_that_was_reached_is_past_until_the_exception_is_reopened() -> None:
    log = [decision("escalate", 2), decision("assign")]
    assert taken(3, log) == []
    assert taken(4, log) == [4]
    assert taken(4, [*log, decision("reopen")]) == [2, 1, 4]


@pytest.mark.parametrize(
    ("as_of", "clock"),
    [
        ("2026-04-30T21:59:59Z", Clock(3, False, 0)),  # Thursday, a moment before it is due in Berlin
        ("2026-04-30T22:00:00Z", Clock(3, True, 0)),  # the holiday has begun
        ("2026-05-04T12:00:00Z", Clock(4, True, 0)),  # Monday: no business day has passed since
        ("2026-05-04T22:00:00Z", Clock(5, True, 1)),
        ("2026-04-26T12:00:00Z", Clock(0, False, 0)),  # before its window
    ],
)
def test_a_clock_counts_the_tenants_business_days_in_the_providers_zone(
    tmp_path_factory: pytest.TempPathFactory, as_of: str, clock: Clock
) -> None:
    paths = TenantPaths(tmp_path_factory.mktemp("clock"))
    paths.providers.mkdir()
    (paths.providers / "rail.yml").write_text("timezone: Europe/Berlin\n", encoding="utf-8")
    paths.calendar.write_text('holidays: ["2026-05-01"]\n', encoding="utf-8")
    due_at = datetime(2026, 4, 30, 22)
    clocks = Clocks(paths, datetime.fromisoformat(as_of))
    assert clocks.of("rail", date(2026, 4, 27), due_at, is_resolved=False) == clock
    assert clocks.of("rail", date(2026, 4, 27), due_at, is_resolved=True) == Clock(None, False, 0)


def test_business_days_between_are_those_counted_one_by_one() -> None:
    days = parse_business_days({"weekend": ["friday", "saturday"], "holidays": ["2026-05-03", "2026-05-08"]}, "c")
    first = date(2026, 4, 20).toordinal()
    for start in range(first, first + 20):
        for end in range(first, first + 30):
            counted = sum(date.fromordinal(day) in days for day in range(start + 1, end + 1))
            assert days.after(date.fromordinal(start), date.fromordinal(end)) == counted


def test_an_instant_that_no_calendar_reaches_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(UsageError, match="use a year from 1900 to 8999"):
        Clocks(TenantPaths(tmp_path_factory.mktemp("clock")), datetime(1, 1, 1, tzinfo=UTC))


def test_overdue_exceptions_change_hands_by_decisions_of_the_system(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("escalation"), {"amount_date_rule": "off", "expects_callbacks": False})
    world.settle("L1", "R1", 500)
    world.settle("L2", "R2", 400)
    world.make(MON)

    def rows() -> dict[str, tuple[str, str, str, datetime]]:
        sql = "select subject_id, exception_id, owner, lane, status, due_at from exceptions order by subject_id"
        return {subject: tuple(rest) for subject, *rest in lake.query(world.paths, sql).rows}

    def escalate(as_of: datetime) -> list[tuple[str, str, str | None]]:
        found = escalation.escalate(world.tenant, as_of, now=datetime(2026, 6, 1, tzinfo=UTC))
        return [(made.actor, made.policy["rule"], made.owner) for made in found]

    ((first, owner, lane, _, due_at), (second, *_)) = rows().values()
    far = datetime(2026, 5, 20, tzinfo=UTC)
    assert escalate(far) == []  # no rules
    world.paths.routing.write_text(RULES, encoding="utf-8")
    assert escalate(due_at.replace(tzinfo=UTC).replace(year=2025)) == []
    assert escalate(due_at.replace(tzinfo=UTC)) == [("system", "escalation.2", None)] * 2
    assert {row[1:4] for row in rows().values()} == {(owner, "overdue", "open")}
    deciding.decide(world.tenant, DecisionRequest(second, "write_off", "ann", reason="small"), far)
    assert sorted(escalate(far)) == [
        ("system", "escalation.1", "head_of_finance"),  # of 5.00, not of 4.00
        ("system", "escalation.4", "cfo"),
        ("system", "escalation.4", "cfo"),
    ]
    assert escalate(far) == []
    assert rows()["L1"][1:4] == ("cfo", "board", "open")
    assert rows()["L2"][1:4] == ("cfo", "board", "pending_approval")
    # The proposal still waits for somebody else, and a person may hand on what was escalated.
    assert deciding.decide(world.tenant, DecisionRequest(second, "approve", "bob"), far).state.status == "resolved"
    deciding.decide(world.tenant, DecisionRequest(first, "assign", "ann", owner="treasury"), far)
    assert rows()["L1"][1:4] == ("treasury", "board", "assigned")
    assert escalate(far) == []
    with world.tenant.reading() as connection:
        log = decision_store.listed(connection, [first])
    reported = [event for _, event in event_reading.read(world.paths).events if event["subject"] == first]
    assert [made.action for made in log] == ["escalate", "escalate", "escalate", "assign"]
    assert "escalation rule 2 of routing.yml" in str(log[0].reason)
    assert [(event["actor"], event["data"]["owner"]) for event in reported if event["type"].endswith("assigned")] == [
        ("system", "head_of_finance"),
        ("system", "cfo"),
        ("ann", "treasury"),
    ]
    # A later run carries it on as it was handed over.
    world.make(TUE)
    assert rows()["L1"][1:4] == ("treasury", "board", "assigned")
    assert lane not in ("overdue", "board")
