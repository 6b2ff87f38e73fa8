"""`zentra exceptions decide`: reads a sheet and prints the result of each row; the work is done in desk.sheets."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import RefusedError, ZentraError

if TYPE_CHECKING:
    from zentra_pipeline.desk.sheets import RowResult
    from zentra_pipeline.tenants.tenant import Tenant

_STANDARD_INPUT: Final = Path("-")


@click.command("decide")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@options.tenant
@options.acting
@options.home
@options.as_json
def command(file: Path, tenant: "Tenant", actor: str, as_json: bool) -> None:
    """Decide about many exceptions: a decision a row of the sheet FILE; - reads it from standard input.

    The sheet is that of `zentra exceptions list --format csv` with actions and reasons written into it, or has columns
    exception_id and action, and any of reason, owner, resolution and version. Each row is accepted, or refused with its
    reason, by itself; what its actor has just decided is accepted and not recorded again.

    Exits 0 when every row was accepted, 3 when some were refused, and 4 when FILE is no such sheet: then nothing
    changed. 1 says that a fault kept a row from being decided, or its run from being re-reconciled.
    """
    from zentra_pipeline.actors import command_line
    from zentra_pipeline.cli import printing
    from zentra_pipeline.desk import sheets
    from zentra_pipeline.review import record

    rows = sheets.read(_content(file, sheets.MOST_BYTES))
    results = []
    for result in sheets.decide(
        tenant, rows, actor=actor, role=record.LOCAL_ROLE, origin=command_line(), now=lambda: datetime.now(UTC)
    ):
        results.append(result)
        if not as_json:
            printing.say(_described(result))
    outcome = sheets.outcome(results)
    if as_json:
        printing.print_json(outcome)
    else:
        printing.note(f"{printing.counted(outcome['accepted'], 'row')} accepted, {outcome['refused']:,} refused")
    refusals = [result.error for result in results if result.error is not None]
    if refusals:
        is_fault = any(error.exit_code == ZentraError.exit_code for error in refusals)
        raise click.exceptions.Exit(ZentraError.exit_code if is_fault else RefusedError.exit_code)


def _content(file: Path, most: int) -> bytes:
    """The bytes of a file, or of standard input; of one that is too large no more than shows that it is."""
    if file == _STANDARD_INPUT:
        return sys.stdin.buffer.read(most + 1)
    with file.open("rb") as stream:
        return stream.read(most + 1)


def _described(result: "RowResult") -> str:
    """A result in words: `row 2  exc_1a2b  refused: exception exc_1a2b is at version 3, not 1: …`."""
    said = "accepted" if result.error is None else f"refused: {result.error}"
    return f"row {result.row}  {result.exception_id}  {said}"
