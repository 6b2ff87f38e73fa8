"""Finds rows of a new file whose key came before in another file with other content (CONTRACT §10.13).

Does not belong here: restatements (the same file id again), which stay, and redeliveries (equal content), which a run
counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from zentra_pipeline import lake, scratch
from zentra_pipeline.contracts.contract import Contract

_MEMORY = "1GB"
_FOUND = {"row_number": pl.Int64, "other_file": pl.String}


@dataclass(frozen=True)
class EarlierFile:
    """A staged file of the same table under another file id; a later sequence of one id wins over an earlier."""

    path: Path
    provider: str
    file_id: str
    sequence: int


def conflicting_rows(contract: Contract, new: Path, earlier: Sequence[EarlierFile], spill: Path) -> pl.DataFrame:
    """Rows of `new` that contradict another file's last word on their key: `row_number` and `other_file`, sorted.

    `spill` is the folder DuckDB may use when memory runs short. Where several files contradict a row, the one whose id
    comes first is named.
    """
    if not contract.key or not earlier:
        return pl.DataFrame(schema=_FOUND)
    with duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(spill)}) as connection:
        connection.execute("create temp table files (path text, provider text, file_id text, file_sequence bigint)")
        connection.executemany(
            "insert into files values (?, ?, ?, ?)",
            [(str(file.path), file.provider, file.file_id, file.sequence) for file in earlier],
        )
        found = connection.execute(_sql(contract, new, [file.path for file in earlier])).fetchall()
    return pl.DataFrame(found, schema=_FOUND, orient="row")


def _sql(contract: Contract, new: Path, earlier: Sequence[Path]) -> str:
    """Names come from the contract alone; a column that files of an older release lack is null in them."""
    staged = scratch.staged_columns(contract.table)
    key = ", ".join(contract.key)
    met_key = ", ".join(f"met_again.{column}" for column in contract.key)
    content = [column for column in contract.columns if column not in contract.key]
    same_key = " and ".join(f"fresh.{column} = stated.{column}" for column in contract.key)
    differs = " or ".join(f"fresh.{column} is distinct from stated.{column}" for column in content)
    columns = ", ".join(dict.fromkeys((*contract.key, *content, "file_sequence", "row_number")))
    return f"""
        with fresh as (
            select {columns} from ({lake.staged_rows(staged, [new])})
        ),
        met_again as (
            select {columns} from ({lake.staged_rows(staged, earlier)})
            where ({key}) in (select ({key}) from fresh)
        ),
        stated as (
            select met_again.*, files.file_id as other_file
            from met_again
            join files using (file_sequence)
            qualify row_number() over (
                partition by {met_key}, files.provider, files.file_id
                order by met_again.file_sequence desc, met_again.row_number desc
            ) = 1
        )
        select fresh.row_number, min(stated.other_file) as other_file
        from fresh
        join stated on {same_key}
        where {differs}
        group by fresh.row_number
        order by fresh.row_number
    """
