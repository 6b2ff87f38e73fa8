"""Checkout.com's settlement breakdown and payouts reports as settlement lines.

The transfer is in the payouts report, its rows are in the breakdown; both carry the Payout ID, and a run compares them
(control_total_mismatch). Does not belong here: the grammar of the file (csv_grammar).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import report_rows
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
    "settled_at": "Available On or Payout Date",
    "batch_id": "Payout ID",
    "presentment_minor": "Gross In Processing Currency",
    "presentment_currency": "Processing Currency",
}
"""Settlement field → the column it is read from."""


def parts(path: Path, name: str) -> Iterator[Part]:
    """Lines in the order of the file, then a statement per payout and currency, which both reports together tie."""
    is_payouts = "Payout Amount" in report_rows.header_of(path, name, _BREAKDOWN)
    ids = LineIds()
    sums: dict[tuple[str | None, str], tuple[int, int]] = {}
    for number, row in report_rows.rows(path, name, _PAYOUTS if is_payouts else _BREAKDOWN):
        try:
            currency = _currency(row)
            line, net = _payout(row, currency) if is_payouts else _line(row, currency, ids)
        except ValueError as cause:
            raise InputRejectedError(
                f"{name}: data row {number:,}: {str(cause)[:_SAID]}; download the report again"
            ) from cause
        entries, total = sums.get((row["Payout ID"], currency), (0, 0))
        sums[(row["Payout ID"], currency)] = (entries + 1, total + net)
        yield line
    for (payout, currency), (entries, total) in sums.items():
        yield Statement(payout, None, entries, currency, total)


def _currency(row: Row) -> str:
    currency = (row["Holding Currency"] or "").upper()
    if currency not in vocabulary.currencies():
        raise ValueError(f"Holding Currency: {currency[:8]!r} is not an ISO 4217 currency")
    return currency


def _payout(row: Row, currency: str) -> tuple[Line, int]:
    amount = report_rows.minor_units(row, "Payout Amount", currency)
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
    }, -amount


def _line(row: Row, currency: str, ids: LineIds) -> tuple[Line, int]:
    """A row of the breakdown; one without a gross amount is a fee of its net."""
    gross, deduction, net = (report_rows.minor_units(row, column, currency) for column in (_GROSS, _DEDUCTION, _NET))
    if gross + deduction != net:
        stated = ", ".join(money.amount_text(amount, currency) for amount in (gross, deduction, net))
        raise ValueError(f"{_GROSS}, {_DEDUCTION} and {_NET} are {stated}: the first two do not come to the third")
    kind = (row["Type"] or "").strip()
    is_fee = gross == 0
    base = ":".join((row["Payment ID"] or row["Payout ID"] or "", kind, row["Processed On"] or ""))
    line: dict[str, str | None] = {
        "line_id": ids.of(base, ",".join(value or "" for value in row.values())),
        "line_type": "fee" if is_fee else _LINE_TYPES.get(kind.lower(), "adjustment"),
        "provider_reference": row["Payment ID"],
        "merchant_reference": row["Reference"],
        "gross_minor": str(net if is_fee else gross),
        "fee_minor": str(0 if is_fee else -deduction),
        "net_minor": str(net),
        "currency": currency,
        "settled_at": report_rows.instant(row.get("Available On") or row["Processed On"]),
        "batch_id": row["Payout ID"],
    }
    paid_in = (row.get("Processing Currency") or "").upper()
    if not is_fee and paid_in and paid_in != currency:
        line["presentment_minor"] = str(report_rows.minor_units(row, "Gross In Processing Currency", paid_in))
        line["presentment_currency"] = paid_in
    return line, net


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES)
