"""What a reader makes of a file, added up per statement; storing and printing do not belong here.

A format's statements: canonical files have one per currency, Stripe's itemized reports one per payout and currency.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import polars as pl

from zentra_pipeline.contracts import CONTRACTS
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.sources.reading import CANONICAL, column_names, frames


@dataclass(frozen=True)
class InspectedStatement:
    """One statement, batch or report of a file; what a format does not say is null.

    `ties`: whether the file's own arithmetic holds. `refused`: why the file, or `entries` rows of it, cannot be let in;
    the rows that can are counted in statements of their own.
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


def inspect(file_format: str, path: Path) -> list[InspectedStatement]:
    """Statements of a file in order of appearance; InputRejectedError when nothing in it can be let in.

    UsageError when the format is not known.
    """
    if file_format not in _INSPECTORS:
        raise UsageError(f"format {file_format!r} is not known: use one of {', '.join(_INSPECTORS)}")
    return _INSPECTORS[file_format](path)


def refused(path: Path, reason: str, entries: int = 0) -> InspectedStatement:
    """What stands for a file, or for some of its rows, that cannot be let in."""
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


class _Admitted:
    """The rows of a file that the gate lets in, frame by frame, and a note of those it does not."""

    def __init__(self, path: Path, contract: Contract, file_format: str) -> None:
        self.path = path
        self.refusals = 0
        self.first_refusal = ""
        self._contract = contract
        self._names = column_names(contract, file_format)
        self._frames = frames(path, contract, file_format, name=path.name)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        admitted = 0
        for frame in self._frames:
            verdict = validate(self._contract, frame, self._names)
            if verdict.refused.height and not self.refusals:
                row, reason, _ = verdict.refused.row(0)
                self.first_refusal = f"row {row:,}: {reason}"
            self.refusals += verdict.refused.height
            admitted += verdict.admitted.height
            yield verdict.admitted
        if self.refusals and not admitted:
            raise InputRejectedError(
                f"{self.path.name}: none of {self.refusals:,} rows is accepted; {self.first_refusal}"
            )


def _canonical(path: Path) -> list[InspectedStatement]:
    """A statement per currency: settlement adds up net, a ledger credits less debits, callbacks amounts as sent.

    A settlement ties when gross − fee = net in every row, a ledger when every transaction balances.
    """
    contract = _canonical_kind(path)
    rows = _Admitted(path, contract, CANONICAL)
    if contract.kind == "settlement":
        net = pl.col("net_minor")
        sums = _sums(rows, ["currency"], net, odd_rows=(pl.col("gross_minor") - pl.col("fee_minor") != net).sum())
        totals = sums.with_columns(ties=pl.col("odd_rows") == 0)
    elif contract.kind == "ledger":
        signed = pl.when(pl.col("direction") == "credit").then("amount_minor").otherwise(-pl.col("amount_minor"))
        transactions = _sums(rows, ["transaction_id", "currency"], signed)
        totals = transactions.group_by("currency", maintain_order=True).agg(
            pl.col("entries", "signed_sum_minor").sum(), ties=(pl.col("signed_sum_minor") == 0).all()
        )
    elif contract.kind == "callbacks":
        totals = _sums(rows, ["currency"], pl.col("amount_minor")).with_columns(ties=None)
    else:
        events = _sums(
            (frame.with_columns(currency=pl.lit(None, pl.String)) for frame in rows), ["currency"], pl.lit(0)
        )
        totals = events.with_columns(signed_sum_minor=None, ties=None)
    return _statements(rows, totals.with_columns(id=pl.lit(path.stem)))


def _stripe(path: Path) -> list[InspectedStatement]:
    """A statement per automatic payout and currency: net of all rows but the payout's, which ties with the payout's.

    Rows outside any automatic payout stand under no id; without the payout's own row nothing can tie.
    """
    rows = _Admitted(path, CONTRACTS["settlement"], "stripe")
    is_payout = pl.col("line_type") == "payout"
    net = pl.when(~is_payout).then("net_minor").otherwise(0)
    paid = pl.col("net_minor").filter(is_payout)
    sums = _sums(rows, ["batch_id", "currency"], net, paid_minor=_exact(paid).sum(), payouts=is_payout.sum())
    has_payout = (pl.col("payouts") > 0) & pl.col("batch_id").is_not_null()
    ties = pl.when(has_payout).then(pl.col("signed_sum_minor") + pl.col("paid_minor") == 0)
    return _statements(rows, sums.with_columns(id="batch_id", ties=ties))


_INSPECTORS: Mapping[str, Callable[[Path], list[InspectedStatement]]] = MappingProxyType(
    {CANONICAL: _canonical, "stripe": _stripe}
)


def _canonical_kind(path: Path) -> Contract:
    """The contract whose columns the file has; told by the first rows, for every kind has an id that is never blank."""
    reasons: list[str] = []
    for contract in CONTRACTS.values():
        try:
            first = next(frames(path, contract, CANONICAL, name=path.name), None)
        except InputRejectedError as refusal:
            reasons.append(str(refusal))
            continue
        if first is None or not first.height or first[contract.fields[0].name].null_count() < first.height:
            return contract
    if len(reasons) == len(CONTRACTS) and len(set(reasons)) == 1:
        raise InputRejectedError(reasons[0])
    of_its_form = [
        reason for reason in reasons if "which is not a canonical" not in reason and ": no column" not in reason
    ]
    if of_its_form:  # lines above the header, other separators or writing: only its own kind's reader sees them
        raise InputRejectedError(of_its_form[0])
    needed = "; ".join(f"{contract.kind} needs {', '.join(contract.required)}" for contract in CONTRACTS.values())
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


def _statements(rows: _Admitted, totals: pl.DataFrame) -> list[InspectedStatement]:
    """A statement per total and one for refused rows; a file without any row has one statement without entries."""
    said = totals.select("id", "entries", "currency", "signed_sum_minor", "ties").iter_rows(named=True)
    found = [replace(_nothing(rows.path), **total) for total in said]
    if rows.refusals:
        reason = f"rejected rows: {rows.refusals:,}; the first, {rows.first_refusal}"
        found.append(refused(rows.path, reason, rows.refusals))
    return found or [_nothing(rows.path)]
