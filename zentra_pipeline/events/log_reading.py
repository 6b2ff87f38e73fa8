"""Reads the event log in its one order, across single events and lake files; writing does not belong here.

A cursor is the place of the last event read, as 20 digits: it sorts as text, and never means another event.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import segment_rows
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import event_log
from zentra_pipeline.store.event_log import Entry
from zentra_pipeline.store.shared_files import reading

# The published table `events`; `single_rows` and `segments_sql` give its rows in this order of columns.
EVENT_COLUMNS: Final = (
    "position bigint, event_id varchar, event_type varchar, subject varchar, event_time timestamp, tenant_id varchar, "
    "actor varchar, run_id varchar, data varchar"
)
_ATTRIBUTES: Final = (
    *("specversion", "id", "type", "source", "subject", "time", "datacontenttype"),
    *("tenant", "actor", "runid"),
)
_BATCH: Final = 25_000
_LAST_PLACE: Final = 2**63 - 1


@dataclass(frozen=True)
class Page:
    """Events in order, each with its place, and the place to go on after (also of what a filter left out)."""

    events: list[tuple[int, dict[str, Any]]]
    last: int


@dataclass(frozen=True)
class Stream:
    """Events in order, each with its place, to be read once; and the newest place of the log as they were asked for."""

    events: Iterator[tuple[int, dict[str, Any]]]
    last: int


def single_rows(entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    """The single events among `entries` as rows of EVENT_COLUMNS."""
    rows = []
    for entry in entries:
        if entry.content is None:
            continue
        event = json.loads(entry.content)
        rows.append(
            (
                entry.first_position,
                event["id"],
                event["type"],
                event["subject"],
                instant_of(event["time"]).replace(tzinfo=None),
                event["tenant"],
                event["actor"],
                event.get("runid"),
                json.dumps(event["data"], ensure_ascii=False, separators=(",", ":")),
            )
        )
    return rows


def segments_sql(paths: TenantPaths, entries: Sequence[Entry], tenant: str | None = None) -> str | None:
    """A select of EVENT_COLUMNS over the lake files among `entries`, null when there is none.

    `tenant` is named where `paths` are a link to its folder.
    """
    files = {entry.path: entry.first_position for entry in entries if entry.path is not None}
    if not files:
        return None
    tenant = tenant or paths.root.name
    return (
        f'select cast(first_position + "offset" as bigint) as position, event_id, event_type, subject, event_time, '
        f"{sql_text.literal(tenant)} as tenant_id, actor, run_id, data "
        f"from (select places.first_position, {segment_rows.whole_columns(tenant)} "
        f"from {segment_rows.joined(paths, files)})"
    )


def read(paths: TenantPaths, after: int = 0, limit: int | None = None, event_type: str | None = None) -> Page:
    """Up to `limit` events behind place `after`, of one type when given, all of one moment."""
    stream = follow(paths, after, event_type, limit)
    found = list(islice(stream.events, limit))
    is_whole = limit is None or len(found) < limit
    return Page(found, stream.last if is_whole else found[-1][0] if found else after)


def follow(
    paths: TenantPaths,
    after: int = 0,
    event_type: str | None = None,
    expected: int | None = None,
    run_id: str | None = None,
    without: str | None = None,
) -> "Stream":
    """The events behind place `after` that the log holds now, of one run when given, in order, a batch at a time.

    `expected` is how many will be asked for, where that is known; those of type `without` in lake files are left out.
    """
    with reading(paths) as connection:
        entries = event_log.entries(connection, after, run_id)
    last = max((entry.first_position + entry.events - 1 for entry in entries), default=after)
    batch = _BATCH if expected is None or event_type is not None else max(1, min(expected, _BATCH))
    return Stream(_events(paths, entries, after, event_type, batch, without), last)


def cursor_text(position: int) -> str:
    """A place as a cursor: the `sequence` attribute of the event that has it."""
    return f"{position:020d}"


def position_of(cursor: str) -> int:
    """The place that a cursor means; UsageError when it is none."""
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 20 or int(cursor) > _LAST_PLACE:
        raise UsageError(f"cursor {cursor!r} is not known: use the sequence of an event, or next, as it was printed")
    return int(cursor)


def with_cursor(position: int, event: Mapping[str, Any]) -> dict[str, Any]:
    """A CloudEvent with its cursor as `sequence` (the extension attribute of that name), data last."""
    attributes = {name: event[name] for name in _ATTRIBUTES if name in event}
    return attributes | {"sequence": cursor_text(position), "data": event["data"]}


def _events(
    paths: TenantPaths,
    entries: Sequence[Entry],
    after: int,
    event_type: str | None,
    batch: int,
    without: str | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    for entry in entries:
        if entry.content is not None:
            if event_type in (None, entry.event_type):
                yield entry.first_position, json.loads(entry.content)
        else:
            first = max(after + 1 - entry.first_position, 0)
            yield from _of_segment(paths, entry, first, event_type, batch, without)


def _of_segment(
    paths: TenantPaths, entry: Entry, first: int, event_type: str | None, batch: int, without: str | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The events of a lake file from offset `first` on; each batch is read whole, no result is left half read."""
    with private_database.opened() as connection:
        path = str(entry.path)
        for start in range(first, entry.events, batch):
            rows = segment_rows.rows_between(connection, paths, path, start, start + batch)
            sql = (
                'select "offset", event_id, event_type, subject, event_time, actor, run_id, data '
                f"from ({segment_rows.whole(paths, path, start, start + batch, rows)}) "
                "where ($type is null or event_type = $type) "
                'and ($without is null or event_type <> $without) order by "offset"'
            )
            for row in connection.execute(sql, {"type": event_type, "without": without}).fetchall():
                yield entry.first_position + row[0], _cloud_event(paths.root.name, row[1:])


def _cloud_event(tenant: str, row: tuple[str, str, str, datetime, str, str, str]) -> dict[str, Any]:
    event_id, event_type, subject, time, actor, run_id, data = row
    return {
        "specversion": "1.0",
        "id": event_id,
        "type": event_type,
        "source": f"/tenants/{tenant}",
        "subject": subject,
        "time": instant_text(time.replace(tzinfo=UTC)),
        "datacontenttype": "application/json",
        "tenant": tenant,
        "actor": actor,
        "runid": run_id,
        "data": json.loads(data),
    }
