"""Executes the statements of a run on a server that speaks Spark Connect: Sail or Spark, by one client (ADR 0078).

What the models may see goes to the server as Parquet files that DuckDB writes, each table that a model makes is Parquet
files that the server writes, and what a run reads afterwards comes back from those into the run's DuckDB, which sorts
and writes what is published. Runs share no names on the server, and no files. Does not belong here: the order of
statements (dbt_execute), their text (spark_statements).
"""

import os
import shutil
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline import settings, sql_text
from zentra_pipeline.errors import RunFailedError, UsageError
from zentra_pipeline.reconcile import dbt_project, spark_statements
from zentra_pipeline.reconcile.compiled_nodes import SPARK, CompiledNode
from zentra_pipeline.reconcile.run_kinds import RunKind

# Sail adds beyond 64 bits without a word: below this total no sum of the models comes near them.
_MOST_IN_ALL: Final = 10**17
_AMOUNTS: Final = "_minor"
# How often, and how long, a lost connection is tried again: a server that is gone fails the run within seconds.
_RETRIES: Final = 4
_FIRST_WAIT_MS: Final = 100


class SparkEngine:
    """One run's session with the server, and the folder of its files, which is emptied first and gone afterwards."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, kind: RunKind) -> None:
        self._connection = connection
        self._folder = folder
        self._statements = dbt_project.statements(kind, SPARK)
        self._of_duckdb = dbt_project.statements(kind)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._session = _session()

    def close(self) -> None:
        """End the session and remove its files."""
        self._session.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def take_sources(self) -> set[str]:
        """Hand over the tables that statements read and none makes; the names of those without rows."""
        made = {one.table for one in self._statements}
        views = {spark_statements.view_of(table): table for table in _tables(self._connection) if table not in made}
        texts = [text for one in self._statements for text in (one.sql, *(sql for _, sql in one.parts))]
        read = {table for view, table in views.items() if any(f"`{view}`" in text for text in texts)}
        empty = set()
        for table in sorted(read):
            columns = _columns(self._connection, table)
            _check_amounts(self._connection, table, columns)
            path = self._folder / spark_statements.view_of(table) / "rows.parquet"
            path.parent.mkdir()
            (rows,) = self._connection.execute(
                f"copy (select * from {table}) to {sql_text.literal(str(path))} (format parquet)"
            ).fetchall()[0]
            self._view(spark_statements.view_of(table), columns, rows)
            if not rows:
                empty.add(table)
        return empty

    def make(self, statement: CompiledNode) -> int | None:
        """Make a model's table or view; the rows of a table."""
        assert statement.table is not None
        self._make_parts(statement)
        view = spark_statements.view_of(statement.table)
        if statement.materialized == "view":
            self._session.sql(_typed(statement)).createOrReplaceTempView(view)
            return None
        return self._table(view, _typed(statement), statement.columns)

    def failures(self, statement: CompiledNode) -> int:
        """The rows of a data test."""
        self._make_parts(statement)
        ((failures,),) = self._session.sql(f"select count(*) from (\n{statement.sql}\n)").collect()
        return int(failures)

    def make_empty(self, statement: CompiledNode) -> None:
        """Make a model's table without rows."""
        assert statement.table is not None
        self._view(spark_statements.view_of(statement.table), statement.columns, 0)

    def drop(self, statement: CompiledNode) -> None:
        """Drop what a model made, when nothing reads it any more."""
        assert statement.table is not None
        shutil.rmtree(self._folder / spark_statements.view_of(statement.table), ignore_errors=True)

    def bring_back(self, names: Collection[str] | None) -> None:
        """Have what a run reads afterwards, models by name, or all, in its DuckDB database.

        Views are DuckDB's own, over the tables that they read: the bytes of a published file depend on what made its
        columns, a table or a view.
        """
        for one in _read_for(names, self._of_duckdb):
            if one.materialized == "view":
                self._connection.execute(f"create or replace view {one.relation} as (\n{one.sql}\n)")
                continue
            assert one.table is not None
            definitions = ", ".join(f'"{name}" {data_type}' for name, data_type in one.columns.items())
            self._connection.execute(f"create or replace table {one.relation} ({definitions})")
            if files := _files(self._folder / spark_statements.view_of(one.table)):
                scan = f"read_parquet([{', '.join(map(sql_text.file_literal, files))}], hive_partitioning = false)"
                listed = ", ".join(f'"{name}"' for name in one.columns)
                self._connection.execute(f"insert into {one.relation} select {listed} from {scan}")

    def _make_parts(self, statement: CompiledNode) -> None:
        for view, sql in statement.parts:
            frame = self._session.sql(sql)
            self._write(view, frame)
            self._read(view, frame.schema, _rows(self._folder / view))

    def _table(self, view: str, sql: str, columns: Mapping[str, str]) -> int:
        self._write(view, self._session.sql(sql))
        rows = _rows(self._folder / view)
        self._view(view, columns, rows)
        return rows

    def _write(self, view: str, frame: Any) -> None:
        frame.write.mode("overwrite").parquet(str(self._folder / view))

    def _view(self, view: str, columns: Mapping[str, str], rows: int) -> None:
        definitions = ", ".join(f"`{name}` {spark_statements.TYPES[kind]}" for name, kind in columns.items())
        self._read(view, definitions, rows)

    def _read(self, view: str, schema: Any, rows: int) -> None:
        """Have a name for the rows of a folder; without any the files may say nothing of their columns."""
        if rows:
            frame = self._session.read.schema(schema).parquet(str(self._folder / view))
        else:
            frame = self._session.createDataFrame([], schema)
        frame.createOrReplaceTempView(view)


def _read_for(names: Collection[str] | None, statements: Sequence[CompiledNode]) -> list[CompiledNode]:
    """The models in the place of these names, and what the views among them read, in the order of the statements."""
    models = {one.unique_id: one for one in statements if one.table is not None}
    waiting = [node for node, one in models.items() if names is None or str(one.table).split(".")[1] in names]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            if models[node].materialized == "view":
                waiting += models[node].parents
    return [one for node, one in models.items() if node in found]


def _session() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its views on pandas, which is not used here
            with _main_with_a_file():
                from pyspark.sql.connect.client.retries import DefaultPolicy
                from pyspark.sql.connect.session import SparkSession
    except ImportError as error:
        raise UsageError(
            f"{settings.ENGINE_VARIABLE} is spark, and the client for it is not installed ({error}): "
            "pip install zentra[spark]"
        ) from error
    remote = settings.spark_remote() or _own_server()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = SparkSession.builder.remote(remote).create()
            session.client.set_retry_policies(
                [DefaultPolicy(max_retries=_RETRIES, initial_backoff=_FIRST_WAIT_MS, max_backoff=1000)]
            )
            session.conf.set("spark.sql.session.timeZone", "UTC")
    except Exception as error:
        raise RunFailedError(
            f"no Spark Connect server answers at {remote}, so nothing was run: {_first_line(error)}; "
            f"start it, or set {settings.SPARK_VARIABLE}"
        ) from error
    return session


@contextmanager
def _main_with_a_file() -> Iterator[None]:
    """Give the main module a file while pyspark is imported: it takes a process without one for its own doctests."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = ""
    try:
        yield
    finally:
        del main.__file__


@cache
def _own_server() -> str:
    """The address of Sail within this process, started when first asked for."""
    try:
        from pysail.spark import SparkConnectServer
    except ImportError as error:
        raise UsageError(
            f"{settings.ENGINE_VARIABLE} is spark and {settings.SPARK_VARIABLE} is not set: set it to a server "
            "(sc://host:15002), or pip install pysail for one within this process"
        ) from error
    os.environ.setdefault("RUST_LOG", "error")  # what its log says is nothing for who runs a command
    os.environ.setdefault("SAIL_EXECUTION__DEFAULT_PARALLELISM", str(settings.threads()))
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _OWN_SERVERS.append(server)
    host, port = server.listening_address
    return f"sc://{host}:{port}"


_OWN_SERVERS: Final[list[Any]] = []


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _typed(statement: CompiledNode) -> str:
    """The select of a model with its columns in the types that DuckDB has them in."""
    columns = ", ".join(
        f"cast(`{name}` as {spark_statements.TYPES[kind]}) as `{name}`" for name, kind in statement.columns.items()
    )
    return f"select {columns} from (\n{statement.sql}\n)"


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = current_database() "
        "union all select schema_name || '.' || view_name from duckdb_views() "
        "where not internal and database_name = current_database()"
    ).fetchall()
    return [str(table) for (table,) in rows]


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    described = connection.execute(f"describe {table}").fetchall()
    return {str(name): str(kind).lower() for name, kind, *_ in described}


def _check_amounts(connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[str]) -> None:
    """Refuse amounts whose sums could come near 64 bits, beyond which the servers do not agree on what happens."""
    amounts = [name for name in columns if name.endswith(_AMOUNTS)]
    if not amounts:
        return
    sums = ", ".join(f"coalesce(sum(abs({name}::hugeint)), 0)" for name in amounts)
    (totals,) = connection.execute(f"select {sums} from {table}").fetchall()
    for name, total in zip(amounts, totals, strict=True):
        if total > _MOST_IN_ALL:
            raise RunFailedError(
                f"{name} of {table} comes to {total} in all, more than the {_MOST_IN_ALL} of a run on Spark; "
                f"run it on DuckDB ({settings.ENGINE_VARIABLE}=duckdb)"
            )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def _rows(folder: Path) -> int:
    import pyarrow.parquet as pq

    return sum(int(pq.read_metadata(path).num_rows) for path in _files(folder))
