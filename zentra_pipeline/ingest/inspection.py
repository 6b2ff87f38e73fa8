"""What ingest would make of a file, added up per statement; storing and printing do not belong here.

A format's statements: canonical files have one per currency, Stripe's itemized reports one per payout and currency;
readers of formats with controls of their own say what a statement is, and whether it ties.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from zentra_pipeline.contracts import CONTRACTS
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.identifiers import PROVIDER_KINDS
from zentra_pipeline.ingest import arrivals, staging, wording
from zentra_pipeline.ingest.arrivals import Arrival, Command, Tally
from zentra_pipeline.ingest.landing import Landed
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.reading import frames
from zentra_pipeline.sources.registry import CANONICAL, TABULAR, ControlledReader, formats_of, reader_of
from zentra_pipeline.sources.statement import Statement
from zentra_pipeline.sources.table_totals import DoesNotAddUpError, Totals
from zentra_pipeline.sources.tabular import read_settlement
from zentra_pipeline.tenants.tenant import Tenant

_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of a file that nobody receives


@dataclass(frozen=True)
class InspectedStatement:
    """One statement, batch or report of a file; what a format does not say is null.

    `ties`: whether the file's own arithmetic holds. `refused`: why the file, or `entries` rows of it, are not accepted;
    accepted rows get their own statements.
    """

    file: str
    id: str | None
    account: str | None
    entries: int
    currency: str | None
    signed_sum_minor: int | None
    opening_minor: int | None
    closing_minor: int | None
    ties: bool | None
    refused: str | None


@dataclass(frozen=True)
class Inspected:
    """A file's statements in order of appearance, and what ingest would note of it, with how often.

    `is_refused`: a statement's own arithmetic does not hold, and ingest would accept nothing of the file.
    """

    statements: tuple[InspectedStatement, ...]
    notes: Mapping[str, int]
    is_refused: bool = False


def inspect(file_format: str, path: Path, mapping: ColumnMapping | None = None) -> Inspected:
    """What ingest would make of a file; InputRejectedError when it would accept nothing of it.

    UsageError when the format is not known, or is `tabular` and no `mapping` says how the table is read.
    """
    if file_format == TABULAR:
        if mapping is None:
            raise UsageError("format tabular needs a column mapping: name the file of a profile that has one")
        try:
            return _tabular(path, mapping)
        except DoesNotAddUpError as cause:
            return Inspected((replace(refused(path, str(cause)), ties=False),), {}, is_refused=True)
    if mapping is not None:
        raise UsageError(f"a profile's column mapping goes with format tabular, not with {file_format!r}")
    if file_format not in _INSPECTORS:
        raise UsageError(f"format {file_format!r} is not known: use one of {', '.join((*_INSPECTORS, TABULAR))}")
    return _INSPECTORS[file_format](path)


def refused(path: Path, reason: str, entries: int = 0) -> InspectedStatement:
    """A file, or some of its rows, that are not accepted, as a statement."""
    return replace(_nothing(path), entries=entries, refused=reason)


def _nothing(path: Path) -> InspectedStatement:
    return InspectedStatement(
        file=path.name,
        id=path.stem,
        account=None,
        entries=0,
        currency=None,
        signed_sum_minor=None,
        opening_minor=None,
        closing_minor=None,
        ties=None,
        refused=None,
    )


@dataclass(frozen=True)
class _Staged:
    """A file's rows as ingest would stage them, in a folder that goes with the inspection, and what it would say."""

    path: Path
    rows: Path
    tally: Tally

    def __iter__(self) -> Iterator[pl.DataFrame]:
        if self.tally.staged:
            yield from staging.read_rows(self.rows)


@contextmanager
def _staged(
    path: Path, contract: Contract, file_format: str, mapping: ColumnMapping | None = None
) -> Iterator[_Staged]:
    """Have ingest itself stage the file, in a folder of its own: what it refuses is refused here, in its words."""
    with tempfile.TemporaryDirectory(prefix="zentra-inspect-") as folder:
        nobody = Tenant(Home(Path(folder)), "inspected", TenantPaths(Path(folder)))
        command = Command(nobody, "inspected", contract, file_format, _NO_TIME, stops_early=True, mapping=mapping)
        arrival = Arrival(path, path.stem, Landed(path, "0" * 64, path.stat().st_size), sequence=1)
        staged = arrivals.stage(command, arrival)
        arrivals.quarantine_contradictions(command, [staged], [])
        try:
            arrivals.reject_when_no_row_accepted([staged])
        except InputRejectedError as refusal:
            raise InputRejectedError(f"{path.name}: {refusal}") from refusal
        yield _Staged(path, arrival.staged_name.arriving(nobody.paths, contract.table), staged.tally)


def _canonical(path: Path) -> Inspected:
    """A statement per currency: settlement adds up net, a ledger credits less debits, callbacks amounts as sent.

    A settlement ties when gross − fee = net in every row, a ledger when every transaction balances.
    """
    contract = _canonical_kind(path)
    with _staged(path, contract, CANONICAL) as rows:
        totals = _TOTALS[contract.kind](rows)
        return _inspected(rows, totals.with_columns(id=pl.lit(path.stem)))


def _settlement_totals(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    net = pl.col("net_minor")
    sums = _sums(rows, ["currency"], net, odd_rows=(pl.col("gross_minor") - pl.col("fee_minor") != net).sum())
    return sums.with_columns(ties=pl.col("odd_rows") == 0)


def _ledger_totals(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    signed = pl.when(pl.col("direction") == "credit").then("amount_minor").otherwise(-pl.col("amount_minor"))
    return (
        _sums(rows, ["transaction_id", "currency"], signed)
        .group_by("currency", maintain_order=True)
        .agg(pl.col("entries", "signed_sum_minor").sum(), ties=(pl.col("signed_sum_minor") == 0).all())
    )


def _callback_totals(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return _sums(rows, ["currency"], pl.col("amount_minor")).with_columns(ties=None)


def _event_totals(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    without = (frame.with_columns(currency=pl.lit(None, pl.String)) for frame in rows)
    return _sums(without, ["currency"], pl.lit(0)).with_columns(signed_sum_minor=None, ties=None)


_TOTALS: Mapping[str, Callable[[Iterable[pl.DataFrame]], pl.DataFrame]] = MappingProxyType(
    {
        "settlement": _settlement_totals,
        "ledger": _ledger_totals,
        "callbacks": _callback_totals,
        "internal_events": _event_totals,
    }
)


def _stripe(path: Path) -> Inspected:
    """A statement per automatic payout and currency: net of all rows but the payout's, which ties with the payout's.

    Rows outside any automatic payout have no id; without the payout's own row nothing can tie.
    """
    is_payout = pl.col("line_type") == "payout"
    net = pl.when(~is_payout).then("net_minor").otherwise(0)
    paid = pl.col("net_minor").filter(is_payout)
    with _staged(path, CONTRACTS["settlement"], "stripe") as rows:
        sums = _sums(rows, ["batch_id", "currency"], net, paid_minor=_exact(paid).sum(), payouts=is_payout.sum())
        has_payout = (pl.col("payouts") > 0) & pl.col("batch_id").is_not_null()
        ties = pl.when(has_payout).then(pl.col("signed_sum_minor") + pl.col("paid_minor") == 0)
        return _inspected(rows, sums.with_columns(id="batch_id", ties=ties))


def _controlled(file_format: str) -> Callable[[Path], Inspected]:
    """A statement per statement, batch or report of the file, with the figures of those whose arithmetic fails."""

    def inspected(path: Path) -> Inspected:
        reader = reader_of(file_format, "settlement")
        assert isinstance(reader, ControlledReader)
        said = reader.statements(path, path.name)
        found = tuple(_as_inspected(path, statement) for statement in said)
        if any(statement.refused is not None for statement in found):
            named = (replace(each, refused=each.refused and f"{path.name}: {each.refused}") for each in found)
            return Inspected(tuple(named), {}, is_refused=True)
        with _staged(path, CONTRACTS["settlement"], file_format) as rows:
            return Inspected((*(found or (_nothing(path),)), *_rejected(rows)), dict(rows.tally.notes))

    return inspected


def _as_inspected(path: Path, statement: Statement) -> InspectedStatement:
    said = {each.name: getattr(statement, each.name) for each in fields(statement) if each.name != "head"}
    return replace(_nothing(path), **said)


_WITHOUT_CONTROLS: Mapping[str, Callable[[Path], Inspected]] = {CANONICAL: _canonical, "stripe": _stripe}
_INSPECTORS: Mapping[str, Callable[[Path], Inspected]] = MappingProxyType(
    {name: _WITHOUT_CONTROLS.get(name) or _controlled(name) for name in formats_of("settlement") if name != TABULAR}
)


def _tabular(path: Path, mapping: ColumnMapping) -> Inspected:
    """A statement per batch, where the mapping names one, and currency: net of all rows but the payout's.

    It ties where the file's own totals do, its payout's row and, with gross, fee and net columns, every row.
    """
    keys = ["currency"] if mapping.batch_id is None else ["batch_id", "currency"]
    is_payout = pl.col("line_type") == "payout"
    net = pl.when(~is_payout).then("net_minor").otherwise(0) if mapping.batch_id is not None else pl.col("net_minor")
    odd = (pl.col("gross_minor") - pl.col("fee_minor") != pl.col("net_minor")).sum()
    paid = _exact(pl.col("net_minor").filter(is_payout)).sum()
    is_tripled = None not in (mapping.amounts.gross, mapping.amounts.fee, mapping.amounts.net)
    is_controlled = bool(mapping.control_rows) or mapping.running_balance is not None
    with _staged(path, CONTRACTS["settlement"], TABULAR, mapping) as rows:
        sums = _sums(rows, keys, net, odd_rows=odd, paid_minor=paid, payouts=is_payout.sum())
        holds: pl.Expr = pl.when(is_controlled | is_tripled).then(pl.col("odd_rows") == 0)
        batch = pl.lit(path.stem)
        if mapping.batch_id is not None:
            batch = pl.col("batch_id")
            has_payout = (pl.col("payouts") > 0) & batch.is_not_null()
            paid_out = pl.when(has_payout).then(pl.col("signed_sum_minor") + pl.col("paid_minor") == 0)
            holds = pl.coalesce(paid_out & holds.fill_null(True), holds)
        found = _inspected(rows, sums.with_columns(id=batch, ties=holds))
    return replace(found, statements=_with_balances(found.statements, path, mapping))


def _with_balances(
    statements: tuple[InspectedStatement, ...], path: Path, mapping: ColumnMapping
) -> tuple[InspectedStatement, ...]:
    """The opening and closing balance that the file states, beside the sums of their currency."""
    if not any("balance" in figure for rule in mapping.control_rows for figure in rule.figures):
        return statements
    totals = Totals()
    for _ in read_settlement(path, path.name, mapping, totals=totals):
        pass
    balances = {currency: totals.balances.get(currency, {}) for currency in totals.sums}
    return tuple(
        replace(
            statement,
            opening_minor=balances.get(statement.currency or "", {}).get("opening_balance"),
            closing_minor=balances.get(statement.currency or "", {}).get("closing_balance"),
        )
        for statement in statements
    )


def _canonical_kind(path: Path) -> Contract:
    """The contract whose columns the file has, by its first rows: every kind has an id that is never blank."""
    reasons: list[str] = []
    contracts = [CONTRACTS[kind] for kind in PROVIDER_KINDS]
    for contract in contracts:
        try:
            first = next(frames(path, contract, CANONICAL, name=path.name), None)
        except InputRejectedError as refusal:
            reasons.append(str(refusal))
            continue
        if first is None or not first.height or first[contract.fields[0].name].null_count() < first.height:
            return contract
    if len(reasons) == len(contracts) and len(set(reasons)) == 1:
        raise InputRejectedError(reasons[0])
    of_its_form = [
        reason for reason in reasons if "which is not a canonical" not in reason and ": no column" not in reason
    ]
    if of_its_form:  # lines above the header, other separators or writing: only its own kind's reader sees them
        raise InputRejectedError(of_its_form[0])
    needed = "; ".join(f"{contract.kind} needs {', '.join(contract.required)}" for contract in contracts)
    raise InputRejectedError(f"{path.name}: its columns are those of no canonical kind: {needed}")


def _sums(rows: Iterable[pl.DataFrame], keys: list[str], signed: pl.Expr, **sums: pl.Expr) -> pl.DataFrame:
    """Entries, `signed_sum_minor` and further sums by key, in order of appearance; exact for any number of rows."""
    parts = [
        frame.group_by(keys, maintain_order=True).agg(
            entries=pl.len().cast(pl.Int64), signed_sum_minor=_exact(signed).sum(), **sums
        )
        for frame in rows
    ]
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys([*keys, "entries", "signed_sum_minor", *sums], pl.Int64))
    return pl.concat(parts).group_by(keys, maintain_order=True).agg(pl.all().sum())


def _exact(amount: pl.Expr) -> pl.Expr:
    """An amount in a type that no number of rows can overflow."""
    return amount.cast(pl.Int128)


def _inspected(rows: _Staged, totals: pl.DataFrame) -> Inspected:
    """A statement per total and one for refused rows; a file without any row has one statement without entries."""
    said = totals.select("id", "entries", "currency", "signed_sum_minor", "ties").iter_rows(named=True)
    found = [*(replace(_nothing(rows.path), **total) for total in said), *_rejected(rows)]
    return Inspected(tuple(found or [_nothing(rows.path)]), dict(rows.tally.notes))


def _rejected(rows: _Staged) -> Iterator[InspectedStatement]:
    """The rows of a file that are not accepted as a statement, if there are any."""
    if rows.tally.quarantined:
        reason = f"rejected rows: {rows.tally.quarantined:,}; {'; '.join(_reasons(rows.tally))}"
        yield refused(rows.path, reason, rows.tally.quarantined)


def _reasons(tally: Tally) -> Iterator[str]:
    """Why rows are rejected, by the rule that they break, and which ids several of them use."""
    for rule in tally.by_count:
        yield f"{wording.rows_named(rule.rows, rule.count)}: {rule.reason}"
    if tally.ids_used_twice:
        yield f"used twice are {', '.join(wording.ids_named(tally.ids_used_twice))}: {wording.ASK_THE_SENDER}"
