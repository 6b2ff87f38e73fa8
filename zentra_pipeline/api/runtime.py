"""Routes of intents: asking for money to be moved, and following it. Policy and postings are the runtime's."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field, field_validator

from zentra_pipeline.actors import same_person
from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Asker, Caller, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.runtime import intent as stages
from zentra_pipeline.runtime import intents
from zentra_pipeline.runtime import trace as tracing
from zentra_pipeline.runtime.intent import MOVEMENT_TYPES, Intent
from zentra_pipeline.runtime.intents import IntentReusedError
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store.intents import StoredIntent

router = APIRouter(prefix="/runtime/intents", tags=["runtime"])

_INTENT_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
_LARGEST = 10**15
_MAX_NAME = 256
_MAX_REFERENCE = 4_096
# Who may submit what somebody else asks for; everybody else speaks for themselves.
_SPEAKS_FOR_OTHERS = frozenset({"service", "admin"})


class NewIntent(StrictModel):
    """Money that somebody asks to move, once for each `intent_id`."""

    intent_id: str = Field(pattern=_INTENT_ID, description="The same again is the same.")
    actor: str = Field(min_length=1, max_length=_MAX_NAME, description="Who asks for it; stands in the evidence.")
    scope: str = Field(min_length=1, max_length=_MAX_NAME, description="What the actor is allowed: payments:transfer.")
    amount_minor: int = Field(gt=-_LARGEST, lt=_LARGEST, description="Minor units; has to be positive.")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217.")
    provider: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="Who is to settle it.")
    movement_type: Annotated[str, *one_of(MOVEMENT_TYPES)] = "transfer"
    provider_reference: str = Field(
        default="", max_length=_MAX_REFERENCE, description="The provider's, where it is known already."
    )
    customer_account: str = Field(default="customer", min_length=1, max_length=_MAX_NAME)
    reserved_account: str = Field(default="reserved", min_length=1, max_length=_MAX_NAME)
    settlement_account: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_NAME,
        description="One of the profile's clearing_accounts; needed where there are several.",
    )

    @field_validator(
        "actor", "scope", "provider_reference", "customer_account", "reserved_account", "settlement_account"
    )
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        if value and not (value.strip() == value and value.isprintable()):
            raise ValueError("use printable characters, without space around them")
        return value

    def intent(self) -> Intent:
        """The same, as the runtime takes it."""
        return Intent(**self.model_dump() | {"settlement_account": self.settlement_account or ""})


class PolicyCheck(BaseModel):
    """A rule as it was applied."""

    rule: str
    result: Literal["passed", "refused"]
    detail: str


class PolicyResult(BaseModel):
    """What policy says: the rule that decided, and every rule that was applied."""

    rule: str
    result: Literal["passed", "refused"]
    checks: list[PolicyCheck]
    digest: str = Field(description="Of the tenant's policy for intents.")


class IntentLinks(BaseModel):
    """Where it can be followed."""

    trace: str


class IntentView(BaseModel):
    """An intent as recorded; `status` is the last state that recording it led to."""

    intent_id: str
    status: Literal["routed", "controlled"]
    is_accepted: bool
    policy: PolicyResult
    transaction_id: str | None = Field(description="The movement that runs reconcile; null when it was refused.")
    recorded_at: datetime
    submitted_by: str
    links: IntentLinks


class TraceState(BaseModel):
    """One of the six states, and what shows it."""

    state: Literal["accepted", "controlled", "ledgered", "routed", "synchronized", "evidenced"]
    is_reached: bool
    at: datetime | None
    actor: str | None
    policy_result: str | None
    detail: str
    evidence: dict[str, Any]


class TraceView(IntentView):
    """An intent with its way so far."""

    request: dict[str, Any]
    states: list[TraceState]


@router.post(
    "",
    status_code=202,
    summary="Ask for money to be moved.",
    responses={
        202: {"model": IntentView},
        **problems.responses("malformed", "too-large", "media-type", "refused", "conflict", "not-configured"),
    },
    openapi_extra=bodies.described(bodies.JSON, NewIntent),
)
def create(caller: Asker, serving: Serving, new: Annotated[NewIntent, Depends(json_body(NewIntent))]) -> Response:
    """Record an intent and its postings; the same again is answered the same, other content under its id is a conflict.

    What policy refuses is recorded as refused, posts nothing, and is a problem that names the intent.
    """
    _require_own_name(caller, new.actor)
    try:
        recorded = intents.record(caller.paths, new.intent(), caller.actor, serving.now())
    except IntentReusedError as cause:
        raise ProblemError("conflict", f"{cause}.", members={"intent_id": new.intent_id}) from cause
    view = _as_view(caller, recorded.intent)
    if recorded.intent.status == intent_store.REFUSED:
        members = {name: view[name] for name in ("intent_id", "policy", "recorded_at", "submitted_by", "links")}
        raise ProblemError("refused", _refusal(recorded.intent), members=members)
    return json_response(view, 202, {"Location": view["links"]["trace"]})


@router.get(
    "/{intent_id}/trace",
    summary="Follow an intent.",
    responses={200: {"model": TraceView}, **problems.responses("not-found")},
)
def show(caller: Reader, intent_id: str) -> Response:
    """The six states of an intent, from accepted to evidenced, and what shows each that is reached."""
    found = tracing.trace(caller.paths, intent_id) if re.fullmatch(_INTENT_ID, intent_id, re.ASCII) else None
    if found is None:
        raise problems.not_found()
    stored, states = found
    told = [vars(state) for state in states]
    return json_response(_as_view(caller, stored) | {"request": dict(stored.content), "states": told})


def _require_own_name(caller: Caller, actor: str) -> None:
    if caller.role not in _SPEAKS_FOR_OTHERS and not same_person(caller.actor, actor):
        raise ProblemError(
            "forbidden", f"This token acts as {caller.role} for its own actor; {actor} has to ask by a token of theirs."
        )


def _refusal(stored: StoredIntent) -> str:
    reasons = [check["detail"] for check in stored.policy["checks"] if check["result"] == "refused"]
    return problems.printable(f"Intent {stored.intent_id} is refused: {'; '.join(reasons)}.")


def _as_view(caller: Caller, stored: StoredIntent) -> dict[str, Any]:
    is_accepted = stored.status == intent_store.ACCEPTED
    return {
        "intent_id": stored.intent_id,
        "status": stages.ROUTED if is_accepted else stages.CONTROLLED,
        "is_accepted": is_accepted,
        "policy": dict(stored.policy),
        "transaction_id": stages.settlement_id(caller.paths.root.name, stored.intent_id) if is_accepted else None,
        "recorded_at": stored.recorded_at,
        "submitted_by": stored.submitted_by,
        "links": {"trace": f"{router.prefix}/{stored.intent_id}/trace"},
    }
