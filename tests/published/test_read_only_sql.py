"""What may be run as a query: what only reads, however it is written."""

from collections.abc import Iterator

import duckdb
import pytest

from zentra_pipeline.published.read_only_sql import is_read_only, tables_read


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create table runs (run_id varchar, revision bigint)")
        yield connection


@pytest.mark.parametrize(
    "sql",
    [
        "select 1;",
        "from runs",
        "table runs",
        "values (1)",
        "describe runs",
        "summarize runs",
        "show tables",
        "with x as materialized (select 1 as a) select * from x",
        "select run_id from runs union all select 'copy' as \"insert\"",
        "with recursive r as (select 1 as a union all select a + 1 from r where a < 3) select * from r",
        "select * from runs where revision > $1",
        "pivot runs on revision in (1, 2) using count(*)",
        "select {'type': 'COPY_QUERY_NODE'} as example",
        "explain select 1",
        "EXPLAIN ANALYZE (format json)\nselect 1",
    ],
)
def test_what_only_reads_is_a_query(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert is_read_only(connection, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "select 1; select 2",
        "delete from runs",
        "copy runs to 'out.csv'",
        # Each of these is a SELECT or an EXPLAIN to DuckDB, and was run: the first two replaced a published file.
        "with x as (copy runs to 'out.parquet' (format parquet, use_tmp_file false)) select * from x",
        "explain analyze copy runs to 'out.parquet' (format parquet, use_tmp_file false)",
        "with x as (\N{NO-BREAK SPACE}copy runs to 'out.parquet') select 1",
        "with x as (insert into runs values ('run_1', 1) returning run_id) select * from x",
        "with x as (delete from runs returning run_id) select * from x",
        "with y as (select 1), x as (update runs set revision = 2 returning run_id) select * from x, y",
        "explain with x as (delete from runs returning run_id) select * from x",
        "explain analyze delete from runs",
        "explain/* a remark */analyze delete from runs",
        "/* explain */ explain analyze delete from runs",
    ],
)
def test_what_would_write_is_none(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert not is_read_only(connection, sql)


TABLES = frozenset({"runs", "matches", "files"})


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select 1", set()),
        ("from RUNS", {"runs"}),
        ('select * from main."runs" as matches', {"runs"}),
        ("with files as (from runs) from files", {"runs", "files"}),
        ("with mine as (from runs) from mine", {"runs"}),
        ("select (select count(*) from matches) from range(3)", {"matches"}),
        ("select * from runs where exists (select 1 from files) union all from runs", {"runs", "files"}),
        ("explain select * from runs", {"runs"}),
        # What lists tables, or names one that is none of these, is shown all there are.
        ("show tables", TABLES),
        ("describe runs", TABLES),
        ("select * from duckdb_views()", TABLES),
        ("from information_schema.tables", TABLES),
        ("select * from query_table('runs')", TABLES),
        ("from runs join nothing using (run_id)", TABLES),
        ("drop table runs", None),
        ("select 1; select 2", None),
    ],
)
def test_a_query_is_known_by_the_tables_it_reads(
    connection: duckdb.DuckDBPyConnection, sql: str, tables: set[str] | None
) -> None:
    assert tables_read(connection, sql, TABLES) == tables
