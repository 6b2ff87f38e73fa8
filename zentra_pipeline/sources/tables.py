"""A table in any declared form as frames of text: CSV of any delimiter, fixed width, a workbook's sheet, Parquet.

A value is text as written, null where blank; numbers and dates that a workbook or Parquet holds typed become text with
the mapping's decimal mark, and ISO 8601. Does not belong here: what a column means (tabular).
"""

import csv
import json
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final, TextIO

import polars as pl
import pyarrow as pa

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import parquet_file
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.csv_grammar import csv_text
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.limits import COLUMN_LIMIT, RECORD_BYTES

_SHEET_BYTES: Final = 192 * 1024 * 1024
_SHEET_PARTS: Final = 10_000
_SHEET_FRAME_ROWS: Final = 20_000
_SHEET_ROWS: Final = 1_048_576
_CELL_DIGITS: Final = 15  # of a workbook's number; what goes beyond is noise of binary fractions

Asides = list[list[str]]
"""Lines beside the table, as cells: those above the header, then those at the foot."""


def text_frames(path: Path, name: str, mapping: ColumnMapping, asides: Asides) -> Iterator[pl.DataFrame]:
    """Rows of the table as columns of text, with `row_number`; at least one frame. Lines beside it go to `asides`.

    InputRejectedError when the file is not of the declared form, or a line departs from it.
    """
    if mapping.form == "parquet":
        yield from parquet_file.frames_of(
            path, name, lambda _schema: None, lambda b, row: _typed_frame(b, row, mapping)
        )
    elif mapping.form == "excel":
        yield from _sheet_frames(path, name, mapping, asides)
    elif _is_plain(mapping):
        refuse_other_forms(start_of(path), name)
        yield from _csv_frames(path, name, mapping.delimiter)
    else:
        if mapping.encoding != "utf-16":
            refuse_other_forms(start_of(path), name)
        with tempfile.TemporaryDirectory(prefix="zentra-table-") as folder:
            written = Path(folder) / "table.csv"
            _rewrite(path, written, name, mapping, asides)
            yield from _csv_frames(written, name, "," if mapping.form == "fixed_width" else mapping.delimiter)


def _is_plain(mapping: ColumnMapping) -> bool:
    """Whether the file itself is CSV in UTF-8 with its header in the first line and nothing below the rows."""
    has_lines_beside = mapping.skip_lines or mapping.footer_lines
    is_csv = mapping.form == "csv" and mapping.encoding == "utf-8"
    return is_csv and not has_lines_beside and mapping.column_names is None


def _csv_frames(path: Path, name: str, delimiter: str) -> Iterator[pl.DataFrame]:
    for text in csv_text(path, name, delimiter):
        yield _numbered(text.columns, text.first_row, name)


def _numbered(columns: pl.DataFrame, first_row: int, name: str) -> pl.DataFrame:
    if "row_number" in columns.columns:
        raise InputRejectedError(f"{name}: header: a column named row_number; rename it")
    numbers = pl.int_range(first_row, first_row + columns.height, dtype=pl.Int64, eager=True)
    return columns.with_columns(numbers.alias("row_number"))


def _rewrite(path: Path, target: Path, name: str, mapping: ColumnMapping, asides: Asides) -> None:
    """Write the table alone, as CSV in UTF-8 with a header."""
    encoding = "utf-8-sig" if mapping.encoding == "utf-8" else mapping.encoding
    try:
        with path.open(encoding=encoding, newline="") as source, target.open("w", encoding="utf-8", newline="") as out:
            lines = _lines(source, name)
            for _, line in zip(range(mapping.skip_lines), lines, strict=False):
                asides.append(_cells(line, mapping))
            footer: deque[str] = deque()
            body = _before_footer(lines, mapping.footer_lines, footer)
            if mapping.form == "fixed_width":
                _write_fixed_width(body, out, name, mapping)
            else:
                if mapping.column_names is not None:
                    csv.writer(out, delimiter=mapping.delimiter, lineterminator="\n").writerow(mapping.column_names)
                out.writelines(body)
            asides.extend(_cells(line, mapping) for line in footer)
    except UnicodeError as cause:
        raise InputRejectedError(
            f"{name}: it is not text in {mapping.encoding}, the encoding that the profile's mapping declares "
            f"({cause}); declare the encoding that the provider uses, or export it in that one"
        ) from cause


def _lines(source: TextIO, name: str) -> Iterator[str]:
    while line := source.readline(RECORD_BYTES):
        if len(line) >= RECORD_BYTES:
            raise InputRejectedError(f"{name}: a line is longer than {RECORD_BYTES:,} characters; correct the file")
        yield line


def _before_footer(lines: Iterable[str], count: int, footer: deque[str]) -> Iterator[str]:
    """The lines before the last `count` that are not blank; those are left in `footer`."""
    for line in lines:
        if count and not line.strip():
            continue
        footer.append(line)
        if len(footer) > count:
            yield footer.popleft()


def _cells(line: str, mapping: ColumnMapping) -> list[str]:
    if mapping.form == "fixed_width":
        return [_field(line, field.start, field.length) for field in mapping.fields or ()]
    return next(csv.reader(StringIO(line, newline=""), delimiter=mapping.delimiter), [])


def _field(line: str, start: int, length: int) -> str:
    return line[start - 1 : start - 1 + length].strip()


def _write_fixed_width(lines: Iterable[str], out: TextIO, name: str, mapping: ColumnMapping) -> None:
    fields = mapping.fields or ()
    end = max(field.start + field.length - 1 for field in fields)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields])
    for number, line in enumerate(lines, start=mapping.skip_lines + 1):
        if line[end:].strip():
            raise InputRejectedError(
                f"{name}: line {number:,} is {len(line.rstrip()):,} characters long, and the fields of the profile's "
                f"mapping end at {end:,}; correct the mapping or the file"
            )
        if line.strip():
            writer.writerow([_field(line, field.start, field.length) for field in fields])


def _sheet_frames(path: Path, name: str, mapping: ColumnMapping, asides: Asides) -> Iterator[pl.DataFrame]:
    """The rows of a workbook's sheet below its header; rows without any value are left out."""
    rows = _sheet_rows(path, name, mapping)
    for _, cells in zip(range(mapping.skip_lines), rows, strict=False):
        asides.append([_shown(cell, mapping) for cell in cells])
    header = list(mapping.column_names or ()) or [_shown(cell, mapping) for cell in next(rows, [])]
    while header and not header[-1]:
        header.pop()
    _check_header(header, name)
    footer: deque[list[Any]] = deque()
    first, gathered = 1, list[list[str | None]]()
    for row, cells in enumerate(rows, start=1):
        footer.append(cells)
        if len(footer) <= mapping.footer_lines:
            continue
        shown = [_shown(cell, mapping) or None for cell in footer.popleft()]
        if any(shown[len(header) :]):
            raise InputRejectedError(f"{name}: data row {row:,} has values beyond the last column of the header")
        gathered.append((shown + [None] * len(header))[: len(header)])
        if len(gathered) == _SHEET_FRAME_ROWS:
            yield _sheet_frame(gathered, header, first, name)
            first, gathered = first + len(gathered), []
    asides.extend([_shown(cell, mapping) for cell in cells] for cells in footer)
    yield _sheet_frame(gathered, header, first, name)


def _sheet_frame(rows: Sequence[Sequence[str | None]], header: list[str], first: int, name: str) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
    return _numbered(frame, first, name).filter(pl.any_horizontal(pl.col(header).is_not_null()))


def _check_header(header: Sequence[str], name: str) -> None:
    if not header:
        raise InputRejectedError(f"{name}: the sheet is empty; a row with the column names is required")
    if len(header) > COLUMN_LIMIT:
        raise InputRejectedError(f"{name}: header: {len(header):,} columns; at most {COLUMN_LIMIT:,} are allowed")
    twice = sorted({column or "(blank)" for column in header if header.count(column) > 1})
    if twice:
        raise InputRejectedError(f"{name}: header: column {', '.join(twice)} appears twice; name each once")


def _sheet_rows(path: Path, name: str, mapping: ColumnMapping) -> Iterator[list[Any]]:
    """Cells of the sheet's rows, from its first used row; InputRejectedError when the workbook cannot be read."""
    import python_calamine as calamine

    _check_workbook(path, name)
    try:
        book = calamine.load_workbook(str(path))
        if mapping.sheet is not None and mapping.sheet not in book.sheet_names:
            raise InputRejectedError(
                f"{name}: no sheet {mapping.sheet!r}; the workbook has {', '.join(book.sheet_names)}: name one of them"
            )
        if mapping.sheet is None and len(book.sheet_names) != 1:
            raise InputRejectedError(
                f"{name}: it has {len(book.sheet_names)} sheets ({', '.join(book.sheet_names)}); "
                "name one of them in the profile's mapping (sheet)"
            )
        sheet = book.get_sheet_by_name(mapping.sheet or book.sheet_names[0])
        if sheet.total_height > _SHEET_ROWS or sheet.total_width > 16_384:
            raise InputRejectedError(f"{name}: the sheet is larger than Excel allows; export it again")
        if sheet.width > COLUMN_LIMIT:
            raise InputRejectedError(f"{name}: {sheet.width:,} columns; at most {COLUMN_LIMIT:,} are allowed")
        yield from sheet.iter_rows()
    except (calamine.CalamineError, OSError, ValueError) as cause:
        raise InputRejectedError(f"{name}: not a readable workbook ({cause}); save it again as .xlsx") from cause


def _check_workbook(path: Path, name: str) -> None:
    """InputRejectedError unless the file is a zip of few parts that unfold to no more than is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as cause:
        raise InputRejectedError(f"{name}: it is not a workbook (.xlsx); save it as .xlsx, or as CSV") from cause
    size = sum(part.file_size for part in parts)
    if size > _SHEET_BYTES or len(parts) > _SHEET_PARTS:
        raise InputRejectedError(
            f"{name}: the workbook unfolds to {size:,} bytes in {len(parts):,} parts; at most "
            f"{_SHEET_BYTES:,} are read: export it as CSV"
        )


def _typed_frame(batch: pa.RecordBatch, first_row: int, mapping: ColumnMapping) -> pl.DataFrame:
    """A part of a Parquet file as text."""
    columns = {
        column: pl.Series(column, _texts(values, mapping), dtype=pl.String)
        for column, values in zip(batch.schema.names, batch.columns, strict=True)
    }
    return _numbered(pl.DataFrame(columns), first_row, "the table")


def _texts(values: pa.Array, mapping: ColumnMapping) -> Any:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = pl.Series(pl.from_arrow(values)).cast(pl.String)
        return text.set(text == "", None)
    if pa.types.is_integer(kind):
        return pl.Series(pl.from_arrow(values)).cast(pl.String)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        values = values.cast(pa.timestamp("us", "UTC"))
    elif pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us"))
    return [_shown(value, mapping) or None for value in values.to_pylist()]


def _shown(value: Any, mapping: ColumnMapping) -> str:
    """A typed value as text: numbers with the mapping's decimal mark and no more than 15 digits where binary."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return _number(value).replace(".", mapping.decimal_mark)
    if isinstance(value, datetime):
        return _instant(value)
    is_plain = isinstance(value, date | time | timedelta)
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)


def _number(value: int | float | Decimal) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 10**_CELL_DIGITS:
            return str(int(value))
        text = f"{value:.{_CELL_DIGITS}g}"
        return text.upper() if "e+" in text or "n" in text else f"{Decimal(text):f}"
    return f"{value.normalize() + Decimal(0):f}" if value.is_finite() else str(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
