"""Cells of a workbook read back as what they were: text is text, amounts are exact, long tables go on."""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.cell.cell import Cell
from xlsxwriter import Workbook

from zentra_pipeline.closeout.workbook_cells import Cells, Column, WrittenTable
from zentra_pipeline.errors import ZentraError

CORPORA = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora"
NAUGHTY = CORPORA / "blns" / "blns.json"
INJECTIONS = CORPORA / "payloads" / "CSV_Injection_README.md"
NOTE = Column("note", "text", 20)
MONEY = (Column("currency", "text", 9), Column("amount", "amount", 18))
FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http://example.test")',
    "{=1+1}",
    "http://example.test/a",
    "mailto:a@example.test",
    "internal:Summary!A1",
    "file:///etc/passwd",
    "000123",
    "1e5",
    "2026-04-26",
    "TRUE",
    "#REF!",
    " leading and trailing ",
    "two\nlines",
)
# What a reader of the format could take for an escape, markup, or no XML at all.
AWKWARD = (
    "\x00",
    "a\x01b\x0bc\x1f",
    "\ufffe\uffff",
    "_x0041_",
    "_x0041_x0042_",
    "_x0041\x00",
    "_x005F_x0041_",
    "__x0041_",
    "<r><t>rich</t></r>",
    "<r>&</r>",
    "]]><is>",
    "&amp;",
    "e\u0301\u202e\u200d",
)


def write(path: Path, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], **options: Any) -> WrittenTable:
    with Workbook(str(path), {"constant_memory": True}) as book:
        book.set_properties({"created": datetime(2026, 4, 27, 6)})
        return Cells(book, "footer").table("Rows", columns, [rows], **options)


def read_back(path: Path, sheet: str = "Rows") -> list[list[Cell]]:
    """The cells below the heading, as a reader of the format sees them."""
    return [list(row) for row in openpyxl.load_workbook(path)[sheet].iter_rows(min_row=2)]  # type: ignore[misc]


def text_of(cell: Cell) -> str:
    """A text cell's content with the format's escapes (ECMA-376, ST_Xstring) undone, from left to right."""
    assert cell.data_type == "s", f"{cell.value!r} must be a string"
    assert cell.hyperlink is None
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), str(cell.value))


def assert_read_back(path: Path, texts: Sequence[str]) -> None:
    write(path, [NOTE], [{"note": text} for text in texts])
    assert [text_of(row[0]) for row in read_back(path)] == list(texts)


def test_what_looks_like_a_formula_a_link_or_a_number_stays_text(tmp_path: Path) -> None:
    assert_read_back(tmp_path / "book.xlsx", FORMULAS)


def test_text_that_the_format_could_mistake_for_its_own_marks_reads_back(tmp_path: Path) -> None:
    assert_read_back(tmp_path / "book.xlsx", AWKWARD)


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the corpora are not beside this repository")
def test_every_naughty_string_reads_back(tmp_path: Path) -> None:
    assert_read_back(tmp_path / "book.xlsx", [text for text in json.loads(NAUGHTY.read_text("utf-8")) if text])


@pytest.mark.skipif(not INJECTIONS.exists(), reason="the corpora are not beside this repository")
def test_every_known_formula_injection_reads_back_as_text(tmp_path: Path) -> None:
    blocks = re.findall(r"```\w*\n(.*?)```", INJECTIONS.read_text("utf-8"), re.S)
    payloads = [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    assert len(payloads) > 10
    assert_read_back(tmp_path / "book.xlsx", payloads)


@pytest.mark.parametrize(
    ("minor", "currency", "shown", "decimals"),
    [
        (-125_000, "USD", "-1250.00", "#,##0.00"),
        (-5, "USD", "-0.05", "#,##0.00"),
        (0, "EUR", "0", "#,##0.00"),
        (12_500, "JPY", "12500", "#,##0"),
        (31_750, "KWD", "31.750", "#,##0.000"),
        (999_999_999_999_999, "USD", "9999999999999.99", "#,##0.00"),
        (-900_719_925_474_099, "KWD", "-900719925474.099", "#,##0.000"),
    ],
)
def test_an_amount_is_a_number_with_the_decimals_of_its_currency(
    tmp_path: Path, minor: int, currency: str, shown: str, decimals: str
) -> None:
    path = tmp_path / "book.xlsx"
    written = write(path, MONEY, [{"currency": currency, "amount": minor}])
    cell = read_back(path)[0][1]
    assert (cell.data_type, cell.number_format) == ("n", decimals)
    assert Decimal(repr(cell.value)) == Decimal(shown)
    assert written.amounts_as_text == 0


@pytest.mark.parametrize("minor", [10**15, -(10**15), 2**63 - 1, -(2**63)])
def test_an_amount_beyond_15_digits_is_exact_text_and_counted(tmp_path: Path, minor: int) -> None:
    path = tmp_path / "book.xlsx"
    written = write(path, MONEY, [{"currency": "USD", "amount": minor}, {"currency": "EUR", "amount": 1}])
    assert Decimal(text_of(read_back(path)[0][1])) * 100 == minor
    assert written.amounts_as_text == 1
    assert written.inexact == {"USD"}


def test_amounts_that_add_up_beyond_15_digits_are_not_summed_by_formula(tmp_path: Path) -> None:
    rows = [{"currency": "USD", "amount": amount} for amount in (6 * 10**14, -6 * 10**14)]
    assert write(tmp_path / "book.xlsx", MONEY, rows).inexact == {"USD"}


def test_an_amount_of_an_unknown_currency_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZentraError, match="unknown currency 'XQX'"):
        write(tmp_path / "book.xlsx", MONEY, [{"currency": "XQX", "amount": 1}])


def test_days_and_instants_are_dates_and_null_is_an_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    columns = (Column("day", "day", 12), Column("at", "instant", 20), NOTE)
    rows = [
        {"day": date(2026, 4, 26), "at": datetime(2026, 4, 26, 23, 59, 59), "note": None},
        {"day": date(1492, 10, 12), "at": None, "note": "before Excel's calendar"},
    ]
    write(path, columns, rows)
    (day, at, note), (old, nothing, _) = read_back(path)
    assert (day.value, day.number_format) == (datetime(2026, 4, 26), "yyyy-mm-dd")
    assert (at.value, at.number_format) == (datetime(2026, 4, 26, 23, 59, 59), "yyyy-mm-dd hh:mm:ss")
    assert (note.value, nothing.value) == (None, None)
    assert text_of(old) == "1492-10-12"


@pytest.mark.parametrize("character", ["a", "ä", "😀"])
def test_text_beyond_a_cells_limit_is_cut_and_says_so(tmp_path: Path, character: str) -> None:
    path = tmp_path / "book.xlsx"
    write(path, [NOTE], [{"note": character * 40_000}])
    found = text_of(read_back(path)[0][0])
    assert len(found.encode("utf-16-le")) // 2 in (32_766, 32_767)
    assert found.rstrip(character) != found or found.endswith("]")
    assert found.endswith(f"{character} … [cut, 40,000 characters in all]")


def test_text_at_a_cells_limit_is_not_cut(tmp_path: Path) -> None:
    assert_read_back(tmp_path / "book.xlsx", ["a" * 32_767])


def test_a_table_that_fills_a_sheet_goes_on_in_the_next(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    rows = [{"currency": "USD", "amount": amount} for amount in (1, 20, 300, 4_000, 50_000)]
    written = write(path, MONEY, rows, summed=("amount", "currency"), rows_a_sheet=2)
    assert written.sheets == [("Rows", 2), ("Rows (2)", 2), ("Rows (3)", 1)]
    assert written.sums == {("USD", "USD"): 54_321}
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Rows", "Rows (2)", "Rows (3)"]
    found = [[row[1].value for row in sheet.iter_rows()] for sheet in book.worksheets]
    assert found == [["Amount", 0.01, 0.2], ["Amount", 3, 40], ["Amount", 500]]
    assert all((sheet.freeze_panes, sheet.print_title_rows) == ("A2", "$1:$1") for sheet in book.worksheets)
    assert [sheet.auto_filter.ref for sheet in book.worksheets] == ["A1:B3", "A1:B3", "A1:B2"]
    assert written.live_sum("amount", {"currency": "USD"}) == (
        "SUMIFS('Rows'!$B$2:$B$3,'Rows'!$A$2:$A$3,\"USD\")"
        "+SUMIFS('Rows (2)'!$B$2:$B$3,'Rows (2)'!$A$2:$A$3,\"USD\")"
        "+SUMIFS('Rows (3)'!$B$2:$B$2,'Rows (3)'!$A$2:$A$2,\"USD\")"
    )


def test_a_table_that_just_fills_a_sheet_makes_no_empty_one(tmp_path: Path) -> None:
    rows = [{"currency": "USD", "amount": 1}] * 4
    assert write(tmp_path / "book.xlsx", MONEY, rows, rows_a_sheet=2).sheets == [("Rows", 2), ("Rows (2)", 2)]


def test_an_empty_table_is_a_sheet_with_headings(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    assert write(path, MONEY, []).sheets == [("Rows", 0)]
    assert [cell.value for cell in openpyxl.load_workbook(path)["Rows"][1]] == ["Currency", "Amount"]


def test_the_same_rows_are_the_same_bytes_in_any_time_zone_and_under_any_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    umask = os.umask(0)
    try:
        for zone, mask in (("UTC", 0o022), ("Asia/Tokyo", 0o077), ("America/New_York", 0)):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            os.umask(mask)
            path = tmp_path / f"{mask}.xlsx"
            write(path, (NOTE, *MONEY), [{"note": "a", "currency": "USD", "amount": 1}])
            contents.append(path.read_bytes())
    finally:
        os.umask(umask)
        monkeypatch.undo()
        time.tzset()
    assert contents[0] == contents[1] == contents[2]
