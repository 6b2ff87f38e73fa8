"""The canonical reader: CSV, JSON Lines or Parquet with the columns of CONTRACT §2, in frames the gate can judge.

Does not belong here: the grammars of the three forms, and which rows get in.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.csv_grammar import csv_text
from zentra_pipeline.sources.file_form import refuse_other_forms
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK

_FORMS = {
    ".csv": "csv",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
    ".parquet": "parquet",
}


def read(path: Path, contract: Contract, name: str | None = None) -> Iterator[pl.DataFrame]:
    """Frames of a file: the contract's columns, `raw`, `row_number`, `refusal` and `source_row`.

    `name` is the file's name as received: its ending chooses the form and messages name it; `path` is where the bytes
    are. Without a known ending: `PAR1` begins Parquet, `{` JSON Lines, anything else is CSV.
    """
    from zentra_pipeline.sources import json_lines, parquet_file

    name = name or path.name
    form = _FORMS.get(Path(name).suffix.lower()) or _form_of_first_bytes(path)
    if form == "parquet":
        return parquet_file.read(path, contract, name)
    if form == "json_lines":
        return json_lines.read(path, contract, name)
    return _read_csv(path, contract, name)


def _form_of_first_bytes(path: Path) -> str:
    with path.open("rb") as stream:
        first = stream.read(1024)
    if first.startswith(b"PAR1"):
        return "parquet"
    return "json_lines" if first.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{") else "csv"


def _read_csv(path: Path, contract: Contract, name: str) -> Iterator[pl.DataFrame]:
    refuse_other_forms(path, name, contract.required)
    for text in csv_text(path, name):
        columns = text.columns.columns
        check_columns(columns, contract, name)
        unknown = [column for column in columns if column not in contract.columns]
        yield text.columns.select(
            *(pl.col(field) if field in columns else _nothing(field) for field in contract.columns),
            pl.struct(unknown).struct.json_encode().alias("raw") if unknown else _nothing("raw"),
            pl.int_range(text.first_row, text.first_row + pl.len(), dtype=pl.Int64).alias("row_number"),
            _nothing("refusal"),
            _nothing("source_row"),
        )


def check_columns(columns: list[str], contract: Contract, name: str) -> None:
    """InputRejectedError when a column that the contract requires is missing."""
    missing = [column for column in contract.required if column not in columns]
    if missing:
        raise InputRejectedError(
            f"{name}: no column {', '.join(missing)}; {contract.kind} files need {', '.join(contract.required)}"
        )


def _nothing(column: str) -> pl.Expr:
    return pl.lit(None, dtype=pl.String).alias(column)
