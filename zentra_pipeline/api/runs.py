"""Routes of reconciliation runs: asking for one, listing them, and the status of one. Its results: run_results."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from zentra_pipeline import identifiers
from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.paging import PageQuery, page, place_of
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Approver, Asker, Caller, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import word
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import types as event_types
from zentra_pipeline.instants import instant_of
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.review import voiding
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store

router = APIRouter(prefix="/reconciliation/runs", tags=["runs"])

EVIDENCE: Final = ("provider_reference", "settlement_file", "ledger_entry", "exception_owner", "closeout_status")
RESULTS: Final = (
    "matches",
    "exceptions",
    "three-way",
    "evidence",
    "closeout",
    "events",
    "rollforward",
    "conservation",
    "open-items",
)
_PROVIDER: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_SCOPE: Final = r"^(bank:[A-Za-z0-9][A-Za-z0-9._-]{0,63}|[A-Za-z0-9][A-Za-z0-9_-]{0,63})$"
_ACCOUNT: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_DAY: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_MAX_NAME: Final = 256


def _window(value: str | None) -> str | None:
    """A ledger window that is on the calendar; ValueError for one that is not."""
    try:
        return None if value is None else identifiers.ledger_window(value).isoformat()
    except UsageError as cause:
        raise ValueError(str(cause)) from cause


class NewRun(StrictModel):
    """What is to be reconciled: a provider's settlement file against one ledger window, or a bank account's day."""

    provider: str | None = Field(default=None, pattern=_PROVIDER, description="Null for a bank account.")
    settlement_file: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="Settlement file id of the provider; it must be ingested.",
    )
    bank_account: str | None = Field(
        default=None, pattern=_ACCOUNT, description="Bank account, instead of provider and settlement_file."
    )
    ledger_window: str = Field(pattern=_DAY, description="Day of the ledger.", json_schema_extra={"format": "date"})
    owner: str = Field(
        min_length=1,
        max_length=_MAX_NAME,
        description="Default owner of exceptions.",
    )
    as_of: str | None = Field(
        default=None,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
        description="Instant up to which callbacks count; by default when the run is created.",
        json_schema_extra={"format": "date-time"},
    )

    confirm: bool = Field(default=False, description="Confirm a window or provider name that looks like a mistake.")
    no_settlement: bool = Field(
        default=False,
        description="The provider settled nothing in the window: a file that was never ingested is one without lines.",
    )

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        of_provider = (self.provider is not None, self.settlement_file is not None)
        if of_provider != ((self.bank_account is None,) * 2):
            raise ValueError("name provider and settlement_file, or bank_account alone")
        return self

    @field_validator("ledger_window")
    @classmethod
    def _day_of_the_calendar(cls, value: str) -> str | None:
        return _window(value)

    @field_validator("owner")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError(f"use 1 to {_MAX_NAME} printable characters, not all blank")
        return value

    @field_validator("as_of")
    @classmethod
    def _on_the_clock(cls, value: str | None) -> str | None:
        if value is not None:
            instant_of(value)
        return value

    def request(self, actor: str) -> RunRequest:
        """The same, asked for by an actor."""
        window = date.fromisoformat(self.ledger_window)
        as_of = None if self.as_of is None else instant_of(self.as_of)
        if self.bank_account is not None:
            return run_requests.of_account(
                self.bank_account, window, self.owner, as_of, actor, is_confirmed=self.confirm
            )
        assert self.provider is not None and self.settlement_file is not None
        return RunRequest(
            provider=self.provider,
            settlement_file=self.settlement_file,
            ledger_window=window,
            owner=self.owner,
            as_of=as_of,
            actor=actor,
            is_confirmed=self.confirm,
            is_nothing_settled=self.no_settlement,
        )


class Links(BaseModel):
    """Links to the run and its results."""

    model_config = ConfigDict(populate_by_name=True)

    self: str
    matches: str
    exceptions: str
    three_way: str
    evidence: str
    closeout: str
    events: str
    rollforward: str
    conservation: str
    open_items: str


class RunAccepted(BaseModel):
    """The requested run; the same request gets the same answer, whatever state the run is in."""

    id: str
    status: Literal["matching"] = Field(description="The first state; `links.self` shows the current one.")
    event: Literal["reconciliation.run.created"]
    evidence: list[str] = Field(description="Columns that every row of its evidence has.")
    links: Links


class Execution(BaseModel):
    """State of the execution of a run requested over HTTP."""

    status: Literal["queued", "launched", "done", "failed"]
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    failure: str | None = Field(description="Why it failed and what to do.")


class RunView(BaseModel):
    """A run in its current revision; 0 before the first is published."""

    id: str
    provider: str = Field(description="Provider, or `bank:` and the account.")
    bank_account: str | None = Field(description="Bank account of a run that is about one.")
    settlement_file: str
    ledger_window: date
    owner: str
    actor: str = Field(description="Who created it.")
    as_of: datetime
    status: str
    closeout_status: str
    revision: int
    inputs_digest: str | None
    failure: str | None = Field(description="Why the last attempt failed and what to do.")
    created_at: datetime
    links: Links


class Transition(BaseModel):
    """One change of a run's status."""

    status: str
    actor: str
    at: datetime
    detail: str | None


class RunDetail(RunView):
    """A run with its history."""

    execution: Execution | None = Field(description="Null for a run not requested over HTTP.")
    transitions: list[Transition]


class RunPage(BaseModel):
    """Runs in order of creation."""

    items: list[RunView]
    next: str | None


class RunQuery(PageQuery):
    """Which runs."""

    provider: Annotated[str | None, Field(pattern=_SCOPE)] = None
    status: Annotated[str | None, *word("run_status")] = None
    ledger_window: Annotated[
        str | None,
        AfterValidator(_window),
        Field(pattern=_DAY, json_schema_extra={"format": "date"}),
    ] = None


def idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="The same key is the same request and gets the same answer.")
    ] = None,
) -> str | None:
    """The caller's idempotency key."""
    if idempotency_key is not None and not (
        idempotency_key.strip() and idempotency_key.isascii() and idempotency_key.isprintable()
    ):
        raise ProblemError("invalid", "header Idempotency-Key: use 1 to 255 printable ASCII characters")
    return idempotency_key


@router.post(
    "",
    status_code=202,
    summary="Ask for a run.",
    responses={
        202: {"model": RunAccepted},
        **problems.responses(
            "malformed", "too-large", "media-type", "rejected", "unconfirmed", "key-reused", "not-configured"
        ),
    },
    openapi_extra=bodies.described(bodies.JSON, NewRun),
)
def create(
    caller: Asker,
    serving: Serving,
    new: Annotated[NewRun, Depends(json_body(NewRun))],
    key: Annotated[str | None, Depends(idempotency_key)],
) -> Response:
    """Request a run; the same request, or the same Idempotency-Key, is the same run.

    It runs again only when it has not seen all input, or its owner or as_of changed.
    """
    request = new.request(caller.actor)
    submitted = run_requests.submit(caller.tenant, request, serving.now(), key)
    links = links_of(submitted.run.run_id)
    content = {
        "id": submitted.run.run_id,
        "status": "matching",
        "event": event_types.RUN_CREATED,
        "evidence": EVIDENCE,
        "links": links,
    }
    return json_response(content, 202, {"Location": links["self"]})


@router.get("", summary="List runs.", responses={200: {"model": RunPage}, **problems.responses()})
def list_runs(caller: Reader, query: Annotated[RunQuery, Query()]) -> Response:
    """Runs of the tenant in order of creation."""
    place = place_of(query.after, int)
    with caller.tenant.reading() as connection:
        runs = run_store.list_runs(connection, query.provider)
    found = [run for run in runs if _is_asked_for(run, query) and (place is None or run.sequence > place[0])]
    listed = page(found, query.limit, lambda run: (run.sequence,))
    return json_response(listed | {"items": [as_view(run) for run in listed["items"]]})


@router.get(
    "/{run_id}",
    summary="State of a run.",
    responses={200: {"model": RunDetail}, **problems.responses("not-found")},
)
def show(caller: Reader, run_id: str) -> Response:
    """A run, the state of its execution, and every change of its status."""
    with caller.tenant.reading() as connection:
        run = _find(run_store.list_runs(connection), run_id)
        request = request_store.find(connection, run_id)
        steps = run_store.transitions(connection, run_id)
    view = as_view(run)
    view["execution"] = None if request is None else _execution(request)
    view["transitions"] = [
        {"status": step.status, "actor": step.actor, "at": step.at, "detail": step.detail} for step in steps
    ]
    return json_response(view)


class VoidRun(StrictModel):
    """Why a run is taken back."""

    reason: str = Field(min_length=1, max_length=4_096)


@router.post(
    "/{run_id}/void",
    summary="Take a run back.",
    responses={
        200: {"model": RunView},
        **problems.responses("malformed", "too-large", "media-type", "refused", "not-found", "conflict"),
    },
    openapi_extra=bodies.described(bodies.JSON, VoidRun),
)
def void(
    caller: Approver, serving: Serving, run_id: str, given: Annotated[VoidRun, Depends(json_body(VoidRun))]
) -> Response:
    """Void a run requested by mistake: by a second person, while no sealed closeout depends on it.

    Later runs of the provider are queued to be made without it. A repeat changes nothing.
    """
    run = find_run(caller, run_id)
    voided = voiding.void(caller.tenant, run.run_id, caller.actor, given.reason, serving.now())
    return json_response(as_view(voided))


def find_run(caller: Caller, run_id: str) -> run_store.Run:
    """A run of the caller's tenant; the one answer for every other id."""
    with caller.tenant.reading() as connection:
        return _find(run_store.list_runs(connection), run_id)


def links_of(run_id: str) -> dict[str, str]:
    """Paths of a run and its results."""
    own = f"{router.prefix}/{run_id}"
    return {"self": own} | {name.replace("-", "_"): f"{own}/{name}" for name in RESULTS}


def as_view(run: run_store.Run) -> dict[str, Any]:
    """A run as JSON."""
    names = (
        *("provider", "settlement_file", "ledger_window", "owner", "actor", "as_of", "status", "closeout_status"),
        *("revision", "inputs_digest", "failure", "created_at"),
    )
    about = {"id": run.run_id, "bank_account": identifiers.account_of(run.provider)}
    return about | {name: getattr(run, name) for name in names} | {"links": links_of(run.run_id)}


def _execution(request: request_store.Request) -> dict[str, Any]:
    return {
        "status": request.status,
        "requested_by": request.actor,
        "requested_at": request.requested_at,
        "finished_at": request.finished_at,
        "failure": request.failure,
    }


def _find(runs: Sequence[run_store.Run], run_id: str) -> run_store.Run:
    found = next((run for run in runs if run.run_id == run_id), None)
    if found is None:
        raise problems.not_found()
    return found


def _is_asked_for(run: run_store.Run, query: RunQuery) -> bool:
    return query.status in (None, run.status) and query.ledger_window in (None, run.ledger_window)
