"""A table's own arithmetic: control rows, opening and closing balances, a running balance; all exact.

Does not belong here: reading rows, judging one row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from zentra_pipeline import money
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import table_values
from zentra_pipeline.sources.column_mapping import ColumnMapping

_SUMS: Final = ("gross", "fee", "net")


class DoesNotAddUpError(InputRejectedError):
    """A table whose rows do not come to what it states of them, or whose balances do not follow."""


@dataclass(frozen=True)
class Stated:
    """What a control row states, as written, and where; `currency` is null where the row names none."""

    rule: int
    place: str
    currency: str | None
    texts: Mapping[str, str]


@dataclass
class Totals:
    """What the rows read so far add up to, by currency, and what the file states of them.

    `balances`: opening and closing by currency, as far as the file states them; known once it is checked.
    """

    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    unread: int = 0
    stated: list[Stated] = field(default_factory=list)
    last: dict[tuple[str | None, str], tuple[int, int, int]] = field(default_factory=dict)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, frame: pl.DataFrame) -> None:
        """Count rows with `currency`, `gross`, `fee` and `net` (integers, null where a row's cannot be read)."""
        whole = frame.drop_nulls(["currency", *_SUMS])
        self.unread += frame.height - whole.height
        found = whole.group_by("currency", maintain_order=True).agg(
            *(pl.col(name).cast(pl.Int128).sum() for name in _SUMS), pl.len().alias("count")
        )
        for row in found.iter_rows(named=True):
            known = self.sums.setdefault(row["currency"], dict.fromkeys((*_SUMS, "count"), 0))
            for name in known:
                known[name] += int(row[name])

    def follow(self, frame: pl.DataFrame, column: str, *, newest_first: bool, name: str) -> None:
        """Check a running balance: `frame` has `account`, `currency`, `net`, `balance`, `row_number` and `written`.

        Every account and currency has a balance of its own. InputRejectedError at the first row whose balance does not
        follow from its neighbour's; `written`: its amounts and balance as the file has them.
        """
        names = ("account", "currency", "net", "balance", "row_number", "written")
        for account, currency, net, balance, row, written in frame.select(names).iter_rows():
            if currency is None or net is None or balance is None:
                raise InputRejectedError(
                    f"{name}: data row {row:,}: {written}: one of these cannot be read as the profile's mapping writes "
                    "amounts, so the balances cannot be checked; correct the mapping, or the file"
                )
            before = self.last.get((account, currency))
            self.last[account, currency] = (net, balance, row)
            if before is None:
                continue
            old, start, moved = (balance, before[1], before[0]) if newest_first else (before[1], balance, net)
            if old + moved != start:
                later, earlier = (before[2], row) if newest_first else (row, before[2])
                raise DoesNotAddUpError(
                    f"{name}: data row {later:,}: {column} is {_text(start, currency)}, but "
                    f"{_text(old, currency)} after data row {earlier:,} and {_text(moved, currency)} come to "
                    f"{_text(old + moved, currency)}: the file does not add up; export it again"
                )


def check(totals: Totals, mapping: ColumnMapping, name: str) -> None:
    """InputRejectedError, with the figures, where the rows do not come to what the file states of them."""
    faults = list(_absent(totals, mapping))
    for stated in totals.stated:
        currency = (stated.currency or "").upper() or mapping.currency.constant
        if currency is None and len(totals.sums) > 1:
            faults.append(f"{stated.place} names no currency, and the rows have {', '.join(sorted(totals.sums))}")
            continue
        currency = currency or next(iter(totals.sums), None)
        sums = totals.sums.get(currency or "", dict.fromkeys((*_SUMS, "count"), 0))
        for figure, value in _figures(stated, currency, mapping, name).items():
            if figure in sums and sums[figure] != value:
                faults.append(_fault(stated.place, figure, value, sums[figure], currency))
            if figure.endswith("_balance") and currency is not None:
                totals.balances.setdefault(currency, {})[figure] = value
    for currency, balances in sorted(totals.balances.items()):
        if len(balances) == 2:
            opening, closing = balances["opening_balance"], balances["closing_balance"]
            net = totals.sums.get(currency, {}).get("net", 0)
            if opening + net != closing:
                faults.append(
                    f"opening balance {_text(opening, currency)} and rows of {_text(net, currency)} come to "
                    f"{_text(opening + net, currency)}, not to the closing balance {_text(closing, currency)}: "
                    f"a difference of {_text(closing - opening - net, currency)}"
                )
    if faults:
        unread = f"; {totals.unread:,} rows whose amounts cannot be read are not counted" if totals.unread else ""
        raise DoesNotAddUpError(f"{name}: the file does not add up: {'; '.join(faults)}{unread}; ask for it again")


def _figures(stated: Stated, currency: str | None, mapping: ColumnMapping, name: str) -> dict[str, int]:
    """What a control row states, in minor units or rows; InputRejectedError when it cannot be read."""
    sign = -1 if mapping.control_rows[stated.rule].sign == "opposite" else 1
    found: dict[str, int] = {}
    for figure, text in stated.texts.items():
        if figure == "count":
            value = int(text) if text.isdecimal() and text.isascii() else None
        elif currency is None:
            value = 0 if not text.strip("-+0.,") else None  # no row has a currency: only zero can be right
        else:
            given = pl.DataFrame({"text": [text], "currency": [currency]})
            value = given.select(table_values.minor_units(pl.col("text"), mapping, pl.col("currency"))).item()
        if value is None:
            raise InputRejectedError(
                f"{name}: {stated.place} states {figure} {text[:60]!r}, which is not an exact amount; "
                "correct the mapping's control_rows, or ask for the file again"
            )
        found[figure] = value if figure == "count" else sign * value
    return found


def _absent(totals: Totals, mapping: ColumnMapping) -> Iterator[str]:
    for number, rule in enumerate(mapping.control_rows):
        found = [stated for stated in totals.stated if stated.rule == number]
        if not found:
            match = rule.row
            said = "begins with" if match.begins else "is"
            which = "blank" if match.blank else " or ".join(map(repr, match.values or match.begins or ()))
            yield f"no row whose {match.column} {said} {which} states its totals (was it cut?)"
        elif rule.currency is not None:
            named = {(stated.currency or "").upper() for stated in found}
            yield from (
                f"no total of {currency} is stated" for currency in sorted(totals.sums) if currency not in named
            )


def _fault(place: str, figure: str, stated: int, found: int, currency: str | None) -> str:
    if figure == "count" or currency is None:
        return f"{place} states {figure} {stated:,}, and there are {found:,}"
    return (
        f"{place} states {figure} {_text(stated, currency)}, and the rows come to {_text(found, currency)}: "
        f"a difference of {_text(stated - found, currency)}"
    )


def _text(minor: int, currency: str) -> str:
    return money.amount_text(minor, currency)
