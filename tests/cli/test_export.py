"""`zentra export` writes a workbook that ties, whose only formulas are its own, and never over a file unasked."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.cli.conftest import Publish, Zentra
from zentra_pipeline.store.runs import run_id_of

Row = dict[str, Any]


def match(number: int, minor: int, **changes: Any) -> Row:
    return {
        "match_id": f"mat_{number}",
        "rule": "exact_reference",
        "cardinality": "one_to_one",
        "method": "exact",
        "status": "confirmed",
        "currency": "USD",
        "settlement_minor": minor,
        "ledger_minor": minor,
        "difference_minor": 0,
        "provider_reference": "000123",
        **changes,
    }


def open_item(number: int, minor: int, **changes: Any) -> Row:
    return {
        "item_type": "ledger_transaction",
        "item_id": f"=txn_{number}",
        "provider_reference": "@SUM(1+1)",
        "currency": "USD",
        "amount_minor": minor,
        "opened_window": date(2026, 4, 24),
        "age_business_days": 1,
        "aging_bucket": "1-2",
        "item_state": "in_transit",
        **changes,
    }


def rollforward(currency: str, opening: int, posted: int, settled: int, closing: int) -> Row:
    return {
        "currency": currency,
        "opening_minor": opening,
        "posted_minor": posted,
        "settled_minor": settled,
        "written_off_minor": 0,
        "closing_minor": closing,
        "difference_minor": 0,
    }


EXCEPTION = {
    "exception_id": "exc_1",
    "exception_type": "missing_callback",
    "severity": "medium",
    "subject_type": "ledger_transaction",
    "subject_id": "-txn_1",
    "currency": "USD",
    "amount_minor": -12_345,
    "owner": "+finance",
    "lane": "callback_breaks",
    "status": "open",
    "due_at": datetime(2026, 4, 29),
    "opened_at": datetime(2026, 4, 27, 1),
    "explanation": "=cmd|' /C calc'!A0",
}
TABLES: Mapping[str, list[Row]] = {
    "matches": [
        match(1, 10_010),
        match(2, 20, currency="JPY"),
        match(3, 77_700, rule="amount_date", status="suggested"),
        match(4, 88_800, rule="amount_date", status="reversed", reversed_run_id="run_of_later"),
    ],
    "open_items": [open_item(1, 9_901), open_item(2, -1), open_item(3, 5_000, item_type="settlement_line")],
    "exceptions": [EXCEPTION],
    "rollforward": [rollforward("JPY", 20, 0, 20, 0), rollforward("USD", 0, 19_910, 10_010, 9_900)],
}


@pytest.fixture
def run(publish: Publish) -> str:
    return publish(date(2026, 4, 26), **TABLES)


def export(zentra: Zentra, run: str, out: Path, *more: str) -> Any:
    done = zentra("export", "--tenant", "acme", "--run", run, "--out", out, "--json", *more)
    assert done.code == 0, done.err
    return done.json


def statement(path: Path) -> dict[str, list[Any]]:
    """The lines of the statement on the summary, as a spreadsheet that does not calculate shows them."""
    rows = [list(row) for row in openpyxl.load_workbook(path, data_only=True)["Summary"].iter_rows(values_only=True)]
    top = next(at for at, row in enumerate(rows) if str(row[0]).startswith("statement"))
    currencies = [cell for cell in rows[top][1:] if cell]
    return {str(row[0]): row[1 : 1 + len(currencies)] for row in rows[top : top + 12]}


def calculated(path: Path, formula: str) -> Decimal:
    """What a spreadsheet would make of one of our sums: SUMIFS terms added and subtracted."""
    book = openpyxl.load_workbook(path)

    def column(reference: str) -> list[Any]:
        found = re.fullmatch(r"'(.+)'!\$([A-Z]+)\$(\d+):\$([A-Z]+)\$(\d+)", reference)
        assert found, reference
        sheet, letter, first, _, last = found.groups()
        return [book[sheet][f"{letter}{line}"].value for line in range(int(first), int(last) + 1)]

    total = Decimal(0)
    for sign, arguments in re.findall(r"([-+(]*)SUMIFS\(([^()]*(?:\(\d+\)[^()]*)*)\)", formula):
        amounts, *conditions = arguments.split(",")
        kept = set(range(len(column(amounts))))
        for where, word in zip(conditions[::2], conditions[1::2], strict=True):
            kept &= {line for line, value in enumerate(column(where)) if value == word.strip('"')}
        amount = sum((Decimal(repr(column(amounts)[line])) for line in kept), Decimal(0))
        total += -amount if "-" in sign else amount
    return total


def test_the_statement_ties_with_the_sheets(acme: Zentra, run: str, tmp_path: Path) -> None:
    out = tmp_path / "run.xlsx"
    assert export(acme, run, out) == {
        "path": str(out),
        "run_id": run,
        "revision": 1,
        "sheets": {"Matches": 4, "Exceptions": 1, "Open items": 3, "Write-offs": 0, "Decisions": 0},
        "amounts_as_text": 0,
    }
    lines = statement(out)
    assert lines["statement of unsettled ledger movements"] == ["JPY", "USD"]
    assert lines["less settled"] == [20, 100.10]
    assert lines["carried forward, added up"] == [0, 99.00]
    assert lines["ledger movements among the open items"] == [0, 99.00]
    assert lines["ledger side of the matches that settle"] == [20, 100.10]
    for name in ("difference", "difference to carried forward", "difference to settled"):
        assert lines[name] == [0, 0]


def test_the_formulas_are_our_own_sums_and_give_what_they_show(acme: Zentra, run: str, tmp_path: Path) -> None:
    out = tmp_path / "run.xlsx"
    export(acme, run, out)
    book, shown = openpyxl.load_workbook(out), openpyxl.load_workbook(out, data_only=True)
    formulas = {
        (sheet.title, cell.coordinate): str(cell.value)
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "f"
    }
    assert {sheet for sheet, _ in formulas} == {"Summary"}
    assert len(formulas) == 12
    assert all(re.fullmatch(r"=ROUND\([A-Za-z0-9'!$:,\"_ ()+-]+,[023]\)", formula) for formula in formulas.values())
    sums = {place: formula for place, formula in formulas.items() if "SUMIFS" in formula}
    assert len(sums) == 4
    for (sheet, place), formula in sums.items():
        assert calculated(out, formula) == Decimal(repr(shown[sheet][place].value)), formula


def test_what_providers_wrote_is_text_on_every_sheet(acme: Zentra, run: str, tmp_path: Path) -> None:
    out = tmp_path / "run.xlsx"
    export(acme, run, out)
    book = openpyxl.load_workbook(out)
    cells = {(cell.value, cell.data_type) for sheet in book for row in sheet.iter_rows() for cell in row}
    for text in ("000123", "=txn_1", "@SUM(1+1)", "-txn_1", "+finance", "=cmd|' /C calc'!A0"):
        assert (text, "s") in cells
    assert (-123.45, "n") in cells


def test_a_match_taken_back_counts_against_the_run_that_took_it_back(
    acme: Zentra, publish: Publish, tmp_path: Path
) -> None:
    second_id = run_id_of("acme", "rail", "set_2026_04_27", date(2026, 4, 27))
    first = publish(date(2026, 4, 26), matches=[match(1, 500)], rollforward=[rollforward("USD", 0, 500, 500, 0)])
    taken_back = match(1, 500, run_id=first, status="reversed", reversed_run_id=second_id, difference_minor=-20)
    second = publish(
        date(2026, 4, 27),
        matches=[taken_back, match(2, 700)],
        rollforward=[rollforward("USD", 0, 200, 200, 0)],
    )
    assert second == second_id
    for run, settled in ((first, 5), (second, 2)):
        out = tmp_path / f"{run}.xlsx"
        export(acme, run, out)
        assert statement(out)["ledger side of the matches that settle"] == [settled]
        assert statement(out)["difference to settled"] == [0]


def test_amounts_beyond_15_digits_are_text_and_their_sums_no_formulas(
    acme: Zentra, publish: Publish, tmp_path: Path
) -> None:
    big = 9_007_199_254_740_993
    run = publish(
        date(2026, 4, 26),
        matches=[match(1, big)],
        rollforward=[rollforward("USD", 0, big + 1, big, 1)],
        open_items=[open_item(1, 1)],
    )
    out = tmp_path / "run.xlsx"
    assert export(acme, run, out)["amounts_as_text"] == 2
    assert statement(out)["ledger side of the matches that settle"] == ["90071992547409.93"]
    summary = openpyxl.load_workbook(out)["Summary"]
    assert not [cell for row in summary.iter_rows() for cell in row if cell.data_type == "f"]
    assert any("more than the 15 digits" in str(row[0]) for row in summary.iter_rows(values_only=True))


def test_exceptions_of_earlier_runs_that_are_still_open_are_carried(
    acme: Zentra, publish: Publish, tmp_path: Path
) -> None:
    done = {**EXCEPTION, "exception_id": "exc_2", "status": "resolved", "resolution": "matched_late"}
    publish(date(2026, 4, 26), exceptions=[EXCEPTION, done])
    later = publish(date(2026, 4, 27), exceptions=[{**EXCEPTION, "exception_id": "exc_3"}])
    export(acme, later, tmp_path / "later.xlsx")
    headings, *rows = openpyxl.load_workbook(tmp_path / "later.xlsx")["Exceptions"].iter_rows(values_only=True)
    assert [row[headings.index("Exception ID")] for row in rows] == ["exc_1", "exc_3"]


def test_headings_are_words_and_ids_are_beside_the_printed_page(acme: Zentra, publish: Publish, tmp_path: Path) -> None:
    given_up = {
        "item_type": "settlement_line",
        "item_id": "=L1",
        "provider_reference": "R1",
        "currency": "USD",
        "amount_minor": 48_200,
        "opened_window": date(2026, 4, 24),
        "exception_id": "exc_1",
        "decision_id": "dec_1",
    }
    run = publish(date(2026, 4, 26), **TABLES, write_offs=[given_up])
    out = tmp_path / "run.xlsx"
    export(acme, run, out)
    book = openpyxl.load_workbook(out)
    names = ("Matches", "Exceptions", "Open items", "Write-offs", "Decisions")
    for name in names:
        sheet = book[name]
        headings = [str(cell.value) for cell in sheet[1]]
        assert [text for text in headings if "_" in text or not text[0].isupper()] == []
        printed = openpyxl.utils.range_boundaries(sheet.print_area.split("!")[1].replace("$", ""))[2]
        assert not [
            text for text in headings[:printed] if text in ("Match ID", "Run ID", "Exception ID", "Decision ID")
        ]
        widths = [sheet.column_dimensions[cell.column_letter].width or 0 for cell in sheet[1][:printed]]
        assert sum(widths) <= 235, name
    (row,) = book["Write-offs"].iter_rows(min_row=2, values_only=True)
    assert row[:6] == ("settlement line", "=L1", "R1", datetime(2026, 4, 24), "USD", 482)
    (found,) = book["Exceptions"].iter_rows(min_row=2, values_only=True)
    assert found[0] == "missing callback"


def test_without_a_closeout_the_sign_off_says_so_and_has_lines_to_sign(acme: Zentra, run: str, tmp_path: Path) -> None:
    out = tmp_path / "run.xlsx"
    export(acme, run, out)
    labels = [row[0] for row in openpyxl.load_workbook(out)["Sign-off"].iter_rows(values_only=True)]
    assert "No closeout has been prepared for this run." in labels
    assert labels.count("Signature") == 3
    assert {"Prepared by", "Reviewed by", "Approved by"} <= set(labels)


def test_the_same_run_is_the_same_bytes(acme: Zentra, run: str, tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        export(acme, run, tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    properties = openpyxl.load_workbook(tmp_path / "one.xlsx").properties
    assert properties.created == properties.modified == datetime(2026, 4, 27, 6)  # the run's as_of, not the clock


def test_a_file_is_replaced_only_when_asked(acme: Zentra, run: str, tmp_path: Path) -> None:
    out = tmp_path / "run.xlsx"
    out.write_text("mine")
    done = acme("export", "--tenant", "acme", "--run", run, "--out", out)
    assert (done.code, done.out, out.read_text()) == (2, "", "mine")
    assert "already there" in done.err
    export(acme, run, out, "--force")
    assert openpyxl.load_workbook(out).sheetnames[0] == "Summary"
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


@pytest.mark.parametrize(
    ("out", "message"), [("run.xls", "does not end in .xlsx"), ("no/where/run.xlsx", "is not a folder")]
)
def test_a_file_that_cannot_be_written_is_misuse(
    acme: Zentra, run: str, tmp_path: Path, out: str, message: str
) -> None:
    done = acme("export", "--tenant", "acme", "--run", run, "--out", tmp_path / out)
    assert done.code == 2
    assert message in done.err


def test_an_unknown_run_is_misuse_and_leaves_no_file(acme: Zentra, tmp_path: Path) -> None:
    out = tmp_path / "run.xlsx"
    done = acme("export", "--tenant", "acme", "--run", "run_none", "--out", out)
    assert done.code == 2
    assert "there is no run 'run_none'" in done.err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".run", "run"))] == []


def test_the_path_of_the_workbook_is_printed(
    acme: Zentra, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = acme("export", "--tenant", "acme", "--run", run)
    assert done.out == f"{run}.xlsx: run {run}, revision 1, 8 rows\n"
    assert (tmp_path / f"{run}.xlsx").is_file()
