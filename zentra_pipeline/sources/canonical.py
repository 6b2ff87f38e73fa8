"""The canonical reader: CSV, JSON Lines or Parquet with the columns of contract §2, in frames the gate can judge.

Does not belong here: the grammars of the three forms, and which rows are accepted.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

import polars as pl

from zentra_pipeline.contracts.contract import Contract, FieldType
from zentra_pipeline.sources import record_refusals
from zentra_pipeline.sources.csv_grammar import csv_text
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns, refuse_other_headers
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK

_FORMS = {
    ".csv": "csv",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
    ".parquet": "parquet",
}


class CanonicalReader:
    """Reads canonical files of every kind; see registry.Reader."""

    def read(
        self,
        path: Path,
        contract: Contract,
        *,
        name: str,
        secrets: Sequence[str],
        notes: MutableMapping[str, int] | None,
    ) -> Iterator[pl.DataFrame]:
        """Frames of a file; nothing in it is signed, and it holds nothing beside its rows."""
        del secrets, notes
        return read(path, contract, name)

    def column_names(self, kind: str) -> Mapping[str, str]:
        """None: columns bear the names of their fields."""
        del kind
        return {}


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
    expected = expected_of(contract)
    start = start_of(path)
    refuse_other_forms(start, name)
    refuse_other_headers(start, name, expected)
    filled = [field.name for field in contract.fields if field.is_required and not field.may_be_blank]
    amounts = [field.name for field in contract.fields if field.type is FieldType.INTEGER]
    for text in csv_text(path, name):
        columns = text.columns.columns
        check_columns(columns, name, expected)
        unknown = [column for column in columns if column not in contract.columns]
        refusal = record_refusals.rows_of_no_data(text.columns, filled, [name for name in amounts if name in columns])
        yield text.columns.select(
            *(pl.col(field) if field in columns else _nothing(field) for field in contract.columns),
            pl.struct(unknown).struct.json_encode().alias("raw") if unknown else _nothing("raw"),
            pl.int_range(text.first_row, text.first_row + pl.len(), dtype=pl.Int64).alias("row_number"),
            _nothing("refusal") if refusal is None else pl.lit(refusal).alias("refusal"),
            _nothing("source_row") if refusal is None else _source_rows(text.columns, refusal),
        )


def _source_rows(columns: pl.DataFrame, refusal: pl.Series) -> pl.Expr:
    return pl.lit(record_refusals.source_rows(columns, refusal.is_not_null())).alias("source_row")


def expected_of(contract: Contract) -> Expected:
    """What a canonical file of the contract's kind needs."""
    return Expected(
        f"a canonical {contract.kind} file",
        contract.required,
        f"{contract.kind} files need {', '.join(contract.required)}",
    )


def _nothing(column: str) -> pl.Expr:
    return pl.lit(None, dtype=pl.String).alias(column)
