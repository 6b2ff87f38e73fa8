"""`zentra query`: runs SQL over the published tables and prints the rows; which SQL is allowed is the lake's to say."""

import json
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.lake import QueryResult

SHOWN_ROWS = 1_000


def _statement(value: str) -> str:
    if not value.strip():
        raise UsageError('the query is empty: write one such as "SELECT * FROM runs"')
    if not value.isascii() and value != value.encode("utf-8", errors="replace").decode():
        raise UsageError("the query is not valid UTF-8: check the encoding of the terminal or script")
    return value


@click.command("query")
@click.argument("sql", callback=options.checked(_statement))
@options.tenant
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help="A table for people, RFC 4180 CSV, or a JSON array of objects.",
)
@options.home
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout: the columns and the rows.")
def command(sql: str, tenant: str, form: str, home: Home, as_json: bool) -> None:
    """Read the published tables of a tenant with SQL.

    Tables: runs, matches, match_legs, three_way, exceptions, open_items, quarantine, conservation, rollforward and
    more. Only reading is possible, and it never waits for a run.

    In CSV, text that a spreadsheet would take for a formula is given a leading apostrophe.
    """
    from zentra_pipeline import lake, result_text, tenancy
    from zentra_pipeline.cli import printing

    result = lake.query(tenancy.require_tenant(home, tenant), sql)
    if as_json:
        columns = json.dumps(result.columns, ensure_ascii=False)
        rows = "".join(result_text.json_pieces(result.columns, result.rows)).removesuffix("\n")
        printing.write_bytes(printing.encoded(f'{{"columns": {columns},\n"rows": {rows}}}\n'))
    elif form == "json":
        printing.write_bytes(printing.encoded("".join(result_text.json_pieces(result.columns, result.rows))))
    elif form == "csv":
        printing.write_bytes(printing.encoded("".join(result_text.csv_lines(result.columns, result.rows))))
    else:
        _print_table(result)


def _print_table(result: "QueryResult") -> None:
    from zentra_pipeline import result_text
    from zentra_pipeline.cli import printing

    shown = result.rows[:SHOWN_ROWS]
    printing.print_table(
        result.columns,
        [
            [value if value is None or type(value) is int else result_text.text_of(value) for value in row]
            for row in shown
        ],
    )
    rows = len(result.rows)
    if rows > SHOWN_ROWS:
        printing.note(f"The first {SHOWN_ROWS:,} of {rows:,} rows; --format csv or json prints them all.")
    else:
        printing.note(printing.counted(rows, "row"))
