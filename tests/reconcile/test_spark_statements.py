"""What the servers are given of a statement: its text in their words, and what would be made twice as tables."""

import re

import pytest

from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.reconcile import dbt_project, spark_statements
from zentra_pipeline.reconcile.compiled_nodes import CompiledNode

MODEL = CompiledNode("model.zentra.m", "m", "model", "table", "`zentra`.`m`", "", ())


def parts(sql: str) -> tuple[dict[str, str], str]:
    return spark_statements._parts(MODEL, spark_statements._parsed(sql))


@pytest.mark.parametrize(
    ("sql", "theirs"),
    [
        ("select 'it''s' as a", r"select 'it\'s' as a"),
        (r"select 'a\b' as a", r"select 'a\\b' as a"),
        (
            "select cast(null as varchar) as a, cast(x as hugeint)",
            "select cast(null as string) as a, cast(x as decimal(38, 0))",
        ),
        ("select cast(a as timestamp) from `raw`.`callbacks`", "select cast(a as timestamp_ntz) from `raw__callbacks`"),
        ("select 1 -- cast(x as varchar)\nfrom a cross join scope", "select 1 \nfrom a left join scope on true"),
        (
            "select 1 from a cross join `run`.`profile` as profile",
            "select 1 from a left join `run__profile` as profile on true",
        ),
        ("select 'as varchar' from a cross join any_account", "select 'as varchar' from a cross join any_account"),
    ],
)
def test_a_select_in_their_words(sql: str, theirs: str) -> None:
    assert parts(sql) == ({}, theirs)


def test_a_cte_that_is_used_twice_and_is_work_becomes_a_table() -> None:
    made, select = parts(
        "with a as (select * from `raw`.`t`), b as (select x from a group by x), c as (select x from b)\n"
        "select * from c join b on c.x = b.x"
    )
    assert made == {"zentra__m__b": "with a as (select * from `raw__t`) select x from a group by x"}
    assert select == (
        "with b as (select * from `zentra__m__b`), c as (select x from b) \nselect * from c join b on c.x = b.x"
    )


def test_what_reads_a_cte_twice_through_another_uses_it_twice() -> None:
    made, _ = parts(
        "with a as (select 1 from `raw`.`t` join x), b as (select * from a where c) select 1 from b join b as d"
    )
    assert list(made) == ["zentra__m__a", "zentra__m__b"] or list(made) == ["zentra__m__b"]


def test_parentheses_in_literals_and_comments_close_nothing() -> None:
    query = spark_statements._parsed(
        "-- with (\nwith a as (\n  select ')' as x -- )\n),\n-- more\nb as (select 1) select * from a"
    )
    assert list(query.ctes) == ["a", "b"]
    assert query.select == " select * from a"
    with pytest.raises(RunFailedError, match="parentheses do not close"):
        spark_statements._parsed("with a as (select 1")


def test_stars_with_exceptions_name_the_columns_in_their_places() -> None:
    query = spark_statements._parsed(
        "with a as (select 1), b as (select a.* exclude (y), 1 from x join a on z), "
        "c as (select * replace (f(x, ',') as x, z as y) from a) select * exclude (x) from b"
    )
    found = spark_statements._expanded(query, {"a": ["x", "y", "z"], "b": ["x", "z"]}.__getitem__)
    assert found.ctes["b"] == "select a.x, a.z, 1 from x join a on z"
    assert found.ctes["c"] == "select f(x, ',') as x, z as y, z from a"
    assert found.select == " select z from b"


@pytest.mark.ci
@pytest.mark.parametrize("kind", ["provider", "bank"])
def test_every_statement_of_the_project_is_in_their_words(kind: dbt_project.RunKind) -> None:
    """Same statements, parents, columns and emptiness as DuckDB's; no word left that one of the servers has not."""
    of_duckdb = dbt_project.statements(kind)
    of_spark = dbt_project.statements(kind, "spark")
    same = ("unique_id", "table", "parents", "columns", "empty_when", "materialized")
    for one, other in zip(of_duckdb, of_spark, strict=True):
        assert [getattr(one, key) for key in same] == [getattr(other, key) for key in same]
        assert other.target == "spark"
        for text in (other.sql, *(sql for _, sql in other.parts)):
            code = re.sub(r"'(?:[^'\\]|\\.)*'", "''", text)
            left = re.findall(
                r"\bvarchar\b|\bhugeint\b|//|\bsha256\(|exclude|\* replace|unnest|arg_m|string_agg|strftime|\"|''''",
                code,
            )
            assert left == [], f"{other.name}: {left}"
