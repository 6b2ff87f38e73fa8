"""The tables that close a run: what it published, what operators decided, and the evidence, in one DuckDB.

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

from zentra_pipeline import identifiers, private_database, sql_text
from zentra_pipeline.decisions.exception_state import exception_states
from zentra_pipeline.published import lake_files, lake_views, operational_tables
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.tenants.tenant import Tenant

_TABLES: Final = (
    *("matches", "match_legs", "three_way", "open_items", "write_offs", "conservation", "rollforward"),
    "evidence_items",
)
_OF_BANK: Final = ("payout_states", "cash_in_transit", "account_balances")


@dataclass(frozen=True)
class PublishedRun:
    """A run in one of its revisions, and its place in the order of creation."""

    run_id: str
    sequence: int
    revision: run_store.Revision


@dataclass(frozen=True)
class CloseoutTables:
    """The tables to be closed: `connection` holds the views named above."""

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
    tenant: Tenant, run: run_store.Run, revision: run_store.Revision, decisions: Sequence[Decision]
) -> Iterator[CloseoutTables]:
    """The tables of a published revision, judged by `decisions` (the log so far)."""
    with tenant.reading() as store:
        runs = run_store.list_runs(store, run.provider)
        # What a run said that was taken back is no word about an exception any more.
        others = [
            PublishedRun(item.run_id, item.sequence, run_store.current_revision(store, item.run_id))
            for item in runs
            if item.is_published and item.run_id != run.run_id
        ]
        sequences = {item.run_id: item.sequence for item in runs}
        before = [
            PublishedRun(
                item["run_id"], sequences[item["run_id"]], run_store.revision(store, item["run_id"], item["revision"])
            )
            for item in revision.manifest["earlier"]
        ]
    this = PublishedRun(run.run_id, run.sequence, revision)
    with private_database.opened() as connection:
        states = [(None, *state) for state in exception_states(decisions)]
        operational_tables.create_table(connection, "exception_states", states)
        for table in (*_TABLES, *(_OF_BANK if identifiers.account_of(run.provider) is not None else ())):
            connection.execute(f"create view {table} as {_scan(tenant.paths, table, [this])}")
        # A suggestion that is withdrawn never was a match: it is no reversal.
        connection.execute(
            f"create or replace view matches as select * from ({_scan(tenant.paths, 'matches', [this])}) as published "
            "where status <> 'reversed' or match_id not in "
            f"(select match_id from ({_scan(tenant.paths, 'matches', before)}) as earlier where status = 'suggested')"
        )
        # Owners are those the run and the runs before it gave, so that a later run never changes what is sealed.
        _create_exceptions(connection, "own_exceptions", tenant.paths, [*before, this])
        _create_exceptions(connection, "known_exceptions", tenant.paths, [*others, this])
        decided = sorted({each.exception_id for each in decisions if each.run_id == run.run_id and each.exception_id})
        connection.execute(sql_text.statement("closeout", "exceptions"), [run.run_id, decided])
        connection.execute(_items(revision))
        connection.execute(sql_text.statement("closeout", "evidence"), [run.run_id])
        yield CloseoutTables(connection, run, revision, decisions)


@contextmanager
def without_activity(
    run: run_store.Run, revision: run_store.Revision, decisions: Sequence[Decision]
) -> Iterator[CloseoutTables]:
    """The empty tables of a window in which nothing happened."""
    with private_database.opened() as connection:
        for table in _TABLES:
            connection.execute(
                f"create view {table} as {sql_text.empty(f'{lake_files.columns_sql(table)}, run_sequence bigint')}"
            )
        connection.execute(f"create view exceptions as {sql_text.empty(lake_files.columns_sql('exceptions'))}")
        connection.execute("create view own_exceptions as select * from exceptions")
        connection.execute(_items(revision))
        connection.execute(sql_text.statement("closeout", "evidence"), [run.run_id])
        yield CloseoutTables(connection, run, revision, decisions)


def _scan(paths: TenantPaths, table: str, published: Sequence[PublishedRun]) -> str:
    """A select over one table of some published runs, with `run_sequence`."""
    files: list[tuple[Path, int]] = [
        (paths.root / item.revision.tables[table]["path"], item.sequence)
        for item in published
        if table in item.revision.tables
    ]
    return (
        lake_files.published_rows(table, files)
        if files
        else sql_text.empty(f"{lake_files.columns_sql(table)}, run_sequence bigint")
    )


def _create_exceptions(
    connection: duckdb.DuckDBPyConnection, name: str, paths: TenantPaths, published: Sequence[PublishedRun]
) -> None:
    """The newest published state of each exception, with what operators decided."""
    newest = (
        f"select * from ({_scan(paths, 'exceptions', published)}) as published "
        "qualify row_number() over (partition by exception_id order by run_sequence desc nulls last) = 1"
    )
    connection.execute(f"create view {name} as {lake_views.decided(newest, 'states.closeout_id is null')}")


_PLACEHOLDERS: Final = {"actor": "actor", "actor_scope": "scope", "signature": "signature"}


def _items(revision: run_store.Revision) -> str:
    """The statement that makes `items`; what `missing` lists has no value in them.

    Evidence of revisions published before evidence_at was kept showed placeholders there (the run's owner as actor),
    and is sealed so.
    """
    items = "create table items as select * from evidence_items"
    columns = lake_files.columns_of(revision.tables).get("evidence_items", ()) if revision.tables else ("evidence_at",)
    if "evidence_at" not in columns:
        return items
    hidden = ", ".join(
        f"case when list_contains(string_split(missing, ', '), '{word}') then null else {name} end as {name}"
        for name, word in _PLACEHOLDERS.items()
    )
    return f"create table items as select * replace ({hidden}) from evidence_items"
