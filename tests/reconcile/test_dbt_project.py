"""The compiled project as runs read it: kept for one state of its files, and refused where a run would not heed it."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.reconcile.compiled_nodes import CompiledNode

ONE = CompiledNode(
    "model.zentra.a", "a", "model", "table", '"window"."zentra"."a"', "select 1 as n", ("x",), {"n": "int"}, (("b",),)
)


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Counts how often the project is compiled, into a folder of the test's own."""
    times: list[str] = []

    def compile_() -> tuple[dict[str, Any], dict[str, list[CompiledNode]]]:
        times.append(dbt_project.digest())
        return {"compiled": len(times)}, {"provider": [ONE], "bank": []}

    monkeypatch.setattr(dbt_project, "target_folder", lambda: tmp_path)
    monkeypatch.setattr(dbt_project, "_compile", compile_)
    for remembered in (dbt_project.statements, dbt_project.manifest):
        monkeypatch.setattr(dbt_project, remembered.__name__, remembered.__wrapped__)
    return times


def test_the_project_is_compiled_once_for_each_state_of_its_files(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dbt_project.statements() == (ONE,)
    assert dbt_project.manifest() == {"compiled": 1}
    assert dbt_project.statements() == (ONE,)
    monkeypatch.setattr(dbt_project, "digest", lambda: "f" * 64)
    assert dbt_project.manifest() == {"compiled": 2}
    assert len(compiled) == 2


def test_another_dbt_compiles_again(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    dbt_project.statements()
    monkeypatch.setattr(dbt_project.metadata, "version", lambda name: f"{name} 9.9")
    dbt_project.statements()
    assert len(compiled) == 2


def test_what_is_kept_of_a_statement_is_all_of_it(compiled: list[str]) -> None:
    assert [asdict(kept) for kept in dbt_project.statements()] == [asdict(ONE)]


def node(resource_type: str, **config: Any) -> Any:
    """A node as dbt compiles it, with dbt's defaults and what the test sets otherwise."""
    contract = SimpleNamespace(enforced=False)
    plain = {"materialized": "table", "pre_hook": [], "post_hook": [], "grants": {}, "contract": contract}
    plain |= {"tags": [], "meta": {}}
    if resource_type == "test":
        plain = {"materialized": "test", "severity": "ERROR", "fail_calc": "count(*)", "limit": None, "where": None}
        plain |= {"error_if": "!= 0", "warn_if": "!= 0", "tags": [], "meta": {}}
    return SimpleNamespace(
        unique_id=f"{resource_type}.zentra.a",
        name="a",
        resource_type=resource_type,
        config=SimpleNamespace(**{**plain, **config}),
        relation_name=None,
        compiled_code="select 1",
        depends_on=SimpleNamespace(nodes=["model.zentra.b", "seed.zentra.c"]),
        columns={},
    )


@pytest.mark.parametrize(
    ("resource_type", "config"),
    [
        ("model", {"materialized": "incremental"}),
        ("model", {"pre_hook": ["drop table x"]}),
        ("test", {"severity": "WARN"}),
        ("test", {"where": "n > 1"}),
        ("test", {"limit": 10}),
    ],
)
def test_what_a_run_would_not_heed_is_refused(resource_type: str, config: dict[str, Any]) -> None:
    with pytest.raises(RunFailedError, match=f"{resource_type} a sets {next(iter(config))}, which a run ignores"):
        dbt_project._statement(node(resource_type, **config), {"model.zentra.b"})


@pytest.mark.parametrize("resource_type", ["model", "test"])
def test_parents_are_those_that_a_run_executes(resource_type: str) -> None:
    assert dbt_project._statement(node(resource_type), {"model.zentra.b"}).parents == ("model.zentra.b",)


@pytest.mark.parametrize(
    ("sql", "reported"),
    [
        ("select 1::integer as n, 'x' as t", "n is integer and declared bigint"),
        ("select 1::bigint as n", "t is missing and declared varchar"),
        ("select 1::bigint as n, 'x' as t, true as extra", "extra is boolean and declared nowhere"),
        ("select sum(1) as n, 'x' as t", "n is hugeint and declared bigint"),
    ],
)
def test_a_model_is_held_to_its_contract(sql: str, reported: str) -> None:
    model = CompiledNode("a", "a", "model", "table", '"window"."zentra"."a"', sql, ())
    with pytest.raises(RunFailedError, match=f"model a breaks its contract: {reported}$"):
        dbt_project._with_shapes([model], {"a": {"n": "bigint", "t": "varchar"}})


def test_what_duckdb_cannot_bind_is_named_when_the_project_is_compiled() -> None:
    model = CompiledNode("a", "a", "model", "table", '"window"."zentra"."a"', "select no_such_column", ())
    with pytest.raises(RunFailedError, match=r"DuckDB cannot execute: a: Binder Error: .*no_such_column"):
        dbt_project._with_shapes([model], {})
