"""`zentra query`: runs SQL over the published tables and prints the rows; which SQL is allowed is the lake's to say."""

import json
from itertools import chain
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.queries.query_process import StreamedResult

SHOWN_ROWS = 1_000


def _statement(value: str) -> str:
    if not value.strip():
        raise UsageError('the query is empty: write one such as "SELECT * FROM runs"')
    if not value.isascii() and value != value.encode("utf-8", errors="replace").decode():
        raise UsageError("the query is not valid UTF-8: check the encoding of the terminal or script")
    return value


@click.command("query")
@click.argument("sql", callback=options.checked(_statement))
@options.tenant_of_query
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help="A table to read, RFC 4180 CSV, or a JSON array of objects.",
)
@click.option(
    "--timeout",
    type=int,
    metavar="SECONDS",
    help="How long the query may compute.  [default: $ZENTRA_QUERY_SECONDS, else 60]",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="Memory the query may take, such as 2GB.  [default: $ZENTRA_QUERY_MEMORY, else 1GB]",
)
@options.home
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout: the columns and the rows.")
def command(
    sql: str, tenant: str, form: str, timeout: int | None, memory: str | None, home: Home, as_json: bool
) -> None:
    """Read the published tables of a tenant with SQL.

    Tables: runs, matches, match_legs, three_way, exceptions, open_items, quarantine, conservation, rollforward and
    more. Only reading is possible, and it never waits for a run.

    Rows are printed as they are found. A query that takes more time or memory than it may ends with exit code 4.

    In CSV, text that a spreadsheet would take for a formula is given a leading apostrophe.
    """
    from zentra_pipeline.cli import audited, printing
    from zentra_pipeline.queries import query_process, query_request, result_text

    is_table = form == "table" and not as_json
    most = SHOWN_ROWS + 1 if is_table else None
    asked = query_request.request(str(home.root), tenant, sql, seconds=timeout, memory=memory, most=most)
    with query_process.answered(asked, meanwhile=lambda: audited.record(home, tenant)) as result:
        if is_table:
            _print_table(result)
            return
        if as_json:
            columns = json.dumps(result.columns, ensure_ascii=False)
            pieces = result_text.json_pieces(result.columns, result.rows)
            first = next(pieces)
            printing.write_pieces(chain((f'{{"columns": {columns},\n"rows": {first}',), pieces, ("}\n",)))
        elif form == "json":
            printing.write_pieces(result_text.json_pieces(result.columns, result.rows))
        else:
            printing.write_pieces(result_text.csv_lines(result.columns, result.rows))


def _print_table(result: "StreamedResult") -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.queries import result_text

    rows = list(result.rows)
    printing.print_table(
        result.columns,
        [
            [value if value is None or type(value) is int else result_text.text_of(value) for value in row]
            for row in rows[:SHOWN_ROWS]
        ],
    )
    if len(rows) > SHOWN_ROWS:
        printing.note(f"The first {SHOWN_ROWS:,} rows of more; --format csv or json prints them all.")
    else:
        printing.note(printing.counted(len(rows), "row"))
