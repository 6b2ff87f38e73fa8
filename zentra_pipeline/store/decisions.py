"""Queries on the log of decisions, which is only ever added to; what a decision means does not belong here (review)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, union

from zentra_pipeline import logs
from zentra_pipeline.store import audit, digests
from zentra_pipeline.store.digests import facts
from zentra_pipeline.store.models import closeouts, decisions, runs

APPROVE_CLOSEOUT: Final = "approve_closeout"


@dataclass(frozen=True)
class Decision:
    """One decision as recorded; fields as in `store.models.decisions`, `policy` and `details` as objects."""

    sequence: int
    decision_id: str
    exception_id: str | None
    run_id: str
    action: str
    actor: str
    decided_at: str
    reason: str | None
    policy: Mapping[str, Any]
    result: str
    owner: str | None
    resolution: str | None
    details: Mapping[str, Any]


def sealed_position(closeout_id: str, log: Iterable[Decision]) -> int | None:
    """The place in the log up to which a sealed closeout was judged; null where the log has no approval of it.

    The approval keeps what the seal names (`log_position`). One that is older than that followed on what was judged.
    """
    for decision in log:
        if decision.action == APPROVE_CLOSEOUT and decision.details.get("closeout_id") == closeout_id:
            return int(decision.details.get("log_position", decision.sequence - 1))
    return None


def next_sequence(connection: Connection) -> int:
    """The place the next decision takes in the log."""
    return 1 + (connection.execute(select(func.max(decisions.c.sequence))).scalar_one() or 0)


def actors(connection: Connection) -> set[str]:
    """Every name in whose name something was decided, closed or run."""
    columns = (decisions.c.actor, closeouts.c.prepared_by, closeouts.c.approved_by, runs.c.actor)
    found = connection.execute(union(*(select(column) for column in columns))).scalars()
    return {name for name in found if name is not None}


def append(connection: Connection, decision: Decision) -> None:
    """Add a decision to the log; the caller's transaction makes it true together with what follows from it.

    The audit log cites it in the same transaction.
    """
    values = asdict(decision) | {"policy": _text(decision.policy), "details": _text(decision.details)}
    connection.execute(insert(decisions).values(values))
    origin = decision.details.get("origin")
    came = origin if isinstance(origin, dict) else {}
    citation = audit.Entry(
        at=decision.decided_at,
        kind=audit.DECISION,
        via=str(came.get("via", "program")),
        actor=decision.actor,
        token_id=came.get("token_id"),
        os_user=came.get("os_user"),
        request_id=logs.known("request_id"),
        what=decision.action,
        decision_id=decision.decision_id,
        decision_digest=digests.digest_of(decisions, values),
    )
    audit.append(connection, [citation])


def listed(connection: Connection, exception_ids: Iterable[str] | None = None) -> list[Decision]:
    """All decisions, or those about some exceptions, in the order of the log."""
    query = select(*facts(decisions)).order_by(decisions.c.sequence)
    return _all(
        connection, query if exception_ids is None else query.where(decisions.c.exception_id.in_(exception_ids))
    )


def _all(connection: Connection, query: Select[Any]) -> list[Decision]:
    rows = (dict(row._mapping) for row in connection.execute(query))
    return [Decision(**row | {name: json.loads(row[name]) for name in ("policy", "details")}) for row in rows]


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
