"""`zentra export`: writes a run as an Excel workbook; what it contains does not belong here."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant


@click.command("export")
@options.tenant
@click.option(
    "--run",
    "run_id",
    metavar="ID",
    required=True,
    callback=options.checked(options.record_id),
    help="Run to export; it must have been published.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Workbook to write.  [default: <run>.xlsx in the current folder]",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@options.home
@options.as_json
def command(tenant: "Tenant", run_id: str, out: Path | None, force: bool, as_json: bool) -> None:
    """Write a run as an Excel workbook.

    Sheets: summary with the statement and control totals, matches, exceptions, open items, decisions, sign-off. Text
    is written as text and never becomes a formula; amounts are numbers with the currency's decimals.
    """
    from zentra_pipeline.cli import printing

    path = out or Path(f"{run_id}.xlsx")
    if path.suffix.lower() != ".xlsx":
        raise UsageError(f"{path} does not end in .xlsx, and only Excel workbooks can be written")
    if path.exists() and not force:
        raise UsageError(f"{path} is already there: name another file with --out, or replace it with --force")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a folder: make it, or name another file with --out")

    from zentra_pipeline.closeout.workbook import write_workbook

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        written = write_workbook(temporary, tenant.paths, run_id)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if as_json:
        printing.print_json({"path": str(path), **asdict(written)})
        return
    rows = sum(written.sheets.values())
    printing.say(f"{path}: run {run_id}, revision {written.revision}, {printing.counted(rows, 'row')}")
    if written.amounts_as_text:
        count = printing.counted(written.amounts_as_text, "amount")
        printing.note(f"{count} beyond the 15 digits Excel keeps exactly; written as text")
