"""What query results look like as text: JSON, RFC 4180 CSV and cells of a table; printing does not belong here."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from zentra_pipeline.errors import UsageError

# What spreadsheets take for the begin of a formula; the wide forms are those of East Asian keyboards.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def json_pieces(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A JSON array, an object and a line a row; UsageError when two columns share a name or a value has no form."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UsageError(f"column {twice[0]!r} appears in the result twice: give one of them another name with AS")
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=json_value)
    separator = "[\n"
    try:
        for row in rows:
            yield separator
            yield encoder.encode(dict(zip(columns, row, strict=True)))
            separator = ",\n"
    except (TypeError, ValueError) as cause:
        raise UsageError(f"a value has no JSON form ({cause}): cast it to VARCHAR") from cause
    yield "[]\n" if separator == "[\n" else "\n]\n"


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]], separator: str = ",") -> Iterator[str]:
    """A header and one record a row by RFC 4180; null is an empty field, empty text a quoted one."""
    yield _record(columns, separator)
    for row in rows:
        yield _record(row, separator)


def _record(values: Sequence[object], separator: str) -> str:
    fields = [_field(value, separator) for value in values]
    return ('""' if fields == [""] else separator.join(fields)) + "\r\n"


def _field(value: object, separator: str) -> str:
    if value is None:
        return ""
    text = text_of(value)
    if isinstance(value, str):
        if text.startswith(_FORMULA_STARTS):
            text = "'" + text
        if not text:
            return '""'
    if any(mark in text for mark in f'{separator}"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def without_guard(field: str) -> str:
    """The text that `csv_lines` wrote, with an apostrophe in front, so that no spreadsheet takes it for a formula."""
    return field[1:] if field.startswith("'") and field[1:].startswith(_FORMULA_STARTS) else field


def text_of(value: object) -> str:
    """A value's text outside JSON: what JSON shows as text is shown without quotes, lists and structs as JSON."""
    plain = json_value(value)
    if isinstance(plain, bool | list | tuple | dict):
        return json.dumps(plain, ensure_ascii=False, default=json_value)
    return str(plain)


def json_value(value: object) -> object:
    """What JSON has for a value; instants are UTC, without a fraction where it is zero, decimals are text."""
    if value is None or isinstance(value, str | int | float | list | tuple | dict):
        return value
    if isinstance(value, datetime):
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return utc.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} {value!r}")
