"""The route of what waits for approval: exceptions, closeouts, sign-offs of months. Approving has its own routes."""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from zentra_pipeline.api import problems
from zentra_pipeline.api.paging import Paging, page, page_schema, place_of
from zentra_pipeline.api.security import Caller, Reader
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.desk import waiting

router = APIRouter(prefix="/reconciliation/approvals", tags=["approvals"])

_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_MINOR: Final = {"type": "integer"}
_MINOR_OR_NULL: Final = {"type": ["integer", "null"]}


def _object(description: str = "", **properties: Any) -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"type": "object", "required": list(properties), "properties": properties, **described}


def _or_null(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "type": ["object", "null"], "description": description}


_SIDE: Final = _object(
    amount_minor=_MINOR,
    items={
        "type": "array",
        "items": _object(
            item_id=_TEXT, provider_reference=_TEXT_OR_NULL, opened_window=_TEXT_OR_NULL, amount_minor=_MINOR_OR_NULL
        ),
    },
)
_LINE: Final = _object(
    table={**_TEXT, "description": "rollforward or conservation, a row of the run's statement."},
    side=_TEXT,
    line={**_TEXT, "description": "The column that changes."},
    label=_TEXT,
    currency=_TEXT,
    before_minor=_MINOR,
    after_minor=_MINOR,
)
_RUN: Final = _object(
    run_id=_TEXT, revision=_MINOR, provider=_TEXT, settlement_file=_TEXT, ledger_window={**_TEXT, "format": "date"}
)
EXCEPTION_SCHEMA: Final = _object(
    exception_id=_TEXT,
    decision_id=_TEXT,
    action=_TEXT,
    resolution=_TEXT_OR_NULL,
    method=_TEXT_OR_NULL,
    proposed_by=_TEXT,
    proposed_at={**_TEXT, "format": "date-time"},
    reason=_TEXT_OR_NULL,
    currency=_TEXT_OR_NULL,
    settlement=_SIDE,
    ledger=_SIDE,
    callback=_SIDE,
    difference_minor={**_MINOR, "description": "Settlement less ledger."},
    run=_RUN,
    statement={"type": "array", "items": _LINE, "description": "Lines of the run's statement that change."},
    policy=_object(
        rule=_TEXT,
        digest=_TEXT,
        amount_minor=_MINOR,
        limits={
            "type": "array",
            "items": _object(role=_TEXT, limit_minor=_MINOR_OR_NULL, may_approve={"type": "boolean"}),
        },
    ),
)
_ROWS: Final = {"type": "array", "items": {"type": "object"}}
CLOSEOUT_SCHEMA: Final = _object(
    closeout_id=_TEXT,
    revision=_MINOR,
    prepared_by=_TEXT,
    prepared_at={**_TEXT, "format": "date-time"},
    amends=_TEXT_OR_NULL,
    reason=_TEXT_OR_NULL,
    run=_RUN,
    evidence=_object(root=_TEXT, rows=_MINOR, status=_TEXT, gaps=_ROWS),
    rollforward=_ROWS,
    matches=_ROWS,
    write_offs=_ROWS,
    accepted=_object("Exceptions ended by decision.", exceptions=_MINOR, sha256=_TEXT, items=_ROWS),
    open=_ROWS,
    quarantine=_object(rows=_MINOR, accepted_by=_TEXT_OR_NULL, reason=_TEXT_OR_NULL),
    policy=_object(rule=_TEXT, digest=_TEXT, approvals_by_token={"type": "boolean"}),
)
SIGN_OFF_SCHEMA: Final = _object(
    closeout_id=_TEXT,
    period=_TEXT,
    revision=_MINOR,
    prepared_by=_TEXT,
    prepared_at={**_TEXT, "format": "date-time"},
    amends=_TEXT_OR_NULL,
    reason=_TEXT_OR_NULL,
    windows=_ROWS,
    totals={"type": "object", "description": "What the windows add up to, by provider and currency."},
    changes={**_ROWS, "description": "Windows that are other than the sign-off before says."},
    evidence=_object(root=_TEXT, rows=_MINOR),
    policy=_object(rule=_TEXT, digest=_TEXT, approvals_by_token={"type": "boolean"}),
)
_OF_SIGN_OFF: Final = ("prepared_by", "prepared_at", "reason")
PENDING_EXCEPTION: Final = _or_null(EXCEPTION_SCHEMA, "What waits for approval; null when nothing does.")
APPROVED_EXCEPTION: Final = _or_null(EXCEPTION_SCHEMA, "What there was to approve, of a proposal and its approval.")
PENDING_CLOSEOUT: Final = _or_null(CLOSEOUT_SCHEMA, "What waits for approval; null when nothing does.")
_ITEM: Final = _object(
    kind={"type": "string", "enum": ["exception", "closeout", "sign_off"]},
    id={**_TEXT, "description": "exception_id or closeout_id."},
    exception=_or_null(EXCEPTION_SCHEMA, "Of an exception."),
    closeout=_or_null(CLOSEOUT_SCHEMA, "Of a closeout; null for one prepared before this was kept."),
    sign_off=_or_null(SIGN_OFF_SCHEMA, "Of a month's sign-off."),
)


@router.get(
    "",
    summary="What waits for approval.",
    responses={
        200: {"description": "A page.", "content": {"application/json": {"schema": page_schema(_ITEM)}}},
        **problems.responses("not-configured"),
    },
)
def list_approvals(caller: Reader, query: Paging) -> Response:
    """Everything that waits for a second person, exceptions first: items of both sides, what changes, the limit.

    Approve an exception with a decision on it, a closeout with a step on the closeout of its run, a sign-off with one
    on its month.
    """
    kind, last = place_of(query.after, str, str) or ["", ""]
    with caller.tenant.reading() as connection:
        found = [*_exceptions(caller, connection), *_closeouts(connection), *_sign_offs(connection)]
    order = {"exception": 1, "closeout": 2, "sign_off": 3}
    rest = [item for item in found if (order[item["kind"]], item["id"]) > (order.get(kind, 0), last)]
    return json_response(page(rest, query.limit, lambda item: (item["kind"], item["id"])))


def of_exceptions(caller: Caller, connection: Connection, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What there is to approve of published exceptions, by id."""
    return waiting.of_rows(caller.paths, connection, rows)


def _exceptions(caller: Caller, connection: Connection) -> list[dict[str, Any]]:
    return [
        {"kind": "exception", "id": content["exception_id"], "exception": content, "closeout": None, "sign_off": None}
        for content in waiting.exceptions(caller.paths, connection)
    ]


def _closeouts(connection: Connection) -> list[dict[str, Any]]:
    return [
        {"kind": "closeout", "id": item.closeout_id, "exception": None, "closeout": content, "sign_off": None}
        for item, content in waiting.closeouts(connection)
    ]


def _sign_offs(connection: Connection) -> list[dict[str, Any]]:
    return [
        {
            "kind": "sign_off",
            "id": item.closeout_id,
            "exception": None,
            "closeout": None,
            "sign_off": {**item.content, **{name: getattr(item, name) for name in _OF_SIGN_OFF}},
        }
        for item in sorted(waiting.sign_offs(connection), key=lambda each: each.closeout_id)
    ]
