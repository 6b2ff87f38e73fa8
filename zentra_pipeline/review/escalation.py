"""Escalates what is overdue by the tenant's rules: each step is a decision of the system's in the log, taken once.

What is due follows from the log, the rules and the instant the caller names: late or early, asked once or often, the
same steps come of it. Does not belong here: what the rules say (routing), the clocks (clocks).
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from zentra_pipeline.config.routing import EscalationRule, load_escalation
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.exception_state import ESCALATE, SYSTEM_ACTOR, ExceptionState, decision_id_of
from zentra_pipeline.events import types
from zentra_pipeline.events.facts import exception_event
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.review.clocks import IS_OVERDUE, TIMED, Clock, Clocks
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class EscalationStep:
    """A rule of the file, by its number there, that is to be followed."""

    number: int
    rule: EscalationRule


@dataclass(frozen=True)
class _Overdue:
    """An exception past its due date, its provider, and how far it is."""

    row: Mapping[str, Any]
    provider: str
    clock: Clock


def steps(
    rules: Sequence[EscalationRule],
    log: Sequence[Decision],
    *,
    exception_type: str,
    provider: str,
    currency: str | None,
    amount_minor: int | None,
    overdue_business_days: int,
) -> list[EscalationStep]:
    """The steps to take now about an overdue exception with this log, the earlier first; pure.

    Of rules for the same day the first that matches holds. A day whose step was taken is past, also when the rules have
    changed since or a person has assigned the exception otherwise; only a reopening starts again.
    """
    by_day: dict[int, EscalationStep] = {}
    for number, rule in enumerate(rules, start=1):
        if rule.after_business_days <= overdue_business_days and rule.matches(
            exception_type, provider, currency, amount_minor
        ):
            by_day.setdefault(rule.after_business_days, EscalationStep(number, rule))
    reached = -1
    for decision in log:
        if decision.action == ESCALATE:
            reached = max(reached, decision.details["after_business_days"])
        elif decision.action == "reopen":
            reached = -1
    return [by_day[day] for day in sorted(by_day) if day > reached]


def escalate(tenant: Tenant, as_of: datetime, *, now: datetime) -> list[Decision]:
    """Take every step that is due at `as_of`, and return the decisions recorded; none where the tenant has no rules.

    `now` is when they are recorded, whatever they look at. UsageError for rules, profiles or a calendar that cannot be.
    """
    rules = load_escalation(tenant.paths)
    if not rules:
        return []
    clocks = Clocks(tenant.paths, as_of)
    with tenant.writing() as connection:
        found = lake.query(
            tenant.paths, f"SELECT * FROM {TIMED} WHERE {IS_OVERDUE} ORDER BY due_at, exception_id", [clocks.instant]
        )
        rows = [dict(zip(found.columns, values, strict=True)) for values in found.rows]
        overdue = [_Overdue(row, row["run_provider"], clocks.seen(row)) for row in rows]
        recorded = _take(connection, tenant.name, rules, overdue, now)
    if recorded:
        lake.refresh(tenant.paths)
    return recorded


def _take(
    connection: Connection,
    tenant: str,
    rules: Sequence[EscalationRule],
    overdue: Sequence[_Overdue],
    now: datetime,
) -> list[Decision]:
    logs: dict[str | None, list[Decision]] = defaultdict(list)
    for decision in decision_store.listed(connection) if overdue else ():
        logs[decision.exception_id].append(decision)
    recorded: list[Decision] = []
    newest: dict[str, str] = {}
    for found in overdue:
        row, log = found.row, logs[found.row["exception_id"]]
        state = exception_state.fold(log, ExceptionState(row["exception_id"]))
        if state.status == "resolved":  # decided since the tables were read
            continue
        for step in steps(
            rules,
            log,
            exception_type=row["exception_type"],
            provider=found.provider,
            currency=row["currency"],
            amount_minor=row["amount_minor"],
            overdue_business_days=found.clock.overdue_business_days,
        ):
            if found.provider not in newest:
                published = [run for run in run_store.list_runs(connection, found.provider) if run.is_published]
                newest[found.provider] = published[-1].run_id
            decision = _decision(connection, tenant, found, state, step, newest[found.provider], now)
            decision_store.append(connection, decision)
            if step.rule.owner is not None:
                event_log.append(connection, _event(tenant, row, decision, now))
            state = exception_state.after(state, decision)
            recorded.append(decision)
    return recorded


def _decision(
    connection: Connection,
    tenant: str,
    found: _Overdue,
    state: ExceptionState,
    step: EscalationStep,
    run_id: str,
    now: datetime,
) -> Decision:
    rule, days = step.rule, found.clock.overdue_business_days
    content = rule.model_dump(mode="json", exclude_none=True)
    due = instant_text(found.row["due_at"].replace(tzinfo=UTC))
    into = f" into lane {rule.lane}" if rule.lane is not None else ""
    return Decision(
        sequence=decision_store.next_sequence(connection),
        decision_id=decision_id_of(tenant, state.exception_id, state.decisions + 1),
        exception_id=state.exception_id,
        run_id=run_id,
        action=ESCALATE,
        actor=SYSTEM_ACTOR,
        decided_at=instant_text(now),
        reason=f"due {due}, {days} business days overdue{into}: escalation rule {step.number} of routing.yml",
        policy={
            "rule": f"escalation.{step.number}",
            "outcome": "escalated",
            "digest": hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        },
        result=state.status,
        owner=rule.owner,
        resolution=None,
        details={"lane": rule.lane, "after_business_days": rule.after_business_days, "overdue_business_days": days},
    )


def _event(tenant: str, row: Mapping[str, Any], decision: Decision, at: datetime) -> dict[str, Any]:
    return exception_event(
        types.EXCEPTION_ASSIGNED,
        tenant=tenant,
        exception=row,
        decision_id=decision.decision_id,
        run_id=decision.run_id,
        actor=decision.actor,
        at=at,
        owner=decision.owner,
        resolution=None,
        reason=decision.reason,
    )
