"""Square's webhooks as canonical callbacks: payments, refunds and disputes by the status they say.

Amounts are integers of ISO 4217's minor units, always positive, and leave signed like the settlement line. What a
status says is data (seed provider_event_types). Does not belong here: payout entries (square).
Sources: developer.squareup.com/reference/square/webhooks, …/objects/Payment, PaymentRefund, Dispute.
"""

from collections.abc import Iterator

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

_FORMAT = "square"
_STATUS = {"payment": "status", "refund": "status", "dispute": "state"}
"""Object of an event → where it says how it is."""


def callback(event: Json) -> Callback | str:
    """The canonical callback of an event, or why it moves no money; ValueError when it cannot be believed."""
    event_type = text(event, "type")
    kind = event_type.partition(".")[0]
    subject = inner(event, "data", "object", kind)
    if kind not in _STATUS or not subject:
        return f"{event_type}: no movement of money"
    status = text(subject, _STATUS[kind])
    found = said(_FORMAT, f"{kind}.{status}")
    if found is None:
        return f"{event_type} ({status}): no movement of money"
    of = "total_money" if kind == "payment" and "total_money" in subject else "amount_money"
    amount, currency = minor_integer(inner(subject, of).get("amount"), inner(subject, of).get("currency"), of)
    version = subject.get("version")
    return {
        "provider_event_id": text(event, "event_id"),
        "event_type": event_type,
        "provider_reference": optional(subject, "id") or text(subject, f"{kind}_id"),
        "merchant_reference": optional(subject, "reference_id", "payment_id", "order_id")
        or optional(inner(subject, "disputed_payment"), "payment_id"),
        "amount_minor": signed(amount, found.movement_type),
        "currency": currency,
        "status": found.status,
        "occurred_at": occurred(event, "created_at"),
        "sequence": str(version) if type(version) is int and version >= 0 else None,
        "movement_type": found.movement_type,
    }


def _callbacks(event: Json) -> "Iterator[Callback | str | ValueError]":
    return each([event], callback)


EVENTS = EventFormat(_FORMAT, _callbacks, "<signature key>@<notification URL>")
