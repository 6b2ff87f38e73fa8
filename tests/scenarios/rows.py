"""Input rows as on a ledger page: a settled line, a posting with both its entries, a callback. Nothing runs here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

PROVIDER = "rail_primary"
MON, TUE, WED, THU, FRI, SAT, SUN = (f"2026-04-{day:02d}" for day in range(20, 27))
NEXT_MON, NEXT_TUE = "2026-04-27", "2026-04-28"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "settlement": (
        "line_id",
        "line_type",
        "provider_reference",
        "merchant_reference",
        "original_reference",
        "gross_minor",
        "fee_minor",
        "net_minor",
        "currency",
        "settled_at",
        "batch_id",
        "status",
        "presentment_minor",
        "presentment_currency",
        "trace_id",
        "statement_text",
    ),
    "ledger": (
        "entry_id",
        "transaction_id",
        "movement_type",
        "account",
        "direction",
        "amount_minor",
        "currency",
        "posted_at",
        "provider",
        "provider_reference",
        "intent_id",
    ),
    "callbacks": (
        "provider_event_id",
        "event_type",
        "provider_reference",
        "merchant_reference",
        "amount_minor",
        "currency",
        "status",
        "occurred_at",
        "received_at",
        "sequence",
        "signature_verified",
        "movement_type",
    ),
}
_NAMES = (
    "line_id",
    "entry_id",
    "transaction_id",
    "provider_event_id",
    "provider_reference",
    "merchant_reference",
    "original_reference",
    "intent_id",
    "batch_id",
)


Value = str | int | bool | None


@dataclass(frozen=True)
class Row:
    """One input row: `file` is the id of its file, `arrives` the window before whose run that file is ingested."""

    kind: str
    values: Mapping[str, Value]
    file: str | None = None
    arrives: str | None = None

    def prefixed(self, prefix: str) -> "Row":
        """The row with every id and reference that is not blank set apart by a prefix."""
        named = {name: f"{prefix}{self.values[name]}" for name in _NAMES if self.values.get(name)}
        return replace(self, values={**self.values, **named})

    def again(self, *, file: str | None = None, arrives: str | None = None, **changes: Value) -> "Row":
        """The same row once more: in another file, at another time, or with other content."""
        return Row(self.kind, {**self.values, **changes}, file or self.file, arrives or self.arrives)


def settle(
    line_id: str,
    reference: str,
    gross: int,
    currency: str = "USD",
    *,
    on: str = MON,
    at: str = "10:00",
    type: str = "payment",
    fee: int = 0,
    net: int | None = None,
    merchant: str = "",
    original: str = "",
    batch: str = "",
    status: str = "",
    paid: tuple[int, str] | None = None,
    trace: str = "",
    file: str | None = None,
    arrives: str | None = None,
) -> Row:
    """A settlement line, in the settlement file of its day unless `file` names another; `paid` by the customer."""
    paid_minor, paid_currency = paid or ("", "")
    values: dict[str, Value] = {
        "line_id": line_id,
        "line_type": type,
        "provider_reference": reference,
        "merchant_reference": merchant,
        "original_reference": original,
        "gross_minor": gross,
        "fee_minor": fee,
        "net_minor": gross - fee if net is None else net,
        "currency": currency,
        "settled_at": _instant(on, at),
        "batch_id": batch,
        "status": status,
        "presentment_minor": paid_minor,
        "presentment_currency": paid_currency,
        "trace_id": trace,
        "statement_text": "",
    }
    return Row("settlement", values, file or settlement_file(on), arrives)


def post(
    transaction_id: str,
    reference: str,
    net: int,
    currency: str = "USD",
    *,
    on: str = MON,
    at: str = "09:00",
    type: str = "payment",
    intent: str = "",
    provider: str = PROVIDER,
    file: str | None = None,
    arrives: str | None = None,
) -> tuple[Row, ...]:
    """A balanced transaction that moves `net` (credit positive) from the reserved to the settlement account."""
    from_reserve, to_settlement = ("debit", "credit") if net >= 0 else ("credit", "debit")
    first = entry(
        f"{transaction_id}.1",
        transaction_id,
        reference,
        "reserved",
        from_reserve,
        abs(net),
        currency,
        on=on,
        at=at,
        type=type,
        intent=intent,
        provider=provider,
        file=file,
        arrives=arrives,
    )
    second = first.again(entry_id=f"{transaction_id}.2", account="settlement_account", direction=to_settlement)
    return first, second


def entry(
    entry_id: str,
    transaction_id: str,
    reference: str,
    account: str,
    direction: str,
    amount: int,
    currency: str = "USD",
    *,
    on: str = MON,
    at: str = "09:00",
    type: str = "payment",
    intent: str = "",
    provider: str = PROVIDER,
    file: str | None = None,
    arrives: str | None = None,
) -> Row:
    """One ledger entry."""
    values: dict[str, Value] = {
        "entry_id": entry_id,
        "transaction_id": transaction_id,
        "movement_type": type,
        "account": account,
        "direction": direction,
        "amount_minor": amount,
        "currency": currency,
        "posted_at": _instant(on, at),
        "provider": provider,
        "provider_reference": reference,
        "intent_id": intent,
    }
    return Row("ledger", values, file, arrives)


def call(
    event_id: str,
    reference: str,
    amount: int,
    currency: str = "USD",
    *,
    status: str = "succeeded",
    on: str = MON,
    at: str = "11:00",
    received: str | None = None,
    merchant: str = "",
    sequence: int | None = None,
    verified: bool = True,
    movement: str | None = None,
    file: str | None = None,
    arrives: str | None = None,
) -> Row:
    """A callback delivery that occurred on a day at a time and was received then, or at the instant `received`."""
    values: dict[str, Value] = {
        "provider_event_id": event_id,
        "event_type": f"payment.{status}",
        "provider_reference": reference,
        "merchant_reference": merchant,
        "amount_minor": amount,
        "currency": currency,
        "status": status,
        "occurred_at": _instant(on, at),
        "received_at": received or _instant(on, at),
        "sequence": sequence,
        "signature_verified": verified,
        "movement_type": movement,
    }
    return Row("callbacks", values, file, arrives)


def settlement_file(window: str) -> str:
    """The settlement file id a window expects by default."""
    return f"set_{window.replace('-', '_')}"


def flat(rows: tuple[Row | tuple[Row, ...], ...]) -> Iterator[Row]:
    """Rows and postings as single rows."""
    for row in rows:
        if isinstance(row, Row):
            yield row
        else:
            yield from row


def _instant(day: str, at: str) -> str:
    return f"{day}T{at}Z" if at.count(":") == 2 else f"{day}T{at}:00Z"
