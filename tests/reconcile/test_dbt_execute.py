"""Executing compiled statements: order, skipping, contracts, what failures say; dbt's own build is the measure."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.scenarios.rows import MON, TUE, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline.errors import ControlFailedError, RunFailedError
from zentra_pipeline.reconcile import dbt_execute, dbt_project, window_run
from zentra_pipeline.reconcile.compiled_nodes import CompiledNode
from zentra_pipeline.settings import DBT_PROJECT


def model(name: str, sql: str, *parents: str, materialized: str = "table") -> CompiledNode:
    return CompiledNode(name, name, "model", materialized, f'"window"."main"."{name}"', sql, parents)


def check(name: str, sql: str, *parents: str) -> CompiledNode:
    return CompiledNode(name, name, "test", "test", None, sql, parents)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Build these statements in an empty database, and return their results."""

    def build(*statements: CompiledNode, read: list[str] | None = None) -> list[dbt_execute.NodeResult]:
        monkeypatch.setattr(dbt_project, "statements", lambda *_: statements)
        with duckdb.connect(str(tmp_path / "window.duckdb")) as connection:
            return dbt_execute.build(connection, started.append, read)

    started: list[str] = []
    build.started = started  # type: ignore[attr-defined]
    return build


def rows(tmp_path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(tmp_path / "window.duckdb")) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_a_statement_is_executed_after_its_parents_and_results_keep_the_statements_order(
    threads: str, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENTRA_THREADS", threads)
    results = build(
        model("last", "select sum(n)::bigint as n from b", "b"),
        model("b", "select * from a -- a comment at the end", "a", materialized="view"),
        model("a", "select range as n from range(10000)"),
        check("holds", "select * from last where n != 49995000", "last"),
    )
    assert [(result.name, result.status, result.failures) for result in results] == [
        ("last", "success", None),
        ("b", "success", None),
        ("a", "success", None),
        ("holds", "pass", 0),
    ]
    assert build.started == ["a", "b", "last", "holds"]
    assert rows(tmp_path, "select n from last") == [(49995000,)]


@pytest.mark.parametrize(
    ("read", "kept"),
    [
        (None, ["early", "of_a_view", "shown", "under_it", "unread"]),
        (["shown"], ["shown", "under_it", "unread"]),
        (["early", "of_a_view"], ["early", "of_a_view", "shown", "unread"]),
    ],
)
def test_what_nothing_reads_any_more_goes_also_through_a_view(
    read: list[str] | None, kept: list[str], build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_execute, "_WORTH_DROPPING", 1)
    results = build(
        model("early", "select 1 as n"),
        model("of_a_view", "select * from seen where n = 1", "seen"),
        model("seen", "select * from early", "early", materialized="view"),
        model("shown", "select n from under_it", "under_it", materialized="view"),
        model("under_it", "select n + 1 as n from of_a_view", "of_a_view"),
        model("unread", "select 1 as n"),
        check("holds", "select * from of_a_view where n <> 1", "of_a_view"),
        read=read,
    )
    assert {result.status for result in results} == {"success", "pass"}
    found = rows(tmp_path, "select table_name from information_schema.tables where table_name <> 'seen' order by 1")
    assert [name for (name,) in found] == kept


def test_a_failing_control_names_itself_and_its_rows(build: Any) -> None:
    with pytest.raises(ControlFailedError, match=r"nothing was published: one \(2 rows\); two \(1 rows\)") as caught:
        build(
            model("a", "select 1 as n union all select 2"),
            check("one", "select * from a", "a"),
            check("none", "select * from a where n > 2", "a"),
            check("two", "select * from a where n = 2", "a"),
        )
    assert caught.value.failed == (("one", 2), ("two", 1))


def test_what_needs_a_model_that_failed_is_skipped_and_the_first_in_order_is_named(build: Any) -> None:
    with pytest.raises(RunFailedError, match=r"model bad could not be built: Conversion Error: .*'x'"):
        build(
            model("child", "select * from bad", "bad"),
            model("bad", "select cast('x' as bigint) as n"),
            model("worse", "select no_such_column"),
            model("good", "select 1 as n"),
            check("of_child", "select * from child", "child"),
        )
    assert sorted(build.started) == ["bad", "good", "worse"]


def test_a_data_test_that_cannot_be_executed_is_no_control_that_fails(build: Any) -> None:
    with pytest.raises(RunFailedError, match="test broken could not be built: Binder Error"):
        build(model("a", "select 1 as n"), check("broken", "select m from a", "a"))


def test_a_statement_without_the_rows_it_needs_is_not_executed(build: Any, tmp_path: Path) -> None:
    broken = "select cast('x' as bigint) as n from a join b using (n)"
    results = build(
        model("a", "select 1 as n where false"),
        model("b", "select 1::bigint as n"),
        replace(model("inner", broken, "a", "b"), columns={"n": "bigint"}, empty_when=(("main.a",), ("main.b",))),
        replace(model("union", "select n + 1 as n from b", "a", "b"), empty_when=(("main.a", "main.b"),)),
        replace(check("none", "select * from a", "a"), empty_when=(("main.a",),)),
    )
    assert [(result.name, result.status, result.rows) for result in results] == [
        ("a", "success", 0),
        ("b", "success", 1),
        ("inner", "success", 0),
        ("union", "success", 1),
        ("none", "pass", None),
    ]
    assert sorted(build.started) == ["a", "b", "inner", "none", "union"]
    assert rows(tmp_path, 'select * from "inner" union all select * from "union"') == [(2,)]


def test_when_progress_cannot_be_recorded_nothing_else_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second statement has begun when the first one's failure is seen; the third never does."""
    started: list[str] = []
    is_cancelled = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            is_cancelled.set()
            super().shutdown(wait)

    def broken(name: str) -> None:
        started.append(name)
        if name == "a":
            raise OSError("disk full")
        assert is_cancelled.wait(60)

    monkeypatch.setenv("ZENTRA_THREADS", "1")
    monkeypatch.setattr(dbt_execute, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(dbt_project, "statements", lambda *_: tuple(model(name, "select 1 as n") for name in "abc"))
    with duckdb.connect(str(tmp_path / "window.duckdb")) as connection, pytest.raises(OSError, match="disk full"):
        dbt_execute.build(connection, broken)
    assert started in (["a"], ["a", "b"])


@pytest.mark.ci
def test_dbts_own_build_makes_the_same_relations_of_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows with matches, breaks, carried items and callbacks; dbt builds the second run again."""
    monkeypatch.setenv(window_run.KEEP_VARIABLE, "1")
    world = World(tmp_path, {"settlement_lag_days": 0})
    world.add(*(row for n in range(8) for row in world_rows(n)))
    world.deliver()
    world.reconcile(MON)
    run = world.reconcile(TUE).run
    database = world.paths.scratch / run.run_id / "window.duckdb"
    ours = relations(database)
    copy = tmp_path / "window.duckdb"
    shutil.copyfile(database, copy)
    build_with_dbt(copy, tmp_path, monkeypatch)
    assert relations(copy) == ours
    assert {name for name, found in ours.items() if found} >= {"matches", "exceptions", "open_items", "evidence_items"}


def world_rows(n: int) -> list[Any]:
    """Facts of one payment: whole, short, without ledger, or without line; on Monday or Tuesday."""
    on = (MON, TUE)[n % 2]
    line, posting = settle(f"L{n}", f"R{n}", 500 + n, on=on), post(f"T{n}", f"R{n}", 500 + (n if n < 4 else 0), on=on)
    called = call(f"E{n}", f"R{n}", 500 + n)
    return [[line, *posting, called], [line, called], [*posting], [line, *posting]][n // 2]


def relations(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every relation that the models make, in a total order."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return {
            statement.name: connection.execute(f"select * from {statement.relation} order by all").fetchall()
            for statement in dbt_project.statements()
            if statement.relation is not None
        }


def build_with_dbt(database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop what was built, and have dbt's runner build all of it again, with every data test."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    with duckdb.connect(str(database)) as connection:
        for statement in reversed(dbt_project.statements()):
            if statement.relation is not None:
                connection.execute(f"drop {statement.materialized} {statement.relation}")
    monkeypatch.setenv(dbt_project.DATABASE_VARIABLE, str(database))
    options = [
        "--exclude",
        "resource_type:seed",
        "resource_type:unit_test",
        "tag:bank",
        "--quiet",
        "--log-level-file=none",
    ]
    folders = [f"--project-dir={DBT_PROJECT}", f"--profiles-dir={DBT_PROJECT}", f"--target-path={folder / 'target'}"]
    try:
        outcome: Any = dbtRunner().invoke(["build", *options, *folders])
    finally:
        DuckDBConnectionManager.close_all_connections()
    assert outcome.exception is None
    made = [result for result in outcome.result if result.node.resource_type != "exposure"]
    assert {str(result.status) for result in made} == {"success", "pass"}
    assert len(made) == len(dbt_project.statements())


def test_what_only_the_digest_reads_is_gone_before_tables_are_published(build: Any, tmp_path: Path) -> None:
    build(
        model("line", "select 1 as n"),
        model("match", "select n + 1 as n from line", "line"),
        model("seen", "select * from line", "line", materialized="view"),
        model("published", "select * from match", "match", materialized="view"),
        read=["seen", "published"],
    )
    assert rows(tmp_path, "select n from seen") == [(1,)]
    with duckdb.connect(str(tmp_path / "window.duckdb")) as connection:
        dbt_execute.drop_read_tables(connection, ["seen", "published"], ["published"])
    assert rows(tmp_path, "select n from published") == [(2,)]
    assert rows(tmp_path, "select table_name from duckdb_tables()") == [("match",)]
