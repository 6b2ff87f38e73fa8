"""`zentra init`: makes the home; nothing else belongs here."""

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home


@click.command("init")
@options.home
@options.as_json
def command(home: Home, as_json: bool) -> None:
    """Make the home, the folder that holds all state.

    Doing it again changes nothing.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.tenants import tenancy

    is_new = tenancy.init_home(home)
    if as_json:
        printing.print_json({"home": str(home.root), "is_new": is_new})
    else:
        printing.say(f"{'Made' if is_new else 'Already there:'} {home.root}")
        printing.next_step("zentra tenant add TENANT")
