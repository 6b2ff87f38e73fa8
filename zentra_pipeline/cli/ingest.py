"""`zentra ingest`: reads its options and prints what was accepted; the ingest itself does not belong here."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from zentra_pipeline.ingest.files import FilesOfKind, IngestOutcome
    from zentra_pipeline.tenants.tenant import Tenant


_OF_BANK: Final = "bank_statement"


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def _kind_and_file(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[Path]]:
    """The files of each kind, in the order in which they were named."""
    found: dict[str, list[Path]] = {}
    for value in values:
        kind, mark, path = value.partition("=")
        if not mark or not path or kind not in identifiers.FILE_KINDS:
            kinds = ", ".join(identifiers.FILE_KINDS)
            raise UsageError(f"--file {value}: write KIND=FILE, such as ledger=ledger.csv; kinds are {kinds}")
        found.setdefault(kind, []).append(_FILE.convert(path, parameter, context))
    return found


@click.command("ingest")
@click.argument("files", nargs=-1, type=_FILE)
@options.tenant
@click.option(
    "--provider",
    metavar="P",
    callback=options.checked(identifiers.provider_id),
    help="Provider.  [required, but for bank statements]",
)
@click.option(
    "--bank",
    metavar="B",
    callback=options.checked(identifiers.bank_id),
    help="Bank whose profile reads the files.  [required with --kind bank_statement]",
)
@click.option("--kind", type=click.Choice(identifiers.FILE_KINDS), help="What the files hold.  [required with FILES]")
@click.option(
    "--file",
    "by_kind",
    metavar="KIND=FILE",
    multiple=True,
    callback=_kind_and_file,
    help="A file and its kind, instead of --kind and FILES; may be given several times.",
)
@click.option(
    "--settlement-file",
    "file_id",
    metavar="ID",
    callback=options.checked(identifiers.settlement_file_id),
    help="Id to register the files under; with --file, those of kind settlement.  "
    "[default: each file's name without its extension]",
)
@click.option("--inbox", "from_inbox", is_flag=True, help="Ingest callbacks received over HTTP instead of FILES.")
@options.confirmed
@options.home
@options.as_json
def command(
    *,
    files: tuple[Path, ...],
    tenant: "Tenant",
    provider: str | None,
    bank: str | None,
    kind: str | None,
    by_kind: dict[str, list[Path]],
    file_id: str | None,
    from_inbox: bool,
    is_confirmed: bool,
    as_json: bool,
) -> None:
    """Validate FILES, land their bytes and stage their rows.

    Either all files are accepted or none, of whatever kinds they are. Rows that break the contract go to quarantine,
    each with its reason; the exit code is 4 when no row of a kind was accepted. The same bytes again change nothing.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest.files import ingest_together
    from zentra_pipeline.reconcile import mistakes

    if from_inbox:
        if files or by_kind or kind is not None or file_id is not None:
            raise UsageError("--inbox takes callbacks that wait: leave out files, --kind, --file and --settlement-file")
        _stage_inbox(tenant, _whose(provider, bank, "callbacks"), as_json)
        return
    if by_kind:
        if files or kind is not None:
            raise UsageError("--file names a file with its kind: leave out --kind and FILES, or name all files so")
        asked = _of_several_kinds(tenant, by_kind, provider, bank, file_id)
    elif not files or kind is None:
        raise UsageError(
            "name at least one file and its --kind, files of several kinds with --file KIND=FILE, or --inbox for "
            "callbacks that came over HTTP"
        )
    else:
        asked = [_of_kind(tenant, kind, files, _whose(provider, bank, kind), file_id)]
    if not is_confirmed and provider is not None:
        mistakes.check_provider(tenant, provider)
    outcomes = ingest_together(tenant, asked, now=datetime.now(UTC), received_by=options.actor(None))
    for outcome in outcomes:
        _warn(outcome)
    if as_json:
        printing.print_json({"kinds": [asdict(each) for each in outcomes]} if by_kind else asdict(outcomes[0]))
    else:
        _print_result(outcomes)


def _of_several_kinds(
    tenant: "Tenant", by_kind: dict[str, list[Path]], provider: str | None, bank: str | None, file_id: str | None
) -> "list[FilesOfKind]":
    """The files of each kind; UsageError where a name that they need is missing, or one is given that none needs."""
    needs_provider, needs_bank = any(kind != _OF_BANK for kind in by_kind), _OF_BANK in by_kind
    if needs_provider != (provider is not None):
        raise UsageError(
            "files of every kind but bank_statement go with --provider: name it"
            if needs_provider
            else "--provider is for kinds other than bank_statement: leave it out, or name a file of such a kind"
        )
    if needs_bank != (bank is not None):
        raise UsageError(
            "files of kind bank_statement go with --bank, the name of a profile banks/<bank>.yml"
            if needs_bank
            else "--bank is for files of kind bank_statement: leave it out, or name one with --file bank_statement=FILE"
        )
    if file_id is not None and "settlement" not in by_kind:
        raise UsageError(
            "--settlement-file is the id of files of kind settlement: name one with --file settlement=FILE"
        )
    return [
        _of_kind(
            tenant, kind, files, str(bank if kind == _OF_BANK else provider), file_id if kind == "settlement" else None
        )
        for kind, files in by_kind.items()
    ]


def _of_kind(tenant: "Tenant", kind: str, files: Sequence[Path], whose: str, file_id: str | None) -> "FilesOfKind":
    from zentra_pipeline.ingest.files import FilesOfKind
    from zentra_pipeline.ingest.mappings import format_in_force

    return FilesOfKind(whose, kind, files, file_id, format_in_force(tenant.paths, whose, kind))


def _warn(outcome: "IngestOutcome") -> None:
    """Say loudly, on stderr, which ids a file uses for different rows."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest import wording

    for file in outcome.files:
        twice = file.ids_used_twice
        if not twice:
            continue
        rows = sum(len(numbers) for numbers in twice.values())
        printing.note(
            f"WARNING: {file.file_id}: {printing.counted(len(twice), 'id')} used twice (id_used_twice): "
            f"{printing.counted(rows, 'row')} of different content share an id, and all of them are in quarantine"
        )
        for named in wording.ids_named(twice):
            printing.note(f"  {named}")
        printing.note(f"  {wording.ASK_THE_SENDER[0].upper()}{wording.ASK_THE_SENDER[1:]}.")


def _stage_inbox(tenant: "Tenant", provider: str, as_json: bool) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest import callback_staging
    from zentra_pipeline.ingest.files import IngestOutcome

    outcomes = callback_staging.stage_callbacks(tenant, provider, datetime.now(UTC))
    outcome = IngestOutcome("callbacks", provider, tuple(file for each in outcomes for file in each.files))
    if as_json:
        printing.print_json(asdict(outcome))
    elif outcome.files:
        _print_result([outcome])
    else:
        printing.say("the inbox is empty")


def _whose(provider: str | None, bank: str | None, kind: str) -> str:
    """The provider or bank of a kind of file; UsageError where the other one is named, or none."""
    if kind == _OF_BANK:
        if bank is None or provider is not None:
            raise UsageError("--kind bank_statement goes with --bank, the name of a profile banks/<bank>.yml")
        return bank
    if provider is None or bank is not None:
        raise UsageError(f"--kind {kind} goes with --provider; --bank is for --kind bank_statement")
    return provider


def _print_result(outcomes: "Sequence[IngestOutcome]") -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest import wording

    rows = [(outcome.kind, file) for outcome in outcomes for file in outcome.files]
    headings = ["kind", "file", "rows", "staged", "quarantined", "sha256"]
    cells = [(kind, file.file_id, file.rows, file.staged, file.quarantined, file.sha256[:12]) for kind, file in rows]
    shown = 0 if len(outcomes) > 1 else 1  # of one kind, everybody knows which
    printing.print_table(headings[shown:], [cell[shown:] for cell in cells])
    for kind, file in rows:
        named = file.file_id if len(outcomes) == 1 else f"{kind} {file.file_id}"
        if file.unchanged:
            printing.say(f"{named}: nothing new, these bytes are already here")
        if file.unknown_columns:
            printing.say(f"{named}: unknown columns kept in raw: {', '.join(file.unknown_columns)}")
        for note, count in file.notes.items():
            printing.say(f"{named}: {count} {note}")
        for reason, count in file.reasons.items():
            numbers = wording.rows_named(file.reason_rows[reason], count)
            printing.say(f"{named}: {count:,} in quarantine: {reason} ({numbers})")
