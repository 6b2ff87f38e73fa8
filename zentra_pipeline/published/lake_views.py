"""What readers find at one moment, and the select behind every table that lies in the lake; answering queries: lake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline import identifiers, sql_text
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.events import segment_rows
from zentra_pipeline.published import operational_tables
from zentra_pipeline.published.lake_files import (
    ALL_ROW_ORDERS,
    ROW_ORDER,
    bank_rows,
    published_rows,
    reader_columns,
    staged_rows,
)
from zentra_pipeline.published.operational_tables import OperationalTables
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store

_EVIDENCE_ORDER: Final = ("closeout_id", "line_id", "transaction_id", "currency", "provider_event_id", "match_id")
# Tables of which a later run publishes a row again, by what the row is known by.
_NEWEST_OF: Final = {"matches": "match_id", "exceptions": "exception_id", "payouts": "payout_id"}
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


# What is read from other tables: the words of the bank for what its runs publish, and the way of a payment to cash.
OF_THE_BANK: Final = ("bank_matches", "bank_match_legs", "bank_open_items", "cash_story")


@dataclass(frozen=True)
class PublishedRevision:
    """A published state of a run and its tables, each with `path`, `rows` and `sha256`."""

    run_id: str
    revision: int
    tables: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Snapshot:
    """What readers see at one moment: operational tables, current and sealed revisions, and the registered files.

    `revisions` are in the runs' order of creation, `sealed_revisions` by closeout.
    """

    tenant: str
    tables: OperationalTables
    revisions: list[PublishedRevision]
    sealed_revisions: dict[str, PublishedRevision]
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
        events = [
            paths.root / path
            for entry in self.tables.event_entries
            if entry.path
            for path in (entry.path, segment_rows.matches_path(entry.path))
            if path
        ]
        return [*sorted(published), *staged, *self.quarantined(paths), *self.evidence(paths), *events]


def read_snapshot(paths: TenantPaths, connection: Connection) -> Snapshot:
    """What the operational store says that readers see."""
    tenant = paths.root.name
    runs = run_store.list_runs(connection)
    tables = operational_tables.read(paths, connection, runs)
    current = [(run.run_id, run.revision) for run in runs if run.is_published]
    sealed = {
        closeout.closeout_id: (closeout.run_id, closeout.run_revision)
        for closeout in tables.sealed
        if closeout.run_revision > 0
    }
    tables_of = run_store.tables_of(connection, {*current, *sealed.values()})
    kinds: dict[str, int] = {kind: place for place, kind in enumerate(identifiers.FILE_KINDS)}
    return Snapshot(
        tenant=tenant,
        tables=tables,
        revisions=[PublishedRevision(*one, tables_of[one]) for one in current],
        sealed_revisions={closeout: PublishedRevision(*one, tables_of[one]) for closeout, one in sealed.items()},
        sequences={run.run_id: run.sequence for run in runs},
        outlived=_outlived(runs),
        files=sorted((file for file in tables.files if file.kind in kinds), key=lambda file: kinds[file.kind]),
    )


def _outlived(runs: Sequence[run_store.Run]) -> list[str]:
    """Runs after which a published run of their provider has seen the same items: what they suggested holds no more."""
    newest: dict[str, str] = {}  # the latest window that any run created later has seen, by provider
    found = []
    for run in sorted(runs, key=lambda run: run.sequence, reverse=True):
        seen = newest.get(run.provider)
        if seen is not None and seen >= run.ledger_window:
            found.append(run.run_id)
        if run.is_published and (seen is None or run.ledger_window > seen):
            newest[run.provider] = run.ledger_window
    return sorted(found)


def views(paths: TenantPaths, snapshot: Snapshot) -> dict[str, str | None]:
    """The select behind every published table that lies in the lake; null for one that has no file yet."""
    return {name: make() for name, make in view_makers(paths, snapshot).items()}


def view_makers(paths: TenantPaths, snapshot: Snapshot) -> dict[str, Callable[[], str | None]]:
    """What makes the select of each of these tables: one names every file of its table, and few queries need many."""
    from zentra_pipeline.contracts.staged_tables import BANK_TABLES, TABLE_OF_KIND

    makers: dict[str, Callable[[], str | None]] = {
        table: partial(_current_rows, paths, snapshot, table) for table in ALL_ROW_ORDERS if table not in INTERNAL
    }
    makers |= {f"{table}_as_closed": partial(_rows_as_closed, paths, snapshot, table) for table in AS_CLOSED}
    makers["open_items_now"] = partial(_open_items_now, paths, snapshot)
    makers["closeout_evidence"] = partial(_evidence_rows, paths, snapshot)
    makers["events"] = partial(_event_rows, paths, snapshot)
    for kind in TABLE_OF_KIND:
        makers[TABLE_OF_KIND[kind]] = partial(_staged_rows, paths, snapshot, kind)
    for table in BANK_TABLES:
        makers[table] = partial(_bank_rows, paths, snapshot, table)
    makers["quarantine"] = partial(_staged_rows, paths, snapshot, None)
    if "payouts" in makers:  # behind the tables that it reads
        makers["payouts"] = makers.pop("payouts")
    for table in OF_THE_BANK:
        makers[table] = partial(sql_text.statement, "published", table)
    makers["journal_proposals"] = partial(_journal, paths, snapshot)  # the last: it reads those before it
    return makers


def _staged_rows(paths: TenantPaths, snapshot: Snapshot, kind: str | None) -> str | None:
    """The staged rows of a kind of file, or the quarantined ones of all kinds."""
    from zentra_pipeline.contracts.staged_tables import TABLE_OF_KIND, staged_columns

    found = snapshot.quarantined(paths) if kind is None else snapshot.staged(paths, kind)
    if not found:
        return None
    rows = staged_rows(staged_columns("quarantine" if kind is None else TABLE_OF_KIND[kind]), found)
    return f"select {sql_text.literal(snapshot.tenant)} as tenant_id, * from ({rows})"


def _bank_rows(paths: TenantPaths, snapshot: Snapshot, table: str) -> str | None:
    """The staged rows of one of the two tables that a bank's files hold."""
    from zentra_pipeline.contracts.staged_tables import BANK_KIND

    found = snapshot.staged(paths, BANK_KIND)
    return (
        f"select {sql_text.literal(snapshot.tenant)} as tenant_id, * from ({bank_rows(table, found)})"
        if found
        else None
    )


def _event_rows(paths: TenantPaths, snapshot: Snapshot) -> str:
    singles = "select * from single_events"
    segments = event_reading.segments_sql(paths, snapshot.tables.event_entries, snapshot.tenant)
    emitted = f"{singles} union all {segments}" if segments else singles
    return (
        f"select emitted.*, runs.provider, runs.ledger_window from ({emitted}) as emitted "
        "left join runs on emitted.run_id = runs.run_id order by emitted.position nulls last"
    )


def _evidence_rows(paths: TenantPaths, snapshot: Snapshot) -> str | None:
    found = snapshot.evidence(paths)
    if not found:
        return None
    names = ", ".join(sql_text.column_types(EVIDENCE_COLUMNS))
    return (
        "select evidence.*, closeouts.tenant_id, closeouts.provider, closeouts.ledger_window "
        f"from (select {names} from {sql_text.parquet_scan(found, EVIDENCE_COLUMNS)}) as evidence "
        "left join closeouts on evidence.closeout_id = closeouts.closeout_id order by "
    ) + ", ".join(f"evidence.{name} nulls last" for name in _EVIDENCE_ORDER)


def _current_rows(paths: TenantPaths, snapshot: Snapshot, table: str) -> str | None:
    """A table as its runs' current revisions have it, exceptions with what operators decided since."""
    published = snapshot.published(paths, table)
    definitions = reader_columns(table)
    columns = ", ".join(sql_text.column_types(definitions))
    if not published:
        return None
    if table == "run_metrics":
        return _metrics(paths, snapshot, published, columns)
    if table not in _NEWEST_OF:
        return f"select {columns} from {sql_text.parquet_scan([path for path, _ in published], definitions)}"
    key = _NEWEST_OF[table]
    # A later run may publish a newer state of the same row: reversed, or resolved.
    newest = (
        f"select {columns}, run_sequence from ({published_rows(table, published, definitions)}) as published "
        f"qualify row_number() over (partition by {key} order by run_sequence desc nulls last) = 1"
    )
    if table == "payouts":
        reported = f"(select {columns} from ({newest}))"
        return sql_text.statement("published", "payouts").replace("reported_payouts", reported)
    if table == "exceptions":
        newest = f"select {columns} from ({newest})"
        return decided_by(newest, "states.closeout_id is null") + _ordered("ledger_window", key)
    in_force = _in_force(newest, published_rows(table, published, definitions), snapshot.outlived)
    return f"select {columns} from ({in_force}) as published" + _ordered("run_sequence", key)


def _metrics(paths: TenantPaths, snapshot: Snapshot, published: Sequence[tuple[Path, int]], columns: str) -> str:
    """The counts of runs, those of bank accounts with how many matches each of their own passes made."""
    metrics = sql_text.parquet_scan([path for path, _ in published], reader_columns("run_metrics"))
    of_banks = [
        paths.root / revision.tables["matches"]["path"]
        for revision in snapshot.revisions
        if "payout_states" in revision.tables
    ]
    definitions = reader_columns("matches")
    matches = sql_text.parquet_scan(of_banks, definitions) if of_banks else f"({sql_text.empty(definitions)})"
    return (
        sql_text.statement("published", "run_metrics")
        .replace("published_metrics", f"(select {columns} from {metrics})")
        .replace("matches_of_banks", matches)
    )


def _in_force(newest: str, published: str, outlived: Sequence[str]) -> str:
    """A select of matches without suggestions that a later run outlived; older releases published those as reversed."""
    runs = ", ".join(sql_text.literal(run_id) for run_id in outlived) or "''"
    return (
        f"select published.* from ({newest}) as published "
        f"where not (published.status = 'suggested' and published.run_id in ({runs})) "
        "and not (published.status = 'reversed' and published.rule = 'amount_date' and published.match_id in "
        f"(select suggested.match_id from ({published}) as suggested where suggested.status = 'suggested'))"
    )


def _open_items_now(paths: TenantPaths, snapshot: Snapshot) -> str | None:
    """Each item as the newest run that could see it left it: a run sees what opened in its window or before.

    Windows may be run in any order. So the newest run says what is open up to its window, and of what opened later the
    newest run of a later window does, and so on.
    """
    windows = {run[0]: (str(run[3]), str(run[5])) for run in snapshot.tables.rows_of["runs"]()}
    definitions = reader_columns("open_items")
    columns = ", ".join(sql_text.column_types(definitions))
    said_until: dict[str, str] = {}
    selects = []
    for revision in sorted(snapshot.revisions, key=lambda each: snapshot.sequences[each.run_id], reverse=True):
        scope, window = windows[revision.run_id]
        until = said_until.get(scope)
        if until is not None and window <= until:
            continue
        said_until[scope] = window
        later = "" if until is None else f" where opened_window > {sql_text.literal(until)}"
        file = paths.root / revision.tables["open_items"]["path"]
        selects.append(f"select {columns} from {sql_text.parquet_scan([file], definitions)}{later}")
    return " union all ".join(selects) or None


def _journal(paths: TenantPaths, snapshot: Snapshot) -> str | None:
    """The journal proposals, from the published tables that they rest on; null where one of them has no file yet."""
    needed = ("matches", "match_legs", "exceptions", "write_offs")
    if not all(snapshot.published(paths, table) for table in needed) or not snapshot.staged(paths, "settlement"):
        return None
    return sql_text.statement("published", "journal_proposals")


def _rows_as_closed(paths: TenantPaths, snapshot: Snapshot, table: str) -> str | None:
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

    What a later run matched is resolved, whatever operators were about to decide.
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
