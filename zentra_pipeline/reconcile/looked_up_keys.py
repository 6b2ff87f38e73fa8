"""Which rows of the past the keys of a run lead to; a provider's next run looks up what this one did not.

What is open names the same keys run after run, and key files never change: a key that was looked up in one needs no
look into it again, whether it was there or not. So a run looks into all key files for keys that are new, and for all
others into the files that came since. Does not belong here: which keys a run looks for (related_rows).
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import sql_text
from zentra_pipeline.reconcile import kept_rows, row_keys

# Key files of fewer bytes together are read as fast as what would be kept of them.
LARGE_BYTES: Final = 4_000_000
# Of a run that looked for more keys nothing is kept.
_MOST_KEYS: Final = 5_000_000
_FOLDER: Final = "looked_up"


class LookedUpKeys:
    """What keys lead to: `related.key_hits` (number, key, unit), `number` being that of a file of `related.key_files`.

    Kept are names of key files, with neither key nor unit; keys that were looked up in all of them; and what these led
    to: name, key and unit.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tenant_root: Path,
        normalizer: str,
        provider: str,
        key_files: Sequence[Path],
    ) -> None:
        self._connection = connection
        self._root = tenant_root
        self._folder = row_keys.key_file(tenant_root, tenant_root / _FOLDER / provider, normalizer)
        self._key_files = self._unread = list(key_files)
        self._is_large = sum(path.stat().st_size for path in key_files) >= LARGE_BYTES
        connection.execute(
            """create table related.key_files as
               select cast(f[1] as integer) as number, f[2] as path, f[3] as name
               from (select unnest($1) as f)""",
            [[[str(number), str(path), self._name(path)] for number, path in enumerate(key_files)]],
        )
        connection.execute("create table related.key_hits (number integer, key ubigint, unit ubigint)")
        connection.execute("create table related.kept_keys (key ubigint)")
        self._has_more = self._is_large and self._take() > len(key_files)

    def look_up(self) -> None:
        """Have what the keys of `related.wanted` lead to in `related.key_hits`; no key may be wanted twice."""
        if self._unread == self._key_files:
            self._read(self._key_files, "select key from related.wanted")
            return
        self._read(self._key_files, "select key from related.wanted where key not in (from related.kept_keys)")
        self._read(self._unread, "select key from related.wanted where key in (from related.kept_keys)")

    def keep(self) -> None:
        """Keep what was looked up (`related.known`), unless what is kept is about more files; without room, nothing."""
        (keys,) = self._connection.execute("select count(*) from related.known").fetchall()[0]
        if not self._is_large or self._has_more or keys > _MOST_KEYS:
            return
        rows = """select name as file_name, cast(null as ubigint) as key, cast(null as ubigint) as unit
                  from related.key_files
                  union all
                  select null, key, null from related.known
                  union all
                  select files.name, hits.key, hits.unit
                  from related.key_hits as hits
                  inner join related.key_files as files on hits.number = files.number
                  where hits.key in (from related.known)"""
        with suppress(OSError, duckdb.Error):
            kept_rows.keep(self._connection, self._root, self._folder, rows)

    def _take(self) -> int:
        """Have what is kept, as far as it is about these key files; how many files it is about."""
        kept = "related.kept_lookups"
        self._connection.execute(f"create table {kept} (file_name varchar, key ubigint, unit ubigint)").fetchall()
        kept_rows.take(self._connection, self._folder, kept)
        for statement in (
            f"insert into related.kept_keys select key from {kept} where file_name is null",
            f"""insert into related.key_hits
                select files.number, kept.key, kept.unit
                from {kept} as kept
                inner join related.key_files as files on kept.file_name = files.name
                where kept.key is not null""",
        ):
            self._connection.execute(statement).fetchall()
        ((files,),) = self._connection.execute(f"select count(*) from {kept} where key is null").fetchall()
        unread = self._connection.execute(
            f"""select path from related.key_files
                where name not in (select file_name from {kept} where key is null and file_name is not null)"""
        ).fetchall()
        self._unread = sorted(Path(path) for (path,) in unread)
        self._connection.execute(f"drop table {kept}").fetchall()
        return int(files)

    def _read(self, key_files: Sequence[Path], keys: str) -> None:
        """Look keys, a select, up in key files."""
        if not key_files:
            return
        listed = ", ".join(sql_text.file_literal(path) for path in key_files)
        self._connection.execute(
            f"""insert into related.key_hits
                select files.number, keys.key, keys.unit
                from read_parquet([{listed}], filename = true, hive_partitioning = false) as keys
                semi join ({keys}) as wanted on keys.key = wanted.key
                inner join related.key_files as files on keys.filename = files.path"""
        ).fetchall()

    def _name(self, key_file: Path) -> str:
        return key_file.relative_to(self._root).as_posix()
