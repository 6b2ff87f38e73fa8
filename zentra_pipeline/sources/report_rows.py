"""What readers of providers' row reports share: rows of a delimited file as mappings, checked amounts and instants.

Does not belong here: the columns of any report.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from zentra_pipeline import vocabulary
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.csv_grammar import TextFrame, csv_text
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns, refuse_other_headers

Row = Mapping[str, str | None]
_ZONE = re.compile(r"(.+[0-9]) ([A-Z]{3,4})", re.ASCII)
_YEAR_FIRST = re.compile(r"\A([0-9]{4})/([0-9]{2})/([0-9]{2})", re.ASCII)
_DAY_FIRST = re.compile(r"([0-9]{2})[./]([0-9]{2})[./]([0-9]{4})(?:[ T](.*))?", re.ASCII)
_MINUS_ZERO = re.compile(r"-0*(?:\.0*)?", re.ASCII)


def rows(path: Path, name: str, expected: Expected) -> Iterator[tuple[int, Row]]:
    """Number and cells of each row of data; InputRejectedError when a required column is missing."""
    for text in _frames(path, name, expected):
        check_columns(text.columns.columns, name, expected)
        yield from enumerate(text.columns.iter_rows(named=True), start=text.first_row)


def header_of(path: Path, name: str, expected: Expected) -> Sequence[str]:
    """The column names of a file, be they those of another report."""
    return next(_frames(path, name, expected)).columns.columns


def _frames(path: Path, name: str, expected: Expected) -> Iterator[TextFrame]:
    start = start_of(path)
    refuse_other_forms(start, name)
    refuse_other_headers(start, name, expected)
    return csv_text(path, name, expected.separator)


def minor_units(row: Row, column: str, currency: str) -> int:
    """Minor units of a cell, a point or a comma before its decimals; blank is 0. ValueError naming the column."""
    text = (row.get(column) or "").strip()
    if not text or _MINUS_ZERO.fullmatch(text):
        return 0
    try:
        return bank_statements.minor_units(text, currency, point="," if "," in text else ".")
    except ValueError as cause:
        raise ValueError(f"{column}: {cause}") from cause


def instant(text: str | None) -> str | None:
    """A date of a report as an instant: ISO 8601, year first or day first, a time zone (` JST`) at its end, else UTC.

    Text of another form comes back as it is, for the gate to refuse.
    """
    if text is None:
        return None
    zoned = _ZONE.fullmatch(text.strip())
    behind = _offsets().get(zoned.group(2)) if zoned else 0
    if behind is None:
        return text
    plain = zoned.group(1) if zoned else text.strip()
    found = _DAY_FIRST.fullmatch(plain)
    if found:
        day, month, year, clock = found.groups()
        plain = f"{year}-{month}-{day}{f'T{clock}' if clock else ''}"
    plain = re.sub(r"(?<=[0-9]{2}) (?=[0-9]{2}:)", "T", _YEAR_FIRST.sub(r"\1-\2-\3", plain))
    offset = (
        f"{'-' if behind < 0 else '+'}{abs(behind) // 60:02}:{abs(behind) % 60:02}" if behind and "T" in plain else ""
    )
    return bank_statements.instant(f"{plain}{offset}")


@cache
def _offsets() -> Mapping[str, int]:
    return vocabulary.utc_offsets()
