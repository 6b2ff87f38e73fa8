"""The event log in the operational store: one order of all events; what an event says does not belong here (events).

A place in the log belongs to one event for ever. Single events are in the store itself; the many that a run finds
are in a lake file, and the log holds their places.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from zentra_pipeline.store.digests import facts
from zentra_pipeline.store.models import event_log


@dataclass(frozen=True)
class Entry:
    """One entry of the log: a single event (`content`), or `events` of them in a lake file (`path`, `sha256`)."""

    first_position: int
    events: int
    event_id: str | None
    event_type: str | None
    run_id: str | None
    content: str | None
    path: str | None
    sha256: str | None


def next_position(connection: Connection) -> int:
    """The place the next event takes; needs a write transaction to stay free."""
    newest = connection.execute(
        select(event_log.c.first_position + event_log.c.events).order_by(event_log.c.first_position.desc()).limit(1)
    ).scalar()
    return int(newest or 1)


def append(connection: Connection, event: Mapping[str, Any]) -> bool:
    """Add a CloudEvent unless its id is in the log already; whether it was added."""
    known = select(event_log.c.first_position).where(event_log.c.event_id == event["id"])
    if connection.execute(known).scalar() is not None:
        return False
    connection.execute(
        insert(event_log).values(
            first_position=next_position(connection),
            events=1,
            event_id=event["id"],
            event_type=event["type"],
            run_id=event.get("runid"),
            content=json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True),
        )
    )
    return True


def append_file(connection: Connection, *, run_id: str, events: int, path: str, sha256: str) -> int | None:
    """Add the events of a lake file, in the file's order; returns the first one's place, null when it holds none."""
    if not events:
        return None
    position = next_position(connection)
    connection.execute(
        insert(event_log).values(first_position=position, events=events, run_id=run_id, path=path, sha256=sha256)
    )
    return position


def entries(connection: Connection, after: int = 0, run_id: str | None = None) -> list[Entry]:
    """Entries that hold a place greater than `after`, of one run when given, in order."""
    query = select(*facts(event_log)).where(event_log.c.first_position + event_log.c.events - 1 > after)
    if run_id is not None:
        query = query.where(event_log.c.run_id == run_id)
    return [Entry(**row._mapping) for row in connection.execute(query.order_by(event_log.c.first_position))]


def count(connection: Connection) -> int:
    """How many events the log holds."""
    return int(connection.execute(select(func.coalesce(func.sum(event_log.c.events), 0))).scalar_one())
