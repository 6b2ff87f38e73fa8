"""Which staged and published rows the models of a run may see: the schemas `raw` and `earlier` of its database.

A run sees what no earlier run has seen, what is open, and of the past the rows that are related to any of it
(related_rows). So its cost follows what it has to judge, and not the provider's history. Revisions of releases that
read all of the past are made again as they were made. Does not belong here: what a run depends on (inputs), what the
models make of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import sql_text
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.errors import DamagedFilesError
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import related_rows
from zentra_pipeline.reconcile.inputs import EarlierRun, RunInputs
from zentra_pipeline.reconcile.related_rows import Source
from zentra_pipeline.store.files import StagedFile

EARLIER_TABLES: Final = ("matches", "match_legs", "open_items", "write_offs", "exceptions", "callback_states")
_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)
_LEDGER_FILES: Final = "file_sequence bigint, seen_until timestamp"

Check = Callable[[Sequence[StagedFile]], None]


def unchecked(files: Sequence[StagedFile]) -> None:
    """Take files as they are: what is made again reads those it staged itself."""
    del files


@dataclass(frozen=True)
class _StagedSource:
    """A staged file as a source of rows; an earlier run has seen those before `seen_until`, none where it is null."""

    source: Source
    file: StagedFile
    seen_until: datetime | None


def write(
    connection: duckdb.DuckDBPyConnection, inputs: RunInputs, tenant_root: Path, check: Check = unchecked
) -> None:
    """Make the tables and views of the schemas `raw` and `earlier`; what the run decided is in `run` already.

    `check` hears of registered files before their rows are read, and raises where they are not what ingest wrote.
    """
    staged = list(_staged(inputs, tenant_root))
    by_path = {one.source.path: one.file for one in staged}
    whole = reads_everything(inputs)
    newest = [run for run in inputs.earlier if not _is_followed(run, inputs.earlier)]
    # What is gone from them, and nothing matched or wrote off, the ledger has taken away: older runs still list it.
    _write_view(connection, "earlier.open_items", _published("open_items", newest))
    check([one.file for one in staged if whole or one.seen_until != _ALWAYS])
    _write_ledger_files(connection, staged)
    _write_view(connection, "raw.quarantine", _quarantine(inputs, tenant_root))
    if whole:
        for table in staged_tables.TABLE_OF_KIND.values():
            rows = _rows(table, [one.source for one in staged if one.source.table == table])
            _write_view(connection, f"raw.{table}", _standing(table, rows, inputs))
        for table in set(EARLIER_TABLES) - {"open_items"}:
            _write_view(connection, f"earlier.{table}", _published(table, inputs.earlier))
        return
    for table in ("write_offs", "exceptions"):
        _write_view(connection, f"earlier.{table}", _published(table, inputs.earlier))
    waiting = (
        f"select * from ({_published('callback_states', newest)}) where callback_state in ('in_transit', 'excepted')"
    )
    live = {table: _live_rows(connection, table, staged) for table in staged_tables.TABLE_OF_KIND.values()}
    past = [one.source for one in staged if one.seen_until is not None] + _published_sources(inputs.earlier)

    def on_read(paths: Sequence[Path]) -> None:
        check([by_path[path] for path in paths if path in by_path])

    normalizer = inputs.profile.reference_normalizer
    related_rows.find(connection, tenant_root, past, live, waiting, normalizer, on_read, inputs.provider)
    for table, rows in live.items():
        everything = f"{rows} union all select * from related.{table}"
        _write_view(connection, f"raw.{table}", _standing(table, everything, inputs))
    for table in ("matches", "match_legs"):
        _write_view(connection, f"earlier.{table}", f"select * from related.{table}")
    _write_view(connection, "earlier.callback_states", f"select * from related.callback_states union {waiting}")


def write_without_files(connection: duckdb.DuckDBPyConnection, inputs: RunInputs, tenant_root: Path) -> None:
    """Make the schema `earlier` and the quarantine for a run whose rows come from elsewhere (bank_rows)."""
    _write_ledger_files(connection, [])
    read = frozenset[int]().union(*(run.files for run in inputs.earlier))
    quarantined = [
        tenant_root / file.quarantine_path
        for file in inputs.files
        if file.quarantine_path and file.sequence not in read
    ]
    rows = lake_files.staged_rows(staged_tables.staged_columns("quarantine"), quarantined)
    _write_view(connection, "raw.quarantine", rows)
    for table in EARLIER_TABLES:
        _write_view(connection, f"earlier.{table}", _published(table, inputs.earlier))


def reads_everything(inputs: RunInputs) -> bool:
    """Whether all of the past may matter: read by an older release, or with other accounts, so of other movements."""
    accounts = frozenset(inputs.profile.clearing_accounts)
    return inputs.reads_whole_history or any(run.clearing_accounts != accounts for run in inputs.earlier)


def write_key_files(inputs: RunInputs, tables: Mapping[str, Path], tenant_root: Path, check: Check = unchecked) -> None:
    """Write the key files of what the run has read and published, for the runs that follow.

    Those that cannot be written now (no space, a file that is not what ingest wrote) are written by the run that needs
    them, which then says why it cannot.
    """
    staged = [one for one in _staged(inputs, tenant_root) if one.source.moved_to is None]
    by_path = {one.source.path: one.file for one in staged}
    made = [Source(table, path, run_sequence=0) for table, path in tables.items() if table in related_rows.PUBLISHED]

    def on_read(paths: Sequence[Path]) -> None:
        check([by_path[path] for path in paths if path in by_path])

    with suppress(OSError, duckdb.Error, DamagedFilesError):
        sources = [*(one.source for one in staged), *made]
        related_rows.write_key_files(sources, tenant_root, inputs.profile.reference_normalizer, on_read)


def _staged(inputs: RunInputs, tenant_root: Path) -> Iterator[_StagedSource]:
    """The files of the run, for its own provider; ledger files may hold transactions that run over two.

    Rows of a file that went on to a run of another file come as rows of that file, to the run of their own file as its
    own, too.
    """
    readers: dict[int, list[EarlierRun]] = defaultdict(list)
    for run in inputs.earlier:
        for sequence in run.files:
            readers[sequence].append(run)
    for file in inputs.files:
        if not file.staged_path or (file.kind != "ledger" and file.provider != inputs.provider):
            continue
        path = tenant_root / file.staged_path
        table = staged_tables.TABLE_OF_KIND[file.kind]
        if file.kind != "settlement":
            seen_until = _seen_until(file.kind, readers[file.sequence])
            yield _StagedSource(Source(table, path, seen_until=seen_until), file, seen_until)
            continue
        moved_to = inputs.passed_on.get(file.file_id)
        if moved_to is None or file.file_id == inputs.settlement_file:
            is_own = file.file_id == inputs.settlement_file
            yield _StagedSource(Source(table, path), file, None if is_own else _ALWAYS)
        if moved_to is not None:
            is_own = moved_to == inputs.settlement_file
            yield _StagedSource(Source(table, path, moved_to=moved_to), file, None if is_own else _ALWAYS)


def _seen_until(kind: str, readers: Sequence[EarlierRun]) -> datetime | None:
    """Up to which instant earlier runs have seen the rows of a file.

    Callbacks of later windows are seen where they speak for something, and once more by the run of their window. What
    an intent went through matters only where a movement is of that intent.
    """
    if kind == "internal_events":
        return _ALWAYS
    if kind == "ledger":
        return max((run.window_ends_at for run in readers), default=None)
    return max((min(run.as_of, run.window_ends_at) for run in readers), default=None)


def _is_followed(run: EarlierRun, earlier: Sequence[EarlierRun]) -> bool:
    """Whether a later run has started from just what this one published, and lists all that it left open."""
    return any(
        (run.run_id, run.revision) in other.made_from
        and other.sequence > run.sequence
        and other.ledger_window >= run.ledger_window
        and other.as_of >= run.as_of
        for other in earlier
    )


def _live_rows(connection: duckdb.DuckDBPyConnection, table: str, staged: Sequence[_StagedSource]) -> str:
    """A select of the rows that no earlier run has seen."""
    parts: dict[datetime | None, list[Source]] = defaultdict(list)
    for one in staged:
        if one.source.table == table and one.seen_until != _ALWAYS:
            parts[one.seen_until].append(one.source)
    selects = []
    for seen_until, sources in parts.items():
        rows = _rows(table, sources, connection)
        since = (
            "" if seen_until is None else f" where {related_rows.SEEN_BY[table]} >= {related_rows.instant(seen_until)}"
        )
        selects.append(rows if seen_until is None else f"select * from ({rows}){since}")
    return " union all ".join(selects) or sql_text.empty(staged_tables.staged_columns(table))


def _rows(table: str, sources: Sequence[Source], connection: duckdb.DuckDBPyConnection | None = None) -> str:
    """A select of all rows of staged files of one table; with a connection they are opened for their sizes."""
    by_file: dict[str | None, list[Source]] = defaultdict(list)
    for source in sources:
        by_file[source.moved_to].append(source)
    selects = [related_rows.staged_rows(found, connection) for found in by_file.values()]
    return " union all ".join(selects) or sql_text.empty(staged_tables.staged_columns(table))


def _standing(table: str, rows: str, inputs: RunInputs) -> str:
    """A select of these rows without lines that a restatement of another settlement file took out, as its run says.

    What restates the run's own file is for its models to find out (int_restatements).
    """
    removed = [
        f"select line_id, {sql_text.literal(run.settlement_file)} as file_id "
        f"from {sql_text.parquet_scan([run.tables['restatements']], lake_files.columns_sql('restatements'))} "
        "where change_type = 'removed'"
        for run in inputs.earlier
        if run.settlement_file != inputs.settlement_file
        and "restatements" in run.tables
        and run.rows.get("restatements", 1)
    ]
    if table != "settlement_lines" or not removed:
        return rows
    return (
        f"select standing.* from ({rows}) as standing anti join ({' union all '.join(removed)}) as removed "
        "on standing.file_id = removed.file_id and standing.line_id = removed.line_id"
    )


def _published(table: str, runs: Sequence[EarlierRun]) -> str:
    """A select of what earlier runs published, with `run_sequence`; files that have no row are not opened."""
    published = [(run.tables[table], run.sequence) for run in runs if table in run.tables and run.rows.get(table, 1)]
    if not published:
        return sql_text.empty(f"{lake_files.columns_sql(table)}, run_sequence bigint")
    return lake_files.published_rows(table, published)


def _published_sources(earlier: Sequence[EarlierRun]) -> list[Source]:
    return [
        Source(table, run.tables[table], run_sequence=run.sequence)
        for run in earlier
        for table in related_rows.PUBLISHED
        if table in run.tables and run.rows.get(table, 1)
    ]


def _quarantine(inputs: RunInputs, tenant_root: Path) -> str:
    """A select of the quarantined rows of the run's own file, and of others that no earlier run has read."""
    read = frozenset[int]().union(*(run.files for run in inputs.earlier))
    paths = [
        tenant_root / file.quarantine_path
        for file in inputs.files
        if file.quarantine_path
        and file.provider == inputs.provider
        and (file.kind == "settlement" or file.sequence not in read)
    ]
    return lake_files.staged_rows(staged_tables.staged_columns("quarantine"), paths)


def _write_ledger_files(connection: duckdb.DuckDBPyConnection, staged: Sequence[_StagedSource]) -> None:
    connection.execute(f"create table earlier.ledger_files ({_LEDGER_FILES})")
    rows = ", ".join(
        f"({one.file.sequence}, {related_rows.instant(one.seen_until)})"
        for one in staged
        if one.file.kind == "ledger" and one.seen_until is not None
    )
    if rows:
        connection.execute(f"insert into earlier.ledger_files values {rows}")


def _write_view(connection: duckdb.DuckDBPyConnection, name: str, rows: str) -> None:
    connection.execute(f"create view {name} as {rows}")
