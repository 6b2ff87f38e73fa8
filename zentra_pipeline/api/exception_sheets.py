"""Exceptions as a sheet: the list as CSV, and many decisions sent as one; single exceptions stand in exceptions."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, ValidationError

from zentra_pipeline import lake
from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.exceptions import ROW_SCHEMA, ExceptionFilter, NewDecision, decide_one
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Caller, Decider, Reader
from zentra_pipeline.api.service import Service, Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.result_text import csv_lines
from zentra_pipeline.review.clocks import TIMED
from zentra_pipeline.review.decisions import states
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.engine import operational_store, reading

router = APIRouter(prefix="/reconciliation", tags=["exceptions"])

MOST_DECISIONS: Final = 500
SHEET_BYTES: Final = 16 * 1024 * 1024
_REQUIRED: Final = ("exception_id", "action")
_OPTIONAL: Final = ("reason", "owner", "resolution", "version")
_CSV: Final = {
    "type": "string",
    "description": f"Columns {', '.join(_REQUIRED)} and any of {', '.join(_OPTIONAL)}, or a sheet of exceptions.csv "
    "with actions written into it.",
}
# What a sheet of exceptions has in front, to be written in, and what else it tells, which decides nothing.
_TO_FILL: Final = ("action", "reason", "version")
_TOLD: Final = tuple(name for name in ROW_SCHEMA["properties"] if name not in (*_REQUIRED, *_OPTIONAL))


class SheetQuery(ExceptionFilter):
    """Which exceptions."""

    model_config = ConfigDict(extra="forbid")


class RowOutcome(BaseModel):
    """What became of a row of the sheet; `reason` says why it was refused."""

    row: int
    exception_id: str
    is_accepted: bool
    problem: str | None
    reason: str | None


class SheetOutcome(BaseModel):
    """What became of every row, in order."""

    accepted: int
    refused: int
    items: list[RowOutcome]


@router.get(
    "/exceptions.csv",
    response_class=Response,
    summary="Exceptions as CSV.",
    responses={
        200: {"description": "RFC 4180.", "content": {bodies.CSV: {"schema": {"type": "string"}}}},
        **problems.responses(),
    },
)
def sheet(caller: Reader, serving: Serving, query: Annotated[SheetQuery, Query()]) -> Response:
    """All exceptions of the tenant, with empty columns to decide in; text that would be a formula has an apostrophe.

    Write an `action` and a `reason` beside those you decide about, and send the sheet to `/exceptions/decisions`.
    """
    clocks = query.clocks(caller, serving.now())
    conditions = query.conditions(clocks)
    wanted = " AND ".join(conditions) or "true"
    found = lake.query(
        caller.paths,
        f"SELECT * FROM {TIMED} WHERE {wanted} ORDER BY due_at NULLS LAST, exception_id",
        list(conditions.values()),
    )
    with reading(operational_store(caller.paths)) as connection:
        known = states(decision_store.listed(connection))
    columns, rows = [*_TO_FILL, *ROW_SCHEMA["properties"]], []
    for values in found.rows:
        row: dict[str, Any] = dict(zip(found.columns, values, strict=True))
        state = known.get(row["exception_id"])
        told = row | vars(clocks.seen(row)) | {"version": state.decisions if state else 0}
        rows.append([told.get(column) for column in columns])
    content = "".join(csv_lines(columns, rows)).encode("utf-8", "backslashreplace")
    headers = {"Content-Disposition": 'attachment; filename="exceptions.csv"'}
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8; header=present")


@router.post(
    "/exceptions/decisions",
    summary="Decide about many exceptions.",
    responses={200: {"model": SheetOutcome}, **problems.responses("malformed", "too-large", "media-type")},
    openapi_extra=bodies.described(bodies.CSV, _CSV),
)
async def decide_sheet(caller: Decider, serving: Serving, request: Request) -> Response:
    """Record a decision a row of a CSV sheet; each row is accepted, or refused with its reason, by itself.

    In a sheet that came from exceptions.csv rows without an action are passed over, and so is what they tell: owner
    counts with assign alone, resolution with resolve alone.
    """
    bodies.require_media_type(request, bodies.CSV)
    rows = _rows(await bodies.read_whole(request, SHEET_BYTES))
    items = await run_in_threadpool(_decide_all, caller, serving, rows)
    accepted = sum(item["is_accepted"] for item in items)
    return json_response({"accepted": accepted, "refused": len(items) - accepted, "items": items})


def _decide_all(caller: Caller, serving: Service, rows: dict[int, dict[str, str]]) -> list[dict[str, Any]]:
    return [_decide_row(caller, serving, number, row) for number, row in rows.items()]


def _decide_row(caller: Caller, serving: Service, number: int, row: dict[str, str]) -> dict[str, Any]:
    outcome = {"row": number, "exception_id": row["exception_id"], "is_accepted": False, "problem": None}
    given = {name: row[name] for name in ("action", "reason", "owner", "resolution") if row.get(name)}
    try:
        decision = NewDecision.model_validate(given)
        decide_one(caller, serving, row["exception_id"], decision, row.get("version") or None)
    except ValidationError as cause:
        found = problems.invalid(cause.errors(include_url=False, include_input=False), "row")
        return outcome | {"problem": found.kind.type, "reason": found.detail}
    except ProblemError as cause:
        return outcome | {"problem": cause.kind.type, "reason": cause.detail}
    except ZentraError as cause:
        known = problems.of_error(cause)
        return outcome | {"problem": known.kind.type, "reason": known.detail}
    return outcome | {"is_accepted": True, "reason": None}


def _rows(content: bytes) -> dict[int, dict[str, str]]:
    """The rows that decide, by their number; a problem when it is no CSV of the columns that a decision has."""
    try:
        text = content.decode("utf-8-sig")
        header, *records = _records(text)
    except (UnicodeDecodeError, csv.Error, ValueError) as cause:
        raise ProblemError("malformed", "The body is not CSV in UTF-8 with a header (RFC 4180).") from cause
    unknown = [name for name in header if name not in (*_REQUIRED, *_OPTIONAL, *_TOLD)]
    missing = [name for name in _REQUIRED if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise ProblemError(
            "malformed",
            f"The sheet has columns {', '.join(map(repr, header[:20]))}; it takes {', '.join(_REQUIRED)} and any of "
            f"{', '.join(_OPTIONAL)}, each once.",
        )
    short = next((number for number, record in enumerate(records, start=1) if len(record) != len(header)), None)
    if short is not None:
        raise ProblemError("malformed", f"Row {short} has another number of fields than the header.")
    rows = {number: dict(zip(header, record, strict=True)) for number, record in enumerate(records, start=1)}
    if not set(_TOLD).isdisjoint(header):
        rows = {number: _decision_of(row) for number, row in rows.items() if row["action"].strip()}
    if len(rows) > MOST_DECISIONS:
        raise ProblemError("too-large", f"The sheet decides {len(rows):,} times; {MOST_DECISIONS} are allowed at once.")
    return rows


def _decision_of(row: dict[str, str]) -> dict[str, str]:
    """What a row of a sheet of exceptions decides; owner and resolution tell what is, unless the action sets them."""
    sets = {"assign": "owner", "resolve": "resolution"}.get(row["action"])
    return {name: row[name] for name in ("exception_id", "action", "reason", "version", sets) if name in row}


def _records(text: str) -> Iterator[list[str]]:
    if "\0" in text:
        raise ValueError("NUL is no text of a sheet")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    return (record for record in reader if record)
