"""The input rows of a world, as contract §2 writes them: lines, entries, callbacks. No judgement here."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

CLEARING_ACCOUNT = "settlement_account"
PROVIDER = "rail_primary"


@dataclass(frozen=True, slots=True)
class Line:
    """One settlement line."""

    line_id: str
    line_type: str
    provider_reference: str
    merchant_reference: str
    original_reference: str
    status: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    settled_at: datetime
    batch_id: str
    presentment_minor: int | None = None
    presentment_currency: str = ""


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """One side of a posting."""

    entry_id: str
    transaction_id: str
    movement_type: str
    account: str
    direction: str
    amount_minor: int
    currency: str
    posted_at: datetime
    provider: str
    provider_reference: str
    intent_id: str


@dataclass(frozen=True, slots=True)
class Callback:
    """One delivery of a provider's event."""

    provider_event_id: str
    event_type: str
    provider_reference: str
    merchant_reference: str
    amount_minor: int
    currency: str
    status: str
    occurred_at: datetime
    received_at: datetime
    sequence: int | None = None
    signature_verified: bool | None = None
    movement_type: str | None = None


Row = dict[str, str | int | bool | None]


def as_row(record: Line | PostedEntry | Callback) -> Row:
    """A record's columns and values, instants as text."""
    return {field.name: _value(getattr(record, field.name)) for field in fields(record)}


def instant_text(instant: datetime) -> str:
    """UTC text with as many digits of a second as the instant needs."""
    timespec = "seconds" if instant.microsecond == 0 else "milliseconds"
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _value(value: Any) -> Any:
    return instant_text(value) if isinstance(value, datetime) else value
