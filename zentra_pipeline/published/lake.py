"""Published results: immutable Parquet files, one pointer a run, and the views readers use. Reading and writing only.

A run's marts go to new files (temporary name, fsync, rename); the operational store then records the revision, which is
the commit; pointers and catalog follow and are healed by the next command if a crash came between. Does not belong
here: computing anything that is published.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
from sqlalchemy import Connection

from zentra_pipeline import durable_files, locks, machine_errors, settings, sql_text
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import reading as event_reading
from zentra_pipeline.published import operational_tables, read_only_sql, schema_before
from zentra_pipeline.published.operational_tables import OperationalTables
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading

# The order of rows in a published file: total, so that the same rows are the same bytes.
ROW_ORDER: Final[Mapping[str, str]] = {
    "matches": "match_id, status",
    "match_legs": "match_id, leg_type, leg_id",
    "three_way": "provider_reference, transaction_id, line_id, provider_event_id, currency, match_id",
    "exceptions": "exception_id",
    "ledger_search": "exception_id, rule",
    "open_items": "item_type, item_id, currency",
    "write_offs": "item_type, item_id, currency",
    "conservation": "side, currency",
    "rollforward": "currency",
    "run_metrics": "currency",
    "restatements": "line_id",
    "callback_states": "provider_event_id",
    "evidence_items": "provider_reference, settlement_file, ledger_entry, line_id, transaction_id, currency, "
    "provider_event_id",
}
_EVIDENCE_ORDER: Final = ("closeout_id", "line_id", "transaction_id", "currency", "provider_event_id", "match_id")
# What every published row says beside its mart's columns: whose it is, and the window of the run it names.
_OF_THE_RUN: Final = {"tenant_id": "varchar", "provider": "varchar", "ledger_window": "date"}
# Sorting and writing a file keeps one core busy; the second table is written beside the first.
_WRITERS: Final = 2
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_WORD: Final = re.compile(r"\w+")
INTERNAL: Final = frozenset({"callback_states", "evidence_items"})
EVIDENCE_COLUMNS: Final = (
    "closeout_id varchar, provider_reference varchar, settlement_file varchar, ledger_entry varchar, "
    "exception_owner varchar, closeout_status varchar, run_id varchar, actor varchar, scope varchar, policy varchar, "
    "intent_id varchar, signature varchar, evidence_at timestamp, evidence_status varchar, currency varchar, "
    "line_id varchar, transaction_id varchar, provider_event_id varchar, match_id varchar, policy_result varchar, "
    "missing varchar"
)
# Published tables that are also there as they were when each closeout was sealed, as `<table>_as_closed`.
AS_CLOSED: Final = ("matches", "match_legs", "three_way", "exceptions", "open_items", "conservation", "rollforward")


@dataclass(frozen=True)
class PublishedTable:
    """One published file: its path relative to the tenant's folder, rows, the digest of its bytes, and its columns.

    Revisions that were published before their columns were recorded have none here.
    """

    path: str
    rows: int
    sha256: str
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class QueryResult:
    """The answer to a query: column names, DuckDB type names, rows of Python values."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


@cache
def _columns() -> dict[str, dict[str, str]]:
    """Column name → type of every mart, from the contracts in the dbt project."""
    import yaml

    content = yaml.safe_load((settings.DBT_PROJECT / "models" / "marts" / "_marts.yml").read_text(encoding="utf-8"))
    return {
        model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
        for model in content["models"]
    }


def columns_sql(table: str) -> str:
    """The column definitions of a published table, as in `create table t (…)`."""
    return ", ".join(f"{name} {data_type}" for name, data_type in _columns()[table].items())


def reader_columns(table: str) -> str:
    """The column definitions of a published table as readers find it: its mart's, and whose and which window it is."""
    return ", ".join([columns_sql(table), *_added(table)])


def _added(table: str) -> list[str]:
    """Definitions of what is added to every row when it is published, where the mart does not have it."""
    return [f"{name} {kind}" for name, kind in _OF_THE_RUN.items() if name not in _columns()[table]]


def rows_of_file(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> str:
    """A select over one published file with the declared columns of its table, null where it lacks them.

    Unlike with parquet_scan, DuckDB knows from the file which columns hold no null, and what is written from these rows
    depends on that in its bytes.
    """
    scan = f"read_parquet({sql_text.file_literal(path)}, hive_partitioning = false)"
    found = {str(name) for name, *_ in connection.execute(f"describe from {scan}").fetchall()}
    names = (name if name in found else f"cast(null as {kind}) as {name}" for name, kind in _columns()[table].items())
    return f"select {', '.join(names)} from {scan}"


def staged_rows(columns: str, paths: Sequence[Path]) -> str:
    """A select of these column definitions over staged files; what a file of an older release lacks is null."""
    names = ", ".join(definition.split()[0] for definition in columns.split(","))
    if not paths:
        return f"select {names} from ({sql_text.empty(columns)})"
    return f"select {names} from {sql_text.parquet_scan(paths, columns)}"


def published_rows(table: str, published: Sequence[tuple[Path, int]], definitions: str | None = None) -> str:
    """A select over published files that adds `run_sequence`, the publishing run's place in the order of creation.

    Its columns are those of the mart, or of other `definitions`.
    """
    definitions = definitions or columns_sql(table)
    names = ", ".join(f"published.{name}" for name in sql_text.column_types(definitions))
    scan = sql_text.parquet_scan([path for path, _ in published], definitions, with_names=True)
    places = ", ".join(f"({sql_text.literal(str(path))}, {sequence})" for path, sequence in published)
    return (
        f"select {names}, cast(places.run_sequence as bigint) as run_sequence from {scan} as published "
        f"inner join (values {places}) as places (filename, run_sequence) on published.filename = places.filename"
    )


def publish(
    connection: duckdb.DuckDBPyConnection,
    paths: TenantPaths,
    *,
    provider: str,
    ledger_window: str,
    run_id: str,
    revision: int,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, PublishedTable]:
    """Write every mart of a run's database to new lake files, which nobody sees before the revision is recorded.

    `columns` are those of a revision that is published already and made again: what was added since is left out.
    """
    folder = Path(f"provider={provider}", f"ledger_window={ledger_window}")
    constants = {
        "tenant_id": f"{sql_text.literal(paths.root.name)} as tenant_id",
        "provider": f"{sql_text.literal(provider)} as provider",
        # A match that was taken back names the run that made it.
        "ledger_window": f"""coalesce(
            (select earlier_runs.ledger_window from "window".earlier.runs as earlier_runs
             where earlier_runs.run_id = published.run_id),
            cast({sql_text.literal(ledger_window)} as date)) as ledger_window""",
    }

    def write(table: str) -> PublishedTable:
        wanted = declared_columns()[table] if columns is None else columns[table]
        written = [name for name in wanted if name in declared_columns()[table]]
        names = ", ".join(constants.get(name, name) if name not in _columns()[table] else name for name in written)
        ordered = ", ".join(f"{column} asc nulls last" for column in ROW_ORDER[table].split(", "))
        rows = f'select {names} from "window".zentra.{table} as published order by {ordered}'
        relative = Path("lake", table) / folder / f"{run_id}-r{revision}.parquet"
        with connection.cursor() as cursor:
            return replace(write_parquet(cursor, rows, paths, relative), columns=written)

    tables = [table for table in ROW_ORDER if columns is None or table in columns]
    with ThreadPoolExecutor(_WRITERS) as writers:
        return dict(zip(tables, writers.map(write, tables), strict=True))


def columns_of(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """The columns a revision's tables were published with, by its recorded entries."""
    before = schema_before.COLUMNS
    return {name: entry.get("columns") or before.get(name, declared_columns()[name]) for name, entry in tables.items()}


def declared_columns() -> dict[str, Sequence[str]]:
    """The columns in which tables are published today."""
    return {name: list(sql_text.column_types(reader_columns(name))) for name in ROW_ORDER}


def write_parquet(
    connection: duckdb.DuckDBPyConnection, rows: str, paths: TenantPaths, relative: Path
) -> PublishedTable:
    """Write the rows of an ordered select to a new lake file, whole or not at all."""
    final = paths.root / relative
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.tmp")
    (count,) = connection.execute(
        f"copy ({rows}) to {sql_text.literal(str(temporary))} (format parquet, compression zstd, compression_level 1)"
    ).fetchall()[0]
    durable_files.rename_durably(temporary, final)
    return PublishedTable(relative.as_posix(), count, durable_files.digest_of(final))


def have_same_rows(one: Path, other: Path) -> bool:
    """Whether two published files of the same columns hold the same rows, in whatever bytes."""
    scans = [f"(select * from read_parquet({sql_text.file_literal(path)}))" for path in (one, other)]
    with duckdb.connect() as connection:
        return not any(
            connection.execute(f"{here} except all {there} limit 1").fetchall()
            for here, there in (scans, reversed(scans))
        )


def discard(paths: TenantPaths, tables: Mapping[str, PublishedTable]) -> None:
    """Remove files that were written and shall not be published."""
    for table in tables.values():
        (paths.root / table.path).unlink(missing_ok=True)


def refresh(paths: TenantPaths) -> None:
    """Bring pointers and `catalog.duckdb` in line with the operational store; safe to repeat and to be killed in."""
    pointers = paths.lake / "_current"
    pointers.mkdir(parents=True, exist_ok=True)
    with locks.locked(paths.locks / "catalog.lock"):  # one process at a time rewrites what readers find
        for stale in [*pointers.glob(".*.tmp"), *paths.root.glob(".catalog*.tmp*")]:
            stale.unlink(missing_ok=True)
        with reading(operational_store(paths)) as connection:
            snapshot = _snapshot(paths, connection)
        _write_pointers(pointers, snapshot)
        _write_catalog(paths, snapshot)


def _write_pointers(pointers: Path, snapshot: "_Snapshot") -> None:
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

    Where DuckDB would look for the tenant's folder by a pattern, `link` is made to stand for it.
    """
    from zentra_pipeline.published import catalog

    with reading(operational_store(paths)) as store:
        snapshot = _snapshot(paths, store)
    template = paths.root / catalog.template_name()
    if sql_text.is_pattern(paths.root):
        link.symlink_to(paths.root)
        paths = TenantPaths(link)
    catalog.write(file, snapshot.tables, _views(paths, snapshot), template if template.is_file() else None)
    return snapshot.paths(paths)


def query(paths: TenantPaths, sql: str, parameters: Sequence[Any] = ()) -> QueryResult:
    """Run one read-only statement over the published tables of a tenant, all of one moment.

    The statement sees nothing but those tables: no other file, no network, no setting can be reached from it.
    Raises UsageError for anything that is not a single query, or that DuckDB refuses.
    """
    with reading(operational_store(paths)) as store:
        snapshot = _snapshot(paths, store)
    views = {name: rows or _no_rows(name) for name, rows in _views(paths, snapshot).items()}
    with duckdb.connect() as connection:
        try:
            named = read_only_sql.tables_read(connection, sql, views.keys() | operational_tables.COLUMNS.keys())
        except duckdb.Error as cause:
            raise UsageError(f"the query cannot be answered: {cause}") from cause
        if named is None:
            raise UsageError(read_only_sql.ALLOWED)
        needed = _with_their_sources(named, views)
        for name in operational_tables.COLUMNS:
            if name in needed:
                operational_tables.create_table(connection, name, snapshot.tables.rows[name])
        for name, definition in views.items():
            if name in needed:
                connection.execute(f"create view {name} as {definition}")
        connection.execute(sql_text.allowed_paths(snapshot.paths(paths)))
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            answer = connection.execute(sql, list(parameters))
            columns = [column[0] for column in answer.description or []]
            types = [str(column[1]) for column in answer.description or []]
            return QueryResult(columns, types, answer.fetchall())
        except duckdb.Error as cause:
            if known := machine_errors.explained(cause):
                raise known from cause
            raise UsageError(f"the query cannot be answered: {cause}") from cause


def _no_rows(name: str) -> str:
    """A select without rows of a published table's columns."""
    from zentra_pipeline.published import declared_tables

    columns = declared_tables.tables()[name].columns
    return sql_text.empty(", ".join(f"{column} {declared.data_type}" for column, declared in columns.items()))


def _with_their_sources(names: Iterable[str], views: Mapping[str, str]) -> set[str]:
    """Tables with all that their views read: making what a query does not name costs more than most queries."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _WORD.findall(_QUOTED.sub("", views.get(name, "")))
    return found


@dataclass(frozen=True)
class _Snapshot:
    """What readers see at one moment: operational tables, current and sealed revisions, and the registered files."""

    tenant: str
    tables: OperationalTables
    revisions: list[run_store.Revision]
    sealed_revisions: dict[str, run_store.Revision]
    sequences: dict[str, int]
    outlived: list[str]
    files: list[file_store.StagedFile]

    def published(self, paths: TenantPaths, table: str) -> list[tuple[Path, int]]:
        return [
            (paths.root / revision.tables[table]["path"], self.sequences[revision.run_id])
            for revision in self.revisions
            if table in revision.tables
        ]

    def sealed(self, paths: TenantPaths, table: str) -> list[tuple[Path, str]]:
        return [
            (paths.root / revision.tables[table]["path"], closeout_id)
            for closeout_id, revision in self.sealed_revisions.items()
            if table in revision.tables
        ]

    def evidence(self, paths: TenantPaths) -> list[Path]:
        return [paths.root / closeout.evidence_path for closeout in self.tables.sealed if closeout.evidence_path]

    def staged(self, paths: TenantPaths, kind: str) -> list[Path]:
        return [paths.root / file.staged_path for file in self.files if file.kind == kind and file.staged_path]

    def quarantined(self, paths: TenantPaths) -> list[Path]:
        return [paths.root / file.quarantine_path for file in self.files if file.quarantine_path]

    def paths(self, paths: TenantPaths) -> list[Path]:
        revisions = [*self.revisions, *self.sealed_revisions.values()]
        published = {paths.root / entry["path"] for revision in revisions for entry in revision.tables.values()}
        staged = [paths.root / file.staged_path for file in self.files if file.staged_path]
        events = [paths.root / entry.path for entry in self.tables.event_entries if entry.path]
        return [*sorted(published), *staged, *self.quarantined(paths), *self.evidence(paths), *events]


def _snapshot(paths: TenantPaths, connection: Connection) -> _Snapshot:
    tenant = paths.root.name
    runs = run_store.list_runs(connection)
    tables = operational_tables.read(tenant, connection, runs)
    current = [run_store.current_revision(connection, run.run_id) for run in runs if run.is_published]
    sealed = {
        closeout.closeout_id: run_store.revision(connection, closeout.run_id, closeout.run_revision)
        for closeout in tables.sealed
        if closeout.run_revision > 0
    }
    registered = [
        file
        for kind in ("settlement", "ledger", "callbacks", "internal_events")
        for file in file_store.staged_files(connection, kind)
    ]
    sequences = {run.run_id: run.sequence for run in runs}
    return _Snapshot(tenant, tables, current, sealed, sequences, _outlived(runs), registered)


def _outlived(runs: Sequence[run_store.Run]) -> list[str]:
    """Runs after which a published run of their provider has seen the same items: what they suggested holds no more."""
    newest: dict[str, str] = {}  # the latest window that any run created later has seen, by provider
    found = []
    for run in sorted(runs, key=lambda run: run.sequence, reverse=True):
        seen = newest.get(run.provider)
        if seen is not None and seen >= run.ledger_window:
            found.append(run.run_id)
        if run.revision > 0 and (seen is None or run.ledger_window > seen):
            newest[run.provider] = run.ledger_window
    return sorted(found)


def _views(paths: TenantPaths, snapshot: _Snapshot) -> dict[str, str | None]:
    """The select behind every published table that lies in the lake; null for one that has no file yet."""
    from zentra_pipeline.contracts.staged_tables import TABLE_OF_KIND, staged_columns

    views = {table: _current_rows(paths, snapshot, table) for table in ROW_ORDER if table not in INTERNAL}
    views |= {f"{table}_as_closed": _rows_as_closed(paths, snapshot, table) for table in AS_CLOSED}
    views["open_items_now"] = _open_items_now(paths, snapshot)
    views["closeout_evidence"] = _evidence_rows(paths, snapshot)
    singles = "select * from single_events"
    segments = event_reading.segments_sql(paths, snapshot.tables.event_entries)
    told = f"{singles} union all {segments}" if segments else singles
    views["events"] = (
        f"select told.*, runs.provider, runs.ledger_window from ({told}) as told "
        "left join runs on told.run_id = runs.run_id order by told.position nulls last"
    )
    staged = {TABLE_OF_KIND[kind]: snapshot.staged(paths, kind) for kind in TABLE_OF_KIND}
    for table, found in {**staged, "quarantine": snapshot.quarantined(paths)}.items():
        rows = staged_rows(staged_columns(table), found)
        views[table] = f"select {sql_text.literal(snapshot.tenant)} as tenant_id, * from ({rows})" if found else None
    return views


def _evidence_rows(paths: TenantPaths, snapshot: _Snapshot) -> str | None:
    found = snapshot.evidence(paths)
    if not found:
        return None
    names = ", ".join(sql_text.column_types(EVIDENCE_COLUMNS))
    return (
        "select evidence.*, closeouts.tenant_id, closeouts.provider, closeouts.ledger_window "
        f"from (select {names} from {sql_text.parquet_scan(found, EVIDENCE_COLUMNS)}) as evidence "
        "left join closeouts on evidence.closeout_id = closeouts.closeout_id order by "
    ) + ", ".join(f"evidence.{name} nulls last" for name in _EVIDENCE_ORDER)


def _current_rows(paths: TenantPaths, snapshot: _Snapshot, table: str) -> str | None:
    """A table as its runs' current revisions have it, exceptions with what people decided since."""
    published = snapshot.published(paths, table)
    definitions = reader_columns(table)
    columns = ", ".join(sql_text.column_types(definitions))
    if not published:
        return None
    if table not in ("matches", "exceptions"):
        return f"select {columns} from {sql_text.parquet_scan([path for path, _ in published], definitions)}"
    key = "match_id" if table == "matches" else "exception_id"
    # A later run may publish a newer state of the same row: reversed, or resolved.
    newest = (
        f"select {columns}, run_sequence from ({published_rows(table, published, definitions)}) as published "
        f"qualify row_number() over (partition by {key} order by run_sequence desc nulls last) = 1"
    )
    if table == "exceptions":
        newest = f"select {columns} from ({newest})"
        return decided_by(newest, "states.closeout_id is null") + _ordered("ledger_window", key)
    in_force = _in_force(newest, published_rows(table, published, definitions), snapshot.outlived)
    return f"select {columns} from ({in_force}) as published" + _ordered("run_sequence", key)


def _in_force(newest: str, published: str, outlived: Sequence[str]) -> str:
    """A select of matches without suggestions that a later run outlived; older releases published those as reversed."""
    runs = ", ".join(sql_text.literal(run_id) for run_id in outlived) or "''"
    return (
        f"select published.* from ({newest}) as published "
        f"where not (published.status = 'suggested' and published.run_id in ({runs})) "
        "and not (published.status = 'reversed' and published.rule = 'amount_date' and published.match_id in "
        f"(select suggested.match_id from ({published}) as suggested where suggested.status = 'suggested'))"
    )


def _open_items_now(paths: TenantPaths, snapshot: _Snapshot) -> str | None:
    """The open items of each provider's newest run: the last of those of its latest window."""
    newest: dict[str, tuple[str, int, Path]] = {}
    windows = {run[0]: (str(run[3]), str(run[5])) for run in snapshot.tables.rows["runs"]}
    for revision in snapshot.revisions:
        provider, window = windows[revision.run_id]
        place = (window, snapshot.sequences[revision.run_id], paths.root / revision.tables["open_items"]["path"])
        newest[provider] = max(newest.get(provider, place), place)
    definitions = reader_columns("open_items")
    if not newest:
        return None
    columns = ", ".join(sql_text.column_types(definitions))
    return (
        f"select {columns} from {sql_text.parquet_scan([path for _, _, path in sorted(newest.values())], definitions)}"
    )


def _rows_as_closed(paths: TenantPaths, snapshot: _Snapshot, table: str) -> str | None:
    """A table as it was when each closeout was sealed, with the closeout it belongs to."""
    sealed = snapshot.sealed(paths, table)
    definitions = reader_columns(table)
    states_of = "states.closeout_id = published.closeout_id"
    if not sealed:
        return None
    names = ", ".join(f"published.{name}" for name in sql_text.column_types(definitions))
    scan = sql_text.parquet_scan(sorted({path for path, _ in sealed}), definitions, with_names=True)
    places = ", ".join(
        f"({sql_text.literal(str(path))}, {sql_text.literal(closeout_id)})" for path, closeout_id in sealed
    )
    rows = (
        f"select places.closeout_id, {names} from {scan} as published "
        f"inner join (values {places}) as places (filename, closeout_id) on published.filename = places.filename"
    )
    if table == "exceptions":
        rows = decided_by(rows, states_of)
    return f"select * from ({rows}) as published" + _ordered("closeout_id", *ROW_ORDER[table].split(", "))


def _ordered(*columns: str) -> str:
    """An order for rows that joins and windows hand on as threads please: asked twice, a table answers the same."""
    return " order by " + ", ".join(f"published.{column} nulls last" for column in columns)


def decided(rows: str, states_of: str) -> str:
    """A select of exceptions with owner, lane, status and resolution as decided; needs the table exception_states.

    What a later run matched is resolved, whatever people were about to decide.
    """
    undecided = "states.exception_id is null or (published.status = 'resolved' and states.status <> 'resolved')"
    return (
        "select published.* replace ("
        "coalesce(states.owner, published.owner) as owner, "
        "coalesce(states.lane, published.lane) as lane, "
        f"case when {undecided} then published.status else states.status end as status, "
        f"case when {undecided} then published.resolution else states.resolution end as resolution) "
        f"from ({rows}) as published left join exception_states as states "
        f"on {states_of} and states.exception_id = published.exception_id"
    )


def decided_by(rows: str, states_of: str) -> str:
    """Like `decided`, with when and by whom each was resolved; needs the table runs as well.

    What a run resolved, the system did, as of what that run knew.
    """
    by_person = "states.status = 'resolved'"
    return (
        f"select published.*, "
        f"case when {by_person} then states.resolved_at when published.status = 'resolved' then resolvers.as_of end "
        "as resolved_at, "
        f"case when {by_person} then states.resolved_by "
        "when published.status = 'resolved' and published.resolved_run_id is not null then 'system' end as resolved_by "
        f"from ({decided(rows, states_of)}) as published "
        f"left join exception_states as states on {states_of} "
        "and states.exception_id = published.exception_id "
        "left join runs as resolvers on resolvers.run_id = published.resolved_run_id"
    )


def _write_catalog(paths: TenantPaths, snapshot: _Snapshot) -> None:
    """Replace `catalog.duckdb` by one with views of this moment; whoever has the old one open keeps a whole picture."""
    from zentra_pipeline.published import catalog

    temporary = paths.root / ".catalog.duckdb.tmp"
    catalog.write(temporary, snapshot.tables, _views(paths, snapshot), paths.root / catalog.template_name())
    durable_files.rename_durably(temporary, paths.catalog)
