"""The summary and sign-off pages of a run's workbook: statement, three sides, control totals, who signs.

Figures are those of the published tables; formulas add up the other sheets, so that a reader sees it
tie. Does not belong here: the sheets of rows, and how a cell is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xlsxwriter.utility import xl_rowcol_to_cell

from zentra_pipeline import identifiers, vocabulary
from zentra_pipeline.closeout.workbook_cells import BEYOND_EXACT, Cells, Kind, WrittenTable, major

SUMMARY_WIDTHS: Final = (42, *(17,) * 18)
_RUN_FACTS: Final = (
    "tenant_id",
    "provider",
    "ledger_window",
    "settlement_file",
    "run_id",
    "revision",
    "owner",
    "status",
    "closeout_status",
    "as_of",
    "inputs_digest",
)
_WORDS: Final = ("side", "status", "exception_type", "severity", "item_type", "item_state")
_FORWARD: Final = ("opening", "posted", "settled", "written_off")
# The statement in the words of a day of a bank account, whose ledger movements are payouts.
_OF_BANK: Final = {
    "statement of unsettled ledger movements": "statement of payouts that are not in the bank",
    "plus posted": "plus paid out",
    "less settled": "less matched with bank lines",
    "ledger movements among the open items": "payouts among the open items",
    "ledger side of the matches that settle": "payouts of the matches that settle",
    "difference to settled": "difference to matched",
}
_SIDES_OF_BANK: Final = {"settlement": "bank", "ledger": "payouts"}
_SIGNATURES: Final = ("Prepared by", "Reviewed by", "Approved by")


@dataclass(frozen=True)
class Facts:
    """The run's row, what was written of its tables, and a way to ask a query of `closeout/sql` about it."""

    run: Mapping[str, Any]
    tables: Mapping[str, WrittenTable]
    ask: Callable[[str], Sequence[Mapping[str, Any]]]

    @property
    def is_of_bank(self) -> bool:
        """Whether the run is a day of a bank account."""
        return identifiers.account_of(str(self.run["provider"])) is not None


@dataclass
class _Page:
    """A sheet written from top to bottom; `line` is the row to write next."""

    cells: Cells
    sheet: Any
    line: int = 0

    def title(self, text: str) -> None:
        self.sheet.write_string(self.line, 0, text, self.cells.title)
        self.line += 2

    def note(self, text: str) -> None:
        self.sheet.write_string(self.line, 0, text, self.cells.quiet)
        self.line += 1

    def headings(self, names: Sequence[str]) -> None:
        for position, name in enumerate(names):
            form = self.cells.right_heading if position else self.cells.heading
            self.sheet.write_string(self.line, position, name, form)
        self.line += 1

    def facts(self, row: Mapping[str, Any], names: Sequence[str]) -> None:
        for name in names:
            kind = _kind(name, row[name])
            label = _label(name) + (" (UTC)" if kind == "instant" else "")
            self.sheet.write_string(self.line, 0, label, self.cells.quiet)
            self.cells.write(self.sheet, self.line, 1, row[name], kind)
            self.line += 1
        self.line += 1

    def table(self, title: str, rows: Sequence[Mapping[str, Any]], amounts: Sequence[str] = ()) -> None:
        """Rows with their own names as headings; `amounts` are minor units of the row's currency."""
        if not rows:
            self.headings([title])
            self.note("none")
        else:
            self.headings([title, *map(_label, list(rows[0])[1:])])
        for row in rows:
            for position, (name, value) in enumerate(row.items()):
                kind = "amount" if name in amounts else _kind(name, value)
                kind = "words" if kind == "text" and name in _WORDS else kind
                self.cells.write(self.sheet, self.line, position, value, kind, row.get("currency"))
            self.line += 1
        self.line += 1


def write_summary(cells: Cells, sheet: Any, facts: Facts) -> None:
    """What the run is, its statement, the three sides and the control totals of every table."""
    page = _Page(cells, sheet)
    page.title("Reconciliation of a day of a bank account" if facts.is_of_bank else "Reconciliation of a ledger window")
    page.facts(facts.run, _RUN_FACTS)
    _write_statement(page, facts)
    page.table("written off, side", facts.ask("summary_write_offs"), ("amount",))
    if not facts.is_of_bank:
        page.table(
            "three sides, currency",
            facts.ask("summary_three_way"),
            ("callback", "settlement", "ledger", "settlement_vs_ledger", "callback_vs_ledger"),
        )
    matches = facts.ask("summary_matches")
    if facts.is_of_bank:
        matches = [{_SIDES_OF_BANK.get(name, name): value for name, value in row.items()} for row in matches]
    page.table("matches, currency", matches, ("settlement", "ledger", "bank", "payouts", "difference"))
    page.table("exceptions, type", facts.ask("summary_exceptions"))
    page.table("open items, type", facts.ask("summary_open_items"), ("amount",))
    conservation = facts.ask("summary_conservation")
    page.table(
        "where every row went, side",
        conservation,
        [name for name in (conservation[0] if conservation else ()) if name.startswith("amount_")],
    )
    page.table(
        "rows on the sheets",
        [{"sheet": name, "rows": rows} for table in facts.tables.values() for name, rows in table.sheets],
    )
    as_text = sum(table.amounts_as_text for table in facts.tables.values())
    if as_text:
        page.note(f"{as_text:,} amounts have more than the 15 digits Excel keeps; they are written as text, exactly.")
        page.note("Where a currency's amounts come to so much, sums are figures instead of formulas.")


def _write_statement(page: _Page, facts: Facts) -> None:
    """The roll-forward a column a currency, proved by formulas over the sheets of matches and open items."""
    rows = facts.ask("summary_rollforward")
    words = _OF_BANK if facts.is_of_bank else {}
    heading = "statement of unsettled ledger movements"
    page.headings([words.get(heading, heading), *(row["currency"] for row in rows)])
    if not rows:
        page.note("none")
        page.line += 1
        return
    top = page.line
    labels = (
        "brought forward",
        "plus posted",
        "less settled",
        "less written off",
        "carried forward, added up",
        "carried forward, as published",
        "difference",
        "ledger movements among the open items",
        "difference to carried forward",
        "ledger side of the matches that settle",
        "difference to settled",
    )
    for offset, label in enumerate(labels):
        page.sheet.write_string(top + offset, 0, words.get(label, label))
        for column, row in enumerate(rows, start=1):
            _write_statement_cell(page, facts, row, column, top, offset)
    page.line = top + len(labels) + 1


def _write_statement_cell(
    page: _Page, facts: Facts, row: Mapping[str, Any], column: int, top: int, offset: int
) -> None:
    currency = row["currency"]
    open_items, matches = facts.tables["Open items"], facts.tables["Matches"]
    added_up = row["opening"] + row["posted"] - row["settled"] - row["written_off"]
    listed = open_items.sums["ledger_transaction", currency]
    settled = matches.sums["settles", currency] - matches.sums["taken back", currency]
    figures = (
        *(row[name] for name in _FORWARD),
        added_up,
        row["closing"],
        added_up - row["closing"],
        listed,
        listed - row["closing"],
        settled,
        settled - row["settled"],
    )
    at = [xl_rowcol_to_cell(top + place, column) for place in range(len(figures))]
    formulas = {
        4: f"{at[0]}+{at[1]}-{at[2]}-{at[3]}",
        6: f"{at[4]}-{at[5]}",
        7: open_items.live_sum("amount", {"currency": currency, "item_type": "ledger_transaction"}),
        8: f"{at[7]}-{at[5]}",
        9: matches.live_sum("ledger", {"currency": currency, "in_this_run": "settles"})
        + f"-({matches.live_sum('ledger', {'currency': currency, 'in_this_run': 'taken back'})})",
        10: f"{at[9]}-{at[2]}",
    }
    is_exact = not {currency} & (open_items.inexact | matches.inexact) and sum(map(abs, figures[:6])) < BEYOND_EXACT
    if offset in formulas and is_exact:
        formula = f"=ROUND({formulas[offset]},{vocabulary.exponent(currency)})"
        form, value = page.cells.amount_format(currency), major(figures[offset], currency)
        page.sheet.write_formula(top + offset, column, formula, form, value)
    else:
        page.cells.write(page.sheet, top + offset, column, figures[offset], "amount", currency)


def write_sign_off(cells: Cells, facts: Facts) -> None:
    """The state of the closeout, one block for each, and lines to sign on."""
    page = _Page(cells, cells.sheet("Sign-off", (24, 76)))
    page.title("Sign-off")
    page.facts(facts.run, ("tenant_id", "provider", "ledger_window", "run_id", "revision", "owner", "closeout_status"))
    closeouts = facts.ask("sign_off_closeouts")
    if not closeouts:
        page.note("No closeout has been prepared for this run.")
    if any(closeout["seal_digest"] for closeout in closeouts):
        page.note("The sheets show what is known now; what was sealed is in the bundle of its closeout.")
        page.line += 1
    for closeout in closeouts:
        page.headings([f"Closeout, revision {closeout['revision']}"])
        page.facts(closeout, [name for name in closeout if name != "revision" and closeout[name] is not None])
    page.line += 1
    for role in _SIGNATURES:
        page.headings([role])
        for blank in ("Name", "Date", "Signature"):
            page.sheet.set_row(page.line, 26)
            page.sheet.write_string(page.line, 0, blank, cells.quiet)
            page.sheet.write_blank(page.line, 1, None, cells.box)
            page.line += 1
        page.line += 1


def _label(name: str) -> str:
    """What a value is called, as finance reads it."""
    words = name.replace("_", " ")
    return words[0].upper() + words[1:].replace(" id", " ID")


def _kind(name: str, value: object) -> Kind:
    """How a fact is written: by its type, and by its name where instants and days share one."""
    if isinstance(value, int):
        return "count"
    if name in ("ledger_window", "opened_window"):
        return "day"
    return "instant" if name.endswith(("_at", "as_of")) else "text"
