"""Mollie's settlements with what is in them, as its API returns them, as settlement lines.

A file is the settlement (`GET /v2/settlements/stl_…`) followed by the pages of its payments, captures, refunds and
chargebacks. What Mollie deducts is in the settlement's periods, with fractions of a cent; only the sum is rounded.
Does not belong here: webhooks' meaning (mollie_events).
Sources: docs.mollie.com/reference/get-settlement, …/list-settlement-payments.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from zentra_pipeline import vocabulary
from zentra_pipeline.sources import bank_statements, json_pages, mollie_events
from zentra_pipeline.sources.bank_statements import Line, LineIds, Part
from zentra_pipeline.sources.json_pages import Json
from zentra_pipeline.sources.parts_reader import PartsReader, without_notes

_LISTS: Final = {"payments": "payment", "captures": "payment", "refunds": "refund", "chargebacks": "chargeback"}
"""List of a page → the line type of what is in it."""
_REMEDY: Final = "save the settlement and every page of its payments, captures, refunds and chargebacks"
_STATUS: Final = {"failed": "failed"}
_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,8})?", re.ASCII)
COLUMN_NAMES: Final = {
    "line_id": "id",
    "line_type": "resource",
    "provider_reference": "id",
    "merchant_reference": "metadata.order_id or description",
    "original_reference": "paymentId of a refund or chargeback",
    "gross_minor": "settlementAmount",
    "fee_minor": "amountGross of the costs",
    "net_minor": "settlementAmount",
    "currency": "currency",
    "settled_at": "paidAt or createdAt",
    "batch_id": "settlementId",
    "presentment_minor": "amount",
    "presentment_currency": "amount.currency",
}
"""Settlement field → the API's field it is read from."""


@dataclass
class _Settlement:
    """A settlement as it states itself, and what is in it: exactly, and as whole minor units of each."""

    id: str
    currency: str
    paid: int | None = None
    made: str | None = None
    entries: int = 0
    exact: Decimal = Decimal(0)
    rounded: int = 0


def parts(path: Path, name: str) -> Iterator[Part]:
    """Lines in the order of the file, then the rounding and the statement of each settlement.

    A page that was saved twice counts once in its settlement; its lines come again, as a redelivery.
    """
    settlements: dict[str, _Settlement] = {}
    ids, seen, latest = LineIds(), set[int](), ""
    for place, page in json_pages.pages(path, name):
        try:
            embedded = json_pages.inner(page, "_embedded")
            stated = [page] if page.get("resource") == "settlement" else json_pages.listed(embedded, "settlements")
            if not stated and not any(key in embedded for key in (*_LISTS, "settlements")):
                raise ValueError("neither a settlement nor a list of what is in one")  # noqa: TRY301
            for each in stated:
                latest = json_pages.text(each, "id")
                yield from _settlement(each, settlements, ids)
            for key, line_type in _LISTS.items():
                for item in json_pages.listed(embedded, key):
                    yield _item(item, line_type, json_pages.optional(item, "settlementId") or latest, settlements, seen)
        except ValueError as cause:
            raise json_pages.refusal(place, cause) from cause
    for settlement in settlements.values():
        yield from _ended(settlement)


def _settlement(stated: Json, settlements: dict[str, _Settlement], ids: LineIds) -> Iterator[Line]:
    """The payout of a settlement and a fee of each of its costs."""
    id, amount = json_pages.text(stated, "id"), json_pages.inner(stated, "amount")
    currency = json_pages.currency_of(amount.get("currency"), "amount.currency")
    settlement = _of(id, currency, settlements)
    if settlement.paid is not None:
        raise ValueError(f"settlement {id} is there twice")
    settlement.paid = json_pages.minor(amount.get("value"), currency, "amount.value")
    settlement.made = json_pages.time_of(stated, "createdAt", "settledAt")
    yield _line(settlement, id, "payout", -settlement.paid) | {
        "provider_reference": id,
        "merchant_reference": json_pages.optional(stated, "reference"),
        "statement_text": json_pages.optional(stated, "reference"),
        "status": _STATUS.get(json_pages.optional(stated, "status") or ""),
    }
    for period, cost in _costs(stated):
        what = ":".join(str(cost.get(key) or "") for key in ("method", "description"))
        exact = -_exact(json_pages.inner(cost, "amountGross"), currency)
        yield _line(settlement, ids.of(f"{id}:{period}:{what}", str(cost)), "fee", _counted(settlement, exact))


def _costs(stated: Json) -> Iterator[tuple[str, Json]]:
    """Year and month, and a cost, in the order of time."""
    years = json_pages.inner(stated, "periods")
    for year in sorted(years):
        months = json_pages.inner(years, year)
        for month in sorted(months):
            for cost in json_pages.listed(json_pages.inner(months, month), "costs"):
                yield f"{year}-{month}", cost


def _item(item: Json, line_type: str, settlement_id: str, settlements: dict[str, _Settlement], seen: set[int]) -> Line:
    """The line of a payment, capture, refund or chargeback; one that was saved before is not counted again."""
    id, amount = json_pages.text(item, "id"), json_pages.inner(item, "settlementAmount")
    if not settlement_id:
        raise ValueError(f"{id}: no settlementId, and no settlement before it")
    currency = json_pages.currency_of(amount.get("currency"), f"{id}: settlementAmount.currency")
    settlement = _of(settlement_id, currency, settlements)
    exact = _exact(amount, currency)
    if exact != int(exact):
        raise ValueError(f"{id}: settlementAmount {amount.get('value')!r} has a fraction of a minor unit")
    minor = int(exact)
    if (digest := int(bank_statements.short_digest(id), 16)) not in seen:
        seen.add(digest)
        _counted(settlement, exact)
    payment = json_pages.optional(item, "paymentId")
    is_capture = line_type == "payment" and payment is not None
    line = _line(settlement, id, line_type, minor) | {
        "line_type": "chargeback_reversal" if line_type == "chargeback" and minor > 0 else line_type,
        "provider_reference": payment if is_capture else id,
        "merchant_reference": json_pages.optional(json_pages.inner(item, "metadata"), "order_id", "reference")
        or json_pages.optional(item, "description"),
        "original_reference": None if is_capture else payment,
        "settled_at": json_pages.time_of(item, "paidAt", "createdAt") or settlement.made,
    }
    return line | _presentment(item, currency, minor)


def _presentment(item: Json, currency: str, minor: int) -> dict[str, str | None]:
    """What the customer paid, where that is another currency than the one settled."""
    amount = json_pages.inner(item, "amount")
    paid_in = amount.get("currency")
    if not isinstance(paid_in, str) or paid_in.upper() == currency:
        return {}
    paid_in = json_pages.currency_of(paid_in, "amount.currency")
    paid = abs(json_pages.minor(amount.get("value"), paid_in, "amount.value"))
    return {"presentment_minor": str(-paid if minor < 0 else paid), "presentment_currency": paid_in}


def _ended(settlement: _Settlement) -> Iterator[Part]:
    statement = json_pages.payout_statement(
        what="settlement",
        id=settlement.id,
        currency=settlement.currency,
        entries=settlement.entries,
        exact=settlement.exact,
        paid=settlement.paid if settlement.entries else None,
        remedy=_REMEDY,
    )
    rounding = (settlement.paid or 0) - settlement.rounded
    if rounding and statement.ties:
        yield _line(settlement, f"{settlement.id}:rounding", "adjustment", rounding)
    yield statement


def _of(id: str, currency: str, settlements: dict[str, _Settlement]) -> _Settlement:
    settlement = settlements.setdefault(id, _Settlement(id, currency))
    if settlement.currency != currency:
        raise ValueError(f"settlement {id}: in {settlement.currency} and in {currency}")
    return settlement


def _counted(settlement: _Settlement, exact: Decimal) -> int:
    """Whole minor units of an amount, counted in its settlement."""
    minor = json_pages.nearest(exact)
    settlement.entries += 1
    settlement.exact += exact
    settlement.rounded += minor
    return minor


def _exact(amount: Json, currency: str) -> Decimal:
    """An amount in minor units, fractions kept."""
    value = amount.get("value")
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or amount.get("currency") != currency:
        raise ValueError(f"{str(value)[:40]!r} {str(amount.get('currency'))[:8]!r} is not an amount in {currency}")
    return Decimal(value).scaleb(vocabulary.exponent(currency))


def _line(settlement: _Settlement, id: str, line_type: str, amount: int) -> dict[str, str | None]:
    return {
        "line_id": id,
        "line_type": line_type,
        "gross_minor": str(amount),
        "fee_minor": "0",
        "net_minor": str(amount),
        "currency": settlement.currency,
        "settled_at": settlement.made,
        "batch_id": settlement.id,
    }


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES, mollie_events.EVENTS)
