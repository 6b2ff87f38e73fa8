"""Rows of callbacks as readers hand them on: one a callback, with why it is refused, in frames of some thousands.

Does not belong here: files (deliveries), signatures, what an event means.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

import polars as pl

from zentra_pipeline.contracts import callbacks

Row = dict[str, str | int | None]

FRAME_ROWS = 8_192
_INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z", re.ASCII)


def frames(rows: Iterable[Row]) -> Iterator[pl.DataFrame]:
    """Rows as frames of the contract's columns with `raw`, `row_number`, `refusal` and `source_row`; at least one."""
    remaining = iter(rows)
    yield frame(islice(remaining, FRAME_ROWS))
    while some := list(islice(remaining, FRAME_ROWS)):
        yield frame(some)


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    """One frame of rows; a column that a row lacks is null."""
    schema: dict[str, pl.DataType] = {column: pl.String() for column in callbacks.CONTRACT.columns}
    schema |= {"raw": pl.String(), "row_number": pl.Int64(), "refusal": pl.String(), "source_row": pl.String()}
    return pl.DataFrame([{**row, "refusal": _sayable(row.get("refusal"))} for row in rows], schema=schema)


def _sayable(refusal: str | int | None) -> str | None:
    """A refusal with `?` for halves of surrogate pairs, which it may quote from the event and no file can hold."""
    return None if refusal is None else str(refusal).encode("utf-8", "replace").decode()


def received(text: str | None) -> datetime:
    """When a delivery came, by its envelope; ValueError when that is no instant."""
    found = _INSTANT.fullmatch(text or "")
    if not found:
        raise ValueError(f"received_at: {text!r} is not an instant such as 2026-01-31T09:30:00Z")
    return datetime.fromisoformat(found.group(1)).replace(tzinfo=UTC)


def check_text(values: Mapping[str, str | None]) -> None:
    """ValueError when a value is no text that UTF-8 can hold."""
    for column, value in values.items():
        try:
            (value or "").encode("utf-8")
        except UnicodeEncodeError as cause:
            raise ValueError(f"{column}: half of a surrogate pair is not text") from cause
