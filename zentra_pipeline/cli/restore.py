"""`zentra restore`: makes a home of an archive and prints what is in it; how that is done does not belong here."""

from dataclasses import asdict
from pathlib import Path

import click

from zentra_pipeline.cli import options
from zentra_pipeline.cli.backup import print_damage, print_tenants
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.settings import Home


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@options.home
@options.as_json
def command(file: Path, home: Home, as_json: bool) -> int:
    """Make a home of an archive that `zentra backup` wrote.

    The home must not be there yet, or be empty. Every file is compared with the archive's list; where one differs or
    is missing, nothing is restored. With ZENTRA_DATABASE_URL set the stores go into schemas of that database, as those
    of a new home do, else into files. Exit code 5 when the backup was made of a home that lacked files. The audit log
    of each tenant goes on with this command.
    """
    from zentra_pipeline.cli import audited, printing
    from zentra_pipeline.upkeep import backup

    restored = backup.restore(file, home)
    for each in restored.tenants:
        audited.record(home, each.tenant)
    if as_json:
        printing.print_json({"home": str(home.root), **asdict(restored)})
        return VerificationError.exit_code if restored.damaged else 0
    print_tenants(restored)
    print_damage(restored)
    printing.say(f"{home.root}: as of {restored.made_at}, {printing.counted(restored.files, 'file')}")
    printing.next_step("zentra doctor", "which compares all of it with what was recorded")
    return VerificationError.exit_code if restored.damaged else 0
