"""`zentra demo`: the command alone; the story it plays does not belong here."""

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home


@click.command("demo")
@options.home
@options.as_json
def command(home: Home, as_json: bool) -> None:
    """Show the shipped stories end to end: ingest, run, exceptions, decisions, closeout, verify."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.scenarios.demo import run_demo

    played = run_demo(home, printing.note if as_json else printing.say)
    if as_json:
        printing.print_json(played)
