"""Amazon's settlement reports (flat file and flat file V2, tab-separated) as settlement lines.

The first row of a settlement states its total; every amount of the rows below adds up to it. Does not belong here: the
grammar of the file (amazon_text, csv_grammar).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import amazon_text, bank_statements, report_rows
from zentra_pipeline.sources.bank_statements import LineIds, Part
from zentra_pipeline.sources.header_refusals import Cures, Expected
from zentra_pipeline.sources.parts_reader import PartsReader, without_notes
from zentra_pipeline.sources.report_rows import Row
from zentra_pipeline.sources.statement import Statement

_EXPECTED: Final = Expected(
    "an Amazon settlement report",
    ("settlement-id", "deposit-date", "total-amount", "currency", "transaction-type", "order-id", "posted-date"),
    "download the settlement report as Flat File V2",
    separator="\t",
    cures=Cures(separator="download it again as Flat File V2, and leave it as it comes"),
)
_SAID: Final = 400
_KINDS: Final = ("amount-type", "amount-description", "price-type", "item-related-fee-type", "shipment-fee-type")
_KINDS_OF: Final = {
    "amount": ("amount-type", "amount-description"),
    "price-amount": ("price-type",),
}
"""Column of an amount → those that say what it is for, where the column does not."""
_IDENTITY: Final = ("transaction-type", "order-id", "adjustment-id", "shipment-id", "order-item-code", *_KINDS)
_FEES: Final = (
    "item-related-fee-amount",
    "shipment-fee-amount",
    "order-fee-amount",
    "misc-fee-amount",
    "other-fee-amount",
)
COLUMN_NAMES: Final = {
    "line_id": "settlement-id, order-id, order-item-code and what the amount is for",
    "line_type": "transaction-type",
    "provider_reference": "order-id",
    "merchant_reference": "merchant-order-id",
    "gross_minor": "amount",
    "fee_minor": "amount",
    "net_minor": "amount",
    "currency": "currency",
    "settled_at": "posted-date",
    "batch_id": "settlement-id",
}
"""Settlement field → the column it is read from."""


@dataclass
class _Settlement:
    """A settlement as its first row states it, and what its other rows come to."""

    id: str
    currency: str
    total: int
    deposited: str | None
    entries: int = 0
    found: int = 0


def parts(path: Path, name: str) -> Iterator[Part]:
    """Lines of every amount and, after those of each, the settlement, in the order of the file."""
    with amazon_text.table(path, name) as table:
        yield from _parts(table, name)


def _parts(path: Path, name: str) -> Iterator[Part]:
    amounts = [
        column
        for column in report_rows.header_of(path, name, _EXPECTED)
        if column == "amount" or (column.endswith("-amount") and column != "total-amount")
    ]
    ids, current = LineIds(), None
    for number, row in report_rows.rows(path, name, _EXPECTED):
        try:
            if row["total-amount"] is not None:
                if current is not None:
                    yield from _ended(current)
                current = _begun(row)
                continue
            current = _of(row, current)
            for column in amounts:
                if row[column] is not None:
                    amount = report_rows.minor_units(row, column, current.currency)
                    current.entries += 1
                    current.found += amount
                    yield _line(row, column, amount, current, ids)
        except ValueError as cause:
            raise InputRejectedError(
                f"{name}: data row {number:,}: {str(cause)[:_SAID]}; download the report again"
            ) from cause
    if current is None:
        raise InputRejectedError(f"{name}: it has no row that states a total-amount; download the report again")
    yield from _ended(current)


def _of(row: Row, current: _Settlement | None) -> _Settlement:
    """The settlement a row is of; ValueError where no row above states its total."""
    if current is None or row["settlement-id"] != current.id:
        raise ValueError(f"settlement-id {row['settlement-id']!r} has no row above it that states its total-amount")
    return current


def _begun(row: Row) -> _Settlement:
    currency = (row["currency"] or "").upper()
    if currency not in vocabulary.currencies():
        raise ValueError(f"currency: {currency[:8]!r} is not an ISO 4217 currency")
    total = report_rows.minor_units(row, "total-amount", currency)
    deposited = row["deposit-date"] or row.get("settlement-end-date")  # nothing is deposited of a total of 0
    return _Settlement(row["settlement-id"] or "", currency, total, report_rows.instant(deposited))


def _ended(settlement: _Settlement) -> Iterator[Part]:
    """The payout, and the statement whose rows must come to it."""
    yield {
        "line_id": f"{settlement.id}:payout",
        "line_type": "payout",
        "provider_reference": settlement.id,
        "gross_minor": str(-settlement.total),
        "fee_minor": "0",
        "net_minor": str(-settlement.total),
        "currency": settlement.currency,
        "settled_at": settlement.deposited,
        "batch_id": settlement.id,
    }
    off = settlement.total - settlement.found
    stated, found, difference = (
        money.amount_text(amount, settlement.currency) for amount in (settlement.total, settlement.found, off)
    )
    yield Statement(
        id=settlement.id,
        account=None,
        entries=settlement.entries,
        currency=settlement.currency,
        signed_sum_minor=settlement.found,
        ties=not off,
        refused=None
        if not off
        else f"settlement {settlement.id}: total-amount is {stated}, and its amounts come to {found}: "
        f"a difference of {difference}; download the report again",
    )


def _line(row: Row, column: str, amount: int, settlement: _Settlement, ids: LineIds) -> dict[str, str | None]:
    base = ":".join((settlement.id, *(row.get(key) or "" for key in _IDENTITY), column))
    content = "\t".join(value or "" for value in row.values())
    return {
        "line_id": ids.of(f"{settlement.id}:{row['order-id'] or ''}:{bank_statements.short_digest(base)}", content),
        "line_type": _line_type(row, column, amount),
        "provider_reference": row["order-id"],
        "merchant_reference": row.get("merchant-order-id"),
        "gross_minor": str(amount),
        "fee_minor": "0",
        "net_minor": str(amount),
        "currency": settlement.currency,
        "settled_at": report_rows.instant(row.get("posted-date-time") or row["posted-date"]) or settlement.deposited,
        "batch_id": settlement.id,
    }


def _line_type(row: Row, column: str, amount: int) -> str:
    """What an amount is, by the type of its transaction and what it is for."""
    transaction = (row["transaction-type"] or "").lower()
    kinds = _KINDS_OF.get(column, ())
    words = " ".join([transaction, *((row.get(key) or "").lower() for key in kinds)])
    if "reserve" in words:
        return "reserve"
    if column in _FEES or "fee" in words or "commission" in words:
        return "fee"
    if "chargeback" in transaction or "a-to-z" in transaction:
        return "chargeback" if amount <= 0 else "chargeback_reversal"
    if transaction == "refund":
        return "refund"
    return "payment" if transaction == "order" else "adjustment"


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES)
