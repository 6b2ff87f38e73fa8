"""A bank's table, read by a column mapping, as entries and statements: one for each account and currency it has.

Does not belong here: reading tables by mappings (tabular), ids and days (bank_rows).
"""

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from zentra_pipeline.sources import table_values, tabular
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.column_mapping import ColumnMapping, Instant, Source
from zentra_pipeline.sources.statement import Entry, Head, Statement
from zentra_pipeline.sources.table_totals import Totals


@dataclass
class _Sum:
    """What an account's rows of one currency come to, and the balances after the first and the last of them."""

    head: Head
    currency: str
    entries: int = 0
    minor: int = 0
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None


def parts(
    path: Path, name: str, reading: BankReading, mapping: ColumnMapping, notes: MutableMapping[str, int] | None
) -> Iterator[Entry | Statement]:
    """Entries in the order of the table and, after them, the statements. Errors as tabular.read_settlement's."""
    totals = Totals()
    heads: dict[str | None, Head] = {}
    sums: dict[tuple[str | None, str], _Sum] = {}
    for header, data, lines in tabular.read_table(path, name, mapping, notes, totals):
        for row in _rows(header, data, lines, mapping).iter_rows(named=True):
            account = row["account"]
            if account not in heads:
                heads[account] = Head(account=account, statement_id=PurePath(name).stem)
            entry = _entry(heads[account], row, mapping)
            yield entry
            if entry.currency is not None and entry.is_booked:
                found = sums.setdefault((account, entry.currency), _Sum(heads[account], entry.currency))
                found.entries += 1
                found.minor += entry.minor or 0
                if row["balance"] is not None and entry.minor is not None:
                    found.first = found.first or (entry.minor, row["balance"])
                    found.last = (entry.minor, row["balance"])
    is_newest_first = mapping.running_balance is not None and mapping.running_balance.order == "newest_first"
    for each in sums.values():
        yield _statement(each, totals if len(heads) == 1 else Totals(), is_newest_first=is_newest_first)


def _rows(header: Sequence[str], data: pl.DataFrame, lines: pl.DataFrame, mapping: ColumnMapping) -> pl.DataFrame:
    """The lines with what a bank's table says beside a settlement's."""

    def cells(source: Source | None) -> pl.Series:
        if source is None:
            return pl.Series([None], dtype=pl.String).new_from_index(0, data.height)
        if not source.columns:
            return pl.Series([source.constant], dtype=pl.String).new_from_index(0, data.height)
        names = [tabular.name_of(header, column) for column in source.columns]
        return data.select(pl.concat_str(names, separator=" ", ignore_nulls=True)).to_series()

    balance = pl.Series([None], dtype=pl.Int64).new_from_index(0, data.height)
    if mapping.running_balance is not None:
        column = data[tabular.name_of(header, mapping.running_balance.column)]
        minor = table_values.minor_units(pl.col("balance"), mapping, pl.col("currency"))
        balance = lines.select("currency", column.alias("balance")).select(minor).to_series()
    is_pending = pl.Series([False]).new_from_index(0, data.height)
    if mapping.pending is not None:
        is_pending = data.select(tabular.matches(header, mapping.pending)).to_series()
    value_on = cells(None)
    if mapping.value_on is not None:
        is_typed = mapping.form in ("excel", "parquet")
        text = cells(Source(columns=mapping.value_on.column))
        days = table_values.instants(pl.col("text"), mapping.value_on, is_typed=is_typed)
        value_on = text.alias("text").to_frame().select(pl.coalesce(days, pl.col("text"))).to_series()
    return lines.with_columns(
        cells(mapping.account).alias("account"),
        cells(mapping.text).alias("text"),
        value_on.alias("value_on"),
        balance.alias("balance"),
        is_pending.alias("is_pending"),
    )


def _entry(head: Head, row: dict[str, Any], mapping: ColumnMapping) -> Entry:
    paid = row["presentment_minor"]
    instructed = (int(paid), str(row["presentment_currency"])) if paid is not None and _is_integer(paid) else None
    return Entry(
        head,
        row["net"],
        row["currency"],
        _on_its_clock(row["settled_at"], mapping.settled_at),
        row["value_on"] if mapping.value_on is None else _on_its_clock(row["value_on"], mapping.value_on),
        is_booked=not row["is_pending"],
        key=row["line_id"],
        bank_reference=row["provider_reference"] or row["line_id"],
        end_to_end_id=row["merchant_reference"],
        text=row["text"],
        instructed=instructed,
        charges_minor=row["fee"] if mapping.amounts.fee is not None and row["fee"] else None,
        refusal=row["refusal"],
        source_row=row["source_row"],
    )


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()


def _on_its_clock(instant: str | None, column: Instant) -> str | None:
    """An instant as the zone of its column shows it, so that its day is the one in the table; other text as it is."""
    if instant is None:
        return None
    try:
        return datetime.fromisoformat(instant).astimezone(ZoneInfo(column.timezone)).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return instant


def _statement(found: _Sum, totals: Totals, *, is_newest_first: bool) -> Statement:
    """An account's statement: balances as control rows state them, else as the running balance shows them."""
    balances = totals.balances.get(found.currency, {})
    opening, closing = balances.get("opening_balance"), balances.get("closing_balance")
    if found.first is not None and found.last is not None:
        oldest, newest = (found.last, found.first) if is_newest_first else (found.first, found.last)
        opening = oldest[1] - oldest[0] if opening is None else opening
        closing = newest[1] if closing is None else closing
    return Statement(
        id=found.head.statement_id,
        account=found.head.account,
        entries=found.entries,
        currency=found.currency,
        signed_sum_minor=found.minor,
        opening_minor=opening,
        closing_minor=closing,
        head=found.head,
    )
