"""Rows of the past that are related to what a run must look at, however many rows lie between, found by key files.

Two rows are related when they share a reference or an id, whatever columns these are in; so are the rows of a match,
and the lines of a batch to its payout and to a movement that names the batch. The search starts from all that is new or
open and ends where nothing new is found: what is left out shares no key with anything that is read. Finding too much
costs time and changes nothing. What is new does not belong here (visible_rows).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import reference_keys, sql_text
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import row_keys
from zentra_pipeline.reconcile.fetched_rows import FetchedRows
from zentra_pipeline.reconcile.looked_up_keys import LookedUpKeys
from zentra_pipeline.reconcile.row_keys import KEYED

PUBLISHED: Final = ("matches", "match_legs", "callback_states")
# The instant by which it is decided whether an earlier run has seen a row.
SEEN_BY: Final = {"ledger_entries": "posted_at", "callbacks": "received_at"}
_NORMALIZED: Final = "related.normalized"
OnRead = Callable[[Sequence[Path]], None]


@dataclass(frozen=True)
class Source:
    """A file of the past: staged, maybe `moved_to` another settlement file, or published by the run `run_sequence`.

    Of a staged file only the rows before `seen_until` are of the past, all of them where it is null.
    """

    table: str
    path: Path
    moved_to: str | None = None
    run_sequence: int | None = None
    seen_until: datetime | None = None


def find(
    connection: duckdb.DuckDBPyConnection,
    tenant_root: Path,
    past: Sequence[Source],
    live: Mapping[str, str],
    waiting: str,
    normalizer: str,
    on_read: OnRead,
    provider: str,
) -> None:
    """Fill the tables of the schema `related` with the rows of `past` that are related to what is live or open.

    `live` are selects of staged rows by table, `waiting` one of the states of callbacks that are open, and `on_read`
    hears of staged files before their rows are read. The schemas `run` and `earlier` hold the decisions, open items and
    exceptions.
    """
    _create(connection)
    if not past:
        return
    write_key_files(past, tenant_root, normalizer, on_read)
    fetched = FetchedRows(connection, tenant_root, normalizer)
    key_files = sorted({row_keys.key_file(tenant_root, source.path, normalizer) for source in past})
    looked_up = LookedUpKeys(connection, tenant_root, normalizer, provider, key_files)
    _register(connection, tenant_root, past, normalizer, fetched)
    starts = [_open_keys(waiting), *(_keys(connection, table, rows, normalizer) for table, rows in live.items())]
    _look_up_next(connection, starts)
    hop = 0
    while _find_units(connection, looked_up, hop):
        _look_up_next(connection, _fetch(connection, past, hop, normalizer, on_read, fetched))
        hop += 1
    fetched.keep()
    looked_up.keep()


def write_key_files(sources: Sequence[Source], tenant_root: Path, normalizer: str, on_read: OnRead) -> None:
    """Write the key files that these sources lack; `on_read` hears of the files that are read for it."""
    by_path = {source.path: source for source in sources}
    missing = row_keys.missing(tenant_root, by_path, normalizer)
    if missing:
        on_read(missing)
        row_keys.write(
            tenant_root, ((by_path[path].table, rows_of_file(by_path[path]), path) for path in missing), normalizer
        )


def staged_rows(sources: Sequence[Source], connection: duckdb.DuckDBPyConnection | None = None) -> str:
    """A select over staged files of one table that are all moved to the same settlement file, or none of them.

    With a connection the files are opened, so that DuckDB knows how many rows they have.
    """
    table, moved_to = sources[0].table, sources[0].moved_to
    columns, paths = staged_tables.staged_columns(table), [source.path for source in sources]
    rows = lake_files.known_rows(connection, columns, paths) if connection else lake_files.staged_rows(columns, paths)
    if moved_to is None:
        return rows
    return f"select * replace ({sql_text.literal(moved_to)} as settlement_file) from ({rows})"


def instant(value: datetime) -> str:
    """An aware instant as a SQL timestamp."""
    return f"timestamp '{_utc_text(value)}'"


def _utc_text(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema related")
    for table in staged_tables.TABLE_OF_KIND.values():
        connection.execute(f"create table related.{table} ({staged_tables.staged_columns(table)})")
    for table in PUBLISHED:
        connection.execute(f"create table related.{table} ({lake_files.columns_sql(table)}, run_sequence bigint)")
    connection.execute(
        "create table related.sources (number integer, table_name varchar, key_file varchar, run_sequence bigint, "
        "file_name varchar, seen_until timestamp, moved_to varchar)"
    )
    connection.execute("create table related.match_units (run_sequence bigint, unit ubigint, hop integer)")
    connection.execute("create table related.known (key ubigint)")
    connection.execute("create table related.wanted (key ubigint)")
    connection.execute("create table related.units (number integer, unit ubigint, hop integer)")
    connection.execute(f"create table {_NORMALIZED} ({reference_keys.COLUMNS})")


def _register(
    connection: duckdb.DuckDBPyConnection,
    tenant_root: Path,
    past: Sequence[Source],
    normalizer: str,
    fetched: FetchedRows,
) -> None:
    rows = [
        [
            str(number),
            source.table,
            str(row_keys.key_file(tenant_root, source.path, normalizer)),
            None if source.run_sequence is None else str(source.run_sequence),
            fetched.name(source.path),
            None if source.seen_until is None else _utc_text(source.seen_until),
            source.moved_to,
        ]
        for number, source in enumerate(past)
    ]
    connection.execute(
        """insert into related.sources
           select cast(f[1] as integer), f[2], f[3], cast(f[4] as bigint), f[5], cast(f[6] as timestamp), f[7]
           from (select unnest($1) as f)""",
        [rows],
    )


def _open_keys(waiting: str) -> str:
    """A select of the keys of what is open: items, exceptions, waiting callbacks, and what the run's decisions name."""
    names = """
        select item_id as text from earlier.open_items
        union all
        select left(item_id, length(item_id) - 4) as text from earlier.open_items where is_fee
        union all
        select unnest([newest.subject_id, newest.match_id]) as text
        from (
            select * from earlier.exceptions
            qualify row_number() over (partition by exception_id order by run_sequence desc nulls last) = 1
        ) as newest
        left join run.exception_states as decided on newest.exception_id = decided.exception_id
        where newest.status <> 'resolved' and (coalesce(decided.status, '') <> 'resolved' or decided.is_own)
        union all
        select provider_event_id as text from waiting
        union all
        select item_id as text from run.write_offs
        union all
        select item_id as text from run.manual_matches
    """
    return f"select hash(text) as key from (with waiting as ({waiting}) {names}) where text <> ''"


def _keys(connection: duckdb.DuckDBPyConnection, table: str, rows: str, normalizer: str) -> str:
    """A select of the keys under which staged rows look for others."""
    normalized = None
    if normalizer != "none" and "provider_reference" in KEYED[table].columns:
        normalized = _NORMALIZED
        references = (
            f"select distinct provider_reference as reference from ({rows}) where provider_reference <> '' "
            f"and provider_reference not in (select reference from {_NORMALIZED})"
        )
        reference_keys.write_normalized(connection, _NORMALIZED, references, normalizer)
    texts = (*KEYED[table].columns, *KEYED[table].looks_for)
    return f"select key from ({row_keys.keys_of(rows, texts, normalized=normalized)})"


def _look_up_next(connection: duckdb.DuckDBPyConnection, selects: Sequence[str]) -> None:
    """Make the keys of these selects, as far as they are not known yet, those that are looked up next."""
    keys = " union all ".join(selects) or "select cast(null as ubigint) as key limit 0"
    connection.execute(
        f"""create or replace table related.wanted as
            select distinct key from ({keys})
            where key not in (select key from related.known)"""
    ).fetchall()
    connection.execute("insert into related.known from related.wanted").fetchall()


def _find_units(connection: duckdb.DuckDBPyConnection, looked_up: LookedUpKeys, hop: int) -> bool:
    """Look the wanted keys up in the key files; whether anything was found that was not found before."""
    looked_up.look_up()
    (found,) = connection.execute(
        f"""insert into related.units
            select distinct sources.number, hits.unit, {hop}
            from related.key_hits as hits
            semi join related.wanted as wanted on hits.key = wanted.key
            inner join related.key_files as files on hits.number = files.number
            inner join related.sources as sources on files.path = sources.key_file
            anti join related.units as units on sources.number = units.number and hits.unit = units.unit"""
    ).fetchall()[0]
    return bool(found)


def _fetch(
    connection: duckdb.DuckDBPyConnection,
    past: Sequence[Source],
    hop: int,
    normalizer: str,
    on_read: OnRead,
    fetched: FetchedRows,
) -> list[str]:
    """Read the rows found last, and return selects of the keys under which they look for others."""
    numbers = connection.execute("select distinct number from related.units where hop = $1", [hop]).fetchall()
    found: dict[str, list[Source]] = defaultdict(list)
    for (number,) in sorted(numbers):
        found[past[number].table].append(past[number])
    staged = [table for table in staged_tables.TABLE_OF_KIND.values() if found[table]]
    on_read(sorted({source.path for table in staged for source in found[table]}))
    keys = []
    for table in staged:
        rows = _staged_rows(table, found[table], hop, fetched)
        connection.execute(f"create table related.{table}_{hop} as {rows}").fetchall()
        connection.execute(f"insert into related.{table} by name from related.{table}_{hop}").fetchall()
        keys.append(_keys(connection, table, f"select * from related.{table}_{hop}", normalizer))
    if found["callback_states"]:
        rows = _published_rows("callback_states", found["callback_states"], _asked("callback_states", hop), fetched)
        connection.execute(f"insert into related.callback_states {rows}").fetchall()
    if found["matches"] or found["match_legs"]:
        keys.append(_fetch_matches(connection, past, hop, fetched))
    return keys


def _asked(table: str, hop: int) -> str:
    """A select of the units of a table that were found last, each with what its source says of its rows."""
    return f"""select sources.file_name, sources.seen_until, sources.moved_to, sources.run_sequence, units.unit
               from related.units as units
               inner join related.sources as sources on units.number = sources.number
               where units.hop = {hop} and sources.table_name = '{table}'"""


def _fetched_rows(table: str, sources: Sequence[Source], asked: str, fetched: FetchedRows, columns: str) -> str:
    """A select of `columns` of the rows of these units, as `rows`, beside what is said of them, as `asked`."""
    files = {fetched.name(source.path): source.path for source in sources}
    fetched.fetch(table, f"select file_name, unit from ({asked})", files, _columns(table))
    return f"""select {columns} from related.fetched_{table} as rows
               inner join ({asked}) as asked on rows.file_name = asked.file_name and rows.asked_unit = asked.unit
               where rows.is_found"""


def _staged_rows(table: str, sources: Sequence[Source], hop: int, fetched: FetchedRows) -> str:
    """A select of the rows of staged files of a table that were found last."""
    columns = "rows.* exclude (file_name, asked_unit, is_found)"
    if table == "settlement_lines":
        columns += " replace (coalesce(asked.moved_to, rows.settlement_file) as settlement_file)"
    at = SEEN_BY.get(table)
    seen = "" if at is None else f" and (asked.seen_until is null or rows.{at} < asked.seen_until)"
    return _fetched_rows(table, sources, _asked(table, hop), fetched, columns) + seen


def _published_rows(table: str, sources: Sequence[Source], asked: str, fetched: FetchedRows) -> str:
    """A select of the rows of published files of a table that have the asked units, with the place of their runs."""
    columns = "rows.* exclude (file_name, asked_unit, is_found), asked.run_sequence"
    return _fetched_rows(table, sources, asked, fetched, columns)


def _fetch_matches(
    connection: duckdb.DuckDBPyConnection, past: Sequence[Source], hop: int, fetched: FetchedRows
) -> str:
    """Read matches with all their legs, and return a select of the keys of both: a later run may have reversed one."""
    connection.execute(
        """insert into related.match_units
           select distinct sources.run_sequence, units.unit, units.hop
           from related.units as units
           inner join related.sources as sources on units.number = sources.number
           anti join related.match_units as known
               on sources.run_sequence = known.run_sequence and units.unit = known.unit
           where units.hop = $1 and sources.table_name in ('matches', 'match_legs')""",
        [hop],
    ).fetchall()
    found = connection.execute("select distinct run_sequence from related.match_units where hop = $1", [hop]).fetchall()
    for table in ("matches", "match_legs"):
        sources = [source for source in past if source.table == table and (source.run_sequence,) in found]
        if sources:
            asked = f"""select sources.file_name, sources.run_sequence, units.unit
                        from related.match_units as units
                        inner join related.sources as sources
                            on units.run_sequence = sources.run_sequence and sources.table_name = '{table}'
                        where units.hop = {hop}"""
            rows = _published_rows(table, sources, asked, fetched)
            connection.execute(f"insert into related.{table} {rows}").fetchall()
    return f"""select hash(legs.leg_id) as key from related.match_legs as legs
               inner join related.match_units as units
                   on legs.run_sequence = units.run_sequence and hash(legs.match_id) = units.unit and units.hop = {hop}
               union all
               select hash(left(legs.leg_id, length(legs.leg_id) - 4)) as key from related.match_legs as legs
               inner join related.match_units as units
                   on legs.run_sequence = units.run_sequence and hash(legs.match_id) = units.unit and units.hop = {hop}
               where legs.is_fee
               union all
               select unit as key from related.match_units where hop = {hop}"""


def rows_of_file(source: Source) -> str:
    """A select of all rows of a source's file."""
    return f"select * from {sql_text.parquet_scan([source.path], _columns(source.table))}"


def _columns(table: str) -> str:
    """The column definitions of a staged or published table."""
    return lake_files.columns_sql(table) if table in PUBLISHED else staged_tables.staged_columns(table)
