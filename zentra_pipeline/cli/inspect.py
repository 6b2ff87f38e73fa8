"""`zentra inspect`: prints what a reader makes of files; reading and adding up do not belong here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.ingest.inspection import InspectedStatement
    from zentra_pipeline.sources.column_mapping import ColumnMapping


@click.command("inspect")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "file_format",
    metavar="F",
    help="Reader: canonical, stripe, camt053, …; without it, which could.",
)
@click.option(
    "--profile",
    "profile_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A provider's or bank's profile whose column mapping reads the table.  [required with format tabular]",
)
@options.home
@options.as_json
def command(
    files: tuple[Path, ...], file_format: str | None, profile_file: Path | None, home: Home, as_json: bool
) -> None:
    """Show what a reader makes of FILES: entries and sums per statement, batch or report, and whether they tie.

    Reads them as `ingest` would, needs no home and changes nothing. Exits 4 when every file is refused. Without
    --format it names the readers that could take each file; ingest never guesses.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest import inspection

    if file_format is None:
        if profile_file is not None:
            raise UsageError("--profile goes with --format tabular")
        _name_readers(files, as_json)
        return
    mapping = _mapping(profile_file)
    statements: list[InspectedStatement] = []
    notes: list[dict[str, Any]] = []
    refused = 0
    for file in files:
        try:
            found = inspection.inspect(file_format, file, mapping)
            statements += found.statements
            refused += found.is_refused
            notes += [{"file": file.name, "note": note, "count": count} for note, count in found.notes.items()]
        except InputRejectedError as refusal:
            statements.append(inspection.refused(file, str(refusal)))
            refused += 1
    if as_json:
        printing.print_json({"statements": [asdict(statement) for statement in statements], "notes": notes})
    else:
        _print_result(statements, notes)
    if refused == len(files):
        raise click.exceptions.Exit(InputRejectedError.exit_code)


def _name_readers(files: Sequence[Path], as_json: bool) -> None:
    """Say which readers could take each file; exits 4 when none takes any."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest.recognition import recognize

    said = [(file, *recognize(file)) for file in files]
    if as_json:
        found = [
            {"file": file.name, "readers": [asdict(reader) for reader in readers], "refused": reason}
            for file, readers, reason in said
        ]
        printing.print_json({"files": found})
    for file, readers, reason in () if as_json else said:
        for reader in readers:
            click.echo(f"{file.name}: --format {reader.format} reads it as {reader.kind}")
        if reason is not None:
            click.echo(f"{reason}\n{file.name}: for a table of other columns: zentra profile draft {file}")
    if not any(readers for _, readers, _ in said):
        raise click.exceptions.Exit(InputRejectedError.exit_code)


def _mapping(profile_file: Path | None) -> "ColumnMapping | None":
    """The column mapping of a provider's or bank's profile; ConfigurationError when the profile cannot be read."""
    if profile_file is None:
        return None
    from zentra_pipeline.config import bank_profile, profile, strict_yaml

    content = strict_yaml.read_mapping(profile_file)
    is_bank = "format" in content and "settlement_format" not in content
    parse = bank_profile.parse_bank if is_bank else profile.parse_profile
    return parse(content, profile_file.name).tabular


def _print_result(statements: Sequence["InspectedStatement"], notes: Sequence[Mapping[str, Any]]) -> None:
    from zentra_pipeline.cli import printing

    headings = ("file", "id", "entries", "currency", "signed sum", "ties")
    printing.print_table(
        headings,
        [
            (s.file, s.id or "", s.entries, s.currency or "", _sum(s), _ties(s))
            for s in statements
            if s.signed_sum_minor is not None or not s.refused
        ],
        amounts=("signed sum",),
    )
    for statement in statements:
        if statement.refused:
            printing.say(f"refused: {statement.refused}")
    for note in notes:
        printing.say(f"{note['file']}: {note['count']:,} {note['note']}")


def _sum(statement: "InspectedStatement") -> str:
    from zentra_pipeline import money

    if statement.signed_sum_minor is None or statement.currency is None:
        return ""
    return money.amount_text(statement.signed_sum_minor, statement.currency)


def _ties(statement: "InspectedStatement") -> str:
    return {True: "yes", False: "NO", None: "unknown"}[statement.ties]
