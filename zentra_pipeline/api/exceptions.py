"""Routes of exceptions: listing them, one with its history, and deciding about it. Sheets of them: exception_sheets."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field

from zentra_pipeline import vocabulary
from zentra_pipeline.api import approvals, bodies, problems, tables
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.paging import PageQuery, page, page_schema, place_of
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Caller, Decider, Reader
from zentra_pipeline.api.service import Service, Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of, word
from zentra_pipeline.contracts.contract import TEXT_LIMIT
from zentra_pipeline.decisions import exception_state, manual_match
from zentra_pipeline.decisions.exception_state import ExceptionState
from zentra_pipeline.decisions.policy import ROLE_ACTIONS
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import NotPossibleError, OutdatedError, RefusedError
from zentra_pipeline.instants import instant_of
from zentra_pipeline.published import declared_tables, lake
from zentra_pipeline.review import attachments, history, searches
from zentra_pipeline.review.clocks import IS_ABOUT, IS_OVERDUE, TIMED, Clocks
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.decisions import Decision

router = APIRouter(prefix="/reconciliation/exceptions", tags=["exceptions"])

_CLOCK: Final[Mapping[str, dict[str, Any]]] = {
    "age_business_days": {"type": ["integer", "null"], "description": "Since its window; null once it is resolved."},
    "is_overdue": {"type": "boolean"},
    "overdue_business_days": {"type": "integer", "description": "Business days overdue."},
}
ROW_SCHEMA: Final = tables.row_schema("exceptions", **_CLOCK)
_Items = list[Annotated[str, Field(min_length=1, max_length=manual_match.MAX_ID)]]
_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_DECISION_SCHEMA: Final = {
    "type": "object",
    "required": ["decision_id", "action", "actor", "decided_at", "result", "owner", "resolution", "reason", "run_id"],
    "properties": {
        "decision_id": _TEXT,
        "action": _TEXT,
        "actor": _TEXT,
        "decided_at": {"type": "string", "format": "date-time"},
        "result": {**_TEXT, "description": "The status it led to."},
        "owner": _TEXT_OR_NULL,
        "resolution": _TEXT_OR_NULL,
        "reason": _TEXT_OR_NULL,
        "run_id": {**_TEXT, "description": "The run whose totals it changes."},
        "policy": {"type": "object", "description": "The policy rule that allowed it."},
        "approval": approvals.APPROVED_EXCEPTION,
        "origin": {"type": ["object", "null"], "description": "How the actor signed in: token or command line."},
        "attachment": {
            "type": ["object", "null"],
            "description": "The file that came with a comment: sha256, name, media_type, size.",
        },
    },
}
_SHOWN_SCHEMA: Final = {
    "type": "object",
    "required": ["run_id", "ledger_window", "amount_minor", "difference_minor", "explanation"],
    "properties": {
        "run_id": {**_TEXT, "description": "The run from which on it showed this."},
        "ledger_window": {"type": "string", "format": "date"},
        "amount_minor": {"type": ["integer", "null"]},
        "difference_minor": {"type": ["integer", "null"]},
        "explanation": _TEXT,
    },
}
_SEARCH_SCHEMA: Final = tables.schema_of(
    {name: declared_tables.tables()["ledger_search"].columns[name].data_type for name in searches.COLUMNS}
)
_DETAIL_SCHEMA: Final = tables.row_schema(
    "exceptions",
    **_CLOCK,
    title=_TEXT,
    remedy={**_TEXT, "description": "What to do about exceptions of this type."},
    version={"type": "integer", "description": "Number of decisions about it."},
    possible={"type": "array", "items": _TEXT, "description": "Actions possible now."},
    proposed_resolution=_TEXT_OR_NULL,
    proposed_by={**_TEXT_OR_NULL, "description": "Proposer; another person must approve."},
    pending_approval=approvals.PENDING_EXCEPTION,
    history={"type": "array", "items": _SHOWN_SCHEMA, "description": "Amounts it has shown, oldest first."},
    decisions={"type": "array", "items": _DECISION_SCHEMA},
    ledger_search={"type": "array", "items": _SEARCH_SCHEMA, "description": "What each match pass looked for."},
)
_ETAG: Final = {"ETag": {"description": "Its state; for If-Match.", "schema": _TEXT}}
DETAIL_ANSWER: Final = {
    "description": "The exception.",
    "content": {"application/json": {"schema": _DETAIL_SCHEMA}},
    "headers": _ETAG,
}


_COLUMNS: Final = {
    "run_id": "run_id",
    "provider": "run_provider",
    "status": "status",
    "exception_type": "exception_type",
    "owner": "owner",
    "lane": "lane",
}


def _instant(value: str | None) -> str | None:
    """An instant that is on the calendar and the clock; ValueError for one that is not."""
    if value is not None:
        instant_of(value)
    return value


class ExceptionFilter(BaseModel):
    """Which exceptions."""

    run_id: Annotated[str | None, Field(max_length=64, description="Only those this run opened.")] = None
    provider: Annotated[
        str | None, Field(max_length=256, description="Only those of this provider's, or bank account's, runs.")
    ] = None
    status: Annotated[str | None, *word("exception_status")] = None
    exception_type: Annotated[str | None, *word("exception_type")] = None
    owner: Annotated[str | None, Field(max_length=256)] = None
    lane: Annotated[str | None, Field(max_length=256)] = None
    reference: Annotated[
        str | None,
        Field(
            max_length=TEXT_LIMIT,
            description="Only those about this provider reference, or of this subject: a line, transaction or event.",
        ),
    ] = None
    overdue: Annotated[bool | None, Field(description="true: only overdue ones; false: only the others.")] = None
    as_of: Annotated[
        str | None,
        AfterValidator(_instant),
        Field(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
            description="Instant at which age and due dates are judged; now by default.",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None

    def clocks(self, caller: Caller, now: datetime) -> Clocks:
        """The clocks at the instant asked for."""
        return Clocks(caller.paths, now if self.as_of is None else instant_of(self.as_of))

    def conditions(self, clocks: Clocks) -> dict[str, Any]:
        """What has to hold, in SQL, and the value in it."""
        wanted = {column: getattr(self, name) for name, column in _COLUMNS.items()}
        given = {f"{column} = ?": value for column, value in wanted.items() if value is not None}
        if self.reference is not None:
            given[IS_ABOUT] = self.reference
        if self.overdue is not None:
            given[IS_OVERDUE if self.overdue else f"NOT coalesce({IS_OVERDUE}, false)"] = clocks.instant
        return given


class ExceptionQuery(PageQuery, ExceptionFilter):
    """Which exceptions, and which part of the list."""


class NewDecision(StrictModel):
    """What is decided about an exception."""

    action: Annotated[str, *one_of(exception_state.ACTIONS)]
    reason: str | None = Field(default=None, max_length=exception_state.MAX_REASON)
    owner: str | None = Field(
        default=None, min_length=1, max_length=exception_state.MAX_NAME, description="For assign only."
    )
    resolution: Annotated[str | None, *one_of(exception_state.personal_resolutions())] = None
    settlement_lines: _Items = Field(
        default=[], max_length=manual_match.MAX_ITEMS, description="Lines, for match and split."
    )
    ledger_transactions: _Items = Field(
        default=[], max_length=manual_match.MAX_ITEMS, description="Movements, for match and split."
    )


def if_match(
    if_match: Annotated[
        str | None,
        Header(max_length=200, description="ETag of the state decided on, or several; another one is a conflict."),
    ] = None,
) -> str | None:
    """The state that the caller decides on."""
    return None if if_match is None or if_match.strip() == "*" else if_match.strip()


@router.get(
    "",
    summary="List exceptions.",
    responses={
        200: {"description": "A page.", "content": {"application/json": {"schema": page_schema(ROW_SCHEMA)}}},
        **problems.responses("not-configured"),
    },
)
def list_exceptions(caller: Reader, serving: Serving, query: Annotated[ExceptionQuery, Query()]) -> Response:
    """Exceptions of the tenant in their current state, by due date; `as_of` moves only age and overdue."""
    clocks = query.clocks(caller, serving.now())
    return json_response(page_of(caller, clocks, query.conditions(clocks), query))


@router.get(
    "/{exception_id}",
    summary="An exception.",
    responses={200: DETAIL_ANSWER, **problems.responses("not-found", "not-configured")},
)
def show(caller: Reader, serving: Serving, exception_id: str) -> Response:
    """An exception with its history, what it might belong to, and what may be decided; its ETag is its state."""
    return answer(detail(caller, serving, exception_id))


@router.post(
    "/{exception_id}/decisions",
    summary="Decide about an exception.",
    responses={
        200: DETAIL_ANSWER,
        **problems.responses(
            "malformed", "too-large", "media-type", "refused", "not-found", "outdated", "conflict", "not-configured"
        ),
    },
    openapi_extra=bodies.described(bodies.JSON, NewDecision),
)
def decide(
    caller: Decider,
    serving: Serving,
    exception_id: str,
    decision: Annotated[NewDecision, Depends(json_body(NewDecision))],
    expected: Annotated[str | None, Depends(if_match)],
) -> Response:
    """Record a decision; a repeat by the same actor changes nothing. Stale If-Match: 409 with the current state."""
    _decide_one(caller, serving, exception_id, decision, expected)
    return answer(detail(caller, serving, exception_id))


def _decide_one(
    caller: Caller, serving: Serving, exception_id: str, decision: NewDecision, expected: str | None
) -> None:
    """Record one decision, or end with the problem that keeps it from being recorded."""
    if decision.action not in ROLE_ACTIONS[caller.role]:
        may = ", ".join(role for role, actions in ROLE_ACTIONS.items() if decision.action in actions)
        raise ProblemError("forbidden", f"This token acts as {caller.role}; {decision.action} takes one of {may}.")
    before = detail(caller, serving, exception_id)
    if expected is not None and not is_seen(before, expected):
        raise ProblemError("outdated", "The exception has changed since it was read.", members={"current": before})
    try:
        deciding.decide(
            caller.tenant,
            DecisionRequest(
                exception_id,
                decision.action,
                caller.actor,
                reason=decision.reason,
                owner=decision.owner,
                resolution=decision.resolution,
                settlement_lines=decision.settlement_lines,
                ledger_transactions=decision.ledger_transactions,
                role=caller.role,
                expected_version=None if expected is None else before["version"],
                origin=caller.origin,
            ),
            serving.now(),
        )
    except RefusedError as cause:
        is_state = isinstance(cause, OutdatedError | NotPossibleError)
        members = {"current": detail(caller, serving, exception_id)} if is_state else {}
        raise ProblemError(
            cause.kind, problems.printable(str(cause)), members=problems.of_remedy(cause.remedy) | members
        ) from cause


def is_seen(found: Mapping[str, Any], expected: str) -> bool:
    """Whether an If-Match names the state that an exception is in."""
    return not {_etag(found), str(found["version"])}.isdisjoint(tag.strip() for tag in expected.split(","))


def page_of(caller: Caller, clocks: Clocks, conditions: Mapping[str, Any], query: PageQuery) -> dict[str, Any]:
    """A page of the exceptions for which these conditions hold."""
    place = place_of(query.after, str, str) or ["", ""]
    wanted = "".join(f" AND {condition}" for condition in conditions)
    found = _with_clocks(
        clocks,
        lake.query(
            caller.paths,
            "SELECT * EXCLUDE (due_text) FROM (SELECT *, strftime(due_at, '%Y-%m-%dT%H:%M:%S.%f') AS due_text "
            f"FROM {TIMED}) AS timed WHERE (coalesce(due_text, '~'), exception_id) > (?, ?){wanted} "
            "ORDER BY coalesce(due_text, '~'), exception_id LIMIT ?",
            [*place, *conditions.values(), query.limit + 1],
        ),
    )
    return page(found, query.limit, lambda row: (_due_text(row), row["exception_id"]))


def _with_clocks(clocks: Clocks, found: lake.QueryResult) -> list[dict[str, Any]]:
    """Rows of TIMED as JSON objects, each with its clock."""
    rows = []
    for values in found.rows:
        row = dict(zip(found.columns, values, strict=True))
        clock = clocks.seen(row)
        rows.append(tables.as_object(list(row), list(row.values())) | vars(clock))
    return rows


def _due_text(row: Mapping[str, Any]) -> str:
    """The due date as the list is ordered by it."""
    due = row["due_at"]
    if due is None:
        return "~"
    seconds, _, fraction = str(due).removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<6}"


def detail(caller: Caller, serving: Service, exception_id: str) -> dict[str, Any]:
    """Full details of an exception; one answer for every id that is not the tenant's."""
    clocks = Clocks(caller.paths, serving.now())
    answer = lake.query(caller.paths, f"SELECT * FROM {TIMED} WHERE exception_id = ?", [exception_id])
    found = _with_clocks(clocks, answer)
    if not found:
        raise problems.not_found()
    (row,) = found
    with caller.tenant.reading() as connection:
        log = decision_store.listed(connection, [exception_id])
        published = [dict(zip(answer.columns, values, strict=True)) for values in answer.rows]
        waiting = approvals.of_exceptions(caller, connection, published)
    state = exception_state.seen(
        exception_state.fold(log, ExceptionState(exception_id)), row["status"], row["resolution"]
    )
    kind = vocabulary.exception_type(row["exception_type"])
    return row | {
        "title": kind.title,
        "remedy": kind.remedy,
        "version": state.decisions,
        "possible": list(exception_state.possible(state)),
        "proposed_resolution": state.proposed_resolution,
        "proposed_by": state.proposed_by,
        "pending_approval": waiting.get(exception_id),
        "history": history.as_objects(history.of_exception(caller.tenant, exception_id)),
        "decisions": _as_objects(log),
        "ledger_search": searches.of_exception(caller.paths, exception_id),
    }


def _as_objects(log: Sequence[Decision]) -> list[dict[str, Any]]:
    names = ("decision_id", "action", "actor", "decided_at", "result", "owner", "resolution", "reason", "run_id")
    return [
        {name: getattr(item, name) for name in names}
        | {
            "policy": dict(item.policy),
            "approval": item.details.get("approval"),
            "origin": item.details.get("origin"),
            "attachment": item.details.get(attachments.DETAIL),
        }
        for item in log
    ]


def answer(detail: dict[str, Any]) -> Response:
    """Details of an exception with their ETag."""
    return json_response(detail, headers={"ETag": _etag(detail)})


def _etag(detail: Mapping[str, Any]) -> str:
    """Distinguishes two states: what was decided, and what runs published; that time passes makes no other state."""
    state = {name: value for name, value in detail.items() if name not in _CLOCK}
    return f'"{detail["version"]}-{hashlib.sha256(orjson.dumps(state)).hexdigest()[:16]}"'
