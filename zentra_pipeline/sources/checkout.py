"""Checkout.com's settlement breakdown and payouts reports as settlement lines.

The transfer is in the payouts report, its rows are in the breakdown; both carry the Payout ID, and a run compares them
(control_total_mismatch). Does not belong here: the grammar of the file (csv_grammar).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from zentra_pipeline import vocabulary
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import json_pages, report_rows
from zentra_pipeline.sources.bank_statements import Line, LineIds, Part
from zentra_pipeline.sources.header_refusals import Expected
from zentra_pipeline.sources.parts_reader import PartsReader, without_notes
from zentra_pipeline.sources.report_rows import Row
from zentra_pipeline.sources.statement import Statement

_SAID: Final = 400
_GROSS: Final = "Gross In Holding Currency"
_DEDUCTION: Final = "Deduction In Holding Currency"
_NET: Final = "Net In Holding Currency"
_BREAKDOWN: Final = Expected(
    "a Checkout.com settlement breakdown or payouts report",
    ("Type", "Payment ID", "Reference", "Processed On", "Holding Currency", "Payout ID", _GROSS, _DEDUCTION, _NET),
    "download the settlement breakdown, or the payouts report",
)
_PAYOUTS: Final = Expected(
    "a Checkout.com payouts report",
    ("Payout ID", "Payout Date", "Payout Amount", "Holding Currency"),
    "download the payouts report again",
)
_TIMES: Final = ("Available On UTC", "Available On", "Processed On UTC", "Processed On")
_PRECISE: Final = re.compile(r"-?[0-9]{1,13}\.[0-9]{1,12}", re.ASCII)
_LINE_TYPES: Final = {
    "charge": "payment",
    "capture": "payment",
    "refund": "refund",
    "chargeback": "chargeback",
    "chargeback reversal": "chargeback_reversal",
    "representment": "chargeback_reversal",
}
COLUMN_NAMES: Final = {
    "line_id": "Payment ID, Type and Processed On",
    "line_type": "Type",
    "provider_reference": "Payment ID or Payout ID",
    "merchant_reference": "Reference",
    "gross_minor": _GROSS,
    "fee_minor": _DEDUCTION,
    "net_minor": _NET,
    "currency": "Holding Currency",
    "settled_at": "Available On UTC, Available On or Payout Date",
    "batch_id": "Payout ID",
    "presentment_minor": "Gross In Processing Currency",
    "presentment_currency": "Processing Currency",
}
"""Settlement field → the column it is read from."""


@dataclass
class _Sum:
    """What the rows of a payout in one currency come to: exactly, in minor units, and with each row in whole ones."""

    entries: int = 0
    exact: Decimal = Decimal(0)
    rounded: int = 0
    last_at: str | None = None


def parts(path: Path, name: str) -> Iterator[Part]:
    """Lines in the order of the file, then the rounding and the statement of each payout and currency.

    Only both reports together tie. Rows may have fractions of a minor unit: each is the nearest whole one, and what
    that makes of their sum is a line of its own.
    """
    is_payouts = "Payout Amount" in report_rows.header_of(path, name, _BREAKDOWN)
    ids = LineIds()
    sums: dict[tuple[str | None, str], _Sum] = {}
    for number, row in report_rows.rows(path, name, _PAYOUTS if is_payouts else _BREAKDOWN):
        try:
            currency = _currency(row)
            line, net = _payout(row, currency) if is_payouts else _line(row, currency, ids)
        except ValueError as cause:
            raise InputRejectedError(
                f"{name}: data row {number:,}: {str(cause)[:_SAID]}; download the report again"
            ) from cause
        known = sums.setdefault((row["Payout ID"], currency), _Sum())
        known.entries += 1
        known.exact += net
        known.rounded += int(line["net_minor"] or 0)
        known.last_at = max(filter(None, (known.last_at, line["settled_at"])), default=None)
        yield line
    for (payout, currency), known in sums.items():
        total = json_pages.nearest(known.exact)
        if total != known.rounded and not is_payouts:
            yield _rounding(payout, currency, total - known.rounded, known.last_at)
        yield Statement(payout, None, known.entries, currency, total)


def _rounding(payout: str | None, currency: str, amount: int, at: str | None) -> Line:
    return {
        "line_id": f"{payout or ''}:rounding:{currency}",
        "line_type": "adjustment",
        "gross_minor": str(amount),
        "fee_minor": "0",
        "net_minor": str(amount),
        "currency": currency,
        "settled_at": at,
        "batch_id": payout,
    }


def _exact(row: Row, column: str, currency: str) -> Decimal:
    """A cell in minor units, fractions kept; blank is 0. ValueError naming the column."""
    text = (row.get(column) or "").strip()
    if not _PRECISE.fullmatch(text):
        return Decimal(report_rows.minor_units(row, column, currency))
    return Decimal(text).scaleb(vocabulary.exponent(currency))


def _currency(row: Row) -> str:
    currency = (row["Holding Currency"] or "").upper()
    if currency not in vocabulary.currencies():
        raise ValueError(f"Holding Currency: {currency[:8]!r} is not an ISO 4217 currency")
    return currency


def _payout(row: Row, currency: str) -> tuple[Line, Decimal]:
    exact = _exact(row, "Payout Amount", currency)
    amount = json_pages.nearest(exact)
    return {
        "line_id": f"{row['Payout ID'] or ''}:payout:{currency}",
        "line_type": "payout",
        "provider_reference": row["Payout ID"],
        "gross_minor": str(-amount),
        "fee_minor": "0",
        "net_minor": str(-amount),
        "currency": currency,
        "settled_at": report_rows.instant(row["Payout Date"]),
        "batch_id": row["Payout ID"],
    }, -exact


def _line(row: Row, currency: str, ids: LineIds) -> tuple[Line, Decimal]:
    """A row of the breakdown; one without a gross amount is a fee of its net."""
    written = [row[column] or "0" for column in (_GROSS, _DEDUCTION, _NET)]
    if all(any(mark in text for text in written) for mark in ".,"):
        raise ValueError(f"amounts use '.' and ',' ({' and '.join(written)}): leave the report as it comes")
    gross, deduction, net = (_exact(row, column, currency) for column in (_GROSS, _DEDUCTION, _NET))
    if gross + deduction != net:
        stated = ", ".join(written)
        raise ValueError(f"{_GROSS}, {_DEDUCTION} and {_NET} are {stated}: the first two do not come to the third")
    kind = (row["Type"] or "").strip()
    is_fee = gross == 0
    whole_gross, whole_net = json_pages.nearest(gross), json_pages.nearest(net)
    base = ":".join((row["Payment ID"] or row["Payout ID"] or "", kind, row["Processed On"] or ""))
    line: dict[str, str | None] = {
        "line_id": ids.of(base, ",".join(value or "" for value in row.values())),
        "line_type": "fee" if is_fee else _LINE_TYPES.get(kind.lower(), "adjustment"),
        "provider_reference": row["Payment ID"],
        "merchant_reference": row["Reference"],
        "gross_minor": str(whole_net if is_fee else whole_gross),
        "fee_minor": str(0 if is_fee else whole_gross - whole_net),
        "net_minor": str(whole_net),
        "currency": currency,
        "settled_at": report_rows.instant(next((row[column] for column in _TIMES if row.get(column)), None)),
        "batch_id": row["Payout ID"],
    }
    paid_in = (row.get("Processing Currency") or "").upper()
    if not is_fee and paid_in and paid_in != currency:
        line["presentment_minor"] = str(report_rows.minor_units(row, "Gross In Processing Currency", paid_in))
        line["presentment_currency"] = paid_in
    return line, net


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES)
