"""Executes the compiled dbt project in one run's database: every model, then what the data tests say of it.

Does not belong here: what the models say (the dbt project), compiling them (dbt_project), what becomes of their tables.
"""

import atexit
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final, Protocol

import duckdb

from zentra_pipeline import settings, traces
from zentra_pipeline.errors import ControlFailedError, RunFailedError
from zentra_pipeline.reconcile import dbt_project, run_kinds
from zentra_pipeline.reconcile.compiled_nodes import DUCKDB, CompiledNode, Target
from zentra_pipeline.reconcile.run_kinds import RunKind

# How DuckDB says that a sum, a HUGEINT, is no BIGINT.
_TOO_LARGE: Final = re.compile(r"INT128 with value (-?[0-9]+) can't be cast .* out of range", re.DOTALL)
# A table of fewer rows stays when nothing reads it any more: it takes no room, and dropping it takes time.
_WORTH_DROPPING: Final = 10_000


@dataclass(frozen=True)
class NodeResult:
    """The outcome of one dbt node: its id and name, resource type, status, seconds, and rows.

    `status` is success or error of a model, pass, fail or error of a test, and skipped where a parent has no success.
    `rows` are those of a table, `failures` the failing rows of a test.
    """

    unique_id: str
    name: str
    resource_type: str
    status: str
    seconds: float
    failures: int | None
    rows: int | None
    message: str | None


def build(
    connection: duckdb.DuckDBPyConnection,
    on_node: Callable[[str], None] | None = None,
    read_afterwards: Collection[str] | None = None,
    kind: RunKind = run_kinds.PROVIDER,
    folder: Path | None = None,
) -> list[NodeResult]:
    """Build and test every model of a kind in a run's database; `on_node` hears the name of each node as it starts.

    The engine is that of the settings; another than DuckDB keeps its files in `folder` meanwhile.

    Of what is `read_afterwards`, models by name, everything stays; other tables go as soon as nothing reads them any
    more. Without it all stay.

    As with `dbt build`, what needs a node that failed is skipped and all else is executed. Results are in the order
    of the statements, whichever was done first. Raises ControlFailedError when a test fails, RunFailedError when a
    model does; both name node and reason.
    """
    name = settings.engine()
    statements = dbt_project.statements(kind, name)
    with _engine(name, connection, kind, folder) as engine:
        unread = _UnreadTables(engine, statements, read_afterwards)
        results = _execute(engine, statements, on_node or (lambda name: None), unread)
        if not any(result.status in ("error", "fail") for result in results):
            engine.bring_back(read_afterwards)
    broken = next((result for result in results if result.status == "error"), None)
    if broken is not None:
        raise RunFailedError(_why_not_built(broken))
    failed = tuple((result.name, result.failures or 0) for result in results if result.status == "fail")
    if failed:
        named = "; ".join(f"{name} ({rows} rows)" for name, rows in failed)
        raise ControlFailedError(f"controls do not hold, so nothing was published: {named}", failed)
    return results


class Engine(Protocol):
    """What executes statements. Its methods but `make` and `failures` are called by one thread at a time."""

    def take_sources(self) -> set[str]:
        """Have the tables that statements read and none makes; the names of those without rows."""

    def make(self, statement: CompiledNode) -> int | None:
        """Make a model's table or view; the rows of a table."""

    def failures(self, statement: CompiledNode) -> int:
        """The rows of a data test."""

    def make_empty(self, statement: CompiledNode) -> None:
        """Make a model's table without rows."""

    def drop(self, statement: CompiledNode) -> None:
        """Drop what a model made, when nothing reads it any more."""

    def bring_back(self, names: Collection[str] | None) -> None:
        """Have what a run reads afterwards, models by name, or all, in its DuckDB database."""


class DuckDBEngine:
    """The run's own database executes them: everything is there already, and stays there."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: Sequence[CompiledNode]) -> None:
        self._connection = connection
        self._statements = statements

    def take_sources(self) -> set[str]:
        """Which of the tables that models read and do not make have no rows."""
        needed = {table for statement in self._statements for tables in statement.empty_when for table in tables}
        sources = sorted(needed - {statement.table for statement in self._statements})
        if not sources:
            return set()
        asked = " union all ".join(f"select '{table}' where not exists (select 1 from {table})" for table in sources)
        return {table for (table,) in self._connection.execute(asked).fetchall()}

    def make(self, statement: CompiledNode) -> int | None:
        """Make a model's table or view; the rows of a table."""
        made = f"create or replace {statement.materialized} {statement.relation}"
        with self._connection.cursor() as cursor:
            counted = cursor.execute(_parsed(f"{made} as (\n{statement.sql}\n)")).fetchall()
        return counted[0][0] if statement.materialized == "table" else None

    def failures(self, statement: CompiledNode) -> int:
        """The rows of a data test."""
        with self._connection.cursor() as cursor:
            (failures,) = cursor.execute(_parsed(f"select count(*) from (\n{statement.sql}\n)")).fetchall()[0]
        return int(failures)

    def make_empty(self, statement: CompiledNode) -> None:
        """Make a model's table without rows."""
        columns = ", ".join(f'"{column}" {data_type}' for column, data_type in statement.columns.items())
        self._connection.execute(f"create or replace table {statement.relation} ({columns})")

    def drop(self, statement: CompiledNode) -> None:
        """Drop what a model made, when nothing reads it any more."""
        self._connection.execute(f"drop table if exists {statement.relation}")

    def bring_back(self, names: Collection[str] | None) -> None:
        """It is there."""


@contextmanager
def _engine(
    name: Target,
    connection: duckdb.DuckDBPyConnection,
    kind: RunKind,
    folder: Path | None,
) -> Iterator[Engine]:
    if name == DUCKDB:
        yield DuckDBEngine(connection, dbt_project.statements(kind))
        return
    from zentra_pipeline.reconcile import spark_engine  # its client takes a second to import

    with tempfile.TemporaryDirectory(prefix="zentra-spark-", dir=settings.spark_files() or folder) as own:
        engine = spark_engine.SparkEngine(connection, Path(own), kind)
        try:
            yield engine
        finally:
            engine.close()


def drop_read_tables(
    connection: duckdb.DuckDBPyConnection,
    read_before: Collection[str],
    read_afterwards: Collection[str],
    kind: RunKind = run_kinds.PROVIDER,
) -> None:
    """Drop the tables that were kept for what is `read_before`, models by name, and not for what is read afterwards."""
    statements = dbt_project.statements(kind)
    read = _tables_read(_edges(statements))
    gone = _kept_for(read_before, statements, read) - _kept_for(read_afterwards, statements, read)
    for statement in statements:
        if statement.unique_id in gone and statement.materialized == "table":
            connection.execute(f"drop table if exists {statement.relation}")


def _name_in_place(statement: CompiledNode) -> str:
    """The name of what a model makes, which is another's where it is in the place of that."""
    return statement.name if statement.table is None else statement.table.split(".", 1)[1]


class _UnreadTables:
    """The tables that go as soon as nothing reads them any more: a run needs the room for what it still makes."""

    def __init__(
        self,
        engine: Engine,
        statements: Sequence[CompiledNode],
        read_afterwards: Collection[str] | None,
    ) -> None:
        self._engine = engine
        self._by_id = {statement.unique_id: statement for statement in statements}
        self._read: Mapping[str, frozenset[str]] = {}
        self._readers: dict[str, set[str]] = {}
        self._rows: dict[str, int] = {}
        if read_afterwards is None:
            return
        self._read = _tables_read(_edges(statements))
        kept = _kept_for(read_afterwards, statements, self._read)
        for node in self._by_id:
            for table in self._read[node] - kept:
                self._readers.setdefault(table, set()).add(node)

    def done(self, node: str, rows: int | None) -> None:
        """Drop what only this statement, which made so many rows or was skipped, still had to read."""
        self._rows[node] = rows or 0
        for table in self._read.get(node, ()):
            readers = self._readers.get(table)
            if readers is None:
                continue
            readers.discard(node)
            if not readers:
                del self._readers[table]
                if self._rows[table] >= _WORTH_DROPPING:
                    self._engine.drop(self._by_id[table])


_Edges = tuple[tuple[str, str, tuple[str, ...]], ...]


def _edges(statements: Sequence[CompiledNode]) -> _Edges:
    """What decides which tables statements read, of each: its id, whether it makes a table or a view, its parents."""
    return tuple((one.unique_id, one.materialized, one.parents) for one in statements)


@lru_cache(maxsize=8)
def _tables_read(edges: _Edges) -> Mapping[str, frozenset[str]]:
    """The tables that each statement reads, by id; those of a view are read by what reads the view."""
    materialized = {node: kind for node, kind, _ in edges}
    parents_of = {node: parents for node, _, parents in edges}
    read: dict[str, frozenset[str]] = {}
    for node in TopologicalSorter(parents_of).static_order():
        parents = parents_of[node]
        tables = (parent for parent in parents if materialized[parent] == "table")
        views = (read[parent] for parent in parents if materialized[parent] == "view")
        read[node] = frozenset(tables).union(*views)
    return read


def _kept_for(
    names: Collection[str], statements: Sequence[CompiledNode], read: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """The models that are in the place of these names, and the tables that the views among them read, by id."""
    kept = {one.unique_id: one.materialized for one in statements if _name_in_place(one) in names}
    views = (read[node] for node, materialized in kept.items() if materialized == "view")
    return frozenset(kept).union(*views)


def _execute(
    engine: Engine,
    statements: Sequence[CompiledNode],
    on_node: Callable[[str], None],
    unread: _UnreadTables,
) -> list[NodeResult]:
    """Execute each statement once its parents are there, as many at a time as the run has threads.

    A statement that has no rows for want of rows that it needs is not executed: its table is made empty.
    """
    by_id = {statement.unique_id: statement for statement in statements}
    order = TopologicalSorter({statement.unique_id: statement.parents for statement in statements})
    order.prepare()
    place = {node: number for number, node in enumerate(by_id)}
    results: dict[str, NodeResult] = {}
    under_way: dict[Future[NodeResult], str] = {}
    empty = engine.take_sources()
    pool = ThreadPoolExecutor(settings.threads(), "model")
    execute = traces.carried(_execute_one)

    def keep(node: str, result: NodeResult) -> None:
        results[node] = result
        if result.rows == 0 and (table := by_id[node].table) is not None:
            empty.add(table)
        order.done(node)
        unread.done(node, result.rows)

    try:
        while order.is_active():
            for node in sorted(order.get_ready(), key=place.__getitem__):
                statement = by_id[node]
                if not all(results[parent].status in ("success", "pass") for parent in statement.parents):
                    keep(node, _result(statement, "skipped"))
                elif any(empty.issuperset(tables) for tables in statement.empty_when):
                    on_node(statement.name)
                    keep(node, _without_rows(engine, statement))
                else:
                    under_way[pool.submit(execute, engine, statement, on_node)] = node
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                keep(under_way.pop(done), done.result())
    finally:  # also when somebody interrupts: what has begun ends, and nothing else begins
        pool.shutdown(cancel_futures=True)
    return [results[node] for node in by_id]


def _without_rows(engine: Engine, statement: CompiledNode) -> NodeResult:
    """The result of a statement that has no rows, without executing it."""
    if statement.relation is None:
        return _result(statement, "pass", failures=0)
    engine.make_empty(statement)
    return _result(statement, "success", rows=0)


def _execute_one(engine: Engine, statement: CompiledNode, on_node: Callable[[str], None]) -> NodeResult:
    on_node(statement.name)
    started = time.perf_counter()
    failures = rows = None
    try:
        with traces.span(f"model {statement.name}"):
            if statement.relation is None:
                failures = engine.failures(statement)
            else:
                rows = engine.make(statement)
    except Exception as error:  # a server's client has errors of its own
        if statement.target == DUCKDB and not isinstance(error, duckdb.Error):
            raise
        return _result(statement, "error", time.perf_counter() - started, message=str(error))
    status = "success" if failures is None else "fail" if failures else "pass"
    return _result(statement, status, time.perf_counter() - started, failures, rows)


@lru_cache(maxsize=512)
def _parsed(sql: str) -> duckdb.Statement:
    """A statement as DuckDB parsed it: a quarter of a small run's time, spent once by a process that runs several."""
    (statement,) = duckdb.extract_statements(sql)
    return statement


atexit.register(_parsed.cache_clear)  # DuckDB complains on standard error of statements that outlive it


def _result(
    statement: CompiledNode,
    status: str,
    seconds: float = 0.0,
    failures: int | None = None,
    rows: int | None = None,
    message: str | None = None,
) -> NodeResult:
    named = (statement.unique_id, statement.name, statement.resource_type)
    return NodeResult(*named, status, seconds, failures, rows, message)


def _why_not_built(result: NodeResult) -> str:
    """Why a node could not be executed; of the causes an input can have, what to do about it."""
    too_large = _TOO_LARGE.search(result.message or "")
    if too_large is None:
        return f"{result.resource_type} {result.name} could not be built: {_first_lines(result.message)}"
    return (
        f"a sum in {result.name} is {too_large[1]}, more than the 64 bits of an amount hold, so nothing was published: "
        "look for amounts that cannot be true in the files of this run, and ingest those files corrected"
    )


def _first_lines(message: str | None) -> str:
    lines = [line.strip() for line in (message or "no message").splitlines() if line.strip()]
    return " ".join(lines[:4])
