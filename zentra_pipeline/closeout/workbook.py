"""The Excel workbook of one run: reads the run's published tables and fills the sheets; how cells are written, and what
is on the summary and sign-off pages, does not belong here (workbook_cells, workbook_pages).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from xlsxwriter import Workbook

from zentra_pipeline import identifiers
from zentra_pipeline.closeout import workbook_pages
from zentra_pipeline.closeout.workbook_cells import ROWS_A_SHEET, Cells, Column, WrittenTable
from zentra_pipeline.errors import UsageError, ZentraError
from zentra_pipeline.published import lake
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sql_text import statement

_PAGE_ROWS: Final = 100_000
_MANY_ROWS: Final = 1_000_000

# What is read first comes first and is printed; ids, which nobody reads on paper, follow beside the printed page.
_SHEETS: Final = {
    "Matches": (
        "workbook_matches",
        (
            Column("provider_reference", "text", 24),
            Column("currency", "text", 9),
            Column("settlement", "amount", 16),
            Column("ledger", "amount", 16),
            Column("difference", "amount", 14),
            Column("status", "words", 11),
            Column("in_this_run", "text", 12),
            Column("rule", "words", 21),
            Column("cardinality", "words", 13),
            Column("method", "words", 10),
            Column("first_line_id", "text", 22, "First line"),
            Column("first_transaction_id", "text", 24, "First transaction", is_printed=False),
            Column("match_id", "text", 32, is_printed=False),
            Column("run_id", "text", 30, is_printed=False),
            Column("reversed_run_id", "text", 30, "Taken back by run", is_printed=False),
        ),
        ("ledger", "in_this_run"),
    ),
    "Exceptions": (
        "workbook_exceptions",
        (
            Column("exception_type", "words", 25, "Exception"),
            Column("severity", "words", 9),
            Column("status", "words", 15),
            Column("resolution", "words", 20),
            Column("provider_reference", "text", 22),
            Column("currency", "text", 9),
            Column("amount", "amount", 15),
            Column("difference", "amount", 14),
            Column("owner", "text", 15),
            Column("due_at_utc", "instant", 19, "Due (UTC)"),
            Column("explanation", "prose", 60),
            Column("lane", "words", 18, is_printed=False),
            Column("subject_type", "words", 18, "About", is_printed=False),
            Column("subject_id", "text", 24, is_printed=False),
            Column("opened_at_utc", "instant", 20, "Opened (UTC)", is_printed=False),
            Column("exception_id", "text", 30, is_printed=False),
            Column("opened_by_run", "text", 30, is_printed=False),
            Column("resolved_by_run", "text", 30, is_printed=False),
        ),
        None,
    ),
    "Open items": (
        "workbook_open_items",
        (
            Column("item_type", "words", 19, "Item"),
            Column("item_id", "text", 26),
            Column("provider_reference", "text", 26),
            Column("item_state", "words", 12, "State"),
            Column("opened_window", "day", 15, "Window"),
            Column("age_business_days", "count", 20, "Age in business days"),
            Column("aging_bucket", "text", 12, "Age band"),
            Column("currency", "text", 9),
            Column("amount", "amount", 18),
        ),
        ("amount", "item_type"),
    ),
    "Write-offs": (
        "workbook_write_offs",
        (
            Column("item_type", "words", 19, "Item"),
            Column("item_id", "text", 26),
            Column("provider_reference", "text", 26),
            Column("opened_window", "day", 13, "Window"),
            Column("currency", "text", 9),
            Column("amount", "amount", 16),
            Column("proposed_by", "text", 16),
            Column("approved_by", "text", 16),
            Column("reason", "prose", 50),
            Column("decided_at_utc", "instant", 20, "Decided (UTC)", is_printed=False),
            Column("exception_id", "text", 30, is_printed=False),
            Column("decision_id", "text", 30, is_printed=False),
        ),
        None,
    ),
    "Decisions": (
        "workbook_decisions",
        (
            Column("decided_at_utc", "instant", 20, "Decided (UTC)"),
            Column("actor", "text", 18, "Who"),
            Column("action", "words", 17),
            Column("resolution", "words", 20),
            Column("owner", "text", 15),
            Column("reason", "prose", 50),
            Column("result", "words", 17),
            Column("policy_rule", "words", 30, "Policy"),
            Column("policy_outcome", "words", 20, "What it said"),
            Column("exception_id", "text", 30, is_printed=False),
            Column("run_id", "text", 30, is_printed=False),
            Column("decision_id", "text", 30, is_printed=False),
        ),
        None,
    ),
}

# What a day of a bank account has besides, and what its sides are called.
_SHEETS_OF_BANK: Final = {
    "Payouts": (
        "workbook_payouts",
        (
            Column("payout_provider", "text", 18, "Provider"),
            Column("payout_id", "text", 30, "Payout"),
            Column("batch_id", "text", 20, "Batch"),
            Column("status", "words", 18),
            Column("currency", "text", 9),
            Column("paid_out", "amount", 16, "Paid out"),
            Column("returned", "amount", 14, "Taken back"),
            Column("credited", "amount", 16, "Credited by the bank"),
            Column("fee", "amount", 12, "Kept by the bank"),
            Column("paid_on", "day", 13, "Paid out on"),
            Column("expected_to", "day", 13, "Expected by"),
            Column("credited_on", "day", 13, "Credited on"),
            Column("trace_id", "text", 24, "Trace ID", is_printed=False),
            Column("match_id", "text", 32, is_printed=False),
            Column("reported_run_id", "text", 30, "Reported by run", is_printed=False),
        ),
        None,
    ),
    "Bank lines": (
        "workbook_bank_lines",
        (
            Column("booked_on", "day", 13, "Booked on"),
            Column("bank_line_id", "text", 30, "Bank line"),
            Column("text", "prose", 50, "What the bank writes"),
            Column("currency", "text", 9),
            Column("amount", "amount", 16),
            Column("what_became_of_it", "words", 18, "What became of it"),
            Column("rule", "words", 14),
            Column("payout_id", "text", 30, "First payout"),
            Column("value_on", "day", 13, "Value date", is_printed=False),
            Column("bank_reference", "text", 24, "Reference of the bank", is_printed=False),
            Column("end_to_end_id", "text", 24, "End-to-end ID", is_printed=False),
            Column("statement_id", "text", 24, "Statement", is_printed=False),
            Column("match_id", "text", 32, is_printed=False),
        ),
        None,
    ),
    "Balances": (
        "workbook_balances",
        (
            Column("currency", "text", 9),
            Column("statements", "count", 12),
            Column("from_day", "day", 13, "First day"),
            Column("to_day", "day", 13, "Last day"),
            Column("opening", "amount", 18, "First opening balance"),
            Column("lines", "amount", 18, "Booked lines"),
            Column("gaps", "amount", 18, "Between statements"),
            Column("mismatches", "amount", 18, "Not added up by statements"),
            Column("closing", "amount", 18, "Last closing balance"),
            Column("difference", "amount", 14),
        ),
        None,
    ),
    "Cash in transit": (
        "workbook_cash_in_transit",
        (
            Column("payout_provider", "text", 18, "Provider"),
            Column("currency", "text", 9),
            Column("opening", "amount", 16, "Brought forward"),
            Column("paid_out", "amount", 16, "Paid out"),
            Column("credited", "amount", 16, "Credited by the bank"),
            Column("fee", "amount", 14, "Kept by the bank"),
            Column("returned", "amount", 14, "Taken back"),
            Column("written_off", "amount", 14, "Written off"),
            Column("short", "amount", 14, "Credited short"),
            Column("closing", "amount", 16, "Carried forward"),
            Column("difference", "amount", 14),
        ),
        None,
    ),
}
_HEADINGS_OF_BANK: Final = {
    "settlement": "Bank",
    "ledger": "Payouts",
    "first_line_id": "First bank line",
    "first_transaction_id": "First payout",
}
# The way of payments to cash, of runs that have any.
_TO_CASH: Final = {
    "From payment to cash": (
        "workbook_cash_story",
        (
            Column("provider_reference", "text", 24),
            Column("line_id", "text", 24, "Settlement line"),
            Column("batch_id", "text", 20, "Batch"),
            Column("currency", "text", 9),
            Column("settled", "amount", 16),
            Column("payout_id", "text", 30, "Payout"),
            Column("payout", "amount", 16, "Amount of the payout"),
            Column("payout_status", "words", 18, "Payout is"),
            Column("bank_line_id", "text", 30, "Bank line"),
            Column("credited_on", "day", 13, "Credited on"),
            Column("transaction_id", "text", 24, "Ledger transaction", is_printed=False),
        ),
        None,
    ),
}


@dataclass(frozen=True)
class WorkbookSummary:
    """What was written: the run, its revision and the rows of every sheet but the summary and the sign-off."""

    run_id: str
    revision: int
    sheets: dict[str, int]
    amounts_as_text: int


def write_workbook(path: Path, paths: TenantPaths, run_id: str, *, rows_a_sheet: int = ROWS_A_SHEET) -> WorkbookSummary:
    """Write the workbook of a published run to `path`; the same published rows give the same bytes.

    Raises UsageError for a run that does not exist or has published nothing, ZentraError when something was published
    or decided while the tables were read: every sheet is of one moment or there is no workbook.
    """
    run = _run(paths, run_id)
    before = _moment(paths)
    with Workbook(str(path), {"constant_memory": True}) as book:
        book.set_properties({"title": f"Reconciliation {run_id}", "author": "Zentra", "created": run["as_of"]})
        book.set_calc_mode("auto")
        cells = Cells(book, f"{run['provider']} {run['ledger_window']}, run {run_id} revision {run['revision']}")
        summary = cells.sheet("Summary", workbook_pages.SUMMARY_WIDTHS)
        tables: dict[str, WrittenTable] = {}
        for name, (query, columns, summed) in _sheets_of(paths, run).items():
            pages = _pages(paths, statement("closeout", query), run_id)
            tables[name] = cells.table(name, columns, pages, summed, rows_a_sheet)
        facts = workbook_pages.Facts(run, tables, lambda query: _rows(paths, statement("closeout", query), run_id))
        workbook_pages.write_summary(cells, summary, facts)
        workbook_pages.write_sign_off(cells, facts)
        if sum(table.rows for table in tables.values()) >= _MANY_ROWS:
            book.use_zip64()
    if _moment(paths) != before:
        raise ZentraError(f"run {run_id}: data changed during export; export it again")
    return WorkbookSummary(
        run_id=run_id,
        revision=run["revision"],
        sheets={sheet: rows for table in tables.values() for sheet, rows in table.sheets},
        amounts_as_text=sum(table.amounts_as_text for table in tables.values()),
    )


def _sheets_of(paths: TenantPaths, run: dict[str, Any]) -> dict[str, tuple[str, tuple[Column, ...], Any]]:
    """The sheets of rows of a run by name: query, columns and what is summed."""
    sheets: dict[str, tuple[str, tuple[Column, ...], Any]] = dict(_SHEETS)
    if identifiers.account_of(run["provider"]) is not None:
        for name, (query, columns, summed) in _SHEETS.items():
            renamed = (replace(one, title=_HEADINGS_OF_BANK.get(one.name, one.title)) for one in columns)
            sheets[name] = (query, tuple(renamed), summed)
        sheets |= _SHEETS_OF_BANK
    ((query, *_),) = _TO_CASH.values()
    has_cash = _rows(paths, "select 1 as found from payouts where $1 is not null limit 1", run["run_id"])
    if has_cash and _rows(paths, f"select 1 as found from ({statement('closeout', query)}) limit 1", run["run_id"]):
        sheets |= _TO_CASH
    return sheets


def _run(paths: TenantPaths, run_id: str) -> dict[str, Any]:
    found = _rows(paths, "select * from runs where run_id = $1", run_id)
    if not found:
        raise UsageError(f"there is no run {run_id!r}", remedy=Remedy("look at the list of runs", "list_runs"))
    if not found[0]["revision"]:
        raise UsageError(f"run {run_id} has published nothing yet: its status is {found[0]['status']}")
    return found[0]


def _moment(paths: TenantPaths) -> list[tuple[Any, ...]]:
    """Everything that what a run's tables show can depend on: revisions, closeouts and decisions so far."""
    return lake.query(
        paths,
        "select run_id, revision, status, closeout_status, (select count(*) from decisions), "
        "(select max(sealed_at) from closeouts) from runs order by run_id",
    ).rows


def _pages(paths: TenantPaths, sql: str, run_id: str) -> Iterator[Sequence[dict[str, Any]]]:
    """The rows of a query in pages, so that a long table is never in memory as a whole."""
    start = 0
    while True:
        page = _rows(paths, f"{sql} limit {_PAGE_ROWS} offset {start}", run_id)
        yield page
        start += len(page)
        if len(page) < _PAGE_ROWS:
            return


def _rows(paths: TenantPaths, sql: str, run_id: str) -> list[dict[str, Any]]:
    answer = lake.query(paths, sql, [run_id])
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
