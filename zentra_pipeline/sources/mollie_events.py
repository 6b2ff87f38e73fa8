"""Mollie's webhooks as canonical callbacks: next-gen events with their full payload.

A classic webhook carries only an id and no signature: anybody could send it, and it says nothing. It is refused with
that reason, and so is a next-gen event of the simple payload. What a status says is data (seed provider_event_types).
Does not belong here: settlements (mollie).
Sources: docs.mollie.com/reference/webhooks-new, docs.mollie.com/reference/webhooks.
"""

import re
from collections.abc import Iterator
from typing import Any

from zentra_pipeline.sources.deliveries import strict_object
from zentra_pipeline.sources.provider_events import (
    Callback,
    EventFormat,
    Json,
    each,
    inner,
    minor_decimal,
    occurred,
    optional,
    said,
    signed,
    text,
)

_FORMAT = "mollie"
_CLASSIC = re.compile(rb"id=([A-Za-z0-9_]{1,64})\s*")
_RESOURCES = ("payment", "refund", "chargeback", "payment-link")


def event_of(body: bytes) -> dict[str, Any]:
    """The event of a body; ValueError, with what to do, for the form that classic webhooks post."""
    classic = _CLASSIC.fullmatch(body)
    if classic:
        raise ValueError(
            f"a classic webhook, which carries only the id {classic.group(1).decode()} and no signature, and cannot be "
            "believed; subscribe to next-gen webhooks with the full payload"
        )
    return strict_object(body.decode("utf-8"))


def callback(event: Json) -> Callback | str:
    """The canonical callback of an event, or why it moves no money; ValueError when it cannot be believed."""
    if event.get("resource") != "event":
        raise ValueError(
            "not a next-gen event: a classic webhook or a resource by itself says not what happened, or when"
        )
    event_type, entity = text(event, "type"), inner(event, "_embedded", "entity")
    kind = event_type.partition(".")[0]
    if kind not in _RESOURCES:
        return f"{event_type}: no movement of money"
    if not entity:
        raise ValueError(
            f"{event_type} of {optional(event, 'entityId')}: a simple payload, which states no amount; subscribe with "
            "the full payload"
        )
    status = "reversed" if entity.get("reversedAt") else optional(entity, "status") or event_type.partition(".")[2]
    found = said(_FORMAT, f"{kind}.{status}")
    if found is None:
        return f"{event_type} ({status}): no movement of money"
    amount, currency = minor_decimal(
        inner(entity, "amount").get("value"), inner(entity, "amount").get("currency"), "amount"
    )
    return {
        "provider_event_id": text(event, "id"),
        "event_type": event_type,
        "provider_reference": text(entity, "id"),
        "merchant_reference": optional(inner(entity, "metadata"), "order_id", "reference")
        or optional(entity, "paymentId"),
        "amount_minor": signed(amount, found.movement_type),
        "currency": currency,
        "status": found.status,
        "occurred_at": occurred(event, "createdAt"),
        "movement_type": found.movement_type,
    }


def _callbacks(event: Json) -> "Iterator[Callback | str | ValueError]":
    return each([event], callback)


EVENTS = EventFormat(_FORMAT, _callbacks, "the subscription's secret", event_of)
