"""Parquet: amounts BIGINT, instants TIMESTAMPTZ or text, the rest text. Accepting rows does not belong here."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zentra_pipeline.contracts.contract import Contract, Field, FieldType
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.file_refusals import refuse_other_parquet, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns
from zentra_pipeline.sources.limits import COLUMN_LIMIT

_BATCH_ROWS = 122_880
_FRAME_BYTES = 32 * 1024 * 1024
# A file may unfold to so much, and to so many times its size: columns that repeat one value fold well.
_UNFOLDED_BYTES = 256 * 1024 * 1024
_UNFOLDED_TIMES = 20
# Encodings that hold each value in full.
_AS_WRITTEN = frozenset(("PLAIN", "RLE", "BIT_PACKED", "DELTA_LENGTH_BYTE_ARRAY"))
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_NOT_SHOWN = "(a value of a type that is not shown)"
# 0001-01-01 and the end of 9999-12-31, in microseconds since 1970.
_FIRST_INSTANT = -62_135_596_800_000_000
_LAST_INSTANT = 253_402_300_799_999_999


def read(path: Path, contract: Contract, name: str) -> Iterator[pl.DataFrame]:
    """Frames as the gate judges them, with integers, instants and booleans typed as the file holds them.

    InputRejectedError when the file is damaged, a required column is missing or a column has another type.
    """
    return frames_of(
        path,
        name,
        lambda schema: _check_schema(schema, contract, name),
        lambda batch, first_row: _frame(batch, contract, first_row),
    )


def frames_of(
    path: Path,
    name: str,
    check_schema: Callable[[pa.Schema], None],
    frame: Callable[[pa.RecordBatch, int], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    """What `frame` makes of each part of a file's rows, given the number of the part's first row.

    InputRejectedError when the file is damaged, contradicts itself or unfolds to far more than its size.
    """
    refuse_other_parquet(start_of(path), name)
    try:
        with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            check_header(schema, name)
            check_schema(schema)
            _check_footer(file, name)
            texts = [field.name for field in schema if _is_text(field.type)]
            _check_unfolded(file, path, name, texts)
        yield from _batches(path, frame, name, texts)
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as cause:
        why = str(cause).partition("\n")[0][:200]
        raise InputRejectedError(f"{name}: not a readable Parquet file ({why}); export it again") from cause


def _check_unfolded(file: pq.ParquetFile, path: Path, name: str, texts: list[str]) -> None:
    """InputRejectedError when the file unfolds to more than is read, before any row of it is held.

    The footer gives the size of values of fixed width and of values as they are stored. A text that is stored once and
    repeated is counted by reading such columns as codes of a dictionary, unless the footer shows that they cannot be
    many. A footer that hides them is found while the rows are read.
    """
    metadata, budget = file.metadata, _budget(path)
    stored = fixed = folded = 0
    repeating = set()
    for group in (metadata.row_group(number) for number in range(metadata.num_row_groups)):
        for column in (group.column(number) for number in range(metadata.num_columns)):
            stored += column.total_uncompressed_size
            fixed += column.num_values * _WIDTHS.get(column.physical_type, 0)
            if column.physical_type not in _WIDTHS:
                folded += column.num_values * column.total_uncompressed_size
                if not _AS_WRITTEN.issuperset(column.encodings):
                    repeating.add(column.path_in_schema)
    if max(stored, fixed) > budget:
        raise _unfolds(path, name)
    coded = [name for name in texts if name in repeating]
    if coded and fixed + folded > budget:
        with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True, read_dictionary=coded) as opened:
            for groups in _groups(metadata):
                for batch in opened.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups, columns=coded):
                    fixed += _unfolded_bytes(batch)
                    if fixed > budget:
                        raise _unfolds(path, name)


def _budget(path: Path) -> int:
    return _UNFOLDED_BYTES + _UNFOLDED_TIMES * path.stat().st_size


def _unfolds(path: Path, name: str) -> InputRejectedError:
    return InputRejectedError(
        f"{name}: it unfolds to more than {_budget(path) // 1024**2:,} MiB, far more than its "
        f"{path.stat().st_size:,} bytes; export it in smaller files"
    )


def _batches(
    path: Path, make: Callable[[pa.RecordBatch, int], pl.DataFrame], name: str, texts: list[str]
) -> Iterator[pl.DataFrame]:
    """Frames of the rows; text stays dictionary-coded until it is known how much it unfolds to."""
    budget = _budget(path)
    unfolded, row = 0, 1
    with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True, read_dictionary=texts) as file:
        due = file.metadata.num_rows
        # One call's dictionary keeps every text it has seen, so a call has few rows.
        for groups in _groups(file.metadata):
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups):
                batch.validate(full=True)
                size = _unfolded_bytes(batch)
                unfolded += size
                if unfolded > budget:
                    raise _unfolds(path, name)
                step = max(1, batch.num_rows * _FRAME_BYTES // max(size, _FRAME_BYTES))
                for start in range(0, batch.num_rows, step):
                    frame = make(_written_out(batch.slice(start, step)), row)
                    row += frame.height
                    yield frame
    if row - 1 != due:
        raise InputRejectedError(
            f"{name}: its footer says {due:,} rows, and {row - 1:,} were read: it is damaged; export it again"
        )


def _groups(metadata: pq.FileMetaData) -> Iterator[list[int]]:
    """The row groups in order, those of few rows together."""
    together: list[int] = []
    rows = 0
    for number in range(metadata.num_row_groups):
        together.append(number)
        rows += metadata.row_group(number).num_rows
        if rows >= _BATCH_ROWS:
            yield together
            together, rows = [], 0
    if together:
        yield together


def _written_out(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its texts as values instead of codes."""
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _unfolded_bytes(batch: pa.RecordBatch) -> int:
    """Bytes of a batch's texts once each value is written out."""
    total = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type) and len(column.dictionary):
            lengths = pc.binary_length(column.dictionary).cast(pa.int64())
            total += pc.sum(lengths.take(column.indices)).as_py() or 0
        else:
            total += column.nbytes
    return total


def _check_footer(file: pq.ParquetFile, name: str) -> None:
    """The footer's counts agree with one another: rows of the file, of its groups, values of flat columns."""
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = sum(group.num_rows for group in groups)
    is_flat = [file.schema.column(number).max_repetition_level == 0 for number in range(metadata.num_columns)]
    odd = [
        group.column(number)
        for group in groups
        for number in range(metadata.num_columns)
        if is_flat[number] and group.column(number).num_values != group.num_rows
    ]
    if rows != metadata.num_rows or odd:
        raise InputRejectedError(
            f"{name}: its footer contradicts itself: {metadata.num_rows:,} rows in all, {rows:,} in its row groups"
            + (f", {odd[0].num_values:,} values in column {odd[0].path_in_schema}" if odd else "")
            + "; it is damaged, export it again"
        )


def check_header(schema: pa.Schema, name: str) -> None:
    """InputRejectedError when there are too many columns, or two of one name."""
    if len(schema.names) > COLUMN_LIMIT:
        raise InputRejectedError(f"{name}: {len(schema.names):,} columns; at most {COLUMN_LIMIT:,} are allowed")
    twice = sorted({column for column in schema.names if schema.names.count(column) > 1})
    if twice:
        raise InputRejectedError(f"{name}: column {', '.join(twice)} appears twice; name each once")


def _check_schema(schema: pa.Schema, contract: Contract, name: str) -> None:
    required = ", ".join(contract.required)
    check_columns(
        schema.names,
        name,
        Expected(f"canonical {contract.kind} data", contract.required, f"{contract.kind} files need {required}"),
    )
    for field in contract.fields:
        if field.name in schema.names and not _is_declared(field, schema.field(field.name).type):
            found = schema.field(field.name).type
            raise InputRejectedError(
                f"{name}: column {field.name} is {found}, not {_declared(field)}; export it as that"
            )


def _is_declared(field: Field, found: pa.DataType) -> bool:
    if field.type is FieldType.INTEGER:
        return found == pa.int64() or (field.may_be_blank and pa.types.is_null(found))
    if field.type is FieldType.INSTANT and pa.types.is_timestamp(found):
        return found.tz is not None
    if field.type is FieldType.BOOLEAN and pa.types.is_boolean(found):
        return True
    return _is_text(found) or pa.types.is_null(found)


def _is_text(found: pa.DataType) -> bool:
    kind = found.value_type if pa.types.is_dictionary(found) else found
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _declared(field: Field) -> str:
    return {
        FieldType.TEXT: "text",
        FieldType.INTEGER: "BIGINT",
        FieldType.INSTANT: "TIMESTAMP WITH TIME ZONE or text",
        FieldType.BOOLEAN: "BOOLEAN or text",
    }[field.type]


def _frame(batch: pa.RecordBatch, contract: Contract, first_row: int) -> pl.DataFrame:
    known = [column for column in batch.schema.names if column in contract.columns]
    unknown = [column for column in batch.schema.names if column not in contract.columns]
    received = pl.DataFrame(pl.from_arrow(batch.select(known))) if known else pl.DataFrame()
    raw = pl.Series("raw", _raw(batch.select(unknown)), dtype=pl.String)
    nothing = pl.lit(None, dtype=pl.String)
    return received.select(
        *(
            (_field(field, received) if field.name in received.columns else nothing).alias(field.name)
            for field in contract.fields
        ),
        (pl.lit(raw) if unknown else nothing).alias("raw"),
        pl.int_range(first_row, first_row + pl.len(), dtype=pl.Int64).alias("row_number"),
        nothing.alias("refusal"),
        nothing.alias("source_row"),
    )


def _raw(unknown: pa.RecordBatch) -> list[str | None]:
    """The unknown columns of each row as JSON, whatever their types; a value that JSON has no form for is text."""
    columns = {name: _values(column) for name, column in zip(unknown.schema.names, unknown.columns, strict=True)}
    return [
        json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False, separators=(",", ":"), default=_shown)
        for values in zip(*columns.values(), strict=True)
    ]


def _values(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, UnicodeDecodeError, pa.ArrowException):
        return [_NOT_SHOWN if valid else None for valid in column.is_valid().to_pylist()]


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _field(field: Field, received: pl.DataFrame) -> pl.Expr:
    """A column as the gate takes it: text with blank as null, or its staged type."""
    column, dtype = pl.col(field.name), received.schema[field.name]
    if isinstance(dtype, pl.Datetime):
        return _instant(received[field.name], dtype)
    if dtype in (pl.Int64, pl.Boolean):
        return column
    text = column.cast(pl.String)
    return pl.when(text != "").then(text)


def _instant(values: pl.Series, dtype: pl.Datetime) -> pl.Expr:
    """Naive UTC to the microsecond; text that the gate refuses where a value is beyond it or beyond the calendar."""
    count = values.dt.replace_time_zone(None).cast(pl.Int64) if dtype.time_zone is None else values.cast(pl.Int64)
    per_unit = {"ms": 1_000, "us": 1}
    if dtype.time_unit == "ns":
        is_exact = (count % 1_000 == 0).fill_null(True)
        microseconds = count // 1_000
    else:
        factor = per_unit[str(dtype.time_unit)]
        is_exact = count.is_between(_FIRST_INSTANT // factor, _LAST_INSTANT // factor).fill_null(True)
        microseconds = pl.Series(values.name, count).set(~is_exact, 0) * factor
    exact = microseconds.cast(pl.Datetime("us"))
    if is_exact.all():
        return pl.lit(exact)
    text = exact.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    beyond = "000000001Z" if dtype.time_unit == "ns" else ""
    written = pl.DataFrame({"text": text, "is_exact": is_exact, "count": count}).select(
        pl.when(pl.col("is_exact"))
        .then(pl.col("text") + "Z")
        .when(pl.lit(bool(beyond)))
        .then(pl.col("text") + (pl.col("count") % 1_000).cast(pl.String).str.zfill(3) + "Z")
        .otherwise(pl.col("count").cast(pl.String) + f" {dtype.time_unit} since 1970")
    )
    return pl.lit(written.to_series())
