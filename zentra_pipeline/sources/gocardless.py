"""GoCardless's payouts with their items, as its API returns them, as settlement lines.

Items name neither their payout nor a currency: a file is the payout (`GET /payouts/PO…`) followed by the pages of its
items (`GET /payout_items?payout=PO…`). Items are decimals of minor units; fees may have a fraction of one, and
GoCardless rounds only their sum. Does not belong here: webhooks' meaning (gocardless_events).
Sources: developer.gocardless.com/api-reference/#core-endpoints-payout-items.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from zentra_pipeline import vocabulary
from zentra_pipeline.sources import gocardless_events, json_pages
from zentra_pipeline.sources.bank_statements import Line, LineIds, Part
from zentra_pipeline.sources.json_pages import Json
from zentra_pipeline.sources.parts_reader import PartsReader, without_notes

_AMOUNT: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)
_REMEDY: Final = "save the payout and every page of its items"
_STATUS: Final = {"bounced": "returned"}
COLUMN_NAMES: Final = {
    "line_id": "payout, type and links",
    "line_type": "type",
    "provider_reference": "links.refund, links.payment or links.mandate",
    "original_reference": "links.payment of a refund or chargeback",
    "gross_minor": "amount",
    "fee_minor": "amount",
    "net_minor": "amount",
    "currency": "currency of the payout",
    "settled_at": "created_at of the payout",
    "batch_id": "id of the payout",
}
"""Settlement field → the API's field it is read from."""


@dataclass
class _Payout:
    """A payout as it states itself, and what its items come to: exactly, and as whole minor units of each."""

    id: str
    currency: str
    paid: int
    made: str | None
    entries: int = 0
    exact: Decimal = Decimal(0)
    rounded: int = 0
    ids: LineIds = field(default_factory=LineIds)


def parts(path: Path, name: str) -> Iterator[Part]:
    """A payout's line, those of its items, its rounding where it has one, and its statement; then the next payout."""
    current: _Payout | None = None
    for place, page in json_pages.pages(path, name):
        try:
            if not any(key in page for key in ("payouts", "payout_items")):
                raise ValueError("neither payouts nor payout_items, so it is no answer about GoCardless's payouts")  # noqa: TRY301
            stated = json_pages.listed(page, "payouts")
            for payout in stated:
                if current is not None:
                    yield from _ended(current)
                current = _begun(payout)
                yield _payout_line(payout, current)
            for item in json_pages.listed(page, "payout_items"):
                if current is None or len(stated) > 1:
                    raise ValueError("payout_items name no payout: save the one payout they are of before them")  # noqa: TRY301
                yield _item(item, current)
        except ValueError as cause:
            raise json_pages.refusal(place, cause) from cause
    if current is not None:
        yield from _ended(current)


def _begun(stated: Json) -> _Payout:
    return _Payout(
        id=json_pages.text(stated, "id"),
        currency=json_pages.currency_of(stated.get("currency"), "currency"),
        paid=json_pages.whole(stated.get("amount"), "amount"),
        made=json_pages.time_of(stated, "created_at", "arrival_date"),
    )


def _payout_line(stated: Json, payout: _Payout) -> Line:
    return {
        "line_id": payout.id,
        "line_type": "payout",
        "provider_reference": payout.id,
        "merchant_reference": json_pages.optional(stated, "reference"),
        "statement_text": json_pages.optional(stated, "reference"),
        "gross_minor": str(-payout.paid),
        "fee_minor": "0",
        "net_minor": str(-payout.paid),
        "currency": payout.currency,
        "settled_at": payout.made,
        "batch_id": payout.id,
        "status": _STATUS.get(json_pages.optional(stated, "status") or ""),
    }


def _item(item: Json, payout: _Payout) -> Line:
    kind, amount = json_pages.text(item, "type"), item.get("amount")
    if not isinstance(amount, str) or not _AMOUNT.fullmatch(amount):
        raise ValueError(f"amount: {str(amount)[:40]!r} is not a decimal of minor units such as '45.0'")
    types = vocabulary.record_types("gocardless")
    line_type = types.get(kind, types["*"]).line_type
    exact = Decimal(amount)
    if exact != int(exact) and line_type not in ("fee", "adjustment"):
        raise ValueError(f"amount: {amount!r} of a {kind} is not a whole number of minor units")
    minor = json_pages.nearest(exact)
    payout.entries += 1
    payout.exact += exact
    payout.rounded += minor
    links = json_pages.inner(item, "links")
    payment = json_pages.optional(links, "payment")
    own = json_pages.optional(links, "refund") or payment or json_pages.optional(links, "mandate")
    is_reversal = line_type in ("refund", "chargeback")
    return _line(payout, payout.ids.of(f"{payout.id}:{kind}:{own or ''}", amount), line_type, minor) | {
        "provider_reference": own,
        "original_reference": payment if is_reversal else None,
    }


def _ended(payout: _Payout) -> Iterator[Part]:
    """What rounding the sum, and not its items, adds, as a line of its own, and the statement."""
    rounding = payout.paid - payout.rounded
    statement = json_pages.payout_statement(
        what="payout",
        id=payout.id,
        currency=payout.currency,
        entries=payout.entries,
        exact=payout.exact,
        paid=payout.paid if payout.entries else None,
        remedy=_REMEDY,
    )
    if rounding and statement.ties:
        yield _line(payout, f"{payout.id}:rounding", "adjustment", rounding)
    yield statement


def _line(payout: _Payout, id: str, line_type: str, amount: int) -> dict[str, str | None]:
    return {
        "line_id": id,
        "line_type": line_type,
        "gross_minor": str(amount),
        "fee_minor": "0",
        "net_minor": str(amount),
        "currency": payout.currency,
        "settled_at": payout.made,
        "batch_id": payout.id,
    }


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES, gocardless_events.EVENTS)
