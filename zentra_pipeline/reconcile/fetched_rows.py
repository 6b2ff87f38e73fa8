"""Rows of files of the past that runs have fetched; those of large files are kept, so that no run reads these again.

What is open names the same few rows of every earlier window, run after run. Files of the past never change, so that
what was fetched from one is right for good. Does not belong here: which rows a run looks for (related_rows).
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import sql_text
from zentra_pipeline.reconcile import kept_rows, row_keys

# Files of fewer rows are read as fast as what would be kept of them.
LARGE_ROWS: Final = 10_000
# Files of fewer bytes are read together: planning a read of each would take longer than reading.
READ_ALONE_BYTES: Final = 500_000
# Of a file of which more was fetched nothing is kept: it is read as fast itself.
_MOST_ROWS: Final = 50_000
_FOLDER: Final = "fetched"


class FetchedRows:
    """The rows that a run has of files of the past, in one table of its database for each kind of file.

    Such a table, `related.fetched_<table>`, has the rows' columns behind `file_name`, `asked_unit` and `is_found`: a
    unit that no row of the file has is there once, with `is_found` false.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, tenant_root: Path, normalizer: str) -> None:
        self._connection = connection
        self._root = tenant_root
        self._normalizer = normalizer
        self._files: dict[str, dict[str, Path]] = {}
        self._grown: set[str] = set()

    def name(self, path: Path) -> str:
        """How a file is named here: below the tenant's folder, as its key file is."""
        return row_keys.key_file(self._root, path, self._normalizer).relative_to(self._root).as_posix()

    def fetch(self, table: str, asked: str, files: Mapping[str, Path], columns: str) -> None:
        """Have the rows of all `asked` units, a select of (file_name, unit), of `files`, which have these `columns`."""
        if table not in self._files:
            self._load(table, columns)
        (missing,) = self._connection.execute(
            f"""create or replace table related.asked as
                select distinct asked.file_name, asked.unit from ({asked}) as asked
                anti join related.fetched_{table} as fetched
                    on asked.file_name = fetched.file_name and asked.unit = fetched.asked_unit"""
        ).fetchall()[0]
        if not missing:
            return
        lacking = self._connection.execute("select distinct file_name from related.asked order by all").fetchall()
        read = {name: files[name] for (name,) in lacking}
        small = {name: path for name, path in read.items() if path.stat().st_size < READ_ALONE_BYTES}
        together = [small, *({name: path} for name, path in read.items() if name not in small)]
        selects = [_asked_rows(table, of_files, columns) for of_files in together if of_files]
        self._connection.execute(f"insert into related.fetched_{table} {' union all '.join(selects)}").fetchall()
        self._files[table] |= read
        self._grown.add(table)

    def keep(self) -> None:
        """Write what was fetched of large files for the first time, for the runs that follow; without room, nothing.

        The tables go: the run has taken from them what it reads.
        """
        for table in sorted(self._grown):
            with suppress(OSError, duckdb.Error):
                if large := self._large(self._files[table]):
                    self._write(table, large)
        for table in self._files:
            self._connection.execute(f"drop table related.fetched_{table}").fetchall()

    def _large(self, files: Mapping[str, Path]) -> list[str]:
        listed = ", ".join(sql_text.file_literal(path) for path in files.values())
        counts = self._connection.execute(
            f"select file_name, num_rows from parquet_file_metadata([{listed}])"
        ).fetchall()
        rows = {Path(name): count for name, count in counts}
        return [name for name, path in files.items() if rows.get(path, 0) >= LARGE_ROWS]

    def _load(self, table: str, columns: str) -> None:
        """Make the table of fetched rows, with what is kept of them."""
        relation = f"related.fetched_{table}"
        self._connection.execute(
            f"create table {relation} (file_name varchar, asked_unit ubigint, is_found boolean, {columns})"
        ).fetchall()
        self._connection.execute(f"create table related.kept_{table} (file_name varchar)").fetchall()
        self._files[table] = {}
        if kept_rows.take(self._connection, self._folder(table), relation):
            self._connection.execute(
                f"insert into related.kept_{table} select distinct file_name from {relation}"
            ).fetchall()

    def _folder(self, table: str) -> Path:
        return row_keys.key_file(self._root, self._root / _FOLDER / table, self._normalizer)

    def _write(self, table: str, large: list[str]) -> None:
        names = ", ".join(sql_text.literal(name) for name in large)
        few = f"select file_name from related.fetched_{table} group by file_name having count(*) <= {_MOST_ROWS}"
        rows = f"""from related.fetched_{table}
                   where (file_name in ({names}) or file_name in (from related.kept_{table})) and file_name in ({few})
                   order by file_name, asked_unit"""
        kept_rows.keep(self._connection, self._root, self._folder(table), rows)


def _asked_rows(table: str, files: Mapping[str, Path], columns: str) -> str:
    """A select of the rows of the units that `related.asked` has of these files; a unit without any is there once."""
    unit = row_keys.KEYED[table].unit
    names = ", ".join(f"found.{name}" for name in sql_text.column_types(columns))
    named = ", ".join(f"({sql_text.literal(name)}, {sql_text.literal(str(path))})" for name, path in files.items())
    scan = sql_text.parquet_scan(list(files.values()), columns, with_names=True)
    of_files = f"""select asked.file_name, asked.unit, files.path
                   from related.asked as asked
                   inner join (values {named}) as files (file_name, path) on asked.file_name = files.file_name"""
    return f"""select asked.file_name, asked.unit, found.unit_of_row is not null, {names}
               from ({of_files}) as asked
               left join (
                   select *, {unit} as unit_of_row from {scan} where {unit} in (select unit from ({of_files}))
               ) as found
                   on asked.path = found.filename and asked.unit = found.unit_of_row"""
