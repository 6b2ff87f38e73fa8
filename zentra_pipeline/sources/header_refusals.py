"""Says why the first line of a CSV is not the header that its reader needs, in words of its sender.

Does not belong here: forms that are not CSV (file_refusals), records below the header (record_refusals).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import separators
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK

_LINES_LOOKED_AT = 200
_NAMED = 8
_SHOWN = 60
_DATA = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
# Characters that spreadsheets and web pages leave in a name without anybody seeing them, and marks around names.
_ORNAMENT = re.compile(r"[^\w]|_", re.UNICODE)


@dataclass(frozen=True)
class Cures:
    """What to do about a file of another layout: `{key}` names the separator it has, `{above}` counts lines."""

    separator: str = "export it with commas (RFC 4180)"
    lines_above: str = "delete the lines above it"
    no_header: str = "export it with its header"


@dataclass(frozen=True)
class Expected:
    """What a reader needs: the report in words, its required columns, and what to ask the sender for.

    `separator` is the character that the reader splits at, `width` the least number of columns, where that is known.
    """

    report: str
    columns: tuple[str, ...]
    remedy: str
    separator: str = ","
    width: int = 0
    cures: Cures = Cures()

    def is_header(self, fields: Sequence[str]) -> bool:
        """Whether fields are those of a header, be it one that lacks columns."""
        if not self.columns:
            return len(fields) >= self.width
        return not set(self.columns).isdisjoint(fields)


def refuse_other_headers(start: bytes, name: str, expected: Expected, skipped: int = 0) -> None:
    """InputRejectedError that says what the first line is, where it is not a header with any of the columns.

    Nothing is said of a header that merely lacks columns: `check_columns` does that once the grammar is proved.
    `skipped`: how many lines of the file come before `start`.
    """
    if b"\x00" in start or not start.strip(b"\r\n"):
        return
    lines = start.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").split("\n")[:_LINES_LOOKED_AT]
    if expected.is_header(separators.fields(lines[0], expected.separator)):
        return
    why = _separated_otherwise(lines, expected)
    if why is None and expected.columns:
        why = _further_down(lines, expected, skipped) or _otherwise(lines[0], expected, skipped + 1)
    if why is not None:
        raise InputRejectedError(f"{name}: {why}")


def check_columns(header: Sequence[str], name: str, expected: Expected) -> None:
    """InputRejectedError when a required column is missing; it names those that are there under a like name."""
    missing = [column for column in expected.columns if column not in header]
    if not missing:
        return
    if header and not any(column.strip() for column in header):
        raise InputRejectedError(f"{name}: header: line 1 is blank; delete the blank lines above the header")
    alike = _alike(missing, header)
    if alike:
        pairs = ", ".join(f"{_short(found)!r} for {column}" for column, found in alike.items())
        others = [column for column in missing if column not in alike]
        also = f"; no column {', '.join(others)}" if others else ""
        raise InputRejectedError(
            f"{name}: header: the column names are written otherwise: {pairs}{also}; write each exactly as given"
        )
    if header and len(missing) == len(expected.columns):
        raise InputRejectedError(
            f"{name}: no column {', '.join(missing)}; its header has {_listed(header)}, which is not "
            f"{expected.report}; {expected.remedy}"
        )
    raise InputRejectedError(f"{name}: no column {', '.join(missing)}; {expected.remedy}")


def _short(column: str) -> str:
    return column if len(column) <= _SHOWN else f"{column[:_SHOWN]}…"


def _separated_otherwise(lines: Sequence[str], expected: Expected) -> str | None:
    """Why, where another character separates the columns; a first line `sep=;` says so itself."""
    said = re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE)
    header = lines[1] if said and len(lines) > 1 else lines[0]
    found = separators.other_than(expected.separator, header, expected.is_header)
    if found is None:
        return None
    due = separators.plural(expected.separator)
    cure = expected.cures.separator.format(key=found.key)
    return f"its columns are separated by {found.plural}, not by {due}; {cure}"


def _further_down(lines: Sequence[str], expected: Expected, skipped: int) -> str | None:
    for above, line in enumerate(lines[1:], start=skipped + 1):
        if set(expected.columns) <= set(separators.fields(line, expected.separator)):
            shown = lines[0].rstrip("\r")
            what = f"line {skipped + 1} ({shown[:_SHOWN]!r})" if shown else f"line {skipped + 1} (it is blank)"
            cure = expected.cures.lines_above.format(above=above)
            return f"{what} is not the header of this report: the header is in line {above + 1}; {cure}"
    return None


def _otherwise(first: str, expected: Expected, number: int) -> str | None:
    """Why, where a line holds the names in other writing, holds data, or is one quoted field."""
    fields, mark = separators.fields(first, expected.separator), expected.separator
    if len(fields) == 1 and mark in fields[0] and expected.is_header(separators.fields(fields[0], mark)):
        return (
            f"each line is one quoted field: its {separators.plural(mark)} separate nothing; export it without quotes "
            "around whole lines"
        )
    if _alike(expected.columns, fields):
        return None
    values = [field for field in fields if field]
    if len(values) > 2 and sum(bool(_DATA.fullmatch(field)) for field in values) * 4 >= len(values):
        return (
            f"line {number} ({first.rstrip()[:_SHOWN]!r}) looks like a row of data: the header line with the column "
            f"names is missing; {expected.cures.no_header}"
        )
    return None


def _alike(columns: Iterable[str], header: Sequence[str]) -> dict[str, str]:
    """Column → the name in the header that differs from it only in case, blanks, quotes or marks."""
    by_letters = {_letters(found): found for found in reversed(header) if _letters(found)}
    return {column: by_letters[_letters(column)] for column in columns if _letters(column) in by_letters}


def _letters(column: str) -> str:
    return _ORNAMENT.sub("", column).casefold()


def _listed(header: Sequence[str]) -> str:
    names = ", ".join(repr(column[:_SHOWN]) for column in header[:_NAMED])
    return f"{names} and {len(header) - _NAMED:,} more" if len(header) > _NAMED else names
