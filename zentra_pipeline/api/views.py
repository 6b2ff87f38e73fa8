"""Routes of what surfaces show beside runs and exceptions: who asks, a payment's history, a calendar of windows."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from zentra_pipeline import identifiers
from zentra_pipeline.api import problems
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import MAY, Reader
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.closeout import calendar
from zentra_pipeline.decisions.policy import ROLE_ACTIONS
from zentra_pipeline.errors import UsageError
from zentra_pipeline.published import movement_history

router = APIRouter()

_PROVIDER: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_SCOPE: Final = r"^(bank:[A-Za-z0-9][A-Za-z0-9._-]{0,63}|[A-Za-z0-9][A-Za-z0-9_-]{0,63})$"
_DAY: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_MOST_DAYS: Final = 400


class Whoami(BaseModel):
    """For whom a token acts, and what it may."""

    tenant: str
    actor: str
    role: str
    in_place_of: str | None
    token_id: str
    may: list[str] = Field(description="What the role may do over HTTP.")
    decisions: list[str] = Field(description="The actions that it may take about exceptions.")


class HistorySource(BaseModel):
    """A row of a file as received."""

    file_id: str
    sha256: str
    row: int


class HistoryEntry(BaseModel):
    """One thing that happened."""

    at: str
    kind: str
    sentence: str
    ids: dict[str, str]
    sources: list[HistorySource]
    run_id: str | None
    actor: str | None
    is_late: bool = Field(description="Whether it was received after its run was sealed.")


class PaymentHistory(BaseModel):
    """All that is known of a payment, oldest first; `state` is what it is now, in words."""

    provider_reference: str
    providers: list[str]
    state: list[str]
    entries: list[HistoryEntry]


class WindowState(BaseModel):
    """A window and the status of its closeout: missing, open, blocked, prepared, sealed or reopened."""

    ledger_window: date
    state: str
    settlement_file: str
    run_id: str | None
    run_status: str | None
    closeout_id: str | None
    closeout_revision: int | None
    sealed_at: str | None
    has_activity: bool


class Calendar(BaseModel):
    """The windows of a range of days, in order."""

    items: list[WindowState]


def _without_nul(value: str) -> str:
    if "\0" in value or not value.strip():
        raise ValueError("use text that is not blank, without U+0000")
    return value


def _day(value: str | None) -> str | None:
    try:
        return None if value is None else identifiers.ledger_window(value).isoformat()
    except UsageError as cause:
        raise ValueError(str(cause)) from cause


class PaymentQuery(BaseModel):
    """Which payment."""

    model_config = ConfigDict(extra="forbid")

    reference: Annotated[
        str,
        AfterValidator(_without_nul),
        Field(
            min_length=1,
            max_length=movement_history.MOST_REFERENCE,
            description="Its provider reference, or the id of an intent, transaction, entry, line or callback.",
        ),
    ]
    provider: Annotated[str | None, Field(pattern=_PROVIDER, description="Only this provider's.")] = None


class CalendarQuery(BaseModel):
    """Which windows; without days the provider's first to last with a run or closeout."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    provider: Annotated[str, Field(pattern=_SCOPE, description="Provider, or `bank:` and an account.")]
    first: Annotated[
        str | None, AfterValidator(_day), Field(alias="from", pattern=_DAY, json_schema_extra={"format": "date"})
    ] = None
    last: Annotated[
        str | None, AfterValidator(_day), Field(alias="to", pattern=_DAY, json_schema_extra={"format": "date"})
    ] = None


@router.get(
    "/whoami",
    tags=["server"],
    summary="For whom a token acts.",
    responses={200: {"model": Whoami}, **problems.responses()},
)
def whoami(caller: Reader) -> Response:
    """Tenant, actor and role of the token, and what the role may."""
    return json_response(
        {
            "tenant": caller.tenant.name,
            "actor": caller.actor,
            "role": caller.role,
            "in_place_of": caller.in_place_of,
            "token_id": caller.token_id,
            "may": [action for action in MAY if caller.may(action)],
            "decisions": sorted(ROLE_ACTIONS[caller.role]),
        }
    )


@router.get(
    "/reconciliation/payments",
    tags=["runs"],
    summary="History of a payment.",
    responses={200: {"model": PaymentHistory}, **problems.responses("not-found")},
)
def payment(caller: Reader, query: Annotated[PaymentQuery, Query()]) -> Response:
    """Everything that happened to a payment in the order of time, each with the rows that state it."""
    try:
        found = movement_history.history_of(caller.paths, query.reference, query.provider)
    except UsageError as unknown:
        raise problems.not_found() from unknown
    return json_response(asdict(found))


@router.get(
    "/reconciliation/calendar",
    tags=["closeouts"],
    summary="Which windows are closed.",
    responses={200: {"model": Calendar}, **problems.responses("not-configured")},
)
def show_calendar(caller: Reader, query: Annotated[CalendarQuery, Query()]) -> Response:
    """Every expected window of a provider and every other with a run or closeout; at most 400 days at once."""
    known = calendar.span(caller.tenant, query.provider)
    first = date.fromisoformat(query.first) if query.first else known[0] if known else None
    last = date.fromisoformat(query.last) if query.last else known[1] if known else None
    if first is None or last is None:
        return json_response({"items": []})
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise ProblemError("invalid", f"query from: {first} to {last} is no range of at most {_MOST_DAYS} days")
    states: list[dict[str, Any]] = [
        state.as_object() for state in calendar.windows(caller.tenant, query.provider, first, last)
    ]
    return json_response({"items": states})
