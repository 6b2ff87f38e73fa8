"""What readers of providers' webhooks share: deliveries verified by their body, and several events of one body.

Does not belong here: what an event of any provider means (its own module says), signature schemes (signatures).
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.sources import callback_rows, signatures
from zentra_pipeline.sources.deliveries import Delivery, read_deliveries

Json = Mapping[str, Any]
Callback = dict[str, str | None]

_NOT_VERIFIED = "callback signature not verified"


@dataclass(frozen=True)
class EventFormat:
    """How one provider's webhooks are read.

    `callbacks`: a body → for each of its events the callback, or text that says why it moves no money, or the
    ValueError with which it cannot be believed. `secret`: what the variable of secrets holds, for messages. `event_of`:
    how a body that is no JSON object is read. `verify`: whether an event without an envelope carries a valid signature.
    """

    name: str
    callbacks: Callable[[Json], Iterator[Callback | str | ValueError]]
    secret: str
    event_of: Callable[[bytes], dict[str, Any]] | None = None
    verify: Callable[[Json, Sequence[str]], bool] | None = None


def read_callbacks(
    form: EventFormat,
    path: Path,
    secrets: Sequence[str] = (),
    name: str | None = None,
    notes: MutableMapping[str, int] | None = None,
) -> Iterator[pl.DataFrame]:
    """Callbacks of recorded webhooks (shapes: `deliveries`), a row an event, numbered through the file.

    The body of an envelope must be signed by one of `secrets`; an event without an envelope has no signature to verify
    and counts as received when it happened. Events about anything but a movement of money are counted by `notes`.
    """
    name = name or path.name
    return callback_rows.frames(_rows(form, path, secrets, name, {} if notes is None else notes))


def _rows(
    form: EventFormat, path: Path, secrets: Sequence[str], name: str, notes: MutableMapping[str, int]
) -> Iterator[callback_rows.Row]:
    number = 0
    for delivery in read_deliveries(path, name, form.event_of):
        if delivery.body is not None and not secrets:
            raise InputRejectedError(
                f"{name}: row {delivery.row_number}: a signed delivery, but no secret is configured; set "
                f"ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER> to {form.secret}"
            )
        for row in _rows_of(form, delivery, secrets, notes):
            number += 1
            if row is not None:
                yield {"row_number": number, **row}


def _rows_of(
    form: EventFormat, delivery: Delivery, secrets: Sequence[str], notes: MutableMapping[str, int]
) -> Iterator[callback_rows.Row | None]:
    """The row of each event of a delivery; None for one that moves no money."""
    refusal, is_verified = delivery.refusal, False
    if delivery.event is not None:
        refusal, is_verified = _believed(form, delivery, delivery.event, secrets)
    if delivery.event is None or refusal is not None:
        yield {"refusal": refusal, "source_row": delivery.text}
        return
    for found in form.callbacks(delivery.event):
        if isinstance(found, str):
            notes[found] = notes.get(found, 0) + 1
            yield None
            continue
        try:
            if isinstance(found, ValueError):
                raise found
            callback_rows.check_text(found)
        except ValueError as cause:
            yield {"refusal": str(cause), "source_row": delivery.text}
            continue
        received_at = delivery.received_at or found["occurred_at"]
        yield {**found, "received_at": received_at, "signature_verified": "true" if is_verified else None}


def _believed(form: EventFormat, delivery: Delivery, event: Json, secrets: Sequence[str]) -> tuple[str | None, bool]:
    """Why a delivery is not believed, null when it is, and whether a signature was verified."""
    if delivery.body is None:
        if form.verify is None or not secrets:
            return None, False
        return (None, True) if form.verify(event, secrets) else (_NOT_VERIFIED, False)
    try:
        at = callback_rows.received(delivery.received_at)
    except ValueError as cause:
        return str(cause), False
    headers = {header: delivery.header(header) for header in signatures.SIGNATURE_HEADERS[form.name]}
    is_signed = signatures.is_signed(form.name, delivery.body, headers, secrets, at)
    return (None, True) if is_signed else (_NOT_VERIFIED, False)


def each(
    subjects: Sequence[object], callback: Callable[[Json], Callback | str]
) -> Iterator[Callback | str | ValueError]:
    """`callback` of every subject that is an object, its ValueError in its place."""
    for subject in subjects:
        try:
            if not isinstance(subject, Mapping):
                raise ValueError("an event that is no JSON object")  # noqa: TRY004, TRY301 - a reason for people
            yield callback(subject)
        except ValueError as cause:
            yield cause


def said(form: str, event_type: str) -> vocabulary.EventType | None:
    """What the seed provider_event_types says of an event; null where it is about no movement of money."""
    found = vocabulary.event_types(form).get(event_type)
    return None if found is None or found.status is None else found


def signed(amount: int, movement_type: str | None) -> str:
    """A positive amount signed like the settlement line: refunds and chargebacks take money back."""
    return str(-amount if movement_type in ("refund", "chargeback") else amount)


def minor_integer(value: object, currency: object, key: str) -> tuple[int, str]:
    """An amount given as a positive integer of ISO 4217's minor units, and its currency."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{key}: {value!r} is not a whole number of minor units")
    _exponent(currency, key)
    return value, str(currency)


def minor_decimal(value: object, currency: object, key: str) -> tuple[int, str]:
    """An amount given as decimal text of major units, as minor units without its sign, and its currency."""
    if not isinstance(value, str):
        raise ValueError(f"{key}: {value!r} is not an amount such as '12.50'")  # noqa: TRY004 - a reason for people
    exponent = _exponent(currency, key)
    try:
        return abs(money.minor_units(value, exponent)), str(currency)
    except ValueError as cause:
        raise ValueError(f"{key}: {cause}") from cause


def _exponent(currency: object, key: str) -> int:
    try:
        return vocabulary.exponent(str(currency))
    except ZentraError as cause:
        raise ValueError(f"{key}: {currency!r} is not an ISO 4217 currency") from cause


def occurred(content: Json, key: str) -> str:
    """An instant with an offset, in UTC."""
    stated = text(content, key)
    why = f"{key}: {stated!r} is not an instant such as 2026-01-31T09:30:00Z"
    try:
        at = datetime.fromisoformat(stated)
        found = at.astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise ValueError(why) from cause
    if at.tzinfo is None:
        raise ValueError(why)
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")


def text(content: Json, key: str) -> str:
    """A text that must be there."""
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key}: missing")
    return value


def optional(content: Json, *keys: str) -> str | None:
    """The first of these that is a text."""
    values = (content.get(key) for key in keys)
    return next((value for value in values if isinstance(value, str) and value), None)


def inner(content: Json, *keys: str) -> Json:
    """An object within an object; empty where any of them is none."""
    found: object = content
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
