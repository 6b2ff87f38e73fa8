"""PayPal's webhook events as canonical callbacks, verified offline against pinned certificates.

Amounts are decimals of major units; a refund, reversal or dispute is negative, as its settlement line. What an event
says is data (dbt_project/seeds/provider_event_types.csv). Does not belong here: reports (paypal).
Sources: developer.paypal.com/api/rest/webhooks/event-names, …/webhooks/rest/#verify-webhook-signature.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.sources import callback_rows, provider_events, signatures
from zentra_pipeline.sources.deliveries import Delivery, read_deliveries

Json = Mapping[str, Any]

_FORMAT = "paypal"
_MONEY_OUT = ("refund", "chargeback")


def read_callbacks(
    path: Path,
    secrets: Sequence[str] = (),
    name: str | None = None,
    notes: MutableMapping[str, int] | None = None,
) -> Iterator[pl.DataFrame]:
    """Callbacks of recorded events (shapes: `deliveries`); envelopes are verified with `secrets` (see verify_paypal).

    A bare event has no signature to verify and counts as received when it was created. Events about anything but a
    movement of money give no row; `notes` counts them by event type.
    """
    name = name or path.name
    return callback_rows.frames(_rows(path, secrets, name, {} if notes is None else notes))


def callback(event: Json) -> dict[str, str | None] | None:
    """The canonical callback of an event, all values text; None when it is about no movement of money.

    ValueError with the reason when it cannot be believed.
    """
    event_type, resource = provider_events.text(event, "event_type"), event.get("resource")
    if not isinstance(resource, Mapping):
        raise ValueError("resource: missing")  # noqa: TRY004 - a reason for operators, not a type of ours
    found = vocabulary.event_types(_FORMAT).get(event_type)
    if found is None or found.status is None:
        return None
    is_dispute = "dispute_id" in resource
    amount, currency = _amount(resource, "dispute_amount" if is_dispute else "amount")
    return {
        "provider_event_id": provider_events.text(event, "id"),
        "event_type": event_type,
        "provider_reference": provider_events.text(resource, "dispute_id" if is_dispute else "id"),
        "merchant_reference": _merchant_reference(resource),
        "amount_minor": str(-amount if found.movement_type in _MONEY_OUT else amount),
        "currency": currency,
        "status": found.status,
        "occurred_at": provider_events.occurred(event, "create_time"),
        "movement_type": found.movement_type,
    }


def _rows(
    path: Path, secrets: Sequence[str], name: str, notes: MutableMapping[str, int]
) -> Iterator[callback_rows.Row]:
    for delivery in read_deliveries(path, name):
        if delivery.body is not None and not secrets:
            raise InputRejectedError(
                f"{name}: row {delivery.row_number}: a signed delivery, but no certificate is configured; set "
                "ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER> to <webhook id>=<file of the certificate>"
            )
        row = _row(delivery, secrets, notes)
        if row is not None:
            yield {"row_number": delivery.row_number, **row}


def _row(delivery: Delivery, secrets: Sequence[str], notes: MutableMapping[str, int]) -> callback_rows.Row | None:
    """The row of one delivery; None, and a note, when its event is about no movement of money."""
    event = delivery.event
    if event is None:
        return {"refusal": delivery.refusal, "source_row": delivery.text}
    try:
        if delivery.body is not None:
            callback_rows.received(delivery.received_at)
            given = [delivery.header(name) for name in signatures.PAYPAL_HEADERS]
            if not signatures.verify_paypal(delivery.body, given, secrets):
                return {"refusal": "callback signature not verified", "source_row": delivery.text}
        found = callback(event)
        callback_rows.check_text(found or {})
    except ValueError as cause:
        return {"refusal": str(cause), "source_row": delivery.text}
    if found is None:
        skipped = f"{event.get('event_type')}: no movement of money"
        notes[skipped] = notes.get(skipped, 0) + 1
        return None
    received_at = delivery.received_at or found["occurred_at"]
    return {**found, "received_at": received_at, "signature_verified": None if delivery.body is None else "true"}


def _amount(resource: Json, key: str) -> tuple[int, str]:
    """An amount in minor units, always positive, and its currency: version 1 and 2 of the API name them differently."""
    amount = resource.get(key)
    given: Json = amount if isinstance(amount, Mapping) else {}
    text, currency = given.get("value", given.get("total")), given.get("currency_code", given.get("currency"))
    if not isinstance(text, str) or not isinstance(currency, str):
        raise ValueError(f"{key}: no value with a currency")  # noqa: TRY004 - a reason for operators, not a type of ours
    try:
        exponent = vocabulary.exponent(currency)
    except ZentraError as cause:
        raise ValueError(f"{key}: {currency!r} is not an ISO 4217 currency") from cause
    try:
        return abs(money.minor_units(text, exponent)), currency
    except ValueError as cause:
        raise ValueError(f"{key}: {cause}") from cause


def _merchant_reference(resource: Json) -> str | None:
    """The merchant's own reference, else the payment that a refund or dispute is of, else the order."""
    for key in ("invoice_id", "invoice_number", "custom_id", "custom"):
        value = resource.get(key)
        if isinstance(value, str) and value:
            return value
    return _disputed(resource) or _linked(resource) or _parent(resource)


def _disputed(resource: Json) -> str | None:
    listed = resource.get("disputed_transactions")
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], Mapping) else {}
    value = first.get("seller_transaction_id")
    return value if isinstance(value, str) and value else None


def _linked(resource: Json) -> str | None:
    """What a refund's link `up` leads to: the id of its capture."""
    links = resource.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == "up" and isinstance(link.get("href"), str):
            return str(link["href"]).rstrip("/").rpartition("/")[2] or None
    return None


def _parent(resource: Json) -> str | None:
    for key in ("sale_id", "parent_payment"):
        value = resource.get(key)
        if isinstance(value, str) and value:
            return value
    return None
