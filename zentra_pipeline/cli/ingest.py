"""`zentra ingest`: reads its options and prints what was accepted; the ingest itself does not belong here."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from zentra_pipeline.ingest.files import IngestOutcome
    from zentra_pipeline.tenants.tenant import Tenant


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
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
    "--settlement-file",
    "file_id",
    metavar="ID",
    callback=options.checked(identifiers.settlement_file_id),
    help="Id to register the files under.  [default: each file's name without its extension]",
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
    file_id: str | None,
    from_inbox: bool,
    is_confirmed: bool,
    as_json: bool,
) -> None:
    """Validate FILES, land their bytes and stage their rows.

    Either all files are accepted or none. Rows that break the contract go to quarantine, each with its reason; the
    exit code is 4 when no row was accepted. The same bytes again change nothing.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest.files import ingest_files
    from zentra_pipeline.ingest.mappings import format_in_force
    from zentra_pipeline.reconcile import mistakes

    if from_inbox:
        if files or kind is not None or file_id is not None:
            raise UsageError("--inbox takes callbacks that wait: leave out files, --kind and --settlement-file")
        _stage_inbox(tenant, _whose(provider, bank, "callbacks"), as_json)
        return
    if not files or kind is None:
        raise UsageError("name at least one file and its --kind, or --inbox for callbacks that came over HTTP")
    whose = _whose(provider, bank, kind)
    if not is_confirmed and bank is None:
        mistakes.check_provider(tenant, whose)
    outcome = ingest_files(
        tenant,
        provider=whose,
        kind=kind,
        files=files,
        file_id=file_id,
        format=format_in_force(tenant.paths, whose, kind),
        now=datetime.now(UTC),
        received_by=options.actor(None),
    )
    _warn(outcome)
    if as_json:
        printing.print_json(asdict(outcome))
    else:
        _print_result(outcome)


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
        _print_result(outcome)
    else:
        printing.say("the inbox is empty")


def _whose(provider: str | None, bank: str | None, kind: str) -> str:
    """The provider or bank of a kind of file; UsageError where the other one is named, or none."""
    if kind == "bank_statement":
        if bank is None or provider is not None:
            raise UsageError("--kind bank_statement goes with --bank, the name of a profile banks/<bank>.yml")
        return bank
    if provider is None or bank is not None:
        raise UsageError(f"--kind {kind} goes with --provider; --bank is for --kind bank_statement")
    return provider


def _print_result(outcome: "IngestOutcome") -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.ingest import wording

    headings = ("file", "rows", "staged", "quarantined", "sha256")
    printing.print_table(
        headings, [(file.file_id, file.rows, file.staged, file.quarantined, file.sha256[:12]) for file in outcome.files]
    )
    for file in outcome.files:
        if file.unchanged:
            printing.say(f"{file.file_id}: nothing new, these bytes are already here")
        if file.unknown_columns:
            printing.say(f"{file.file_id}: unknown columns kept in raw: {', '.join(file.unknown_columns)}")
        for note, count in file.notes.items():
            printing.say(f"{file.file_id}: {count} {note}")
        for reason, count in file.reasons.items():
            rows = wording.rows_named(file.reason_rows[reason], count)
            printing.say(f"{file.file_id}: {count:,} in quarantine: {reason} ({rows})")
