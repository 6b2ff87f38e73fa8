"""Routes of exceptions as a sheet: the list as CSV, many decisions sent as one; sheets themselves: desk.sheets."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.exceptions import ExceptionFilter
from zentra_pipeline.api.security import Decider, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.desk import sheets

router = APIRouter(prefix="/reconciliation", tags=["exceptions"])

_CSV: Final = {
    "type": "string",
    "description": f"Columns {', '.join(sheets.REQUIRED)} and any of {', '.join(sheets.OPTIONAL)}, or a sheet of "
    "exceptions.csv with actions written into it.",
}


class SheetQuery(ExceptionFilter):
    """Which exceptions."""

    model_config = ConfigDict(extra="forbid")


class RowOutcome(BaseModel):
    """Result of a row of the sheet; `reason` says why it was refused."""

    row: int
    exception_id: str
    is_accepted: bool
    problem: str | None
    reason: str | None


class SheetOutcome(BaseModel):
    """Result of every row, in order."""

    accepted: int
    refused: int
    items: list[RowOutcome]


@router.get(
    "/exceptions.csv",
    response_class=Response,
    summary="Exceptions as CSV.",
    responses={
        200: {"description": "RFC 4180.", "content": {bodies.CSV: {"schema": {"type": "string"}}}},
        **problems.responses("not-configured"),
    },
)
def sheet(caller: Reader, serving: Serving, query: Annotated[SheetQuery, Query()]) -> Response:
    """All exceptions of the tenant, with empty columns for decisions; text that would be a formula gets an apostrophe.

    Fill in `action` and `reason` for those you decide on, and send the sheet to `/exceptions/decisions`.
    """
    clocks = query.clocks(caller, serving.now())
    content = sheets.as_csv(caller.tenant, clocks, query.conditions(clocks))
    headers = {"Content-Disposition": 'attachment; filename="exceptions.csv"'}
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8; header=present")


@router.post(
    "/exceptions/decisions",
    summary="Decide about many exceptions.",
    responses={
        200: {"model": SheetOutcome},
        **problems.responses("malformed", "too-large", "media-type", "not-configured"),
    },
    openapi_extra=bodies.described(bodies.CSV, _CSV),
)
async def decide_sheet(caller: Decider, serving: Serving, request: Request) -> Response:
    """Record one decision per row of a CSV sheet; each row is accepted or refused on its own, with a reason.

    In a sheet from exceptions.csv, rows without an action are skipped and other columns are ignored: owner
    counts with assign alone, resolution with resolve alone.
    """
    bodies.require_media_type(request, bodies.CSV)
    content = await bodies.read_whole(request, sheets.MOST_BYTES)

    def decide_all() -> dict[str, Any]:
        verdicts = sheets.decide(
            caller.tenant,
            sheets.read(content),
            actor=caller.actor,
            role=caller.role,
            now=serving.now,
            origin=caller.origin,
        )
        return sheets.outcome(verdicts, lambda error: problems.of_error(error).detail)

    return json_response(await run_in_threadpool(decide_all))
