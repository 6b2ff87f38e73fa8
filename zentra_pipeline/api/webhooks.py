"""Routes of outbound webhooks: endpoints, deliveries, attempts, replay. Sending is not the server's own (webhooks)."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, model_validator

from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.paging import PageQuery, Paging, page, place_of
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Caller, WebhookKeeper
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.instants import instant_of
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Attempt, Delivery, Endpoint
from zentra_pipeline.webhooks import endpoints, replay

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

MOST_REPLAYED: Final = 10_000
_ID: Final = r"^[A-Za-z0-9_]{1,64}$"
_CURSOR: Final = "^[0-9]{1,20}$"
_INSTANT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
_GLOBS: Final = "Types of event, such as reconciliation.exception.*; all when left out."

Status = Literal["enabled", "disabled"]
DeliveryStatus = Literal["retained", "retrying", "resolved", "dead"]


class NewEndpoint(StrictModel):
    """URL and choice of events. A receiver on the server's own machine can be added only on its command line."""

    url: str = Field(min_length=1, max_length=2_048, description="https, of a host of the public internet.")
    events: list[str] | None = Field(default=None, min_length=1, max_length=50, description=_GLOBS)
    each_match: bool = Field(default=False, description="One delivery per match, not one per run revision and rule.")
    failure_days: int = Field(
        default=endpoints.DEFAULT_FAILURE_DAYS,
        ge=1,
        le=endpoints.MOST_FAILURE_DAYS,
        description="Days of failures only after which it is disabled.",
    )


class EndpointChange(StrictModel):
    """Changes to an endpoint; members left out stay as they are."""

    url: str | None = Field(default=None, min_length=1, max_length=2_048)
    events: list[str] | None = Field(default=None, min_length=1, max_length=50)
    each_match: bool | None = None
    failure_days: int | None = Field(default=None, ge=1, le=endpoints.MOST_FAILURE_DAYS)
    status: Status | None = None


class Rotation(StrictModel):
    """Options of a secret's replacement."""

    overlap_hours: int = Field(
        default=endpoints.DEFAULT_OVERLAP_HOURS,
        ge=0,
        le=endpoints.MOST_OVERLAP_HOURS,
        description="How long the old secret stays valid.",
    )


class Replay(StrictModel):
    """What to send again: one event, or a part of the log."""

    event: str | None = Field(default=None, pattern=_ID, description="Id of an event.")
    from_: str | None = Field(
        default=None, alias="from", pattern=_CURSOR, description="Events from this place of the log on, inclusive."
    )
    to: str | None = Field(default=None, pattern=_CURSOR, description="Up to this place, inclusive.")
    since: str | None = Field(
        default=None,
        pattern=_INSTANT,
        description="Events that happened since.",
        json_schema_extra={"format": "date-time"},
    )
    endpoint: str | None = Field(default=None, pattern=_ID, description="Only to this endpoint.")

    @model_validator(mode="after")
    def _says_what(self) -> "Replay":
        is_range = self.from_ is not None or self.since is not None
        if (self.event is not None) == is_range or (self.to is not None and self.from_ is None):
            raise ValueError("say what to send again: event, or from and to, or since")
        return self


class EndpointView(BaseModel):
    """An endpoint, without its secrets."""

    id: str
    url: str
    events: list[str]
    each_match: bool
    allow_loopback: bool
    failure_days: int
    status: Status
    status_reason: str | None
    previous_secret_until: datetime | None = Field(description="When the old secret ends.")
    failing_since: datetime | None = Field(description="The first failure since the last success.")
    held_until: datetime | None = Field(description="Nothing is sent before.")
    created_at: datetime
    created_by: str


class EndpointWithSecret(EndpointView):
    """An endpoint and its new secret, shown only here."""

    secret: str


class EndpointPage(BaseModel):
    """Endpoints, oldest first."""

    items: list[EndpointView]
    next: str | None


class DeliveryView(BaseModel):
    """An event to be sent to an endpoint."""

    id: str
    endpoint: str
    event_id: str = Field(description="webhook-id of every attempt.")
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    resolved_at: datetime | None


class DeliveryDetail(DeliveryView):
    """A delivery with what it sends."""

    event: dict[str, Any] = Field(description="The CloudEvent.")


class DeliveryPage(BaseModel):
    """Deliveries in the order of the log."""

    items: list[DeliveryView]
    next: str | None


class AttemptView(BaseModel):
    """One time a delivery was sent."""

    number: int
    state: Literal["retained", "retrying", "resolved"] = Field(
        description="resolved: accepted; retrying: refused, scheduled again; retained: no answer, or the last attempt."
    )
    at: datetime
    status_code: int | None = Field(description="Null when no answer came.")
    latency_ms: int
    error: str | None = Field(description="Why it failed; null when it was delivered.")
    response: str | None = Field(description="First bytes of the answer's body.")


class AttemptPage(BaseModel):
    """Attempts, oldest first."""

    items: list[AttemptView]
    next: str | None


class ReplayAccepted(BaseModel):
    """Deliveries queued to be sent again, once per request."""

    deliveries: int


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    endpoint: Annotated[str | None, Field(pattern=_ID)] = None
    status: Annotated[str | None, *one_of(webhook_store.DELIVERY_STATUSES)] = None
    event: Annotated[str | None, Field(pattern=_ID, description="Id of an event.")] = None


_BODY: Final = ("malformed", "too-large", "media-type")


@router.post(
    "/endpoints",
    status_code=201,
    summary="Add an endpoint.",
    responses={201: {"model": EndpointWithSecret}, **problems.responses(*_BODY, "refused")},
    openapi_extra=bodies.described(bodies.JSON, NewEndpoint),
)
def add(
    caller: WebhookKeeper, serving: Serving, new: Annotated[NewEndpoint, Depends(json_body(NewEndpoint))]
) -> Response:
    """Send events from now on to a URL; the secret is shown only in this answer."""
    endpoint, secret = endpoints.add(
        caller.tenant,
        new.url,
        actor=caller.actor,
        now=serving.now(),
        events=new.events or (),
        is_each_match=new.each_match,
        failure_days=new.failure_days,
    )
    location = f"{router.prefix}/endpoints/{endpoint.endpoint_id}"
    return json_response(endpoints.as_object(endpoint) | {"secret": secret}, 201, {"Location": location})


@router.get("/endpoints", summary="List endpoints.", responses={200: {"model": EndpointPage}, **problems.responses()})
def list_endpoints(caller: WebhookKeeper, serving: Serving, query: Paging) -> Response:
    """The tenant's endpoints, oldest first."""
    place = place_of(query.after, str, str)
    found = [
        endpoint
        for endpoint in endpoints.listed(caller.tenant)
        if place is None or [endpoint.created_at, endpoint.endpoint_id] > place
    ]
    listed = page(found, query.limit, lambda endpoint: (endpoint.created_at, endpoint.endpoint_id))
    return json_response(listed | {"items": [endpoints.as_object(endpoint) for endpoint in listed["items"]]})


@router.get(
    "/endpoints/{endpoint_id}",
    summary="An endpoint.",
    responses={200: {"model": EndpointView}, **problems.responses("not-found")},
)
def show(caller: WebhookKeeper, endpoint_id: str) -> Response:
    """URL and health of an endpoint."""
    return json_response(endpoints.as_object(_endpoint(caller, endpoint_id)))


@router.patch(
    "/endpoints/{endpoint_id}",
    summary="Change an endpoint.",
    responses={200: {"model": EndpointView}, **problems.responses(*_BODY, "not-found", "refused")},
    openapi_extra=bodies.described(bodies.JSON, EndpointChange),
)
def change(
    caller: WebhookKeeper,
    serving: Serving,
    endpoint_id: str,
    wanted: Annotated[EndpointChange, Depends(json_body(EndpointChange))],
) -> Response:
    """Change URL or events, disable it, or enable it: pending deliveries are then due at once."""
    _endpoint(caller, endpoint_id)
    changes = endpoints.Changes(wanted.url, wanted.events, wanted.each_match, wanted.failure_days)
    changed = endpoints.change(caller.tenant, endpoint_id, changes)
    if wanted.status == webhook_store.DISABLED:
        changed = endpoints.disable(caller.tenant, endpoint_id, f"disabled by {caller.actor}")
    elif wanted.status == webhook_store.ENABLED:
        changed = endpoints.enable(caller.tenant, endpoint_id, serving.now())
    return json_response(endpoints.as_object(changed))


@router.delete(
    "/endpoints/{endpoint_id}",
    status_code=204,
    summary="Remove an endpoint.",
    responses={204: {"description": "Removed."}, **problems.responses("not-found")},
)
def remove(caller: WebhookKeeper, serving: Serving, endpoint_id: str) -> Response:
    """Remove an endpoint for good; pending deliveries are given up, sent ones can still be read."""
    _endpoint(caller, endpoint_id)
    endpoints.remove(caller.tenant, endpoint_id)
    return Response(status_code=204)


@router.post(
    "/endpoints/{endpoint_id}/rotate",
    summary="Give an endpoint a new secret.",
    responses={200: {"model": EndpointWithSecret}, **problems.responses(*_BODY, "not-found", "refused")},
    openapi_extra=bodies.described(bodies.JSON, Rotation),
)
def rotate(
    caller: WebhookKeeper,
    serving: Serving,
    endpoint_id: str,
    rotation: Annotated[Rotation, Depends(json_body(Rotation))],
) -> Response:
    """The old secret stays valid for a while; the new one is shown only in this answer."""
    _endpoint(caller, endpoint_id)
    endpoint, secret = endpoints.rotate(caller.tenant, endpoint_id, serving.now(), rotation.overlap_hours)
    return json_response(endpoints.as_object(endpoint) | {"secret": secret})


@router.get("/deliveries", summary="List deliveries.", responses={200: {"model": DeliveryPage}, **problems.responses()})
def list_deliveries(caller: WebhookKeeper, query: Annotated[DeliveryQuery, Query()]) -> Response:
    """Deliveries of the tenant in the order of the log."""
    place = place_of(query.after, int, str)
    if place is not None and not re.fullmatch(_ID, place[1]):
        raise ProblemError("invalid", "query after: this is not a cursor of this list; use `next` as a page gave it")
    with caller.tenant.reading() as connection:
        found = webhook_store.deliveries(
            connection,
            endpoint_id=query.endpoint,
            status=query.status,
            event_id=query.event,
            after=None if place is None else (place[0], place[1]),
            limit=query.limit + 1,
        )
    listed = page(found, query.limit, lambda delivery: (delivery.position, delivery.delivery_id))
    return json_response(listed | {"items": [delivery_view(delivery) for delivery in listed["items"]]})


@router.get(
    "/deliveries/{delivery_id}",
    summary="A delivery.",
    responses={200: {"model": DeliveryDetail}, **problems.responses("not-found")},
)
def show_delivery(caller: WebhookKeeper, delivery_id: str) -> Response:
    """State of a delivery, and the event it sends."""
    delivery = _delivery(caller, delivery_id)
    return json_response(delivery_view(delivery) | {"event": json.loads(delivery.body)})


@router.get(
    "/deliveries/{delivery_id}/attempts",
    summary="The attempts of a delivery.",
    responses={200: {"model": AttemptPage}, **problems.responses("not-found")},
)
def list_attempts(caller: WebhookKeeper, delivery_id: str, query: Paging) -> Response:
    """Every attempt, replays included, oldest first."""
    delivery = _delivery(caller, delivery_id)
    place = place_of(query.after, int)
    with caller.tenant.reading() as connection:
        attempts = webhook_store.attempts(connection, delivery_id=delivery_id)
    found = [attempt for attempt in attempts if place is None or attempt.number > place[0]]
    listed = page(found, query.limit, lambda attempt: (attempt.number,))
    return json_response(listed | {"items": [_attempt_view(attempt, delivery) for attempt in listed["items"]]})


@router.post(
    "/replay",
    status_code=202,
    summary="Send events again.",
    responses={202: {"model": ReplayAccepted}, **problems.responses(*_BODY, "not-found", "refused")},
    openapi_extra=bodies.described(bodies.JSON, Replay),
)
def send_again(
    caller: WebhookKeeper, serving: Serving, wanted: Annotated[Replay, Depends(json_body(Replay))]
) -> Response:
    """Queue events to be sent once more, under the same ids."""
    if wanted.endpoint is not None:
        _endpoint(caller, wanted.endpoint)
    now = serving.now()
    if wanted.event is not None:
        if not replay.is_known(caller.tenant, wanted.event):
            raise problems.not_found()
        asked = replay.event(caller.tenant, wanted.event, now, wanted.endpoint)
    else:
        chosen = replay.Range(
            1 if wanted.from_ is None else _position(wanted.from_),
            None if wanted.to is None else _position(wanted.to),
            None if wanted.since is None else _instant(wanted.since),
        )
        asked = replay.events(caller.tenant, chosen, now, wanted.endpoint, MOST_REPLAYED)
    return json_response({"deliveries": len(asked)}, 202)


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """A delivery as JSON."""
    names = ("event_id", "event_type", "status", "attempts", "next_attempt_at", "created_at", "resolved_at")
    identity = {"id": delivery.delivery_id, "endpoint": delivery.endpoint_id}
    return identity | {name: getattr(delivery, name) for name in names}


def _attempt_view(attempt: Attempt, delivery: Delivery) -> dict[str, Any]:
    shown = vars(attempt) | {"state": webhook_store.attempt_state(attempt, delivery)}
    return {name: shown[name] for name in AttemptView.model_fields}


def _endpoint(caller: Caller, endpoint_id: str) -> Endpoint:
    if not re.fullmatch(_ID, endpoint_id):
        raise problems.not_found()
    with caller.tenant.reading() as connection:
        endpoint = webhook_store.find_endpoint(connection, endpoint_id)
    if endpoint is None:
        raise problems.not_found()
    return endpoint


def _delivery(caller: Caller, delivery_id: str) -> Delivery:
    if not re.fullmatch(_ID, delivery_id):
        raise problems.not_found()
    with caller.tenant.reading() as connection:
        delivery = webhook_store.find_delivery(connection, delivery_id)
    if delivery is None:
        raise problems.not_found()
    return delivery


def _position(cursor: str) -> int:
    try:
        return event_reading.position_of(cursor)
    except UsageError as cause:
        raise ProblemError("invalid", f"body: {problems.printable(str(cause))}") from cause


def _instant(text: str) -> datetime:
    try:
        return instant_of(text)
    except ValueError as cause:
        raise ProblemError("invalid", "body since: is not on the calendar or the clock") from cause
