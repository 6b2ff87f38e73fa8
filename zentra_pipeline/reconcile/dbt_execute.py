"""Executes the compiled dbt project in one run's database: every model, then what the data tests say of it.

Does not belong here: what the models say (the dbt project), compiling them (rules), what becomes of their tables.
"""

import atexit
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Final

import duckdb

from zentra_pipeline import settings
from zentra_pipeline.errors import ControlFailedError, RunFailedError
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.reconcile.dbt_project import CompiledNode

# How DuckDB says that a sum, a HUGEINT, is no BIGINT.
_TOO_LARGE: Final = re.compile(r"INT128 with value (-?[0-9]+) can't be cast .* out of range", re.DOTALL)


@dataclass(frozen=True)
class NodeResult:
    """The outcome of one dbt node: its id and name, resource type, status, seconds, and failing rows of a test.

    `status` is success or error of a model, pass, fail or error of a test, and skipped where a parent has no success.
    """

    unique_id: str
    name: str
    resource_type: str
    status: str
    seconds: float
    failures: int | None
    message: str | None


def build(connection: duckdb.DuckDBPyConnection, on_node: Callable[[str], None] | None = None) -> list[NodeResult]:
    """Build and test every model in a run's database; `on_node` hears the name of each node as it starts.

    As with `dbt build`, what needs a node that failed is skipped and all else is executed. Results are in the order
    of the statements, whichever was done first. Raises ControlFailedError when a test fails, RunFailedError when a
    model does; both name node and reason.
    """
    statements = dbt_project.statements()
    results = _execute(connection, statements, on_node or (lambda name: None))
    broken = next((result for result in results if result.status == "error"), None)
    if broken is not None:
        raise RunFailedError(_why_not_built(broken))
    _check_contracts(connection, statements)
    failed = tuple((result.name, result.failures or 0) for result in results if result.status == "fail")
    if failed:
        named = "; ".join(f"{name} ({rows} rows)" for name, rows in failed)
        raise ControlFailedError(f"controls do not hold, so nothing was published: {named}", failed)
    return results


def _execute(
    connection: duckdb.DuckDBPyConnection, statements: Sequence[CompiledNode], on_node: Callable[[str], None]
) -> list[NodeResult]:
    """Execute each statement once its parents are there, as many at a time as the run has threads."""
    by_id = {statement.unique_id: statement for statement in statements}
    order = TopologicalSorter({statement.unique_id: statement.parents for statement in statements})
    order.prepare()
    place = {node: number for number, node in enumerate(by_id)}
    results: dict[str, NodeResult] = {}
    under_way: dict[Future[NodeResult], str] = {}
    pool = ThreadPoolExecutor(settings.threads(), "model")
    try:
        while order.is_active():
            for node in sorted(order.get_ready(), key=place.__getitem__):
                statement = by_id[node]
                if all(results[parent].status in ("success", "pass") for parent in statement.parents):
                    under_way[pool.submit(_execute_one, connection, statement, on_node)] = node
                else:
                    results[node] = _result(statement, "skipped")
                    order.done(node)
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                node = under_way.pop(done)
                results[node] = done.result()
                order.done(node)
    finally:  # also when somebody interrupts: what has begun ends, and nothing else begins
        pool.shutdown(cancel_futures=True)
    return [results[node] for node in by_id]


def _execute_one(
    connection: duckdb.DuckDBPyConnection, statement: CompiledNode, on_node: Callable[[str], None]
) -> NodeResult:
    on_node(statement.name)
    started = time.perf_counter()
    failures = None
    try:
        with connection.cursor() as cursor:
            if statement.relation is None:
                (failures,) = cursor.execute(_parsed(f"select count(*) from (\n{statement.sql}\n)")).fetchall()[0]
            else:
                made = f"create or replace {statement.materialized} {statement.relation}"
                cursor.execute(_parsed(f"{made} as (\n{statement.sql}\n)")).fetchall()
    except duckdb.Error as error:
        return _result(statement, "error", time.perf_counter() - started, message=str(error))
    status = "success" if failures is None else "fail" if failures else "pass"
    return _result(statement, status, time.perf_counter() - started, failures)


@lru_cache(maxsize=512)
def _parsed(sql: str) -> duckdb.Statement:
    """A statement as DuckDB parsed it: a quarter of a small run's time, spent once by a process that runs several."""
    (statement,) = duckdb.extract_statements(sql)
    return statement


atexit.register(_parsed.cache_clear)  # DuckDB complains on standard error of statements that outlive it


def _result(
    statement: CompiledNode, status: str, seconds: float = 0.0, failures: int | None = None, message: str | None = None
) -> NodeResult:
    return NodeResult(statement.unique_id, statement.name, statement.resource_type, status, seconds, failures, message)


def _check_contracts(connection: duckdb.DuckDBPyConnection, statements: Sequence[CompiledNode]) -> None:
    """Hold every contracted model to its columns and their types; raises RunFailedError that names what differs."""
    found: dict[str, dict[str, str]] = {}
    for relation, column, data_type in connection.execute(
        """select format('"{}"."{}"."{}"', database_name, schema_name, table_name), column_name, lower(data_type)
        from duckdb_columns() where not internal"""
    ).fetchall():
        found.setdefault(relation, {})[column] = data_type
    for statement in statements:
        if not statement.columns or statement.relation is None:
            continue
        made, declared = found[statement.relation], dict(statement.columns)
        unlike = sorted(
            f"{column} is {made.get(column, 'missing')} and declared {declared.get(column, 'nowhere')}"
            for column in made.keys() | declared.keys()
            if made.get(column) != declared.get(column)
        )
        if unlike:
            raise RunFailedError(f"model {statement.name} breaks its contract: {'; '.join(unlike)}")


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
