"""No statement that somebody brings writes, reads another file, another tenant or a setting, or goes on without end."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from zentra_pipeline.errors import LimitExceededError, UsageError
from zentra_pipeline.published import read_only_sql
from zentra_pipeline.queries import query_process, query_request
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy

TABLES = ("runs", "matches", "exceptions")
WRITE = "copy runs to '/tmp/out.parquet' (format parquet, use_tmp_file false)"
SERIALIZED = f"json_serialize_sql('with x as ({WRITE}) select * from x')"

ATTACKS = [
    # Statements that write or change something, plain and in disguise.
    WRITE,
    f"with x as ({WRITE}) select * from x",
    f"with recursive x as ({WRITE}) select * from x",
    f"select * from ({WRITE})",
    f"explain analyze {WRITE}",
    f"explain {WRITE}",
    f"/* select */ {WRITE}",
    f"select 1; {WRITE}",
    "with x as (insert into runs values ('r') returning run_id) select * from x",
    "with x as (delete from runs returning run_id) select * from x",
    "with x as (update runs set run_id = '' returning run_id) select * from x",
    "insert into runs values ('r')",
    "create table t as select 1",
    "create temp table t as select 1",
    "create view runs2 as select 1",
    "create macro m() as 1",
    "create secret s (type s3)",
    "create function f(x) as x",
    "drop table runs",
    "alter table runs add column x int",
    "truncate runs",
    "export database '/tmp/out'",
    "import database '/tmp/out'",
    "attach '/tmp/other.db' as other",
    "detach zentra",
    "use memory",
    "install httpfs",
    "load httpfs",
    "force install httpfs from 'http://example.org'",
    "pragma database_list",
    "pragma enable_profiling",
    "set memory_limit = '100GB'",
    "reset lock_configuration",
    "set variable x = 1",
    "checkpoint",
    "vacuum",
    "begin",
    "call pragma_version()",
    "prepare p as select 1",
    "execute p",
    # Functions that execute text.
    f"select * from json_execute_serialized_sql({SERIALIZED})",
    f"select json_deserialize_sql({SERIALIZED})",
    f"with y as (select * from json_execute_serialized_sql({SERIALIZED})) select * from y",
    "pragma json_execute_serialized_sql('{}')",
    "select * from query('select 1')",
    "select * from query_table('runs')",
    "select * from query_table(['runs'])",
    "from query('copy runs to ''x''')",
    # Other files, by function and by name.
    "select * from read_csv('/etc/passwd')",
    "select * from read_csv_auto('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select content from read_text(['../other/ops.db'])",
    "select * from read_json('/etc/passwd')",
    "select * from read_json_objects('x')",
    "select * from read_ndjson_objects('x')",
    "select * from read_parquet('lake/**/*.parquet')",
    "select * from parquet_scan('x')",
    "select * from parquet_metadata('x')",
    "select * from parquet_schema('x')",
    "select * from parquet_kv_metadata('x')",
    "select * from read_duckdb('ops.db')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from glob('/**')",
    "from '/etc/passwd'",
    "from 'https://example.org/x.parquet'",
    'select * from "/tmp/x.parquet"',
    "describe '/tmp/x.csv'",
    "summarize '/tmp/x.csv'",
    "with \"/tmp/x.csv\" as (select 1) select * from (select 1) as a, '/tmp/x.csv'",
    "select * from runs union all select * from 'x.csv'",
    "select (select max(column0) from '/etc/passwd')",
    "pivot 'x.csv' on a using count(*)",
    "select * from sqlite_scan('ops.db', 'runs')",
    "select * from postgres_scan('', '', '')",
    "select * from pandas_scan(1)",
    "select * from python_map_function(1)",
    "select * from arrow_scan(1, 2, 3)",
    "select * from seq_scan('runs')",
    # Settings, secrets, environment, the process.
    "select current_setting('allowed_paths')",
    "select unnest(current_setting('allowed_paths'))",
    "select getenv('HOME')",
    "select getvariable('x')",
    "select * from duckdb_settings()",
    "from duckdb_settings",
    "select * from duckdb_secrets()",
    "select * from which_secret('s3://x', 's3')",
    "select * from duckdb_databases()",
    "select * from duckdb_logs()",
    "select * from duckdb_temporary_files()",
    "select * from duckdb_external_file_cache()",
    "select * from pragma_database_size()",
    "show databases",
    "show variables",
    "select write_log('x')",
    "select sleep_ms(100000)",
    "select pg_sleep(100)",
    "select nextval('s')",
    "select setval('s', 1)",
    "select * from enable_logging()",
    "select * from enable_profiling()",
    "select * from checkpoint()",
    "select * from force_checkpoint()",
    "select * from truncate_duckdb_logs()",
    "select * from register_external_resource('x')",
    "select * from test_all_types()",
    "select runs.run_id.read_text() from runs",
    "select list_transform(['/etc/passwd'], lambda x: getenv(x))",
    "select max(x) over (order by getenv('x')) from (select 1 as x)",
    "select * from zentra.stored.exception_states",
    "select * from stored.runs",
    "select * from nowhere",
    "select * from information_schema.key_column_usage",
    "select * from sqlite_master",
]

QUERIES = [
    "from runs",
    "select count(*) from matches where status = 'confirmed'",
    "with x as (select * from runs), y as materialized (select 1) select * from x cross join y",
    "with recursive r as (select 1 as a union all select a + 1 from r where a < 3) select * from r",
    "select currency, sum(amount_minor)::bigint, string_agg(run_id, ',' order by run_id) from exceptions group by all",
    "select *, row_number() over (partition by run_id order by match_id nulls last) as n from matches qualify n = 1",
    "select * exclude (run_id) replace (upper(status) as status) from matches limit 5 offset 1",
    "select case when 1 in (1, 2) then 'a' else null end, cast('1' as bigint), date '2026-04-20' + interval 1 day",
    "pivot matches on status in ('confirmed', 'reversed') using count(*) group by run_id",
    "unpivot (select 1 as a, 2 as b) on a, b into name n value v",
    "select m.* from runs r join matches m using (run_id) left join exceptions e on e.run_id = r.run_id",
    "select * from runs where exists (select 1 from matches where matches.run_id = runs.run_id)",
    "select list_transform([1, 2], lambda x: x + 1), [x for x in [1, 2] if x > 1], {'a': 1}.a, map {'k': 'v'}['k']",
    "select json_extract_string(candidates, '$[0].id'), candidates->>'$[0]' from exceptions",
    "select * from range(3), unnest([1, 2]), generate_series(1, 2)",
    "values (1), (2)",
    "table runs",
    "describe runs",
    "describe select 1",
    "summarize matches",
    "show tables",
    "show all tables",
    "explain select * from runs",
    "explain analyze select * from runs",
    "select * from runs where run_id = $1",
    "select * from runs where run_id = ? and status like '%x' and owner not ilike 'y'",
    "select count(*) filter (where status = 'open'), median(amount_minor) from exceptions",
    "select strftime(due_at, '%Y'), date_trunc('month', due_at), extract(year from due_at) from exceptions",
    "select * from runs union all by name select * from runs except select * from runs intersect select * from runs",
    "from runs select run_id where true order by all desc nulls first",
    "select columns('run.*') from runs",
    "select * from main.runs",
    "select * from information_schema.columns where table_name = 'runs'",
    "select column_name, comment from duckdb_columns() where not internal",
    "select * from runs tablesample 10 percent (bernoulli)",
    "select try_cast('x' as bigint), coalesce(null, 1), nullif(1, 1), 1 between 0 and 2, not true, 'a' || 'b', -1 % 2",
    "select * from (select 1 as a) as t asof join (select 1 as a) as u on t.a >= u.a",
    "select grouping(run_id), count(*) from matches group by rollup (run_id)",
]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("sql", ATTACKS)
def test_more_than_a_query_over_published_tables_is_refused(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises((UsageError, duckdb.Error)):
        read_only_sql.check(connection, sql, TABLES)


@pytest.mark.parametrize("sql", QUERIES)
def test_what_analysts_ask_is_a_query(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    read_only_sql.check(connection, sql, TABLES)


def test_every_allowed_function_is_one_that_duckdb_has(connection: duckdb.DuckDBPyConnection) -> None:
    known = {name.lower() for (name,) in connection.execute("select function_name from duckdb_functions()").fetchall()}
    # These are made of the syntax, and are in no list.
    assert read_only_sql._functions() - known <= {"coalesce", "ifnull", "count_star", "struct_extract", "if"}


PROBE = """
import os, sys
from pathlib import Path
from zentra_pipeline.queries import confinement
inside, outside = Path(sys.argv[1]), Path(sys.argv[2])
print(confinement.confine([inside], 60, 64 << 30))
def tried(what):
    try:
        what()
    except OSError:
        return "refused"
    return "done"
print(tried(lambda: inside.read_bytes()), tried(lambda: outside.read_bytes()))
print(tried(lambda: inside.write_bytes(b"forged")), tried(lambda: inside.unlink()), tried(lambda: inside.rename("x")))
print(tried(lambda: os.truncate(inside, 0)), tried(lambda: outside.with_name("new").write_bytes(b"x")))
"""


def test_a_process_that_is_confined_reads_what_it_may_and_writes_nothing(tmp_path: Path) -> None:
    inside, outside = tmp_path / "mine" / "a", tmp_path / "theirs" / "b"
    for file in (inside, outside):
        file.parent.mkdir()
        file.write_bytes(b"as published")
    command = [sys.executable, "-c", PROBE, str(inside), str(outside)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert inside.read_bytes() == outside.read_bytes() == b"as published"
    if said[0] == "True":
        assert said[1:] == ["done refused", "refused refused refused", "refused refused"]
    else:
        pytest.skip("this system has no Landlock: the statement check is the only wall")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    from tests.scenarios.world import NOW

    home = Home.at(tmp_path_factory.mktemp("asked") / "home")
    tenancy.init_home(home)
    tenancy.add_tenant(home, "acme", NOW)
    return home


def test_a_query_without_end_ends_and_says_what_to_do(home: Home) -> None:
    for sql in (
        "select count(*) from range(100000000000) as a",
        "with recursive r as (select 1 as a union all select a + 1 from r) select max(a) from r",
    ):
        asked = query_request.request(str(home.root), "acme", sql, seconds=1)
        says = r"within 1 seconds.*--timeout or ZENTRA_QUERY_SECONDS"
        with pytest.raises(LimitExceededError, match=says) as raised, query_process.answered(asked):
            pass
        assert raised.value.exit_code == 4


def test_a_query_that_needs_too_much_memory_says_so(home: Home) -> None:
    asked = query_request.request(
        str(home.root), "acme", "select list(range) from range(100000000)", memory="100MB", seconds=60
    )
    says = r"more memory than the 100MB.*--memory or ZENTRA_QUERY_MEMORY"
    with pytest.raises(LimitExceededError, match=says), query_process.answered(asked):
        pass


def test_rows_come_as_they_are_found(home: Home) -> None:
    asked = query_request.request(str(home.root), "acme", "select range from range(100000000000)")
    with query_process.answered(asked) as answer:
        assert [next(answer.rows) for _ in range(3)] == [(0,), (1,), (2,)]


def test_limits_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="whole seconds, 1 to 86400"):
        query_request.request("h", "t", "select 1", seconds=0)
    monkeypatch.setenv(query_request.MEMORY_VARIABLE, "lots")
    with pytest.raises(UsageError, match="'lots' is not possible: use a whole number of MB or GB"):
        query_request.request("h", "t", "select 1")
