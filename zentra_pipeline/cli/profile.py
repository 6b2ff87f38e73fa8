"""`zentra profile`: proposes a profile for a file; what the proposal says does not belong here."""

from pathlib import Path

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home


@click.group("profile")
def command() -> None:
    """Propose a provider's profile for a file."""


@command.command("draft")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.home
@options.as_json
def draft(file: Path, home: Home, as_json: bool) -> None:
    """Print a profile with a column mapping for FILE, as its columns look: advice to be checked, nothing is changed."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.config import drafting

    text = drafting.draft(file)
    if as_json:
        printing.print_json({"file": file.name, "profile": text})
    else:
        printing.say(text.rstrip("\n"))
        printing.note("Save it, correct it, then: zentra inspect --format tabular --profile PROFILE.yml FILE")
