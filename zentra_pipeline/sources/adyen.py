"""Adyen's Settlement details report as canonical frames (docs.adyen.com/reporting/settlement-detail-report).

Columns may be chosen and ordered freely; net is credit less debit in the currency settled (NC), gross what the shopper
paid (GC). Σ of a batch's rows with its payout is 0 per currency: a report of which that does not hold is refused whole.
Does not belong here: webhooks (adyen_events), typing and quarantine.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.contracts import row_rules, settlement_lines
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.sources import adyen_events, record_refusals
from zentra_pipeline.sources.csv_grammar import csv_frames
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns, refuse_other_headers
from zentra_pipeline.sources.statement import Statement
from zentra_pipeline.sources.total_refusals import refuse_wrong_totals

FORMAT = "adyen"
REQUIRED = (
    "Type",
    "Batch Number",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Creation Date",
    "TimeZone",
    "Psp Reference",
    "Modification Reference",
)
_FEES = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
_ALL_FEES = "Payment Fees (NC)"
_NET = ("Net Debit (NC)", "Net Credit (NC)")
_GROSS = ("Gross Debit (GC)", "Gross Credit (GC)")
_EXPECTED = Expected(
    "an Adyen Settlement details report", REQUIRED, f"request the report with {', '.join(REQUIRED)} among its columns"
)
_UNUSED = (
    "Company Account,Merchant Account,Merchant Reference,Payment Method,Gross Currency,Exchange Rate,"
    "Payment Method Variant,Modification Merchant Reference,Booking Date,Booking Date TimeZone,Metadata,"
    "Balance Currency,Net Debit (BC),Net Credit (BC),DCC Markup (NC),Funds Destination,Balance Platform Debit,"
    "Balance Platform Credit,Shopper Country,Clearing Network,Merchant Order Reference,Dispute Reference,ARN,"
    "Settlement Flow,Authorisation Code,Gross Fees (NC),Global Card Brand,Shopper Reference,Issuer Country,"
    "Terminal Id,Store,Tender Reference,Advancement Code,Advancement Batch,Booking Type,Submerchant Identifier,"
    "Acquirer,Acquirer Reference,Installments,Point Of Sale,Unique Terminal Id,User Name,Payable Batch,Payout Date"
)
_RESERVED = tuple(f"Reserved{number}" for number in range(1, 11))
_DOCUMENTED = frozenset((*REQUIRED, *_FEES, _ALL_FEES, *_GROSS, *_UNUSED.split(","), *_RESERVED, "row_number"))
COLUMN_NAMES = {
    "line_id": "Psp Reference and Modification Reference",
    "line_type": "Type",
    "provider_reference": "Psp Reference or Modification Reference",
    "merchant_reference": "Merchant Reference",
    "original_reference": "Psp Reference",
    "gross_minor": "Gross Credit (GC) less Gross Debit (GC)",
    "fee_minor": "the fees (NC)",
    "net_minor": "Net Credit (NC) less Net Debit (NC)",
    "currency": "Net Currency",
    "settled_at": "Booking Date or Creation Date",
    "batch_id": "Batch Number",
    "trace_id": "Modification Reference of a payout",
    "statement_text": "Modification Reference of a payout",
    "presentment_minor": "Gross Credit (GC) less Gross Debit (GC)",
    "presentment_currency": "Gross Currency",
}
"""Settlement field → the report's column it is read from."""
_TRACE = r"\A(TX[A-Z0-9]+)(?: |\z)"
_SHOWN = 60
_LOCAL = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}\z"


class AdyenReader:
    """Reads Settlement details reports and notifications; see registry.ControlledReader."""

    def read(
        self,
        path: Path,
        contract: Contract,
        *,
        name: str,
        secrets: Sequence[str],
        notes: MutableMapping[str, int] | None,
    ) -> Iterator[pl.DataFrame]:
        """Frames of a report, or of notifications."""
        if contract.kind == "settlement":
            return read_settlement(path, name)
        return adyen_events.read_callbacks(path, secrets, name, notes)

    def column_names(self, kind: str) -> Mapping[str, str]:
        """Those of a report; what a notification is read from depends on its event code."""
        return COLUMN_NAMES if kind == "settlement" else {}

    def statements(self, path: Path, name: str) -> Sequence[Statement]:
        """Those of a report."""
        return statements(path, name)


def read_settlement(path: Path, name: str | None = None) -> Iterator[pl.DataFrame]:
    """Settlement lines of a report; messages call the file `name`.

    InputRejectedError with the figures when a batch does not add up to 0: the file is read twice, to know it first.
    """
    name = name or path.name
    seen: list[pl.DataFrame] = []
    refuse_wrong_totals(_statements(path, name, seen), name)
    repeats = _Repeats(_of_several(seen))
    for frame in csv_frames(path, name):
        yield _settlement_lines(frame, repeats)


def statements(path: Path, name: str | None = None) -> tuple[Statement, ...]:
    """A statement per batch and net currency, in order of appearance: every row of it with its payout adds up to 0."""
    return _statements(path, name or path.name, [])


def _statements(path: Path, name: str, seen: list[pl.DataFrame]) -> tuple[Statement, ...]:
    """The same; `seen` is given the digest of the id that each row has by Adyen's references, and what is a payout."""
    start = start_of(path)
    refuse_other_forms(start, name)
    refuse_other_headers(start, name, _EXPECTED)
    batches: dict[_Key, _Batch] = {}
    for frame in csv_frames(path, name):
        check_columns([column for column in frame.columns if column != "row_number"], name, _EXPECTED)
        _add_up(frame, batches)
        is_payout = (
            _kind(frame).replace_strict(_line_types(), default=None, return_dtype=pl.String).eq_missing("payout")
        )
        ids = _named(frame).select(pl.col("line_id").hash()).hstack(frame.select(is_payout=is_payout))
        seen.append(ids.drop_nulls("line_id"))
    return tuple(_statement(key, batch) for key, batch in batches.items())


@dataclass
class _Repeats:
    """The ids of a file that several rows have: `several` by digest, `counts` how many rows have had each so far."""

    several: pl.Series
    counts: Counter[str] = field(default_factory=Counter)


def _of_several(seen: list[pl.DataFrame]) -> pl.Series:
    """Which of the digests occur more than once; none where a payout does, for then the file has a batch twice."""
    found = pl.concat(seen)
    several = found.filter(pl.col("line_id").is_duplicated())
    return several["line_id"].unique() if not several["is_payout"].any() else several["line_id"].clear()


class _Key(NamedTuple):
    batch: str | None
    currency: str | None


@dataclass
class _Batch:
    """What is added up of a batch in one currency, in minor units; `unread`: the first row without a readable net."""

    entries: int = 0
    net: int = 0
    payouts: int = 0
    paid: int = 0
    accounts: dict[str, None] = field(default_factory=dict)
    unread: str | None = None


def _add_up(frame: pl.DataFrame, batches: dict[_Key, _Batch]) -> None:
    data = _of_data(frame)
    rows = data.select(
        "Batch Number",
        "Net Currency",
        "row_number",
        account=_column(data, "Merchant Account"),
        net=_signed(data, *_NET, "Net Currency").cast(pl.Int128),
        is_payout=_kind(data).replace_strict(_line_types(), default=None, return_dtype=pl.String) == "payout",
    )
    found = rows.group_by("Batch Number", "Net Currency", maintain_order=True).agg(
        entries=pl.len(),
        net=pl.col("net").sum(),
        payouts=pl.col("is_payout").sum(),
        paid=pl.col("net").filter("is_payout").sum(),
        accounts=pl.col("account").drop_nulls().unique(maintain_order=True),
        unread=pl.col("row_number").filter(pl.col("net").is_null()).first(),
    )
    for batch, currency, entries, net_minor, payouts, paid, accounts, unread in found.iter_rows():
        known = batches.setdefault(_Key(batch, currency), _Batch())
        known.entries += entries
        known.net += net_minor
        known.payouts += payouts
        known.paid += paid
        known.accounts |= dict.fromkeys(accounts)
        if known.unread is None and unread is not None:
            known.unread = _net_as_written(data.filter(pl.col("row_number") == unread))


def _net_as_written(row: pl.DataFrame) -> str:
    """The columns of a row that its net is read from, for a message."""
    columns = (*_NET, "Net Currency")
    values = row.select(_shown(row, column).fill_null("").alias(column) for column in columns).row(0)
    return f"row {row['row_number'][0]}: " + ", ".join(
        f"{column} '{value}'" for column, value in zip(columns, values, strict=True)
    )


def _statement(key: _Key, batch: _Batch) -> Statement:
    named = f"batch {key.batch}" if key.batch is not None else "rows without a Batch Number"
    refused = None
    if batch.unread is not None:
        refused = f"{named} cannot be added up: {batch.unread} is no amount of a known currency; request it again"
    elif batch.net:
        assert key.currency is not None
        rows = money.amount_text(batch.net - batch.paid, key.currency)
        payout = f"its payout to {money.amount_text(batch.paid, key.currency)}" if batch.payouts else "it has no payout"
        refused = (
            f"{named}: its rows come to {rows} (Net Credit (NC) less Net Debit (NC)) and {payout}, together "
            f"{money.amount_text(batch.net, key.currency)} where a whole batch comes to 0: rows are missing or wrong; "
            "request the report of the whole batch again"
        )
    return Statement(
        id=key.batch,
        account=", ".join(batch.accounts) or None,
        entries=batch.entries,
        currency=key.currency,
        signed_sum_minor=None if batch.unread is not None else batch.net,
        ties=refused is None,
        refused=refused,
    )


def _settlement_lines(frame: pl.DataFrame, repeats: _Repeats) -> pl.DataFrame:
    """Canonical columns of one frame of report rows."""
    kind, psp, modification = _kind(frame), pl.col("Psp Reference"), pl.col("Modification Reference")
    line_type = kind.replace_strict(_line_types(), default=None, return_dtype=pl.String)
    own = pl.when(line_type == "payment").then(pl.coalesce(psp, modification)).otherwise(pl.coalesce(modification, psp))
    lines = frame.select(
        _line_id(frame, repeats),
        line_type.alias("line_type"),
        own.alias("provider_reference"),
        _column(frame, "Merchant Reference").alias("merchant_reference"),
        pl.when((line_type != "payment") & (own != psp)).then(psp).alias("original_reference"),
        kind.replace_strict(_statuses(), default=None, return_dtype=pl.String).alias("status"),
        pl.col("Net Currency").alias("currency"),
        _settled_at(frame).alias("settled_at"),
        pl.col("Batch Number").alias("batch_id"),
        pl.when(line_type == "payout").then(modification.str.extract(_TRACE, 1)).alias("trace_id"),
        pl.when(line_type == "payout").then(modification).alias("statement_text"),
        _undocumented(frame).alias("raw"),
        pl.col("row_number"),
    )
    lines = lines.hstack(_amounts(frame)).select(*settlement_lines.CONTRACT.columns, "raw", "row_number")
    return lines.with_columns(_refusals(frame, lines))


def _amounts(frame: pl.DataFrame) -> pl.DataFrame:
    """The amounts of a frame's lines, and what the shopper paid in another currency; each column is read once."""
    is_same = _column(frame, "Gross Currency") == pl.col("Net Currency")
    is_given = pl.any_horizontal(_column(frame, column).is_not_null() for column in _GROSS)
    read = frame.select(
        net=_signed(frame, *_NET, "Net Currency"),
        fee=_fee(frame),
        gross=_signed(frame, *_GROSS, "Gross Currency"),
        is_own=is_same & is_given,
        other=pl.when(~is_same & is_given).then(_column(frame, "Gross Currency")),
    )
    own_gross = pl.when("is_own").then("gross").otherwise(pl.col("net") + pl.col("fee"))
    presented = pl.when(pl.col("other").is_not_null()).then("gross")
    return read.select(
        gross_minor=own_gross.cast(pl.String),
        fee_minor=pl.col("fee").cast(pl.String),
        net_minor=pl.col("net").cast(pl.String),
        presentment_minor=presented.cast(pl.String),
        presentment_currency="other",
    )


def _line_id(frame: pl.DataFrame, repeats: _Repeats) -> pl.Series:
    """Batch, type and the references of Adyen; rows that have them in common are numbered in their order.

    A batch that comes to 0 has each of its rows for good: two that say the same are two movements.
    """
    ids = _named(frame)
    is_shared = ids["line_id"].hash().is_in(repeats.several.implode())
    places = ((~ids["has_psp"] | is_shared) & ids["line_id"].is_not_null()).arg_true()
    numbered = []
    for line_id in ids["line_id"].gather(places):
        repeats.counts[line_id] += 1
        count = repeats.counts[line_id]
        numbered.append(line_id if count == 1 else f"{line_id}#{count}")
    return ids["line_id"].scatter(places, pl.Series(numbered, dtype=pl.String)) if numbered else ids["line_id"]


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """`line_id` of each row by what Adyen says of it, its currency as well where it is of no payment (`has_psp`)."""
    parts = (
        pl.col("Batch Number"),
        _kind(frame),
        pl.coalesce(pl.col("Psp Reference"), _column(frame, "Merchant Account")),
        pl.coalesce(pl.col("Modification Reference"), pl.lit("")),
    )
    has_psp = pl.col("Psp Reference").is_not_null()
    whole = pl.concat_str(*parts, separator=":")
    return frame.select(
        line_id=pl.when(has_psp).then(whole).otherwise(pl.concat_str(whole, "Net Currency", separator=":")),
        has_psp=has_psp,
    )


def _kind(frame: pl.DataFrame) -> pl.Expr:
    """The type of a row; its case varies from report to report."""
    return _column(frame, "Type").str.to_lowercase()


def _fee(frame: pl.DataFrame) -> pl.Expr:
    """What Adyen and the schemes took off, in the net currency: the four fees, else their total."""
    has_parts = pl.any_horizontal(_column(frame, column).is_not_null() for column in _FEES)
    parts = [_minor(frame, column, "Net Currency") for column in _FEES]
    total = parts[0] + parts[1] + parts[2] + parts[3]
    return pl.when(has_parts).then(total).otherwise(_minor(frame, _ALL_FEES, "Net Currency"))


def _signed(frame: pl.DataFrame, debit: str, credit: str, currency: str) -> pl.Expr:
    return _minor(frame, credit, currency) - _minor(frame, debit, currency)


def _minor(frame: pl.DataFrame, column: str, currency: str) -> pl.Expr:
    """Minor units of a column; 0 where it is blank, null where its text is no exact amount of the row's currency."""
    text = _column(frame, column).str.replace(r"\A(-?)\.", "${1}0.")
    code = _column(frame, currency)
    written = code.replace_strict(vocabulary.written_decimals(FORMAT), default=None, return_dtype=pl.Int64)
    iso = code.replace_strict(vocabulary.currencies(), default=None, return_dtype=pl.Int64)
    exact = money.minor_units_column_as_written(text, written, iso).cast(pl.Int64)
    return pl.when(_column(frame, column).is_null() & iso.is_not_null()).then(pl.lit(0)).otherwise(exact)


def _settled_at(frame: pl.DataFrame) -> pl.Expr:
    """The time a row was booked into its batch, else created, in UTC; null where it cannot be read."""
    booked, zone = _column(frame, "Booking Date"), _column(frame, "Booking Date TimeZone")
    local = pl.coalesce(booked, pl.col("Creation Date"))
    abbreviation = pl.when(booked.is_not_null()).then(pl.coalesce(zone, "TimeZone")).otherwise(pl.col("TimeZone"))
    offset = abbreviation.replace_strict(vocabulary.utc_offsets(), default=None, return_dtype=pl.Int64)
    well_formed = pl.when(local.str.contains(_LOCAL)).then(local.str.replace("T", " ", literal=True))
    at = well_formed.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us") - pl.duration(minutes=offset)
    return at.dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _refusals(frame: pl.DataFrame, lines: pl.DataFrame) -> list[pl.Series]:
    """`refusal`: why a row is quarantined, in the words of the report; `source_row`: that row as received."""
    no_data = _no_data(frame)
    kind = frame["Type"]
    faults: list[tuple[pl.Series, pl.Expr]] = [
        (kind.is_null(), pl.lit("Type: blank")),
        (
            kind.is_not_null() & lines["line_type"].is_null(),
            pl.format("Type: '{}' is not known", _shown(frame, "Type")),
        ),
        (frame["Batch Number"].is_null(), pl.lit("Batch Number: blank")),
        (lines["settled_at"].is_null(), _date_fault(frame)),
        (lines["fee_minor"].is_null(), _amount_fault(frame, (*_FEES, _ALL_FEES), "Net Currency")),
        (
            lines["fee_minor"].is_not_null() & lines["gross_minor"].is_null()
            | lines["presentment_currency"].is_not_null() & lines["presentment_minor"].is_null(),
            _amount_fault(frame, _GROSS, "Gross Currency"),
        ),
    ]
    is_refused = no_data.is_not_null()
    for holds, _ in faults:
        is_refused = is_refused | holds
    if not is_refused.any():
        nothing = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
        return [nothing.alias("refusal"), nothing.alias("source_row")]
    said = [pl.when(holds).then(words) for holds, words in faults]
    joined = frame.select(pl.concat_str(said, separator="; ", ignore_nulls=True)).to_series()
    reasons = pl.DataFrame({"no_data": no_data, "joined": joined, "is_refused": is_refused}).select(
        refusal=pl.when("is_refused").then(pl.coalesce("no_data", "joined"))
    )
    return [
        reasons["refusal"],
        record_refusals.source_rows(frame.drop("row_number"), is_refused).alias("source_row"),
    ]


def _no_data(frame: pl.DataFrame) -> pl.Series:
    """Why a row is no row of data (a total, the header again), null for the others."""
    always = ("Type", "Net Currency", "Batch Number", "Creation Date")
    found = record_refusals.rows_of_no_data(frame.drop("row_number"), always, (*_NET, *_GROSS))
    return pl.Series([None], dtype=pl.String).new_from_index(0, frame.height) if found is None else found


def _of_data(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(_no_data(frame).is_null())


def _date_fault(frame: pl.DataFrame) -> pl.Expr:
    booked = _column(frame, "Booking Date").is_not_null()
    named = pl.when(booked).then(pl.lit("Booking Date")).otherwise(pl.lit("Creation Date"))
    local = pl.coalesce(_shown(frame, "Booking Date"), _shown(frame, "Creation Date"), pl.lit(""))
    zone = pl.when(booked).then(pl.coalesce(_shown(frame, "Booking Date TimeZone"), _shown(frame, "TimeZone")))
    shown = pl.coalesce(zone, _shown(frame, "TimeZone"), pl.lit(""))
    return pl.format(
        "{}: '{} {}' is not a date, time and known time zone such as 2026-03-02 10:00:00 CET", named, local, shown
    )


def _amount_fault(frame: pl.DataFrame, columns: Sequence[str], currency: str) -> pl.Expr:
    """The columns whose text is no exact amount, each with its text."""
    said = [
        pl.when(_minor(frame, column, currency).is_null() & _column(frame, column).is_not_null()).then(
            pl.format("{}: '{}' is not an exact amount of {}", pl.lit(column), _shown(frame, column), pl.lit(currency))
        )
        for column in columns
    ]
    return pl.concat_str(said, separator="; ", ignore_nulls=True)


def _shown(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A value as messages show it: its first 60 characters, none of which controls a terminal."""
    text = _column(frame, column).str.replace_all(row_rules.CONTROL, "\ufffd")
    return pl.when(text.str.len_chars() <= _SHOWN).then(text).otherwise(text.str.head(_SHOWN) + "…")


def _undocumented(frame: pl.DataFrame) -> pl.Expr:
    """Columns that Adyen does not document, as a JSON object: drift. Null when there are none."""
    unknown = [column for column in frame.columns if column not in _DOCUMENTED]
    return pl.struct(unknown).struct.json_encode() if unknown else pl.lit(None, dtype=pl.String)


def _column(frame: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name) if name in frame.columns else pl.lit(None, dtype=pl.String)


@cache
def _line_types() -> Mapping[str, str]:
    return {name: found.line_type for name, found in vocabulary.record_types(FORMAT).items()}


@cache
def _statuses() -> Mapping[str, str]:
    return {name: found.status for name, found in vocabulary.record_types(FORMAT).items() if found.status}
