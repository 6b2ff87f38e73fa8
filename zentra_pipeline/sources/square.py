"""Square's payout entries and payouts, as its API returns them, as settlement lines.

Square has no settlement file: the pages of `ListPayoutEntries` and the payout of `GetPayout` or `ListPayouts`, saved
one after the other, are one. Does not belong here: webhooks' meaning (square_events).
Sources: developer.squareup.com/docs/payouts-api/list-payout-entries, …/reference/square/enums/ActivityType.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from zentra_pipeline import money, vocabulary
from zentra_pipeline.sources import bank_statements, json_pages, square_events
from zentra_pipeline.sources.bank_statements import Line, Part
from zentra_pipeline.sources.json_pages import Json
from zentra_pipeline.sources.parts_reader import PartsReader, without_notes

_KEYS: Final = ("payout_entries", "payouts", "payout")
_REMEDY: Final = "save every page, until none has a cursor"
_OF_ITS_OWN: Final = {"REFUND": "refund_id", "DISPUTE": "dispute_id"}
"""Type of an entry → the id in its details that is its own, where that is not the payment's."""
_STATUS: Final = {"FAILED": "failed"}
COLUMN_NAMES: Final = {
    "line_id": "id",
    "line_type": "type",
    "provider_reference": "payment_id, refund_id or dispute_id of the type's details",
    "original_reference": "payment_id of a refund or dispute",
    "gross_minor": "gross_amount_money",
    "fee_minor": "fee_amount_money",
    "net_minor": "net_amount_money",
    "currency": "currency_code",
    "settled_at": "effective_at",
    "batch_id": "payout_id",
}
"""Settlement field → the API's field it is read from."""


@dataclass
class _Payout:
    """What the entries of a payout come to, and what the payout itself states."""

    currency: str
    entries: int = 0
    found: int = 0
    paid: int | None = None


def parts(path: Path, name: str) -> Iterator[Part]:
    """Lines in the order of the file, then a statement per payout, which ties where the file has the payout too.

    A page that was saved twice counts once in its payout; its lines come again, as a redelivery.
    """
    payouts: dict[str, _Payout] = {}
    seen: set[int] = set()
    for place, page in json_pages.pages(path, name):
        try:
            if page and not any(key in page for key in _KEYS):  # Square answers {} where there is nothing
                raise ValueError(f"none of {', '.join(_KEYS)}, so it is no answer about Square's payouts")  # noqa: TRY301
            for entry in json_pages.listed(page, "payout_entries"):
                yield _entry(entry, payouts, seen)
            for stated in (*json_pages.listed(page, "payouts"), *json_pages.listed(page, "payout")):
                yield _payout(stated, payouts)
        except ValueError as cause:
            raise json_pages.refusal(place, cause) from cause
    for id, payout in payouts.items():
        yield json_pages.payout_statement(
            what="payout",
            id=id,
            currency=payout.currency,
            entries=payout.entries,
            exact=Decimal(payout.found),
            paid=payout.paid if payout.entries else None,
            remedy=_REMEDY,
        )


def _entry(entry: Json, payouts: dict[str, _Payout], seen: set[int]) -> Line:
    id, payout_id, kind = (json_pages.text(entry, key) for key in ("id", "payout_id", "type"))
    gross, fee, net = (_money(entry, f"{key}_amount_money") for key in ("gross", "fee", "net"))
    currency = net[1]
    if gross[0] - fee[0] != net[0] or {gross[1], fee[1]} != {currency}:
        stated = ", ".join(money.amount_text(*amount) for amount in (gross, fee, net))
        raise ValueError(f"entry {id}: gross, fee and net are {stated}: gross less fee is not net")
    payout = _payout_of(payout_id, currency, payouts)
    if (digest := int(bank_statements.short_digest(id), 16)) not in seen:
        seen.add(digest)
        payout.entries += 1
        payout.found += net[0]
    details = json_pages.inner(entry, f"type_{kind.lower()}_details")
    types = vocabulary.record_types("square")
    line_type = types.get(kind, types["*"]).line_type
    payment = json_pages.optional(details, "payment_id")
    own = json_pages.optional(details, _OF_ITS_OWN.get(kind, "payment_id"))
    return {
        "line_id": id,
        "line_type": "chargeback_reversal" if line_type == "chargeback" and gross[0] > 0 else line_type,
        "provider_reference": own or payment or id,
        "original_reference": payment if kind in _OF_ITS_OWN and own else None,
        "gross_minor": str(gross[0]),
        "fee_minor": str(fee[0]),
        "net_minor": str(net[0]),
        "currency": currency,
        "settled_at": json_pages.time_of(entry, "effective_at"),
        "batch_id": payout_id,
    }


def _payout(stated: Json, payouts: dict[str, _Payout]) -> Line:
    """The payout as money that leaves the balance; its time is when it was made, for its arrival may move."""
    id = json_pages.text(stated, "id")
    amount, currency = _money(stated, "amount_money")
    payout = _payout_of(id, currency, payouts)
    if payout.paid not in (None, amount):
        raise ValueError(f"payout {id}: its amount is stated as {payout.paid} and as {amount}")
    payout.paid = amount
    return {
        "line_id": id,
        "line_type": "payout",
        "provider_reference": id,
        "merchant_reference": json_pages.optional(stated, "end_to_end_id"),
        "trace_id": json_pages.optional(stated, "end_to_end_id"),
        "gross_minor": str(-amount),
        "fee_minor": "0",
        "net_minor": str(-amount),
        "currency": currency,
        "settled_at": json_pages.time_of(stated, "created_at", "arrival_date"),
        "batch_id": id,
        "status": _STATUS.get(json_pages.optional(stated, "status") or ""),
    }


def _payout_of(id: str, currency: str, payouts: dict[str, _Payout]) -> _Payout:
    payout = payouts.setdefault(id, _Payout(currency))
    if payout.currency != currency:
        raise ValueError(f"payout {id}: in {payout.currency} and in {currency}")
    return payout


def _money(content: Json, key: str) -> tuple[int, str]:
    """Square writes `currency_code` in payouts and `currency` elsewhere; an absent fee is none."""
    stated = json_pages.inner(content, key)
    if not stated and key == "fee_amount_money":
        return 0, _money(content, "net_amount_money")[1]
    amount = json_pages.whole(stated.get("amount"), key)
    return amount, json_pages.currency_of(stated.get("currency_code") or stated.get("currency"), key)


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES, square_events.EVENTS)
