"""Typed cells of an Excel workbook, tables that go on over several sheets; which tables there are does not belong here.

Text is always written as text: nothing a provider sends becomes a formula, a link or a number. Amounts are numbers with
their currency's decimals as long as Excel keeps them exactly (15 digits), text beyond.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, Literal

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from zentra_pipeline import money, vocabulary

Kind = Literal["text", "words", "prose", "count", "amount", "day", "instant"]
ROWS_A_SHEET: Final = 1_048_575
BEYOND_EXACT: Final = 10**15
_MOST_UNITS: Final = 32_767
_FIRST_YEAR: Final = 1900
_A4: Final = 9
# What a reader of the format would take for an escape, and what XML cannot hold (ECMA-376, ST_Xstring).
_TO_ESCAPE: Final = re.compile("_(?=x[0-9a-fA-F]{4})|[\x00-\x08\x0b-\x1f\ufffe\uffff]|\\A<(?=r>)")


class PlainTextSheet(Worksheet):  # type: ignore[misc]
    """A sheet whose text reads back as given; the library's own escaping loses `_x0041_x0042_` and `<r>…</r>`."""

    @staticmethod
    def _escape_control_characters(data: Any) -> Any:
        return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", data) if isinstance(data, str) else data


@dataclass(frozen=True)
class Column:
    """A column of a sheet, by what the row's value is called; of those that are not printed the page leaves room.

    `words` are a vocabulary's, shown with blanks; `prose` goes on in the next line of its cell.
    """

    name: str
    kind: Kind
    width: int
    title: str | None = None
    is_printed: bool = True

    @property
    def heading(self) -> str:
        """The column's heading as finance reads it: `Provider reference`, `Match ID`."""
        if self.title is not None:
            return self.title
        words = self.name.replace("_", " ")
        return words[0].upper() + re.sub(r"\bid$", "ID", words[1:])


@dataclass
class WrittenTable:
    """What was written of a table: its sheets with their rows, and sums in minor units by (group, currency).

    `inexact` names the currencies whose amounts are too large for sums in Excel to be trusted.
    """

    columns: Sequence[Column]
    sheets: list[tuple[str, int]] = field(default_factory=list)
    sums: Counter[tuple[str, str]] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    amounts_as_text: int = 0

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.sheets)

    @property
    def inexact(self) -> set[str]:
        return {currency for currency, size in self.sizes.items() if size >= BEYOND_EXACT}

    def live_sum(self, amount: str, conditions: Mapping[str, str]) -> str:
        """A formula, without its `=`, that sums the rows of all sheets whose columns hold these words."""
        parts = []
        for sheet, rows in self.sheets:
            arguments = [self._range(sheet, rows, amount)]
            for name, word in conditions.items():
                shown = worded(word) if self._kinds[name] == "words" else word
                arguments += [self._range(sheet, rows, name), f'"{shown}"']
            parts.append(f"SUMIFS({','.join(arguments)})")
        return "+".join(parts)

    @property
    def _kinds(self) -> dict[str, Kind]:
        return {column.name: column.kind for column in self.columns}

    def _range(self, sheet: str, rows: int, name: str) -> str:
        letter = xl_col_to_name([column.name for column in self.columns].index(name))
        return f"'{sheet}'!${letter}$2:${letter}${max(rows, 1) + 1}"


class Cells:
    """Writes typed values into the sheets of one workbook."""

    def __init__(self, book: Workbook, footer: str) -> None:
        self._book = book
        self._footer = footer.replace("&", "&&")
        self._amounts: dict[int, Any] = {}

    @cached_property
    def title(self) -> Any:
        return self._book.add_format({"bold": True, "font_size": 16})

    @cached_property
    def heading(self) -> Any:
        return self._book.add_format({"bold": True, "bottom": 1, "valign": "top"})

    @cached_property
    def right_heading(self) -> Any:
        return self._book.add_format({"bold": True, "bottom": 1, "valign": "top", "align": "right"})

    @cached_property
    def quiet(self) -> Any:
        return self._book.add_format({"font_color": "#5B636E"})

    @cached_property
    def box(self) -> Any:
        return self._book.add_format({"bottom": 1})

    @cached_property
    def _text(self) -> Any:
        return self._book.add_format({"num_format": "@", "valign": "top"})

    @cached_property
    def _prose(self) -> Any:
        return self._book.add_format({"num_format": "@", "valign": "top", "text_wrap": True})

    @cached_property
    def _right_text(self) -> Any:
        return self._book.add_format({"num_format": "@", "valign": "top", "align": "right"})

    @cached_property
    def _count(self) -> Any:
        return self._book.add_format({"num_format": "#,##0", "valign": "top"})

    @cached_property
    def _day(self) -> Any:
        return self._book.add_format({"num_format": "yyyy-mm-dd", "valign": "top", "align": "left"})

    @cached_property
    def _instant(self) -> Any:
        return self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "valign": "top", "align": "left"})

    def amount_format(self, currency: str) -> Any:
        """The number format with the currency's decimals."""
        decimals = vocabulary.exponent(currency)
        if decimals not in self._amounts:
            form = "#,##0" + ("." + "0" * decimals if decimals else "")
            self._amounts[decimals] = self._book.add_format({"num_format": form, "valign": "top"})
        return self._amounts[decimals]

    def sheet(self, name: str, widths: Sequence[int], repeat_first_row: bool = False) -> Any:
        """A new sheet with column widths, set to print across one landscape page."""
        sheet = self._book.add_worksheet(name, PlainTextSheet)
        for position, width in enumerate(widths):
            sheet.set_column(position, position, width)
        sheet.set_landscape()
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.5, right=0.5)
        sheet.set_footer(f"&L{self._footer}&RPage &P of &N")
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        if repeat_first_row:
            sheet.repeat_rows(0)
            sheet.freeze_panes(1, 0)
        return sheet

    def table(
        self,
        name: str,
        columns: Sequence[Column],
        pages: Iterable[Sequence[Mapping[str, Any]]],
        summed: tuple[str, str] | None = None,
        rows_a_sheet: int = ROWS_A_SHEET,
    ) -> WrittenTable:
        """Write a table below a heading row, going on in `name (2)` and so on when a sheet is full.

        `summed` names an amount column and the column whose words group its sums.
        """
        written = WrittenTable(columns)
        sheet, line = self._begin(written, name), 0
        for page in pages:
            for row in page:
                if line == rows_a_sheet:
                    self._end(written, sheet, line)
                    sheet, line = self._begin(written, name), 0
                line += 1
                self._row(written, sheet, line, row)
                if summed is not None and row[summed[0]] is not None:
                    written.sums[row[summed[1]], row["currency"]] += row[summed[0]]
        self._end(written, sheet, line)
        return written

    def _begin(self, written: WrittenTable, name: str) -> Any:
        number = len(written.sheets) + 1
        title = name if number == 1 else f"{name} ({number})"
        sheet = self.sheet(title, [column.width for column in written.columns], repeat_first_row=True)
        for position, column in enumerate(written.columns):
            form = self.right_heading if column.kind in ("amount", "count") else self.heading
            sheet.write_string(0, position, column.heading, form)
        written.sheets.append((title, 0))
        return sheet

    def _end(self, written: WrittenTable, sheet: Any, rows: int) -> None:
        written.sheets[-1] = (written.sheets[-1][0], rows)
        sheet.autofilter(0, 0, rows, len(written.columns) - 1)
        sheet.print_area(0, 0, rows, sum(column.is_printed for column in written.columns) - 1)

    def _row(self, written: WrittenTable, sheet: Any, line: int, row: Mapping[str, Any]) -> None:
        for position, column in enumerate(written.columns):
            value = row[column.name]
            if column.kind == "amount" and value is not None and row["currency"]:
                written.sizes[row["currency"]] += abs(value)
                written.amounts_as_text += abs(value) >= BEYOND_EXACT
            self.write(sheet, line, position, value, column.kind, row.get("currency"))

    def write(
        self, sheet: Any, row: int, position: int, value: Any, kind: Kind = "text", currency: str | None = None
    ) -> None:
        """Write one typed value; null leaves the cell empty."""
        if value is None or (kind == "amount" and not currency):
            return
        if kind == "amount" and currency:
            self._write_amount(sheet, row, position, value, currency)
        elif kind == "count":
            sheet.write_number(row, position, value, self._count)
        elif kind in ("day", "instant") and isinstance(value, date) and value.year >= _FIRST_YEAR:
            form = self._instant if isinstance(value, datetime) else self._day
            sheet.write_datetime(row, position, value, form)
        else:
            text = worded(str(value)) if kind == "words" else str(value)
            sheet.write_string(row, position, fitting(text), self._prose if kind == "prose" else self._text)

    def _write_amount(self, sheet: Any, row: int, position: int, minor: int, currency: str) -> None:
        if abs(minor) < BEYOND_EXACT:
            sheet.write_number(row, position, major(minor, currency), self.amount_format(currency))
        else:
            text = money.decimal_text(minor, vocabulary.exponent(currency))
            sheet.write_string(row, position, text, self._right_text)


def worded(word: str) -> str:
    """A vocabulary's word as a reader expects it: `matched late`."""
    return word.replace("_", " ")


def major(minor: int, currency: str) -> Decimal:
    """Minor units as an exact decimal of the currency's unit."""
    return Decimal(minor).scaleb(-vocabulary.exponent(currency))


def fitting(text: str) -> str:
    """Text as a cell can hold it: 32,767 UTF-16 units at most, what is cut says so."""
    if len(text) <= _MOST_UNITS // 2 or len(text.encode("utf-16-le")) // 2 <= _MOST_UNITS:
        return text
    mark = f" … [cut, {len(text):,} characters in all]"
    kept = text.encode("utf-16-le")[: (_MOST_UNITS - len(mark)) * 2].decode("utf-16-le", errors="ignore")
    return kept + mark
