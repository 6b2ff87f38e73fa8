"""`zentra story`: prints a movement's history as text or JSON; what belongs to it is not decided here."""

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from zentra_pipeline.published.movement_history import HistoryEntry, MovementHistory
    from zentra_pipeline.tenants.tenant import Tenant

_COLOURS = {
    "intent": "magenta",
    "ledger": "blue",
    "callback": "cyan",
    "settlement": "green",
    "payout": "cyan",
    "bank": "bold cyan",
    "match": "bold green",
    "exception": "bold red",
    "decision": "yellow",
    "closeout": "bold",
}
_KIND_WIDTH = max(map(len, _COLOURS))
_PIPED_WIDTH = 110
_LEAST_WIDTH = 30
# An amount such as `1,250.00 USD` stays on one line: its gap is replaced while a sentence is broken into lines.
_AMOUNT_GAP = re.compile(r"(?<=[0-9]) (?=[A-Z]{3}\b)")
_UNBROKEN = "\ue000"
_MAX_REFERENCE = 4_096


def _reference(value: str) -> str:
    if not value.strip() or len(value) > _MAX_REFERENCE:
        raise UsageError(f"a provider reference has 1 to {_MAX_REFERENCE:,} characters, and not only spaces")
    return value


@click.command("story")
@click.argument("reference", metavar="REFERENCE", callback=options.checked(_reference))
@options.tenant
@click.option(
    "--provider", metavar="P", callback=options.checked(identifiers.provider_id), help="Only this provider's."
)
@options.home
@options.as_json
def command(reference: str, tenant: "Tenant", provider: str | None, as_json: bool) -> None:
    """Show the timeline of one payment.

    REFERENCE is the provider's reference, or the id of an intent, ledger transaction, ledger entry, settlement line or
    callback. It is followed to intents, postings, callbacks, settlement lines, matches, exceptions, decisions and
    closeouts, each with the rows of the files that state it, the run and the actor.
    """
    from zentra_pipeline.published import movement_history

    story = movement_history.history_of(tenant.paths, reference, provider)
    if as_json:
        _print_json(story)
    else:
        _print(story)


def _print_json(story: "MovementHistory") -> None:
    from dataclasses import asdict

    from zentra_pipeline.cli import printing

    content = asdict(story)
    printing.print_json({("standing" if name == "state" else name): value for name, value in content.items()})


def _print(story: "MovementHistory") -> None:
    from rich.text import Text

    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.printing import printable

    console = printing.console(None if sys.stdout.isatty() else _PIPED_WIDTH)
    title = Text(printable(story.provider_reference), style="bold")
    title.append(f"  {', '.join(map(printable, story.providers))}", style="not bold dim")
    console.print(title, soft_wrap=True)
    for line in Text(printable("; ".join(story.state))).wrap(console, console.width):
        line.rstrip()
        console.print(line, soft_wrap=True)
    day = ""
    for entry in story.entries:
        if entry.at[:10] != day:
            day = entry.at[:10]
            console.print(Text(f"\n{day}", style="bold"))
        for line in _lines(entry, console):
            console.print(line, soft_wrap=True)


def _lines(entry: "HistoryEntry", console: "Console") -> Iterator["Text"]:
    """An entry of the time line: clock, kind and the sentence, with where it comes from below."""
    from rich.text import Text

    from zentra_pipeline.cli.printing import printable

    head = Text(f"  {entry.at[11:19]}  ")
    head.append(f"{entry.kind:<{_KIND_WIDTH}}  ", style=_COLOURS[entry.kind])
    width = max(console.width - len(head), _LEAST_WIDTH)
    sentence = Text(printable(entry.sentence), style="bold red" if entry.is_late else "")
    origin = Text(printable(_origin(entry)), style="dim")
    sentence.plain = _AMOUNT_GAP.sub(_UNBROKEN, sentence.plain)
    for line in [*sentence.wrap(console, width), *(origin.wrap(console, width) if origin else ())]:
        line.plain = line.plain.replace(_UNBROKEN, " ").rstrip()
        yield head + line
        head = Text(" " * len(head))


def _origin(entry: "HistoryEntry") -> str:
    """Who says so: actor, rows of files, run."""
    files: dict[str, list[int]] = {}
    for source in entry.sources:
        files.setdefault(f"{source.file_id} ({source.sha256[:8]})", []).append(source.row)
    rows = [
        f"{name} row{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
        for name, numbers in files.items()
    ]
    parts = [f"by {entry.actor}" if entry.actor else "", *rows, entry.run_id or ""]
    return " · ".join(part for part in parts if part)
