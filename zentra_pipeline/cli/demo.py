"""`zentra demo`: the command alone; the story it tells does not belong here."""

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home


@click.command("demo")
@options.home
def command(home: Home) -> None:
    """Show the shipped story from ingest to exceptions."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.demo import run_demo

    run_demo(home, printing.say)
