"""When a statement has no rows, by DuckDB's plan of it: literal statements, and every statement of the project."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.scenarios.rows import MON, TUE, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline.reconcile import dbt_project, statement_shapes, window_run

A, B = "raw.callbacks", "raw.quarantine"
JOINED = f"select a.row_number from {A} as a {{}} join {B} as b using (row_number)"


EXPECTED: list[tuple[str, list[tuple[str, ...]]]] = [
    (f"select row_number + 1 from {A} where provider = 'x'", [(A,)]),
    (JOINED.format("inner"), [(A,), (B,)]),
    (JOINED.format("semi"), [(A,), (B,)]),
    (JOINED.format("left"), [(A,)]),
    (JOINED.format("anti"), [(A,)]),
    (JOINED.format("right"), [(B,)]),
    (JOINED.format("full"), [(A, B)]),
    (f"select 1 from {A}, {B}", [(A,), (B,)]),
    (f"select 1 from {A} as a join {B} as b on a.row_number < b.row_number", [(A,), (B,)]),
    (f"select row_number from {A} union all select row_number from {B}", [(A, B)]),
    (f"select row_number from {A} union select row_number from {B}", [(A, B)]),
    (f"select row_number from {A} except select row_number from {B}", [(A,)]),
    (f"select row_number from {A} intersect select row_number from {B}", [(A,), (B,)]),
    (f"select row_number from {A} where row_number in (select row_number from {B})", [(A,), (B,)]),
    (f"select row_number from {A} where row_number not in (select row_number from {B})", [(A,)]),
    (f"select provider, count(*) from {A} group by provider", [(A,)]),
    (f"select distinct provider from {A}", [(A,)]),
    (f"select row_number() over (order by provider) from {A} order by 1 limit 3", [(A,)]),
    (f"select unnest([row_number, 1]) from {A}", [(A,)]),
    (f"with x as materialized (select * from {A}) select 1 from x join x as y using (row_number)", [(A,)]),
    (f"select 1 from {A} union all select 1 from {B} where false", [(A,)]),
    # These have a row though no table has one.
    (f"select count(*) from {A}", []),
    (f"select provider, count(*) from {A} group by grouping sets ((provider), ())", []),
    (f"select provider, count(*) from {A} group by rollup (provider)", []),
    (f"select row_number from {A} union all select 1", []),
    (f"select (select count(*) from {A})", []),
    ("select * from (values (1), (2))", []),
    # A plan says too little of these, which then count as having rows.
    (f"select b.row_number from {A} as a, lateral (select a.row_number) as b", [(A,)]),
    (f"with recursive x as (select 1 as n from {A} union all select n + 1 from x where n < 3) select * from x", []),
]


@pytest.fixture(scope="module")
def literal_shapes() -> dict[str, statement_shapes.Shape]:
    found = statement_shapes.shapes(("literal", "test", None, sql) for sql, _ in EXPECTED)
    return dict(zip((sql for sql, _ in EXPECTED), found, strict=True))


@pytest.mark.parametrize(("sql", "empty_when"), EXPECTED)
def test_a_plan_says_which_rows_a_statement_needs(
    sql: str, empty_when: list[tuple[str, ...]], literal_shapes: dict[str, statement_shapes.Shape]
) -> None:
    assert list(literal_shapes[sql].empty_when) == empty_when


def test_a_model_says_its_columns_and_those_after_it_may_read_it() -> None:
    first, second = statement_shapes.shapes(
        [
            ("first", "table", "zentra.first", f"select row_number, count(*) as n from {A} group by row_number"),
            ("second", "table", "zentra.second", "select n from zentra.first"),
        ]
    )
    assert first == statement_shapes.Shape({"row_number": "bigint", "n": "bigint"}, ((A,),))
    assert second == statement_shapes.Shape({"n": "bigint"}, (("zentra.first",),))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database of the second of two windows, with matches, breaks, carried items, callbacks and a refund."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(window_run.KEEP_VARIABLE, "1")
        world = World(tmp_path_factory.mktemp("shapes"), {"settlement_lag_days": 0})
        for n, on in enumerate((MON, MON, TUE, TUE)):
            whole, short, alone = f"W{n}", f"S{n}", f"A{n}"
            world.add(settle(f"L{whole}", whole, 500, on=on, fee=5), post(f"T{whole}", whole, 500, on=on))
            world.add(settle(f"L{short}", short, 500, on=on), post(f"T{short}", short, 400, on=on))
            world.add(settle(f"L{alone}", alone, 70 + n, on=on), post(f"T{alone}x", f"{alone}x", 70 + n, on=on))
            world.add(call(f"E{whole}", whole, 500, on=on), call(f"E{alone}", alone, 70 + n, on=on, status="failed"))
        world.add(settle("LR", "RW0", -500, on=TUE, type="refund", original="W0"))
        world.add(settle("L0", "W0", 500, on=MON, file="again").again(gross_minor=501, net_minor=501))
        world.deliver()
        world.reconcile(MON)
        kept = world.paths.scratch / world.reconcile(TUE).run.run_id / "window.duckdb"
    with duckdb.connect(str(kept)) as connection:
        yield connection


def test_no_statement_of_the_project_has_rows_where_it_is_said_to_have_none(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """Each list of tables is emptied, all others hold what a run has put there."""
    asked = 0
    for statement in dbt_project.statements():
        for tables in statement.empty_when:
            database.execute("begin")
            for table in tables:
                _empty(database, table)
            assert database.execute(statement.sql).fetchall() == [], f"{statement.name} without {tables}"
            database.execute("rollback")
            asked += 1
    assert asked > 100


def _empty(database: duckdb.DuckDBPyConnection, table: str) -> None:
    schema, name = table.split(".")
    is_view = database.execute("select 1 from duckdb_views() where schema_name = $1 and view_name = $2", [schema, name])
    if is_view.fetchall():
        database.execute(f"create table {table}_kept as select * from {table} limit 0")
        database.execute(f"drop view {table}")
        database.execute(f"create view {table} as select * from {table}_kept")
    else:
        database.execute(f"delete from {table}")


def test_few_statements_are_said_to_need_nothing() -> None:
    """Tables that have rows in any run: who would add one that is never skipped shall know it."""
    always = {one.name for one in dbt_project.statements() if one.materialized == "table" and not one.empty_when}
    assert always == set()
