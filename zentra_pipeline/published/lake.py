"""Published results as readers find them: one pointer a run, `catalog.duckdb`, and answers to queries.

The operational store's record of a revision is the commit; pointers and catalog follow it and are healed by the next
command if a crash came between. Does not belong here: the files themselves (lake_files), the select behind each table
(lake_views), computing anything that is published.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline import durable_files, locks, machine_errors, private_database, sql_text
from zentra_pipeline.errors import UsageError
from zentra_pipeline.published import declared_tables, lake_views, operational_tables, read_only_sql
from zentra_pipeline.published.lake_views import Snapshot
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.shared_files import reading

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*")  # literals, and comments, which may have an apostrophe
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class QueryResult:
    """The answer to a query: column names, DuckDB type names, rows of Python values."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


def refresh(paths: TenantPaths) -> None:
    """Bring pointers and `catalog.duckdb` in line with the operational store; safe to repeat and to be killed in."""
    pointers = paths.lake / "_current"
    pointers.mkdir(parents=True, exist_ok=True)
    with locks.locked(paths.locks / "catalog.lock"):  # one process at a time rewrites what readers find
        for stale in [*pointers.glob(".*.tmp"), *paths.root.glob(".catalog*.tmp*")]:
            stale.unlink(missing_ok=True)
        with reading(paths) as connection:
            snapshot = lake_views.read_snapshot(paths, connection)
        _write_pointers(pointers, snapshot)
        _write_catalog(paths, snapshot)


def _write_pointers(pointers: Path, snapshot: Snapshot) -> None:
    for run_id in snapshot.sequences.keys() - {revision.run_id for revision in snapshot.revisions}:
        (pointers / f"{run_id}.json").unlink(missing_ok=True)  # taken back
    for revision in snapshot.revisions:
        content = json.dumps(
            {"run_id": revision.run_id, "revision": revision.revision, "tables": revision.tables}, sort_keys=True
        )
        pointer = pointers / f"{revision.run_id}.json"
        if not pointer.is_file() or pointer.read_bytes() != content.encode():
            temporary = pointer.with_name(f".{pointer.name}.tmp")
            temporary.write_bytes(content.encode())
            durable_files.rename_durably(temporary, pointer)


def write_moment(paths: TenantPaths, file: Path, link: Path) -> list[Path]:
    """Write a database of this moment to `file`, as `catalog.duckdb` is one; the files its views read.

    Where DuckDB would look for the tenant's folder by a pattern, `link` is made and used instead.
    """
    from zentra_pipeline.published import catalog

    with reading(paths) as store:
        snapshot = lake_views.read_snapshot(paths, store)
    template = paths.root / catalog.template_name()
    if sql_text.is_pattern(paths.root):
        link.symlink_to(paths.root)
        paths = TenantPaths(link)
    catalog.write(file, snapshot.tables, lake_views.views(paths, snapshot), template if template.is_file() else None)
    return snapshot.paths(paths)


def query(paths: TenantPaths, sql: str, parameters: Sequence[Any] = ()) -> QueryResult:
    """Run one query of Zentra's own over the published tables of a tenant, all of one moment.

    It may read those tables and compute, nothing else (read_only_sql.check); what a person brings is answered in a
    confined process besides (queries.query_process). Raises UsageError for any other statement, or what DuckDB refuses.
    """
    with reading(paths) as store:
        snapshot = lake_views.read_snapshot(paths, store)
    views = lake_views.view_makers(paths, snapshot)
    with private_database.cursor() as connection:  # its temporary tables are its own, and end with it
        try:
            tables = views.keys() | operational_tables.COLUMNS.keys()
            read_only_sql.check(connection, sql, tables)
            named = read_only_sql.tables_read(connection, sql, tables)
        except duckdb.Error as cause:
            raise UsageError(f"the query cannot be answered: {cause}") from cause
        assert named is not None, "it was checked that it is a query"
        needed = _with_their_sources(named, views)
        for name in operational_tables.COLUMNS:
            if name in needed:
                operational_tables.create_table(connection, name, snapshot.tables.rows_of[name](), "temp")
        for name in views:
            if name in needed:
                connection.execute(f"create temp view {name} as {needed[name]}")
        try:
            answer = connection.execute(sql, list(parameters))
            columns = [column[0] for column in answer.description or []]
            types = [str(column[1]) for column in answer.description or []]
            return QueryResult(columns, types, answer.fetchall())
        except duckdb.Error as cause:
            if known := machine_errors.explained(cause):
                raise known from cause
            raise UsageError(f"the query cannot be answered: {cause}") from cause


def _with_their_sources(names: Iterable[str], views: Mapping[str, Callable[[], str | None]]) -> dict[str, str]:
    """Tables, and all that their views read, with the select behind each view: making more would cost the most."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = (views[name]() or declared_tables.no_rows(name)) if name in views else ""
        waiting += _WORD.findall(_QUOTED.sub("", found[name]))
    return found


def _write_catalog(paths: TenantPaths, snapshot: Snapshot) -> None:
    """Replace `catalog.duckdb` by one with views of this moment; whoever has the old one open keeps a whole picture."""
    from zentra_pipeline.published import catalog

    temporary = paths.root / ".catalog.duckdb.tmp"
    catalog.write(temporary, snapshot.tables, lake_views.views(paths, snapshot), paths.root / catalog.template_name())
    durable_files.rename_durably(temporary, paths.catalog)
