"""`zentra backup`: writes an archive of a home and prints what is in it; what belongs in one does not belong here."""

import shlex
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.upkeep.backup import Backup

_SHOWN = 20


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@options.home
@options.as_json
def command(file: Path, home: Home, as_json: bool) -> int:
    """Write all that cannot be made again of a home in use to one archive.

    FILE is a tar archive, packed where its name ends in .gz. It holds what the home holds: inputs, decisions, sealed
    bundles, configuration and keys, so keep it where you would keep the home. Runs and servers go on meanwhile.
    Exit code 5 when files were missing or damaged: the archive holds the rest, and `zentra doctor` names the remedy.
    The audit log of each tenant has the command, in the archive too.
    """
    from zentra_pipeline.cli import audited, printing
    from zentra_pipeline.tenants import tenancy
    from zentra_pipeline.upkeep import backup

    for tenant in tenancy.names(home):
        audited.record(home, tenant)
    made = backup.write(home, file, datetime.now(UTC))
    if as_json:
        printing.print_json({"file": str(file), **asdict(made)})
    else:
        print_tenants(made)
        printing.say(f"{file}: {printing.counted(made.files, 'file')}, {made.bytes:,} bytes before packing")
        print_damage(made)
        if made.damaged:
            printing.next_step("zentra doctor")
        else:
            printing.note(f"Next, to see that it holds: zentra restore {shlex.quote(str(file))} --home NEW_FOLDER")
    return VerificationError.exit_code if made.damaged else 0


def print_tenants(made: "Backup") -> None:
    """A line each tenant of an archive."""
    from zentra_pipeline.cli import printing

    printing.print_table(
        ("tenant", "files", "runs", "seals", "decisions", "events"),
        [
            (each.tenant, each.files, each.runs, each.closeouts, each.decisions, each.log_position)
            for each in made.tenants
        ],
    )


def print_damage(made: "Backup") -> None:
    """The files that an archive lacks or has with other bytes than recorded, on stderr."""
    from zentra_pipeline.cli import printing

    for name in made.damaged[:_SHOWN]:
        printing.note(f"missing or damaged: {name}")
    if len(made.damaged) > _SHOWN:
        printing.note(f"missing or damaged: {len(made.damaged) - _SHOWN:,} more files")
