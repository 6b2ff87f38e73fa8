"""PayPal's settlement (STL) and transaction detail (TRR) reports as canonical frames.

Amounts are unsigned hundredths of every currency, JPY too, with their direction in columns of their own; each section
states its totals per currency, which its rows come to or the report is refused whole. Does not belong here: records
(paypal_records), webhooks (paypal_events), typing and quarantine.
Sources: developer.paypal.com/docs/reports/sftp-reports/settlement-report, …/transaction-detail, …/tcodes.
"""

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.contracts import settlement_lines
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.sources import paypal_events
from zentra_pipeline.sources.paypal_records import REQUIRED, BodyRow, Section, body_rows
from zentra_pipeline.sources.statement import Statement
from zentra_pipeline.sources.total_refusals import refuse_wrong_totals

FORMAT = "paypal"
COLUMN_NAMES = {
    "line_id": "Transaction ID",
    "line_type": "Transaction Event Code",
    "provider_reference": "Transaction ID",
    "merchant_reference": "Invoice ID",
    "original_reference": "PayPal Reference ID",
    "status": "Transactional Status",
    "gross_minor": "Gross Transaction Amount",
    "fee_minor": "Fee Amount",
    "net_minor": "Gross Transaction Amount less Fee Amount",
    "currency": "Gross Transaction Currency",
    "settled_at": "Transaction Completion Date",
}
"""Settlement field → the report's column it is read from."""

Line = dict[str, str | int | None]

_USED = (*REQUIRED, "Invoice ID", "PayPal Reference ID", "PayPal Reference ID Type", "Fee Currency", "Custom Field")
_UNUSED = (
    "Transaction Initiation Date,Transactional Status,Consumer ID,Payment Tracking ID,Store ID,Bank Reference ID,"
    "Credit Transactional Fee,Credit Promotional Fee,Credit Term,Insurance Amount,Sales Tax Amount,Shipping Amount,"
    "Transaction Subject,Transaction Note,Payer's Account ID,Payer Address Status,Item Name,Item ID,Option 1 Name,"
    "Option 1 Value,Option 2 Name,Option 2 Value,Auction Site,Auction Buyer ID,Auction Closing Date,"
    "Shipping Address Line1,Shipping Address Line2,Shipping Address City,Shipping Address State,Shipping Address Zip,"
    "Shipping Address Country,Shipping Method,Billing Address Line1,Billing Address Line2,Billing Address City,"
    "Billing Address State,Billing Address Zip,Billing Address Country,First Name,Last Name,Consumer Business Name,"
    "Card Type,Payment Source,Shipping Name,Authorization Review Status,Protection Eligibility"
)
_DOCUMENTED = frozenset((*_USED, *_UNUSED.split(",")))
_TOTALS = ("gross credits", "gross debits", "fee debits", "fee credits")
_STATUSES = {"S": None, "V": None, "F": None, "D": "failed"}
"""Transactional Status of TRR: success, reversed, partly refunded (their reversals are rows of their own), denied."""
_WITH_ORIGINAL = ("refund", "chargeback", "chargeback_reversal")
_CONVERSION = "T02"
_HUNDREDTHS = re.compile(r"[0-9]{1,15}", re.ASCII)
_FRAME_ROWS = 8_192
_INSTANT = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9:]{8}) ([+-][0-9]{2})([0-9]{2})", re.ASCII)
_SHOWN = 60


class PaypalReader:
    """Reads STL and TRR reports and webhook events; see registry.ControlledReader."""

    def read(
        self,
        path: Path,
        contract: Contract,
        *,
        name: str,
        secrets: Sequence[str],
        notes: MutableMapping[str, int] | None,
    ) -> Iterator[pl.DataFrame]:
        """Frames of a report, or of events."""
        if contract.kind == "settlement":
            return read_settlement(path, name)
        return paypal_events.read_callbacks(path, secrets, name, notes)

    def column_names(self, kind: str) -> Mapping[str, str]:
        """Those of a report; what an event is read from depends on its type."""
        return COLUMN_NAMES if kind == "settlement" else {}

    def statements(self, path: Path, name: str) -> Sequence[Statement]:
        """Those of a report."""
        return statements(path, name)


def read_settlement(path: Path, name: str | None = None) -> Iterator[pl.DataFrame]:
    """Settlement lines of a report; messages call the file `name`.

    InputRejectedError with the figures when a section's footer is not what its rows come to: the file is read twice.
    """
    name = name or path.name
    refuse_wrong_totals(statements(path, name), name)
    lines: list[Line] = []
    conversion: str | None = None
    for row in body_rows(path, name):
        converted = _conversion_of(row)
        if len(lines) >= _FRAME_ROWS and (converted is None or converted != conversion):
            yield _frame(lines)  # never between the two rows of a conversion
            lines = []
        conversion = converted
        lines.append(_line(row))
    yield _frame(lines)


def statements(path: Path, name: str | None = None) -> tuple[Statement, ...]:
    """A statement per section and currency, in order of appearance; it ties when its footer (SF) is what its rows say.

    Records outside the footers (provider_record_types.in_control_total) count as entries and in the sum.
    """
    sections: list[Section] = []
    by_section: list[dict[str, _Totals]] = []
    for row in body_rows(path, name or path.name, sections):
        by_section += [{} for _ in range(len(sections) - len(by_section))]
        currency = row.values.get("Gross Transaction Currency", "")
        by_section[-1].setdefault(currency, _Totals()).add(row)
    by_section += [{} for _ in range(len(sections) - len(by_section))]
    return tuple(
        _statement(section, currency, totals.get(currency, _Totals()))
        for section, totals in zip(sections, by_section, strict=True)
        for currency in dict.fromkeys((*totals, *section.footers))
    )


@dataclass
class _Totals:
    """What rows of a section in one currency come to, in hundredths; `controlled` as the footer counts it."""

    entries: int = 0
    net: int = 0
    controlled: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    unread: str | None = None

    def add(self, row: BodyRow) -> None:
        self.entries += 1
        try:
            gross, fee = _amounts(row.values)
        except ValueError as cause:
            self.unread = self.unread or f"row {row.number:,}: {cause}"
            return
        self.net += gross - fee
        record = _record_type(row.values.get("Transaction Event Code", ""))
        if record is None or record.in_control_total:
            for place, amount in enumerate((max(gross, 0), max(-gross, 0), max(fee, 0), max(-fee, 0))):
                self.controlled[place] += amount


def _statement(section: Section, currency: str, totals: _Totals) -> Statement:
    refused = _why_refused(section, currency, totals)
    has_footer = bool(section.footers)
    minor = None if totals.unread else _iso_minor_or_none(totals.net, currency)
    return Statement(
        id=section.day,
        account=section.account,
        entries=totals.entries,
        currency=currency or None,
        signed_sum_minor=minor,
        ties=refused is None if has_footer else None,
        refused=refused,
    )


def _why_refused(section: Section, currency: str, totals: _Totals) -> str | None:
    """Why a section's rows in a currency are not what its footer states, in the file's own figures."""
    if not section.footers:
        return None
    said = section.footers.get(currency)
    if said is None:
        named = currency[:_SHOWN] or "a blank currency"
        return f"no SF record of {named}, in which {totals.entries:,} rows are: rows or footers are missing"
    if len(said) != len(_TOTALS) or not all(_HUNDREDTHS.fullmatch(text) for text in said):
        return f"SF {currency[:_SHOWN]}: {', '.join(said)[:_SHOWN]!r} are not four totals; download the report again"
    stated, counted = [int(text) for text in said], totals.controlled
    # PayPal's definition and its files name the two fee totals in different orders: either is taken.
    if counted in (stated, [*stated[:2], stated[3], stated[2]]):
        return None
    named = "; ".join(
        f"{what} are {footer:,} in the footer, {rows:,} in the rows"
        for what, footer, rows in zip(_TOTALS, stated, counted, strict=True)
        if footer != rows
    )
    unread = "" if totals.unread is None else f" ({totals.unread}, and so it counts for nothing)"
    return (
        f"SF {currency[:_SHOWN]}: {named}, in hundredths{unread}: rows are missing or wrong; download the report again"
    )


def _line(row: BodyRow) -> Line:
    """The canonical line of a row, or why it is none."""
    line: Line = {"row_number": row.number, "raw": _drift(row.values)}
    try:
        if row.refusal is not None:
            return _refused_line(row, row.refusal)
        return line | _believed(row.values)
    except ValueError as cause:
        return _refused_line(row, str(cause))


def _refused_line(row: BodyRow, why: str) -> Line:
    text = json.dumps(dict(row.values), ensure_ascii=False)
    return {"row_number": row.number, "raw": None, "refusal": why, "source_row": text}


def _believed(values: Mapping[str, str]) -> Line:
    """A row's values; ValueError with the column that cannot be read."""
    transaction, code = values.get("Transaction ID"), values.get("Transaction Event Code", "")
    record = _record_type(code)
    if transaction is None:
        raise ValueError("Transaction ID: blank")
    if record is None:
        raise ValueError(f"Transaction Event Code: {code[:_SHOWN]!r} is not known as a movement of money")
    status = values.get("Transactional Status", "S")
    if status not in _STATUSES:
        raise ValueError(f"Transactional Status: {status[:_SHOWN]!r} is not settled (S, V, F) or denied (D)")
    currency = values.get("Gross Transaction Currency", "")
    gross, fee = _amounts(values)
    is_conversion = code.startswith(_CONVERSION)
    return {
        # Both rows of a conversion may have one Transaction ID.
        "line_id": f"{transaction}:{currency}" if is_conversion else transaction,
        "line_type": record.line_type,
        "provider_reference": transaction,
        "merchant_reference": _first(values, *_merchant_columns(record.line_type)),
        "original_reference": _original(values) if record.line_type in _WITH_ORIGINAL else None,
        "status": record.status or _STATUSES[status],
        "gross_minor": str(_iso_minor("Gross Transaction Amount", gross, currency)),
        "fee_minor": str(_iso_minor("Fee Amount", fee, currency)),
        "net_minor": str(_iso_minor("Gross Transaction Amount", gross - fee, currency)),
        "currency": currency,
        "settled_at": _settled_at(values),
        "trace_id": values.get("Bank Reference ID") if record.line_type == "payout" else None,
        "conversion": values.get("PayPal Reference ID") if is_conversion else None,
    }


def _amounts(values: Mapping[str, str]) -> tuple[int, int]:
    """Gross and fee of a row in hundredths: money in and a fee charged are positive."""
    gross = _hundredths(values, "Gross Transaction Amount", "Transaction Debit or Credit")
    fee = -_hundredths(values, "Fee Amount", "Fee Debit or Credit") if "Fee Amount" in values else 0
    currency, fee_currency = values.get("Gross Transaction Currency"), values.get("Fee Currency")
    if fee and fee_currency is not None and fee_currency != currency:
        raise ValueError(f"Fee Currency: {fee_currency[:_SHOWN]!r} is not the currency of the gross amount")
    return gross, fee


def _hundredths(values: Mapping[str, str], column: str, direction: str) -> int:
    text, side = values.get(column, ""), values.get(direction, "")
    if not _HUNDREDTHS.fullmatch(text):
        raise ValueError(f"{column}: {text[:_SHOWN]!r} is not a whole number of hundredths")
    if side not in ("CR", "DR") and int(text):
        raise ValueError(f"{direction}: {side[:_SHOWN]!r} is neither CR nor DR")
    return -int(text) if side == "DR" else int(text)


def _iso_minor(column: str, hundredths: int, currency: str) -> int:
    try:
        written = vocabulary.provider_exponent(FORMAT, "report", currency, date.max)
    except ZentraError as cause:
        raise ValueError(f"Gross Transaction Currency: {currency[:_SHOWN]!r} is not an ISO 4217 currency") from cause
    try:
        return money.rescaled(hundredths, written, vocabulary.exponent(currency))
    except ValueError as cause:
        raise ValueError(f"{column}: {cause} decimals of {currency}") from cause


def _iso_minor_or_none(hundredths: int, currency: str) -> int | None:
    try:
        return _iso_minor("", hundredths, currency)
    except ValueError:
        return None


def _settled_at(values: Mapping[str, str]) -> str:
    """When a transaction completed, else began, in UTC."""
    text = _first(values, "Transaction Completion Date", "Transaction Initiation Date") or ""
    usual = _INSTANT.fullmatch(text)
    try:
        if usual:
            year, month, day, clock, hours, minutes = usual.groups()
            at = datetime.fromisoformat(f"{year}-{month}-{day}T{clock}{hours}:{minutes}")
        else:
            at = datetime.strptime(text, "%Y/%m/%d %H:%M:%S %z")
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError) as cause:
        raise ValueError(
            f"Transaction Completion Date: {text[:_SHOWN]!r} is not an instant such as 2026/01/06 03:12:28 -0800"
        ) from cause


def _merchant_columns(line_type: str) -> tuple[str, ...]:
    return ("Bank Reference ID",) if line_type == "payout" else ("Invoice ID", "Custom Field")


def _original(values: Mapping[str, str]) -> str | None:
    """The transaction that a refund or dispute refers to."""
    kind = values.get("PayPal Reference ID Type", "TXN")
    return values.get("PayPal Reference ID") if kind == "TXN" else None


def _first(values: Mapping[str, str], *columns: str) -> str | None:
    return next((values[column] for column in columns if column in values), None)


@lru_cache(maxsize=256)
def _record_type(code: str) -> vocabulary.RecordType | None:
    known = vocabulary.record_types(FORMAT)
    return known.get(code) or (known.get(f"{code[:3]}*") if re.fullmatch(r"T[0-9]{4}", code, re.ASCII) else None)


def _conversion_of(row: BodyRow) -> str | None:
    is_conversion = row.values.get("Transaction Event Code", "").startswith(_CONVERSION)
    return row.values.get("PayPal Reference ID") if is_conversion else None


def _drift(values: Mapping[str, str]) -> str | None:
    unknown = {column: value for column, value in values.items() if column not in _DOCUMENTED}
    return json.dumps(unknown, ensure_ascii=False) if unknown else None


def _frame(lines: Sequence[Line]) -> pl.DataFrame:
    _present_conversions(lines)
    schema: dict[str, pl.DataType] = {column: pl.String() for column in settlement_lines.CONTRACT.columns}
    schema |= {"raw": pl.String(), "row_number": pl.Int64(), "refusal": pl.String(), "source_row": pl.String()}
    return pl.DataFrame([{column: line.get(column) for column in schema} for line in lines], schema=schema)


def _present_conversions(lines: Sequence[Line]) -> None:
    """Give each credit of a conversion the amount it was converted from: PayPal's own rate, and no other."""
    pairs: dict[str, list[Line]] = {}
    for line in lines:
        if line.get("conversion"):
            pairs.setdefault(str(line["conversion"]), []).append(line)
    for pair in pairs.values():
        debits = [line for line in pair if str(line["gross_minor"]).startswith("-")]
        credits = [line for line in pair if line not in debits]
        if len(debits) == len(credits) == 1 and debits[0]["currency"] != credits[0]["currency"]:
            credits[0]["presentment_minor"] = str(debits[0]["gross_minor"]).removeprefix("-")
            credits[0]["presentment_currency"] = debits[0]["currency"]
