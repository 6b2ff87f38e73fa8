"""Rows that runs keep for those that follow, beside the key files: one file a folder, named by its own digest.

What is kept is a cache: a file whose bytes or columns are others is left out, and one that cannot be written is missed.
Does not belong here: which rows are kept, and why they are right for good (fetched_rows, looked_up_keys).
"""

from contextlib import suppress
from pathlib import Path

import duckdb

from zentra_pipeline import durable_files, sql_text
from zentra_pipeline.reconcile import row_keys


def take(connection: duckdb.DuckDBPyConnection, folder: Path, relation: str) -> bool:
    """Add the rows that are kept in a folder to a table of exactly their columns; whether there were any to take."""
    for kept in sorted(folder.glob("*.parquet")):
        scan = f"read_parquet({sql_text.file_literal(kept)}, hive_partitioning = false)"
        with suppress(OSError, duckdb.Error):
            is_whole = durable_files.digest_of(kept) == kept.stem
            if is_whole and _columns(connection, scan) == _columns(connection, relation):
                connection.execute(f"insert into {relation} from {scan}").fetchall()
                return True
    return False


def keep(connection: duckdb.DuckDBPyConnection, tenant_root: Path, folder: Path, rows: str) -> None:
    """Keep the rows of a select in a folder instead of what is kept there; raises OSError where there is no room."""
    folder.mkdir(parents=True, exist_ok=True)
    before = list(folder.glob("*.parquet"))
    with row_keys.writing(tenant_root) as own:
        temporary = own / "rows"
        connection.execute(f"copy ({rows}) to {sql_text.literal(str(temporary))} (format parquet)").fetchall()
        written = folder / f"{durable_files.digest_of(temporary)}.parquet"
        durable_files.rename_durably(temporary, written)
    for old in before:
        if old != written:
            old.unlink(missing_ok=True)


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    found = connection.execute(f"describe from {relation}").fetchall()
    return [(str(name), str(kind)) for name, kind, *_ in found]
