"""`zentra keys`: makes, rotates, lists and hands out signing keys; nothing of private keys is ever printed."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home


@click.group("keys")
def command() -> None:
    """Make, rotate and hand out the keys that sign closeouts."""


@command.command("init")
@options.home
@options.as_json
def init(home: Home, as_json: bool) -> None:
    """Make the first key.

    Doing it again changes nothing; the first closeout does it by itself.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.keys import signing_keys

    record, is_new = signing_keys.init(home, datetime.now(UTC))
    if as_json:
        printing.print_json({**asdict(record), "is_new": is_new})
    else:
        printing.say(f"{'Made' if is_new else 'Already there:'} key {record.keyid}")
        printing.next_step("zentra keys export-trust FILE", "for whoever checks your closeouts")


@command.command("rotate")
@click.option(
    "--overlap-days",
    metavar="N",
    type=click.IntRange(0, 3650),
    default=7,
    show_default=True,
    help="How long the old key stays valid.",
)
@options.home
@options.as_json
def rotate(overlap_days: int, home: Home, as_json: bool) -> None:
    """Make a new key, signed by the previous one."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.keys import signing_keys

    record = signing_keys.rotate(home, datetime.now(UTC), overlap_days)
    if as_json:
        printing.print_json(asdict(record))
    else:
        printing.say(f"Made key {record.keyid}, signed by {record.signed_by}")
        printing.note("Bundles carry the new key's signature along.")
        printing.next_step("zentra keys export-trust FILE")


@command.command("export-trust")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.home
@options.as_json
def export_trust(file: Path, home: Home, as_json: bool) -> None:
    """Write the public keys to FILE, for auditors to pin."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.errors import UsageError
    from zentra_pipeline.keys import signing_keys

    try:
        found = signing_keys.export_trust(home, file)
    except OSError as cause:
        raise UsageError(
            f"{file} cannot be written ({cause.strerror}): name a file in a folder you may write"
        ) from cause
    if as_json:
        printing.print_json({"file": str(file), "keys": [asdict(record) for record in found]})
    else:
        printing.say(f"Wrote {printing.counted(len(found), 'key')} to {file}")


@command.command("list")
@options.home
@options.as_json
def list_keys(home: Home, as_json: bool) -> None:
    """List the home's keys, oldest first."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.keys import signing_keys

    found = signing_keys.records(home)
    if as_json:
        printing.print_json({"items": [asdict(record) for record in found]})
        return
    if not found:
        printing.note("No key yet: zentra keys init")
        return
    printing.print_table(
        ("key", "valid from", "valid until", "signed by"),
        [(record.keyid, record.valid_from, record.valid_until or "", record.signed_by or "") for record in found],
    )
