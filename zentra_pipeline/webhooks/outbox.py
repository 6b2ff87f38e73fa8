"""Makes deliveries from the event log, which is the outbox: each endpoint has a position in it, and goes on from there.

The position moves in the transaction that records the deliveries, so that none is lost and none is made twice. Sending
does not belong here (sending).
"""

import hashlib
import heapq
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.events import types
from zentra_pipeline.instants import instant_text
from zentra_pipeline.store import event_log
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Delivery, Endpoint
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import endpoints, match_summaries

MOST_WAITING: Final = 10_000  # of an endpoint; the rest stays in the log meanwhile
_AT_ONCE: Final = 1_000


def make(tenant: Tenant, endpoint: Endpoint, now: datetime) -> int:
    """Make the deliveries of what the log holds after an endpoint's position; how many are new."""
    with tenant.reading() as connection:
        room = MOST_WAITING - webhook_store.waiting(connection, endpoint.endpoint_id)
    if room <= 0:
        return 0
    stream = wanted(tenant, endpoint, endpoint.position)
    position, made = endpoint.position, 0
    while True:
        chunk = list(islice(stream.events, min(room, _AT_ONCE)))
        room -= len(chunk)
        is_last = len(chunk) < _AT_ONCE and room > 0
        going_on_from = stream.last if is_last else chunk[-1][0]
        if going_on_from == position:
            return made
        with tenant.writing() as connection:
            current = webhook_store.find_endpoint(connection, endpoint.endpoint_id)
            if current is None or current.status != webhook_store.ENABLED or current.position != position:
                return made  # somebody else has gone on, or the endpoint gets nothing more
            made += webhook_store.add_deliveries(connection, (delivery(endpoint, *event, now) for event in chunk))
            webhook_store.change_endpoint(connection, endpoint.endpoint_id, {"position": going_on_from})
        position = going_on_from
        if is_last or room <= 0:
            return made


def wanted(tenant: Tenant, endpoint: Endpoint, after: int) -> event_reading.Stream:
    """The events behind a position that an endpoint asked for, in the form in which it gets them, in order."""
    is_summarised = not endpoint.is_each_match and endpoints.wants(endpoint, types.MATCH_CREATED)
    is_left_out = is_summarised or not endpoints.wants(endpoint, types.MATCH_CREATED)
    stream = event_reading.follow(tenant.paths, after, without=types.MATCH_CREATED if is_left_out else None)
    events = ((position, event) for position, event in stream.events if endpoints.wants(endpoint, event["type"]))
    if is_summarised:
        events = heapq.merge(events, _summaries(tenant, after, stream.last), key=itemgetter(0))
    return event_reading.Stream(events, stream.last)


def delivery(endpoint: Endpoint, position: int, event: dict[str, Any], now: datetime) -> Delivery:
    """An event on its way to an endpoint, to be sent at once."""
    return Delivery(
        delivery_id=delivery_id(endpoint.endpoint_id, event["id"]),
        endpoint_id=endpoint.endpoint_id,
        event_id=event["id"],
        event_type=event["type"],
        position=position,
        body=json.dumps(event_reading.with_cursor(position, event), separators=(",", ":")),  # ASCII: one reading only
        status=webhook_store.RETAINED,
        sends_due=1,
        attempts=0,
        failures=0,
        next_attempt_at=instant_text(now),
        created_at=instant_text(now),
        resolved_at=None,
    )


def delivery_id(endpoint_id: str, event_id: str) -> str:
    """The id of the delivery of an event to an endpoint."""
    parts = (endpoint_id.encode(), event_id.encode())
    canonical = b"".join(b"%d:%b," % (len(part), part) for part in parts)
    return "whd_" + hashlib.sha256(canonical).hexdigest()[:32]


def _summaries(tenant: Tenant, after: int, last: int) -> Iterator[tuple[int, dict[str, Any]]]:
    with tenant.reading() as connection:
        entries = event_log.entries(connection, after)
    for entry in entries:
        if entry.path is not None and entry.first_position <= last:
            yield from (found for found in match_summaries.summaries(tenant.paths, entry) if found[0] > after)
