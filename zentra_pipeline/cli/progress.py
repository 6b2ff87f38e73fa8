"""Shows how far a run is, on stderr: moving in a terminal, plain lines elsewhere; outcomes do not belong here."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zentra_pipeline.cli import printing


@contextmanager
def progress(prefix: str = "") -> Iterator[Callable[[str, str], None]]:
    """A function to call with a step and what it is doing, for as long as the work lasts."""
    if not sys.stderr.isatty():
        yield lambda step, detail: printing.note(f"{prefix}{step}: {detail}")
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True, highlight=False).status(Text(f"{prefix}starting")) as line:
        yield lambda step, detail: line.update(Text(printing.printable(f"{prefix}{step}: {detail}")))
