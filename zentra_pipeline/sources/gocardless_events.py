"""GoCardless's webhooks as canonical callbacks: many events a body, of payments and refunds.

An event names its payment or refund and states no amount. The amount is that of the resource under `linked`, as
`GET /events?include=payment` returns it; without it the event is refused by row, for no amount is ever guessed. What an
action says is data (seed provider_event_types). Does not belong here: payout items (gocardless).
Sources: developer.gocardless.com/api-reference/#core-endpoints-events.
"""

from collections.abc import Iterator, Mapping

from zentra_pipeline.sources.provider_events import (
    Callback,
    EventFormat,
    Json,
    each,
    inner,
    minor_integer,
    occurred,
    optional,
    said,
    signed,
    text,
)

_FORMAT = "gocardless"
_LINK = {"payments": "payment", "refunds": "refund"}


def _callbacks(body: Json) -> "Iterator[Callback | str | ValueError]":
    """Those of the events of a body, or of one event by itself."""
    listed = body.get("events", [body])
    if not isinstance(listed, list):
        yield ValueError("events: not a list")
        return
    yield from each(listed, lambda event: callback(event, inner(body, "linked")))


def callback(event: Json, linked: Json) -> Callback | str:
    """The canonical callback of an event, or why it moves no money; ValueError when it cannot be believed."""
    kind, action = text(event, "resource_type"), text(event, "action")
    found = said(_FORMAT, f"{kind}.{action}")
    if kind not in _LINK or found is None:
        return f"{kind} {action}: no movement of money"
    reference = text(inner(event, "links"), _LINK[kind])
    resource = _linked(linked, kind, reference)
    if resource is None:
        raise ValueError(
            f"{kind} {action} of {reference}: the event states no amount; record events with the resource they are "
            f"about (GET /events?include={_LINK[kind]})"
        )
    amount, currency = minor_integer(resource.get("amount"), resource.get("currency"), f"linked {reference} amount")
    return {
        "provider_event_id": text(event, "id"),
        "event_type": f"{kind}.{action}",
        "provider_reference": reference,
        "merchant_reference": optional(resource, "reference") or optional(inner(resource, "links"), "payment"),
        "amount_minor": signed(amount, found.movement_type),
        "currency": currency,
        "status": found.status,
        "occurred_at": occurred(event, "created_at"),
        "movement_type": found.movement_type,
    }


def _linked(linked: Json, kind: str, reference: str) -> Json | None:
    listed = linked.get(kind)
    resources = listed if isinstance(listed, list) else ()
    return next((each for each in resources if isinstance(each, Mapping) and each.get("id") == reference), None)


EVENTS = EventFormat(_FORMAT, _callbacks, "the webhook endpoint's secret")
