"""JSON Lines: one strict JSON object a line, its values kept as written. Which rows are accepted does not belong here.

Most lines of a file have one shape: the same keys in the same order, values without escapes. Where all lines of a chunk
are written alike, they are cut at their quotes (json_cuts). Otherwise a shape is one anchored regular expression that
only well-formed objects match, so the fast engine needs no trust. Every other line is read alone by a strict parser.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import json_cuts
from zentra_pipeline.sources.file_refusals import refuse_other_json, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns
from zentra_pipeline.sources.json_object import NotAnObjectError, Shape, parse, shape_of
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK, CHUNK_BYTES, COLUMN_LIMIT, FRAME_ROWS, RECORD_BYTES

_SHAPES_A_CHUNK = 8
_ROWS_WORTH_A_SHAPE = 16
_NUMBER, _LINE = "row_number", "line"


def read(path: Path, contract: Contract, name: str) -> Iterator[pl.DataFrame]:
    """Frames as the gate judges them. InputRejectedError when a line is not a JSON object or a column never occurs."""
    refuse_other_json(start_of(path), name)
    reader = _Reader(contract, name)
    row = 1
    for data in _chunks(path, name):
        for frame in reader.frames(data, row):
            row += frame.height
            yield frame
    if row == 1 and name.lower().endswith(".json"):
        raise InputRejectedError(f"{name}: the file is empty, which is not JSON; name an empty JSON Lines file .jsonl")
    reader.check_columns(rows=row - 1)


def _chunks(path: Path, name: str) -> Iterator[bytes]:
    """The file in pieces of whole lines; blank lines at the end of the file are dropped."""
    with path.open("rb") as stream:
        data, offset = stream.read(CHUNK_BYTES).removeprefix(BYTE_ORDER_MARK), 0
        while following := stream.read(CHUNK_BYTES):
            written = len(data[: data.rfind(b"\n") + 1].rstrip(b"\r\n"))
            cut = data.find(b"\n", written) + 1 if written else 0
            if len(data) - cut > RECORD_BYTES and not data[cut:].strip(b"\r\n"):
                offset, data = offset + len(data) - cut - 1, data[:cut] + b"\n"  # blank lines, however many, are one
            if len(data) - cut > RECORD_BYTES:
                why = f"a line is longer than {RECORD_BYTES:,} bytes; correct the file"
                raise InputRejectedError(f"{name}: after byte {offset + cut:,}: {why}")
            if cut:
                yield data[:cut]
            data, offset = data[cut:] + following, offset + cut
        if rest := data.rstrip(b"\r\n"):
            yield rest + b"\n"


class _Reader:
    """Reads chunk after chunk, remembering the shapes and columns met so far."""

    def __init__(self, contract: Contract, name: str) -> None:
        self._contract = contract
        self._name = name
        self._expected = Expected(
            f"canonical {contract.kind} data",
            contract.required,
            f"{contract.kind} files need {', '.join(contract.required)}",
        )
        self._form: json_cuts.Form | None = None
        self._shapes: list[Shape] = []
        self._columns: set[str] = set()

    def frames(self, data: bytes, first_row: int) -> Iterator[pl.DataFrame]:
        """The chunk's rows in order, in frames of a size that is soon read even where each line is read on its own."""
        cut = self._cut(data, first_row)
        if cut is not None:
            yield from cut.iter_slices(FRAME_ROWS)
            return
        yield from map(self._frame, self._lines(data, first_row).iter_slices(FRAME_ROWS))

    def _cut(self, data: bytes, first_row: int) -> pl.DataFrame | None:
        """The rows of a chunk whose lines differ in nothing but their values; null where they do."""
        if len(data) > RECORD_BYTES or json_cuts.lines_in(data) < _ROWS_WORTH_A_SHAPE or not json_cuts.is_plain(data):
            return None
        frame = None if self._form is None else json_cuts.read(data, self._form, first_row, self._contract)
        if frame is None:
            form = json_cuts.form_of(data[: data.index(b"\n") + 1].decode(), self._contract)
            if form is None or form == self._form:
                return None
            self._form = form
            frame = json_cuts.read(data, form, first_row, self._contract)
        if frame is not None and self._form is not None:
            self._columns.update(self._form.columns)
        return frame

    def _frame(self, lines: pl.DataFrame) -> pl.DataFrame:
        parts: list[pl.DataFrame] = []
        for known in self._shapes:
            lines = self._read_shape(known, lines, parts)
        learned = 0
        while lines.height >= _ROWS_WORTH_A_SHAPE and learned < _SHAPES_A_CHUNK:
            learned += 1
            shape = shape_of(lines[_LINE][0], self._contract)
            if shape is None or shape in self._shapes:
                parts.append(self._read_each(lines.head(1)))
                lines = lines.slice(1)
                continue
            self._shapes = [*self._shapes[1 - _SHAPES_A_CHUNK :], shape]
            lines = self._read_shape(shape, lines, parts)
        if lines.height:
            parts.append(self._read_each(lines))
        return parts[0] if len(parts) == 1 else pl.concat(parts).sort(_NUMBER)

    def check_columns(self, rows: int) -> None:
        """InputRejectedError when rows came by and a required column was in none of them."""
        if rows:
            check_columns(sorted(self._columns), self._name, self._expected)

    def _lines(self, data: bytes, first_row: int) -> pl.DataFrame:
        octets = np.frombuffer(data, np.uint8)
        ends: NDArray[np.int64] = np.flatnonzero(octets == ord("\n")).astype(np.int64)
        longest = int(np.diff(ends, prepend=-1).max())
        if longest > RECORD_BYTES:
            raise InputRejectedError(f"{self._name}: a line is longer than {RECORD_BYTES:,} bytes; correct the file")
        self._check_encoding(data, first_row)
        starts = np.concatenate((np.zeros(1, np.int64), ends + 1))
        text = pa.Array.from_buffers(pa.large_string(), len(ends), [None, pa.py_buffer(starts), pa.py_buffer(data)])
        numbers = pl.int_range(first_row, first_row + len(ends), dtype=pl.Int64, eager=True)
        return pl.DataFrame({_NUMBER: numbers, _LINE: pl.Series(text)})

    def _check_encoding(self, data: bytes, first_row: int) -> None:
        if data.isascii():
            return
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as cause:
            row = first_row + data.count(b"\n", 0, cause.start)
            raise InputRejectedError(
                f"{self._name}: line {row:,}: byte 0x{data[cause.start]:02x} is not UTF-8; correct the file"
            ) from cause

    def _read_shape(self, shape: Shape, lines: pl.DataFrame, parts: list[pl.DataFrame]) -> pl.DataFrame:
        """Read the lines that have the shape into `parts` and return the others."""
        if not lines.height:
            return lines
        match = pl.col(_LINE).str.extract_groups(shape.pattern).alias("value")
        found = lines.select(_NUMBER, match)
        values = found["value"].struct.unnest()
        has_shape = values["whole"].is_not_null()
        if has_shape.any():
            self._columns.update(shape.keys)
            frame = values.with_columns(found[_NUMBER])
            parts.append(shape.frame(frame if has_shape.all() else frame.filter(has_shape), self._contract))
        return lines.filter(~has_shape)

    def _read_each(self, lines: pl.DataFrame) -> pl.DataFrame:
        rows = []
        for number, line in lines.iter_rows():
            try:
                row = parse(line, self._contract)
            except NotAnObjectError as cause:
                raise InputRejectedError(
                    f"{self._name}: line {number:,}: {cause}; every line must be one JSON object"
                ) from cause
            self._columns |= row.keys
            if len(self._columns) > COLUMN_LIMIT + len(self._contract.columns):
                raise InputRejectedError(
                    f"{self._name}: line {number:,}: more than {COLUMN_LIMIT:,} unknown columns; "
                    "export the documented columns"
                )
            rows.append((*row.values, row.raw, number, row.refusal, line.rstrip("\r\n") if row.refusal else None))
        text = dict.fromkeys((*self._contract.columns, "raw"), pl.String)
        schema = {**text, _NUMBER: pl.Int64, "refusal": pl.String, "source_row": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")
