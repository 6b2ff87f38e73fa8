"""The books of a run as they are closed: its published tables, what people decided, and the evidence, in one DuckDB.

Views: `matches`, `match_legs`, `three_way`, `open_items`, `write_offs`, `conservation`, `rollforward` and
`evidence_items` of the closed revision; `exceptions` those the run opened or resolved and earlier ones it carries, as
decided by now; `evidence` the rows a closeout seals, one `leaf` (RFC 8785) each. Does not belong here: whether a run
may be closed, writing files.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline.decisions.exception_state import exception_states
from zentra_pipeline.published import lake, operational_tables
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.engine import operational_store, reading

_TABLES: Final = (
    *("matches", "match_legs", "three_way", "open_items", "write_offs", "conservation", "rollforward"),
    "evidence_items",
)
LEAF_KEYS: Final = (
    "actor",
    "closeout_status",
    "evidence_status",
    "exception_owner",
    "intent_id",
    "ledger_entry",
    "policy",
    "provider_reference",
    "run_id",
    "scope",
    "settlement_file",
    "signature",
)


@dataclass(frozen=True)
class PublishedRun:
    """A run in one of its revisions, and its place in the order of creation."""

    run_id: str
    sequence: int
    revision: run_store.Revision


@dataclass(frozen=True)
class Books:
    """The open books: `connection` holds the views named above."""

    connection: duckdb.DuckDBPyConnection
    run: run_store.Run
    revision: run_store.Revision
    decisions: Sequence[Decision]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The answer to a query as dictionaries."""
        answer = self.connection.execute(sql)
        names = [column[0] for column in answer.description or []]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


@contextmanager
def opened(
    paths: TenantPaths, run: run_store.Run, revision: run_store.Revision, decisions: Sequence[Decision]
) -> Iterator[Books]:
    """The books of a published revision, judged by `decisions` (the log so far)."""
    with reading(operational_store(paths)) as store:
        current = [
            PublishedRun(item.run_id, item.sequence, run_store.current_revision(store, item.run_id))
            for item in run_store.list_runs(store, run.provider)
            if item.revision > 0
        ]
        sequences = {item.run_id: item.sequence for item in current}
        before = [
            PublishedRun(
                item["run_id"], sequences[item["run_id"]], run_store.revision(store, item["run_id"], item["revision"])
            )
            for item in revision.manifest["earlier"]
        ]
    this = PublishedRun(run.run_id, run.sequence, revision)
    with duckdb.connect() as connection:
        connection.execute("set preserve_insertion_order = true")
        states = [(None, *state) for state in exception_states(decisions)]
        operational_tables.create_table(connection, "exception_states", states)
        for table in _TABLES:
            connection.execute(f"create view {table} as {_scan(paths, table, [this])}")
        # A suggestion that is withdrawn never was a match: it is no reversal.
        connection.execute(
            f"create or replace view matches as select * from ({_scan(paths, 'matches', [this])}) as published "
            "where status <> 'reversed' or match_id not in "
            f"(select match_id from ({_scan(paths, 'matches', before)}) as earlier where status = 'suggested')"
        )
        # Owners are those the run and the runs before it gave, so that a later run never changes what is sealed.
        _create_exceptions(connection, "own_exceptions", paths, [*before, this])
        others = [item for item in current if item.run_id != run.run_id]
        _create_exceptions(connection, "known_exceptions", paths, [*others, this])
        decided = sorted({each.exception_id for each in decisions if each.run_id == run.run_id and each.exception_id})
        connection.execute(_EXCEPTIONS, {"run_id": run.run_id, "decided": decided})
        connection.execute(_items(revision))
        connection.execute(_EVIDENCE, {"run_id": run.run_id})
        yield Books(connection, run, revision, decisions)


@contextmanager
def without_activity(
    run: run_store.Run, revision: run_store.Revision, decisions: Sequence[Decision]
) -> Iterator[Books]:
    """The empty books of a window in which nothing happened."""
    with duckdb.connect() as connection:
        for table in _TABLES:
            connection.execute(
                f"create view {table} as {lake.empty(f'{lake.columns_sql(table)}, run_sequence bigint')}"
            )
        connection.execute(f"create view exceptions as {lake.empty(lake.columns_sql('exceptions'))}")
        connection.execute("create view own_exceptions as select * from exceptions")
        connection.execute(_items(revision))
        connection.execute(_EVIDENCE, {"run_id": run.run_id})
        yield Books(connection, run, revision, decisions)


def _scan(paths: TenantPaths, table: str, published: Sequence[PublishedRun]) -> str:
    """A select over one table of some published runs, with `run_sequence`."""
    files: list[tuple[Path, int]] = [
        (paths.root / item.revision.tables[table]["path"], item.sequence)
        for item in published
        if table in item.revision.tables
    ]
    return lake.published_rows(table, files) if files else lake.empty(f"{lake.columns_sql(table)}, run_sequence bigint")


def _create_exceptions(
    connection: duckdb.DuckDBPyConnection, name: str, paths: TenantPaths, published: Sequence[PublishedRun]
) -> None:
    """The newest published state of each exception, with what people decided."""
    newest = (
        f"select * from ({_scan(paths, 'exceptions', published)}) as published "
        "qualify row_number() over (partition by exception_id order by run_sequence desc nulls last) = 1"
    )
    connection.execute(f"create view {name} as {lake.decided(newest, 'states.closeout_id is null')}")


# What a closeout tells: what the run opened, what it resolved, what it carries on open, and what its books rest on:
# exceptions, wherever opened, that a decision in these books ended, or whose item these books carry.
_EXCEPTIONS: Final = """
    create table exceptions as
    with told as (
        select exception_id from own_exceptions
        where run_id = $run_id or status <> 'resolved' or run_sequence = (select max(run_sequence) from own_exceptions)
            or list_contains($decided::varchar[], exception_id)
            or (subject_type, subject_id) in (select item_type, item_id from open_items)
            or (subject_type, subject_id) in (select item_type, item_id from write_offs)
    )
    select known_exceptions.* exclude (run_sequence)
    from known_exceptions
    inner join told on known_exceptions.exception_id = told.exception_id
"""

_STAND_INS: Final = {"actor": "actor", "actor_scope": "scope", "signature": "signature"}


def _items(revision: run_store.Revision) -> str:
    """The statement that makes `items`; what `missing` lists has no value in them.

    Evidence of revisions published before evidence_at was kept showed stand-ins there (the owner of the run as actor),
    and is sealed so.
    """
    items = "create table items as select * from evidence_items"
    columns = lake.columns_of(revision.tables).get("evidence_items", ()) if revision.tables else ("evidence_at",)
    if "evidence_at" not in columns:
        return items
    hidden = ", ".join(
        f"case when list_contains(string_split(missing, ', '), '{word}') then null else {name} end as {name}"
        for name, word in _STAND_INS.items()
    )
    return f"create table items as select * replace ({hidden}) from evidence_items"


_EVIDENCE: Final = f"""
    create table evidence as
    with owners as (
        select items.rowid as item, own_exceptions.owner
        from items
        inner join own_exceptions
            on own_exceptions.subject_type = 'settlement_line' and own_exceptions.subject_id = items.line_id
        union
        select items.rowid as item, own_exceptions.owner
        from items
        inner join own_exceptions
            on own_exceptions.subject_type = 'ledger_transaction' and own_exceptions.subject_id = items.transaction_id
                and coalesce(own_exceptions.currency, items.currency) = items.currency
        union
        select items.rowid as item, own_exceptions.owner
        from items
        inner join own_exceptions
            on own_exceptions.subject_type = 'callback' and own_exceptions.subject_id = items.provider_event_id
        union
        select items.rowid as item, own_exceptions.owner
        from items
        inner join match_legs on match_legs.match_id = items.match_id and match_legs.leg_type = 'callback'
        inner join own_exceptions
            on own_exceptions.subject_type = 'callback' and own_exceptions.subject_id = match_legs.leg_id
    ),
    owned as (
        select item, string_agg(owner, ', ' order by owner) as exception_owner from owners group by item
    ),
    rows as (
        select items.* exclude (run_id, run_sequence, actor_scope), items.actor_scope as scope,
               owned.exception_owner, 'sealed' as closeout_status, cast($run_id as varchar) as run_id
        from items
        left join owned on items.rowid = owned.item
    )
    select *, cast(to_json({{{", ".join(f"{key}: {key}" for key in LEAF_KEYS)}}}) as varchar) as leaf from rows
"""
