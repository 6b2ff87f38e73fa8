"""Has events sent again, with the ids they had: a replay adds attempts, and changes nothing that finance reads.

Sending does not belong here (sending).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.instants import instant_text
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import event_log
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Delivery, Endpoint
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import endpoints, outbox

_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Range:
    """Events of the log from one place to another (both included), and none that happened before `since`."""

    first: int = 1
    last: int | None = None
    since: datetime | None = None


def event(tenant: Tenant, event_id: str, now: datetime, endpoint_id: str | None = None) -> list[str]:
    """Have one event sent once more to an endpoint, or to all that ask for its type; ids of the deliveries."""
    to = _receivers(tenant, endpoint_id)
    with tenant.reading() as connection:
        known = {found.endpoint_id: found for found in webhook_store.deliveries_of_event(connection, event_id)}
    found = None if known and all(endpoint.endpoint_id in known for endpoint in to) else _find(tenant, event_id)
    if not known and found is None:
        raise UsageError(f"there is no event {event_id!r}", remedy=Remedy("look at the events", "list_events"))
    deliveries = [known[endpoint.endpoint_id] for endpoint in to if endpoint.endpoint_id in known]
    if found is not None:
        deliveries += [
            outbox.delivery(endpoint, *found, now)
            for endpoint in to
            if endpoint.endpoint_id not in known and endpoints.wants(endpoint, found[1]["type"])
        ]
    return _ask(tenant, deliveries, now)


def is_known(tenant: Tenant, event_id: str) -> bool:
    """Whether there is an event of this id: in the log, or made for deliveries."""
    with tenant.reading() as connection:
        if webhook_store.deliveries_of_event(connection, event_id):
            return True
    return _find(tenant, event_id) is not None


def events(
    tenant: Tenant,
    chosen: Range,
    now: datetime,
    endpoint_id: str | None = None,
    limit: int | None = None,
) -> list[str]:
    """Have a range of events sent once more; ids of the deliveries. UsageError when they are more than `limit`."""
    found = (
        outbox.delivery(endpoint, place, said, now)
        for endpoint in _receivers(tenant, endpoint_id)
        for place, said in _within(tenant, endpoint, chosen)
    )
    if limit is not None:
        few = list(islice(found, limit + 1))
        if len(few) > limit:
            raise UsageError(f"these are more than {limit:,} deliveries: choose a shorter range")
        found = (delivery for delivery in few)
    asked: list[str] = []
    while chunk := list(islice(found, _AT_ONCE)):
        asked += _ask(tenant, chunk, now)
    return asked


def _within(tenant: Tenant, endpoint: Endpoint, chosen: Range) -> Iterator[tuple[int, dict[str, Any]]]:
    since = None if chosen.since is None else instant_text(chosen.since)
    for place, said in outbox.wanted(tenant, endpoint, max(chosen.first - 1, 0)).events:
        if chosen.last is not None and place > chosen.last:
            return
        if since is None or said["time"] >= since:
            yield place, said


def _receivers(tenant: Tenant, endpoint_id: str | None) -> list[Endpoint]:
    with tenant.reading() as connection:
        if endpoint_id is None:
            found = webhook_store.endpoints(connection)
            return [endpoint for endpoint in found if endpoint.status == webhook_store.ENABLED]
        endpoint = endpoints.known(connection, endpoint_id)
    if endpoint.status != webhook_store.ENABLED:
        raise RefusedError(f"endpoint {endpoint_id} is disabled ({endpoint.status_reason}): enable it first")
    return [endpoint]


def _ask(tenant: Tenant, deliveries: Sequence[Delivery], now: datetime) -> list[str]:
    """Record that deliveries are to be sent, those that are new and once more those that are not."""
    ids = [delivery.delivery_id for delivery in deliveries]
    with tenant.writing() as connection:
        known = webhook_store.known_ids(connection, ids)
        webhook_store.add_deliveries(connection, deliveries)
        webhook_store.ask_again(connection, [name for name in ids if name in known], instant_text(now))
    return ids


def _find(tenant: Tenant, event_id: str) -> tuple[int, dict[str, Any]] | None:
    """An event of the log by its id, with its place."""
    with tenant.reading() as connection:
        entries = event_log.entries(connection)
    position = _place(tenant.paths, entries, event_id)
    if position is None:
        return None
    (found,) = event_reading.read(tenant.paths, position - 1, 1).events
    return found


def _place(paths: TenantPaths, entries: Sequence[event_log.Entry], event_id: str) -> int | None:
    from zentra_pipeline import private_database

    for entry in entries:
        if entry.event_id == event_id:
            return entry.first_position
    segments = event_reading.segments_sql(paths, entries)
    if segments is None:
        return None
    with private_database.opened() as connection:
        row = connection.execute(f"select position from ({segments}) where event_id = ?", [event_id]).fetchone()
    return None if row is None else int(row[0])
