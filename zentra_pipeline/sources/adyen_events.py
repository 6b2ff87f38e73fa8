"""Adyen's standard webhooks as canonical callbacks: one per NotificationRequestItem, each with a signature of its own.

Amounts are in Adyen's minor units, always positive, and become ISO 4217's, signed like the settlement line. What an
event code says is data (dbt_project/seeds/provider_event_types.csv). Does not belong here: settlement reports (adyen).
Sources: docs.adyen.com/development-resources/webhooks/webhook-types, …/currency-codes.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.sources import callback_rows, signatures
from zentra_pipeline.sources.deliveries import Delivery, read_deliveries

Item = Mapping[str, Any]

_FORMAT = "adyen"
_MONEY_OUT = ("refund", "chargeback")


def read_callbacks(
    path: Path,
    secrets: Sequence[str] = (),
    name: str | None = None,
    notes: MutableMapping[str, int] | None = None,
) -> Iterator[pl.DataFrame]:
    """Callbacks of recorded notifications (shapes: `deliveries`), a row an item, numbered through the file.

    Where there are `secrets`, an item that none of them signed is refused, and no other. Without an envelope an item
    counts as received when it happened. An item about anything but a movement of money gives no row; `notes` counts it.
    """
    name = name or path.name
    return callback_rows.frames(_rows(path, secrets, name, {} if notes is None else notes))


def callback(item: Item) -> dict[str, str | None] | None:
    """The canonical callback of an item, all values text; None when it is about no movement of money.

    ValueError with the reason when it cannot be believed: a field is missing, an amount is no integer of Adyen's minor
    units of its currency, or `success` is neither "true" nor "false".
    """
    code, has_succeeded = _text(item, "eventCode"), _success(item)
    found = vocabulary.event_types(_FORMAT).get(_event(item, code))
    status = None if found is None else found.status if has_succeeded else found.status_otherwise
    if found is None or status is None:
        return None
    occurred, psp = _occurred(item), _text(item, "pspReference")
    amount, currency = _amount(item, occurred)
    if amount == 0:
        return None
    # A capture is a modification of its payment, and the payment is what is settled; a refund or dispute is its own.
    payment = item.get("originalReference") if found.movement_type == "payment" else None
    return {
        "provider_event_id": f"{code}:{psp}:{'true' if has_succeeded else 'false'}",
        "event_type": code,
        "provider_reference": payment if isinstance(payment, str) and payment else psp,
        "merchant_reference": _optional(item, "merchantReference"),
        "amount_minor": str(-amount if found.movement_type in _MONEY_OUT else amount),
        "currency": currency,
        "status": status,
        "occurred_at": occurred.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z"),
        "movement_type": found.movement_type,
    }


def _rows(
    path: Path, secrets: Sequence[str], name: str, notes: MutableMapping[str, int]
) -> Iterator[callback_rows.Row]:
    number = 0
    for delivery in read_deliveries(path, name):
        if delivery.body is not None and not secrets:
            raise InputRejectedError(
                f"{name}: row {delivery.row_number}: a signed delivery, but no secret is configured; set "
                "ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER> to the HMAC key in hex"
            )
        items = [None] if delivery.event is None else signatures.adyen_items(delivery.event)
        for item in items or [None]:
            number += 1
            row = _row(delivery, item, secrets, notes)
            if row is not None:
                yield {"row_number": number, **row}


def _row(
    delivery: Delivery, item: object, secrets: Sequence[str], notes: MutableMapping[str, int]
) -> callback_rows.Row | None:
    """The row of one item; None, and a note, when it is about no movement of money."""
    if not isinstance(item, Mapping):
        return _refused(delivery.refusal or "not an Adyen notification with notificationItems", delivery.text)
    if secrets and not signatures.verify_adyen(item, secrets):
        return _refused("callback signature not verified", _as_text(item, delivery))
    try:
        found = callback(item)
        callback_rows.check_text(found or {})
    except ValueError as cause:
        return _refused(str(cause), _as_text(item, delivery))
    if found is None:
        said = "" if _success(item) else " (success: false)"
        skipped = f"{item.get('eventCode')}{said}: no movement of money"
        notes[skipped] = notes.get(skipped, 0) + 1
        return None
    received_at = delivery.received_at or found["occurred_at"]
    return {**found, "received_at": received_at, "signature_verified": "true" if secrets else None}


def _refused(why: str, text: str) -> callback_rows.Row:
    return {"refusal": why, "source_row": text}


def _as_text(item: Item, delivery: Delivery) -> str:
    """An item as quarantine shows it: its own text, else that of the whole delivery."""
    try:
        return orjson.dumps(item, default=str).decode()
    except (TypeError, orjson.JSONEncodeError):
        return delivery.text


def _event(item: Item, code: str) -> str:
    additional = item.get("additionalData")
    action = additional.get("modification.action") if isinstance(additional, Mapping) else None
    return f"{code}:{action}" if code == "CANCEL_OR_REFUND" else code


def _success(item: Item) -> bool:
    """Whether the event says it succeeded: a text, "true" or "false"."""
    said = item.get("success")
    if said in ("true", "false") or isinstance(said, bool):
        return said in ("true", True)
    raise ValueError(f"success: {said!r} is neither 'true' nor 'false'")


def _occurred(item: Item) -> datetime:
    said = _text(item, "eventDate")
    why = f"eventDate: {said!r} is not an instant such as 2026-01-31T09:30:00+01:00"
    try:
        at = datetime.fromisoformat(said)
        occurred = at.astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise ValueError(why) from cause
    if at.tzinfo is None:
        raise ValueError(why)
    return occurred


def _amount(item: Item, on: datetime) -> tuple[int, str]:
    """An item's amount in minor units of ISO 4217, and its currency."""
    amount = item.get("amount")
    value = amount.get("value") if isinstance(amount, Mapping) else None
    currency = amount.get("currency") if isinstance(amount, Mapping) else None
    if type(value) is not int or value < 0:
        raise ValueError(f"amount.value: {value!r} is not a whole number of minor units")
    try:
        written = vocabulary.provider_exponent(_FORMAT, "api", str(currency), on.date())
    except ZentraError as cause:
        raise ValueError(f"amount.currency: {currency!r} is not an ISO 4217 currency") from cause
    try:
        return money.rescaled(value, written, vocabulary.exponent(str(currency))), str(currency)
    except ValueError as cause:
        raise ValueError(f"amount.value: {cause}") from cause


def _text(item: Item, key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key}: missing")
    return value


def _optional(item: Item, key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) and value else None
