"""Parquet: amounts BIGINT, instants TIMESTAMPTZ or text, the rest text. Which rows get in does not belong here."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from zentra_pipeline.contracts.contract import Contract, Field, FieldType
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.limits import COLUMN_LIMIT

_BATCH_ROWS = 122_880


def read(path: Path, contract: Contract, name: str) -> Iterator[pl.DataFrame]:
    """Frames as the gate judges them, with integers, instants and booleans typed as the file holds them.

    InputRejectedError when the file is damaged, a required column is missing or a column has another type.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            _check_schema(file.schema_arrow, contract, name)
            row = 1
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                batch.validate(full=True)
                frame = _frame(batch, contract, row)
                row += frame.height
                yield frame
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as cause:
        why = str(cause).partition("\n")[0]
        raise InputRejectedError(f"{name}: not a readable Parquet file ({why}); export it again") from cause


def _check_schema(schema: pa.Schema, contract: Contract, name: str) -> None:
    if len(schema.names) > COLUMN_LIMIT:
        raise InputRejectedError(f"{name}: {len(schema.names):,} columns; at most {COLUMN_LIMIT:,} are allowed")
    twice = sorted({column for column in schema.names if schema.names.count(column) > 1})
    if twice:
        raise InputRejectedError(f"{name}: column {', '.join(twice)} stands there twice; name each once")
    missing = [column for column in contract.required if column not in schema.names]
    if missing:
        required = ", ".join(contract.required)
        raise InputRejectedError(f"{name}: no column {', '.join(missing)}; {contract.kind} files need {required}")
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
    received = pl.DataFrame(pl.from_arrow(batch))
    unknown = [column for column in received.columns if column not in contract.columns]
    nothing = pl.lit(None, dtype=pl.String)
    return received.select(
        *(
            (_field(field, received) if field.name in received.columns else nothing).alias(field.name)
            for field in contract.fields
        ),
        (pl.struct(unknown).struct.json_encode() if unknown else nothing).alias("raw"),
        pl.int_range(first_row, first_row + pl.len(), dtype=pl.Int64).alias("row_number"),
        nothing.alias("refusal"),
        nothing.alias("source_row"),
    )


def _field(field: Field, received: pl.DataFrame) -> pl.Expr:
    """A column as the gate takes it: text with blank as null, or its staged type."""
    column, dtype = pl.col(field.name), received.schema[field.name]
    if isinstance(dtype, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.cast_time_unit("us")
    if dtype in (pl.Int64, pl.Boolean):
        return column
    text = column.cast(pl.String)
    return pl.when(text != "").then(text)
