"""How the command line prints: JSON, tables for a terminal, notes on stderr; what is printed does not belong here.

Data comes from outsiders: in tables, characters that a terminal would act on are shown as escapes.
"""

import json
import os
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 1_000_000
_PIECES = 1 << 16
_GAP = 3  # between two columns of a table
_LEAST_TEXT = 30  # a column of longer texts is folded to that before it is left out


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object as UTF-8 on stdout, whatever the locale."""
    write_bytes(encoded(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"))


def write_bytes(content: bytes) -> None:
    """Write all of it to stdout as it is; an unbuffered stdout may take less than it is given at a time."""
    sys.stdout.flush()
    rest = memoryview(content)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.buffer.flush()


def write_pieces(pieces: Iterable[str]) -> None:
    """Write texts to stdout as UTF-8 as they come, some at a time."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECES:
            write_bytes(encoded("".join(waiting)))
            waiting, size = [], 0
    write_bytes(encoded("".join(waiting)))


def encoded(text: str) -> bytes:
    """Text as UTF-8; a lone surrogate, which only a file name can hold, becomes its JSON escape."""
    return text.encode("utf-8", errors="backslashreplace")


def say(text: str = "") -> None:
    """One or more lines for a person, on stdout."""
    click.echo(printable_lines(text))


def note(text: str) -> None:
    """One or more lines about what is going on, on stderr."""
    click.echo(printable_lines(text), err=True)


def next_step(command: str, remark: str | None = None) -> None:
    """Name the command that goes on from here, on stderr; it carries the --home that this one was given."""
    context = click.get_current_context(silent=True)
    if context is not None and context.get_parameter_source("home") is click.core.ParameterSource.COMMANDLINE:
        command += f" --home {shlex.quote(str(context.params['home'].root))}"
    note(f"Next{', ' + remark if remark else ''}: {command}")


def printable(text: str) -> str:
    """Text on one line, with every character that does not simply print shown as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def printable_lines(text: str) -> str:
    """Like `printable`, keeping line breaks."""
    return "\n".join(printable(line) for line in text.split("\n"))


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun: `1 match`, `1,200 matches`; without a plural, `s` makes it."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def console(width: int | None = None) -> "Console":
    """Stdout for tables and styled lines; of the terminal's width, without any style where `NO_COLOR` is set."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    return Console(file=sys.stdout, highlight=False, width=width, color_system=None if plain else "auto")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], amounts: Collection[str] = ()) -> None:
    """Print a table on stdout: integers and `amounts` to the right, null as `null`; not cut to any width when piped.

    On a terminal too narrow for all columns the first that fit are printed, and the others are named on stderr.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    texts = [["null" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    names = [printable(heading) for heading in headings]
    screen = console(None if sys.stdout.isatty() else _UNBOUNDED)
    columns = _fitting(names, texts, screen.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position in range(columns):
        is_number = headings[position] in amounts or any(type(row[position]) is int for row in rows)
        table.add_column(Text(names[position]), justify="right" if is_number else "left", overflow="fold")
    for row, cells in zip(rows, texts, strict=True):
        table.add_row(*(Text(cells[at], style="dim" if row[at] is None else "") for at in range(columns)))
    screen.print(table)
    if columns < len(names):
        note(f"Not shown, the terminal is too narrow: {', '.join(names[columns:])}. Widen it, or use a pipe or --json.")


def _fitting(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> int:
    """How many columns fit side by side, from the left: one at least, and long texts may be folded."""
    from rich.cells import cell_len

    used = 0
    for position, name in enumerate(names):
        longest = max(map(cell_len, (name, *(row[position] for row in rows))))
        used += (_GAP if position else 0) + min(longest, _LEAST_TEXT)
        if used > width and position:
            return position
    return len(names)
