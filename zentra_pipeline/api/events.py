"""Routes of the event log. What an event says, and the order of the log, do not belong here (events)."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from zentra_pipeline.api import problems
from zentra_pipeline.api.paging import PageQuery, page_schema
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Caller, Reader
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.events import types

router = APIRouter(tags=["events"])

EVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A CloudEvent 1.0; docs/events has the schema of each type.",
    "required": ["specversion", "id", "type", "source", "subject", "time", "tenant", "actor", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string"},
        "type": {"enum": list(types.DATA)},
        "source": {"type": "string"},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "tenant": {"type": "string"},
        "actor": {"type": "string"},
        "runid": {"type": "string"},
        "sequence": {"type": "string", "description": "Its place in the log, and the cursor to go on from."},
        "data": {"type": "object"},
    },
}


class EventQuery(PageQuery):
    """Which events."""

    type: Annotated[str | None, *one_of(tuple(types.DATA))] = None
    after: Annotated[
        str | None, Field(max_length=20, pattern="^[0-9]*$", description="`sequence` of an event, or `next` of a page.")
    ] = None


_PAGE: Final = page_schema(EVENT_SCHEMA)
_PAGE["properties"]["last"] = {
    "type": "string",
    "description": "`after` to continue with later: events from now on come after it.",
}
_PAGE["required"] = [*_PAGE["required"], "last"]


@router.get(
    "/events",
    summary="The event log.",
    responses={
        200: {"description": "Events in order.", "content": {"application/json": {"schema": _PAGE}}},
        **problems.responses(),
    },
)
def list_events(caller: Reader, query: Annotated[EventQuery, Query()]) -> Response:
    """The tenant's reconciliation.* events in the order of the log; ask again after `last` for later ones."""
    found = event_reading.read(caller.paths, position(query.after), query.limit + 1, query.type)
    items = [event_reading.with_cursor(place, event) for place, event in found.events[: query.limit]]
    is_more = len(found.events) > query.limit
    last = items[-1]["sequence"] if is_more else event_reading.cursor_text(found.last)
    return json_response({"items": items, "next": last if is_more else None, "last": last})


def position(after: str | None) -> int:
    """The place that a cursor means, 0 without one."""
    try:
        return event_reading.position_of(after) if after else 0
    except UsageError as cause:
        raise ProblemError("invalid", f"query after: {problems.printable(str(cause))}") from cause


def emitted(caller: Caller, after: int, run_id: str) -> Iterator[dict[str, Any]]:
    """The events of a run behind a place, each with its cursor."""
    stream = event_reading.follow(caller.paths, after, run_id=run_id)
    return (event_reading.with_cursor(place, event) for place, event in stream.events)
