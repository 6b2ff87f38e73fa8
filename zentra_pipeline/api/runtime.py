"""Routes of intents: asking for money to be moved, and following it. Policy and postings are the runtime's."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field, field_validator, model_validator

from zentra_pipeline.actors import same_person
from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Asker, Caller, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.decisions.intent_policy import MOVEMENT_TYPES
from zentra_pipeline.runtime import intent as stages
from zentra_pipeline.runtime import intents
from zentra_pipeline.runtime import trace as tracing
from zentra_pipeline.runtime.intents import IntentReusedError, OpenIntent
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store.intents import StoredIntent

router = APIRouter(prefix="/runtime/intents", tags=["runtime"])

_INTENT_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
_LARGEST = 10**15
_MAX_NAME = 256
_MAX_REFERENCE = 4_096
_MAX_PRIMITIVES = 64
# What recording an intent does for whoever asks, in the order in which it is done.
STEPS = ("intent_accepted", "workspace_scope_resolved", "runtime_trace_attached")
# Who may submit what somebody else asks for; everybody else speaks for themselves.
_SPEAKS_FOR_OTHERS = frozenset({"service", "admin"})


class Transfer(StrictModel):
    """The movement; the same members may be given beside `intent_id` instead."""

    amount_minor: int | None = Field(
        default=None, gt=-_LARGEST, lt=_LARGEST, description="Minor units; has to be positive."
    )
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="ISO 4217.")
    provider: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="Provider that settles it."
    )
    movement_type: Annotated[str | None, *one_of(MOVEMENT_TYPES)] = Field(
        default=None, description="Default `transfer`."
    )
    provider_reference: str | None = Field(
        default=None, max_length=_MAX_REFERENCE, description="The provider's reference, where already known."
    )
    customer_account: str | None = Field(
        default=None, min_length=1, max_length=_MAX_NAME, description="Default `customer`."
    )
    reserved_account: str | None = Field(
        default=None, min_length=1, max_length=_MAX_NAME, description="Default `reserved`."
    )
    settlement_account: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_NAME,
        description="One of the profile's clearing_accounts; needed where there are several.",
    )

    @field_validator("provider_reference", "customer_account", "reserved_account", "settlement_account")
    @classmethod
    def _printable_names(cls, value: str | None) -> str | None:
        return _printable(value)


class NewIntent(Transfer):
    """A request to move money, once per `intent_id`.

    Amount, currency and provider may follow in later calls under the same `intent_id`; then it is posted.
    """

    intent_id: str = Field(pattern=_INTENT_ID, description="A repeat with the same id is the same intent.")
    scope: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_NAME,
        description="Scope the actor may act in; required in the first call.",
    )
    actor: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_NAME,
        description="Who requests it; default the token's actor.",
    )
    money_model: str | None = Field(
        default=None, min_length=1, max_length=_MAX_NAME, description="How the caller counts money; kept as stated."
    )
    primitives: list[Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]] | None = Field(
        default=None, max_length=_MAX_PRIMITIVES, description="What the caller wants attached; kept as stated."
    )
    transfer: Transfer | Annotated[str, Field(min_length=1, max_length=_MAX_NAME)] | None = Field(
        default=None, description="The movement itself, or the caller's id of it."
    )

    @field_validator("scope", "actor", "money_model", "transfer")
    @classmethod
    def _printable_texts(cls, value: Transfer | str | None) -> Transfer | str | None:
        return _printable(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_value_a_member(self) -> "NewIntent":
        if isinstance(self.transfer, Transfer):
            inside = self.transfer.model_dump(exclude_none=True)
            twice = [name for name, value in inside.items() if getattr(self, name) not in (None, value)]
            if twice:
                raise ValueError(f"{twice[0]} has one value beside `transfer` and another in it: state it once")
        return self

    def stated(self) -> dict[str, Any]:
        """The members that this call states, those of `transfer` among them."""
        stated = self.model_dump(exclude_none=True, exclude={"transfer"})
        if isinstance(self.transfer, Transfer):
            return stated | self.transfer.model_dump(exclude_none=True)
        return stated if self.transfer is None else stated | {"transfer": self.transfer}


def _printable(value: str | None) -> str | None:
    if value and not (value.strip() == value and value.isprintable()):
        raise ValueError("use printable characters, without space around them")
    return value


class PolicyCheck(BaseModel):
    """A rule as it was applied."""

    rule: str
    result: Literal["passed", "refused"]
    detail: str


class PolicyResult(BaseModel):
    """Policy result: the deciding rule and every rule applied."""

    rule: str
    result: Literal["passed", "refused"]
    checks: list[PolicyCheck]
    digest: str = Field(description="Digest of the tenant's policy for intents.")


class IntentLinks(BaseModel):
    """Link to its trace."""

    trace: str


class IntentView(BaseModel):
    """An intent as recorded; `status` is the last state that recording it led to."""

    intent_id: str
    status: Literal["accepted", "routed", "controlled"] = Field(
        description="accepted: amount, currency or provider is still missing; controlled: policy refused it."
    )
    is_accepted: bool
    missing: list[str] = Field(description="Members still missing before it can be posted.")
    policy: PolicyResult
    transaction_id: str | None = Field(description="The movement that runs reconcile; null until it is posted.")
    recorded_at: datetime
    submitted_by: str
    links: IntentLinks


class IntentAccepted(IntentView):
    """An intent as it was accepted."""

    steps: list[Literal["intent_accepted", "workspace_scope_resolved", "runtime_trace_attached"]]


class TraceState(BaseModel):
    """One of the six states, and what shows it."""

    state: Literal["accepted", "controlled", "ledgered", "routed", "synchronized", "evidenced"]
    is_reached: bool
    at: datetime | None
    actor: str | None
    policy: str | None = Field(description="The rule and its outcome: limit_check.passed.")
    policy_result: str | None
    detail: str
    evidence: dict[str, Any]


class FlowAccount(BaseModel):
    """An account the money passes through, with what is posted to it for this intent."""

    role: Literal["customer", "reserved", "settlement", "merchant", "payout", "other"]
    account: str
    currency: str | None
    net_minor: int = Field(description="Credits less debits, in minor units.")
    state: Literal[
        "pending",
        "debited",
        "credited",
        "held",
        "released",
        "posted",
        "settled",
        "expected",
        "in_transit",
        "overdue",
        "partially_credited",
        "returned",
        "failed",
        "closed",
    ]


class TraceView(BaseModel):
    """An intent and its states so far, whether recorded over HTTP or ingested as a file.

    `status` is the last state reached.
    """

    intent_id: str
    status: Literal["accepted", "controlled", "ledgered", "routed", "synchronized", "evidenced"]
    is_accepted: bool
    missing: list[str]
    policy: PolicyResult | None = Field(description="Null for an intent that was ingested as a file.")
    transaction_id: str | None
    recorded_at: datetime | None
    submitted_by: str | None
    links: IntentLinks
    request: dict[str, Any]
    states: list[TraceState]
    ledger_flow: list[FlowAccount] = Field(description="From the customer to the payout.")


@router.post(
    "",
    status_code=202,
    summary="Record an intent to move money.",
    responses={
        202: {"model": IntentAccepted},
        **problems.responses("malformed", "too-large", "media-type", "refused", "conflict", "not-configured"),
    },
    openapi_extra=bodies.described(bodies.JSON, NewIntent),
)
def create(caller: Asker, serving: Serving, new: Annotated[NewIntent, Depends(json_body(NewIntent))]) -> Response:
    """Record an intent and its postings; a repeat gets the same answer, other content under its id is a conflict.

    An intent that policy refuses is recorded as refused, posts nothing, and is answered with a problem.
    """
    if new.actor is not None:
        _require_own_name(caller, new.actor)
    try:
        recorded = intents.record_details(caller.tenant, new.stated(), caller.actor, serving.now())
    except IntentReusedError as cause:
        raise ProblemError("conflict", f"{cause}.", members={"intent_id": new.intent_id}) from cause
    if isinstance(recorded, OpenIntent):
        view = _open_view(recorded)
    else:
        view = _as_view(caller, recorded.intent)
        if recorded.intent.status == intent_store.REFUSED:
            members = {name: view[name] for name in ("intent_id", "policy", "recorded_at", "submitted_by", "links")}
            raise ProblemError("refused", _refusal(recorded.intent), members=members)
    return json_response(view | {"steps": STEPS}, 202, {"Location": view["links"]["trace"]})


@router.get(
    "/{intent_id}/trace",
    summary="Follow an intent.",
    responses={200: {"model": TraceView}, **problems.responses("not-found")},
)
def show(caller: Reader, intent_id: str) -> Response:
    """The six states of an intent, the proof of each reached one, and what is posted to each account.

    Intents that were ingested as a file are followed as well.
    """
    found = tracing.trace(caller.tenant, intent_id) if re.fullmatch(_INTENT_ID, intent_id, re.ASCII) else None
    if found is None:
        raise problems.not_found()
    if isinstance(found.intent, StoredIntent):
        view = _as_view(caller, found.intent) | {"request": dict(found.intent.content)}
    elif isinstance(found.intent, OpenIntent):
        view = _open_view(found.intent) | {"request": dict(found.intent.content)}
    else:
        view = vars(found.intent) | {"missing": [], "policy": None, "links": _links(intent_id)}
    view["status"] = [state.state for state in found.states if state.is_reached][-1]
    states = [vars(state) | {"policy": state.policy} for state in found.states]
    return json_response(view | {"states": states, "ledger_flow": [vars(account) for account in found.ledger_flow]})


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
        "missing": [],
        "policy": dict(stored.policy),
        "transaction_id": stages.settlement_id(caller.paths.root.name, stored.intent_id) if is_accepted else None,
        "recorded_at": stored.recorded_at,
        "submitted_by": stored.submitted_by,
        "links": _links(stored.intent_id),
    }


def _open_view(found: OpenIntent) -> dict[str, Any]:
    return {
        "intent_id": found.intent_id,
        "status": stages.ACCEPTED,
        "is_accepted": True,
        "missing": found.missing,
        "policy": dict(found.policy),
        "transaction_id": None,
        "recorded_at": found.recorded_at,
        "submitted_by": found.submitted_by,
        "links": _links(found.intent_id),
    }


def _links(intent_id: str) -> dict[str, str]:
    return {"trace": f"{router.prefix}/{intent_id}/trace"}
