"""Derives the events of a run from what it published, in SQL, into one lake file; recording it does not belong here.

A revision emits what distinguishes it from the previous one, so each fact is emitted once however often a run repeats:
the file counts only when the transaction that records the revision names it, and the next attempt overwrites one that
was left behind. An id is derived from the fact; what comes back after it was withdrawn adds the revision.

The statement is composed, of what each event says in `revision_facts`, and is no file of `sql/`: which columns of the
lake file may hold null follows from what DuckDB knows of the statement, so that a statement of another shape would
write the same rows in other bytes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import private_database, settings
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.events import segment_rows
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import revision_facts
from zentra_pipeline.reconcile.inputs import EarlierRun, RunInputs
from zentra_pipeline.reconcile.run_kinds import RunKind
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.event_log import Entry

Marts = Mapping[str, Path]
_MEMORY: Final = "2GB"

_READ_OF_EARLIER: Final = ("matches", "exceptions", "payout_states")
_TAKEN_BACK: Final = (
    "select match_id from matches_now where status = 'reversed' "
    "union all select match_id from matches_before where status = 'reversed'"
)


@dataclass(frozen=True)
class EventContext:
    """One revision about to be published: whose it is, what it and its predecessor hold, what was emitted before.

    `marts` and `previous` map `matches` and `exceptions` to lake files; `log` holds all entries of the tenant's log.
    """

    inputs: RunInputs
    revision: int
    actor: str
    now: datetime
    marts: Marts
    previous: Marts
    log: Sequence[Entry]

    @property
    def last_position(self) -> int:
        """The place of the log's last event."""
        return self.log[-1].first_position + self.log[-1].events - 1 if self.log else 0

    @property
    def emitted(self) -> list[Entry]:
        """The files of the run's earlier revisions; without any, the run has emitted nothing yet."""
        return [entry for entry in self.log if entry.path is not None and entry.run_id == self.inputs.run_id]


def write_events(paths: TenantPaths, context: EventContext, *, whole: bool = False) -> lake_files.PublishedFile:
    """Write the revision's events to its lake file, in their total order; an empty file where there is none.

    A match that was made is named by its row in the revision's `matches`. `whole` writes each event as it is read, as
    older releases did.
    """
    inputs = context.inputs
    folder = segment_rows.WHOLE_FOLDER if whole else segment_rows.FOLDER
    relative = Path(folder, f"provider={inputs.provider}", f"ledger_window={inputs.ledger_window}")
    relative = relative / f"{inputs.run_id}-r{context.revision}.parquet"
    scratch = paths.scratch / inputs.run_id  # where DuckDB makes a folder when memory runs short, and removes it
    scratch.mkdir(parents=True, exist_ok=True)
    earlier = (run.tables[name] for run in inputs.earlier for name in _READ_OF_EARLIER if name in run.tables)
    read = [*context.marts.values(), *context.previous.values(), *earlier]
    try:
        with private_database.opened_for(read, settings.memory_limit(_MEMORY), scratch / "events") as connection:
            _write_sources(connection, context)
            is_emitted_again = bool(context.emitted)
            if is_emitted_again:
                _write_emitted(connection, paths, context)
            if whole:
                return lake_files.write_parquet(
                    connection, _whole_events_sql(inputs.kind, is_emitted_again), paths, relative
                )
            events = _events_sql(inputs.kind, is_emitted_again)
            return lake_files.write_parquet(connection, events, paths, relative, version="v2")
    finally:
        with suppress(OSError):  # it holds a database that is kept
            scratch.rmdir()


def _write_sources(connection: duckdb.DuckDBPyConnection, context: EventContext) -> None:
    """The relations the facts are derived from: `about`, the rows now and before, the states in earlier runs."""
    inputs = context.inputs
    connection.execute(
        "create table about (tenant varchar, provider varchar, settlement_file varchar, ledger_window varchar, "
        "run_id varchar, revision bigint, actor varchar, now timestamp)"
    )
    about = (
        inputs.tenant,
        inputs.provider,
        inputs.settlement_file,
        inputs.ledger_window.isoformat(),
        inputs.run_id,
        context.revision,
        context.actor,
        context.now.astimezone(UTC).replace(tzinfo=None),
    )
    connection.execute("insert into about values (?, ?, ?, ?, ?, ?, ?, ?)", about)
    previous = context.previous if context.emitted else {}
    for table in ("matches", "exceptions"):
        for name, marts in ((f"{table}_now", context.marts), (f"{table}_before", previous)):
            if table in marts:
                is_numbered = name == "matches_now"
                rows = lake_files.rows_of_file(connection, table, marts[table], with_row_numbers=is_numbered)
                connection.execute(f"create view {name} as {rows}")
            else:
                connection.execute(f"create table {name} ({lake_files.columns_sql(table)}, file_row_number bigint)")
        _write_earlier(connection, table, inputs.earlier)
    if inputs.bank is not None:
        states = lake_files.rows_of_file(connection, "payout_states", context.marts["payout_states"])
        connection.execute(f"create view payout_states_now as {states}")
        _write_earlier(connection, "payout_states", inputs.earlier)


def _write_emitted(connection: duckdb.DuckDBPyConnection, paths: TenantPaths, context: EventContext) -> None:
    """`emitted`, the ids this run emitted before, and `last_states`, what the log last said of what may cease to hold.

    Another run may have emitted about the same match or exception since, or a decision about the same exception.
    """
    own = event_reading.segments_sql(paths, context.emitted)
    connection.execute(f"create view emitted as select event_id from ({own})")
    folders = (segment_rows.FOLDER, segment_rows.WHOLE_FOLDER)
    of_provider = tuple(f"{folder}/provider={context.inputs.provider}/" for folder in folders)
    segments = [entry for entry in context.log if entry.path is not None and entry.path.startswith(of_provider)]
    connection.execute("create table single_events (position bigint, event_type varchar, subject varchar)")
    singles = [
        (row[0], row[2], row[3])
        for row in event_reading.single_rows(context.log)
        if row[2] in revision_facts.STATE_CHANGES
    ]
    if singles:
        connection.executemany("insert into single_events values (?, ?, ?)", singles)
    subjects = "\n    union\n    ".join(
        f"select {fact.subject} as subject from {fact.source} as rows"
        for fact in revision_facts.facts_of(context.inputs.kind)
        if fact.follows
    )
    kinds = ", ".join(f"'{event_type}'" for event_type in sorted(revision_facts.STATE_CHANGES))
    connection.execute(
        f"create table last_states as "
        f"with candidates as ({subjects}), "
        f"log as (select position, event_type, subject from ({event_reading.segments_sql(paths, segments)}) "
        "union all select position, event_type, subject from single_events) "
        "select log.subject, arg_max(log.event_type, log.position) as event_type "
        f"from log semi join candidates using (subject) where log.event_type in ({kinds}) group by log.subject"
    )


def _write_earlier(connection: duckdb.DuckDBPyConnection, table: str, earlier: Sequence[EarlierRun]) -> None:
    published = [(run.tables[table], run.sequence) for run in earlier if table in run.tables]
    if published:
        rows = lake_files.published_rows(table, published)
        if table == "matches":  # of all that ever matched, only what is taken back now, or was before, is asked for
            rows = f"select earlier.* from ({rows}) as earlier semi join ({_TAKEN_BACK}) as taken_back using (match_id)"
        connection.execute(f"create view {table}_earlier as {rows}")
    else:
        connection.execute(f"create table {table}_earlier ({lake_files.columns_sql(table)}, run_sequence bigint)")


def _selects(kind: RunKind, is_emitted_again: bool, *, whole: bool) -> str:
    """Every event of the revision; returns matter only where something was emitted."""
    selects = [
        fact.sql(is_emitted_again, whole=whole)
        for fact in revision_facts.facts_of(kind)
        if is_emitted_again or not fact.is_return
    ]
    return "\n    union all\n    ".join(selects)


def _events_sql(kind: RunKind, is_emitted_again: bool) -> str:
    """Every event of the revision with its place in the file; of those about a row what all of them say, and the row.

    The rows of `matches` are in the order of their ids, which are the events' subjects.
    """
    order = "type_rank, subject, event_id" if is_emitted_again else "type_rank, match_row, subject, event_id"
    return f"""
with events as (

    {_selects(kind, is_emitted_again, whole=False)}

)

select
    row_number() over (order by {order}) - 1 as "offset",
    events.event_id, events.event_type, case when match_row is null then events.subject end as subject,
    about.now as event_time, events.actor, about.run_id,
    case
        when match_row is null then events.data
        else cast(to_json({{{revision_facts.WINDOW}, 'run_revision': about.revision}}) as varchar)
    end as data,
    match_row
from events
cross join about
order by "offset"
"""


def _whole_events_sql(kind: RunKind, is_emitted_again: bool) -> str:
    """Every event of the revision with its place in the file."""
    return f"""
with events as (

    {_selects(kind, is_emitted_again, whole=True)}

)

select
    row_number() over (order by type_rank, subject, event_id) - 1 as "offset",
    events.event_id, events.event_type, events.subject, about.now as event_time, events.actor, about.run_id, events.data
from events
cross join about
order by "offset"
"""
