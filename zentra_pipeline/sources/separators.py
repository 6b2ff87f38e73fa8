"""The characters that separate columns of a table: what a mapping calls them, and what messages do.

Does not belong here: which of them a file uses (header_refusals), reading a file (csv_grammar).
"""

import csv
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple


class Separator(NamedTuple):
    """A character between columns; `key` is its name in a profile's mapping, where the character itself will do too."""

    mark: str
    key: str
    plural: str


SEPARATORS: Final = (
    Separator(",", "comma", "commas"),
    Separator(";", "semicolon", "semicolons"),
    Separator("\t", "tab", "tabs"),
    Separator("|", "pipe", "vertical bars"),
    Separator(":", '":"', "colons"),
    Separator("^", '"^"', "carets"),
)
MARKS: Final = {separator.key: separator.mark for separator in SEPARATORS if separator.key.isalpha()}
"""Name in a profile's mapping → the character; the others have no name there."""


def plural(mark: str) -> str:
    """What messages call a separator."""
    return next((known.plural for known in SEPARATORS if known.mark == mark), f"{mark!r}")


def fields(line: str, mark: str) -> list[str]:
    """The fields of a line without the blanks around them; none where it is no CSV."""
    try:
        return [field.strip() for field in next(csv.reader([line.rstrip("\r\n")], delimiter=mark), [])]
    except csv.Error:
        return []


def other_than(mark: str, line: str, fits: Callable[[Sequence[str]], bool]) -> Separator | None:
    """The first other separator by which the fields of a line fit."""
    return next(
        (known for known in SEPARATORS if known.mark != mark and known.mark in line and fits(fields(line, known.mark))),
        None,
    )
