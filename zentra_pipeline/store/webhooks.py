"""Queries on webhook endpoints, deliveries and attempts; what is sent, and when, does not belong here (webhooks).

delivery: retained → retrying → resolved | dead, and retained again when a replay asks for it
endpoint: enabled ⇄ disabled, and removed for good
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, update

from zentra_pipeline.store.models import webhook_attempts, webhook_deliveries, webhook_endpoints

ENABLED: Final = "enabled"
DISABLED: Final = "disabled"
REMOVED: Final = "removed"
RETAINED: Final = "retained"
RETRYING: Final = "retrying"
RESOLVED: Final = "resolved"
DEAD: Final = "dead"
DELIVERY_STATUSES: Final = (RETAINED, RETRYING, RESOLVED, DEAD)
WAITING: Final = (RETAINED, RETRYING)
ATTEMPT_STATES: Final = (RETAINED, RETRYING, RESOLVED)
_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Endpoint:
    """Where events go, as stored; fields as in `store.models.webhook_endpoints`. Its secrets are not shown."""

    endpoint_id: str
    url: str
    events: str
    is_each_match: bool
    is_loopback_allowed: bool
    failure_days: int
    secret: str | None = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: str | None
    status: str
    status_reason: str | None
    position: int
    failing_since: str | None
    held_until: str | None
    created_at: str
    created_by: str


@dataclass(frozen=True)
class Delivery:
    """An event on its way to an endpoint, as stored; fields as in `store.models.webhook_deliveries`."""

    delivery_id: str
    endpoint_id: str
    event_id: str
    event_type: str
    position: int
    body: str = field(repr=False)
    status: str
    sends_due: int
    attempts: int
    failures: int
    next_attempt_at: str | None
    created_at: str
    resolved_at: str | None


@dataclass(frozen=True)
class Attempt:
    """One time a delivery was sent, as stored; fields as in `store.models.webhook_attempts`."""

    delivery_id: str
    number: int
    at: str
    status_code: int | None
    latency_ms: int
    error: str | None
    response: str | None


def add_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    """Record a new endpoint."""
    connection.execute(insert(webhook_endpoints).values(asdict(endpoint)))


def endpoints(connection: Connection, *, with_removed: bool = False) -> list[Endpoint]:
    """The endpoints, oldest first."""
    query = select(webhook_endpoints).order_by(webhook_endpoints.c.created_at, webhook_endpoints.c.endpoint_id)
    if not with_removed:
        query = query.where(webhook_endpoints.c.status != REMOVED)
    return [Endpoint(**row._mapping) for row in connection.execute(query)]


def find_endpoint(connection: Connection, endpoint_id: str) -> Endpoint | None:
    """An endpoint that has not been removed."""
    this = (webhook_endpoints.c.endpoint_id == endpoint_id) & (webhook_endpoints.c.status != REMOVED)
    row = connection.execute(select(webhook_endpoints).where(this)).one_or_none()
    return None if row is None else Endpoint(**row._mapping)


def change_endpoint(connection: Connection, endpoint_id: str, changes: Mapping[str, Any]) -> None:
    """Set columns of one endpoint."""
    this = webhook_endpoints.c.endpoint_id == endpoint_id
    connection.execute(update(webhook_endpoints).where(this).values(dict(changes)))


def known_ids(connection: Connection, delivery_ids: Sequence[str]) -> set[str]:
    """Those of the ids that deliveries have."""
    column = webhook_deliveries.c.delivery_id
    found: set[str] = set()
    for start in range(0, len(delivery_ids), _AT_ONCE):
        found |= set(
            connection.execute(select(column).where(column.in_(delivery_ids[start : start + _AT_ONCE]))).scalars()
        )
    return found


def add_deliveries(connection: Connection, deliveries: Iterable[Delivery]) -> int:
    """Record those deliveries that are not there yet; how many that were. Needs a write transaction."""
    by_id = {delivery.delivery_id: delivery for delivery in deliveries}
    new = [asdict(by_id[name]) for name in by_id.keys() - known_ids(connection, list(by_id))]
    if new:
        connection.execute(insert(webhook_deliveries), new)
    return len(new)


def find_delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    """The delivery of an id."""
    row = connection.execute(_deliveries().where(webhook_deliveries.c.delivery_id == delivery_id)).one_or_none()
    return None if row is None else Delivery(**row._mapping)


def deliveries_of_event(connection: Connection, event_id: str) -> list[Delivery]:
    """The deliveries of one event, one an endpoint."""
    return _all(connection, _deliveries().where(webhook_deliveries.c.event_id == event_id))


def deliveries(
    connection: Connection,
    *,
    endpoint_id: str | None = None,
    status: str | None = None,
    event_id: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int | None = None,
) -> list[Delivery]:
    """Deliveries in the order of the log, behind (position, delivery_id) `after` when given."""
    table = webhook_deliveries.c
    query = _deliveries().order_by(table.position, table.delivery_id)
    for column, value in ((table.endpoint_id, endpoint_id), (table.status, status), (table.event_id, event_id)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        position, delivery_id = after
        is_behind = (table.position == position) & (table.delivery_id > delivery_id)
        query = query.where((table.position > position) | is_behind)
    return _all(connection, query if limit is None else query.limit(limit))


def due(connection: Connection, endpoint_id: str, by: str, limit: int) -> list[Delivery]:
    """What is to be sent to an endpoint by an instant, in the order of the log."""
    table = webhook_deliveries.c
    these = (table.endpoint_id == endpoint_id) & (table.next_attempt_at <= by)
    return _all(connection, _deliveries().where(these).order_by(table.position, table.delivery_id).limit(limit))


def waiting(connection: Connection, endpoint_id: str) -> int:
    """How many deliveries of an endpoint are still to be sent."""
    table = webhook_deliveries.c
    these = (table.endpoint_id == endpoint_id) & table.next_attempt_at.is_not(None)
    return int(connection.execute(select(func.count()).select_from(webhook_deliveries).where(these)).scalar_one())


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """How many deliveries there are by endpoint and status."""
    table = webhook_deliveries.c
    query = select(table.endpoint_id, table.status, func.count()).group_by(table.endpoint_id, table.status)
    return {(endpoint_id, status): int(number) for endpoint_id, status, number in connection.execute(query)}


def next_due(connection: Connection, endpoint_id: str | None = None) -> str | None:
    """When the next delivery to an enabled endpoint, or to this one, is due, holds included; null when none waits."""
    deliveries_, endpoints_ = webhook_deliveries.c, webhook_endpoints.c
    query = (
        select(func.min(deliveries_.next_attempt_at), endpoints_.held_until)
        .select_from(webhook_deliveries.join(webhook_endpoints))
        .where(endpoints_.status == ENABLED, deliveries_.next_attempt_at.is_not(None))
        .group_by(endpoints_.endpoint_id, endpoints_.held_until)
    )
    if endpoint_id is not None:
        query = query.where(endpoints_.endpoint_id == endpoint_id)
    times = [max(due_at, held_until or due_at) for due_at, held_until in connection.execute(query)]
    return min(times, default=None)


def make_due(connection: Connection, at: str, endpoint_id: str | None = None) -> None:
    """Have what waits be sent now, whatever its time was, and holds end."""
    waiting_ones = update(webhook_deliveries).where(webhook_deliveries.c.next_attempt_at.is_not(None))
    held = update(webhook_endpoints).where(webhook_endpoints.c.held_until.is_not(None))
    if endpoint_id is not None:
        waiting_ones = waiting_ones.where(webhook_deliveries.c.endpoint_id == endpoint_id)
        held = held.where(webhook_endpoints.c.endpoint_id == endpoint_id)
    connection.execute(waiting_ones.values(next_attempt_at=at))
    connection.execute(held.values(held_until=None))


def bury(connection: Connection, endpoint_id: str) -> None:
    """Give up what waits for an endpoint."""
    table = webhook_deliveries.c
    these = (table.endpoint_id == endpoint_id) & table.next_attempt_at.is_not(None)
    values = {"status": DEAD, "sends_due": 0, "next_attempt_at": None}
    connection.execute(update(webhook_deliveries).where(these).values(values))


def change_delivery(connection: Connection, delivery_id: str, changes: Mapping[str, Any]) -> None:
    """Set columns of one delivery."""
    this = webhook_deliveries.c.delivery_id == delivery_id
    connection.execute(update(webhook_deliveries).where(this).values(dict(changes)))


def ask_again(connection: Connection, delivery_ids: Sequence[str], at: str) -> None:
    """Have deliveries sent once more than they would be, from now on, with all their attempts before them."""
    table = webhook_deliveries.c
    values = {"status": RETAINED, "failures": 0, "next_attempt_at": at, "sends_due": table.sends_due + 1}
    for start in range(0, len(delivery_ids), _AT_ONCE):
        these = table.delivery_id.in_(delivery_ids[start : start + _AT_ONCE])
        connection.execute(update(webhook_deliveries).where(these).values(values))


def add_attempt(connection: Connection, attempt: Attempt) -> None:
    """Record an attempt."""
    connection.execute(insert(webhook_attempts).values(asdict(attempt)))


def attempts(
    connection: Connection,
    *,
    delivery_id: str | None = None,
    endpoint_id: str | None = None,
    limit: int | None = None,
) -> list[Attempt]:
    """Attempts, of one delivery or endpoint when given, oldest first; with a limit the newest of them."""
    table = webhook_attempts.c
    query = select(webhook_attempts).order_by(table.at.desc(), table.delivery_id.desc(), table.number.desc())
    if delivery_id is not None:
        query = query.where(table.delivery_id == delivery_id)
    if endpoint_id is not None:
        query = query.join(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id)
    if limit is not None:
        query = query.limit(limit)
    return [Attempt(**row._mapping) for row in connection.execute(query)][::-1]


def deliveries_of(connection: Connection, delivery_ids: Iterable[str]) -> dict[str, Delivery]:
    """Delivery id → delivery, for each of these ids."""
    ids = list(set(delivery_ids))
    found: dict[str, Delivery] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = _deliveries().where(webhook_deliveries.c.delivery_id.in_(ids[start : start + _AT_ONCE]))
        found |= {delivery.delivery_id: delivery for delivery in _all(connection, query)}
    return found


def attempt_state(attempt: Attempt, delivery: Delivery) -> str:
    """What an attempt left its delivery in: one of ATTEMPT_STATES.

    `resolved`: the receiver accepted it. `retrying`: the receiver refused it, and it is sent again. `retained`: no
    answer was received, or no retry follows; the delivery is kept, for its next attempt or for a replay.
    """
    if attempt.error is None:
        return RESOLVED
    is_last = delivery.status == DEAD and attempt.number == delivery.attempts
    return RETAINED if attempt.status_code is None or is_last else RETRYING


def _deliveries() -> Select[Any]:
    return select(webhook_deliveries)


def _all(connection: Connection, query: Select[Any]) -> list[Delivery]:
    return [Delivery(**row._mapping) for row in connection.execute(query)]
