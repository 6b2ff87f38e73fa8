"""Every statement for Spark is Spark's SQL, as sqlfluff reads that dialect. What DuckDB executes `make lint` lints."""

import re
from collections.abc import Iterator

import pytest
from sqlfluff.core import FluffConfig, Linter

from tests.support.every import check_every
from zentra_pipeline.reconcile import dbt_project, run_kinds
from zentra_pipeline.reconcile.compiled_nodes import SPARK

# What Spark executes and sqlfluff 4 cannot read: ordered aggregates, which are read without their order, and a
# statement of expressions too deep for it.
ORDERED = re.compile(r" within group \([^()]*\)")
TOO_DEEP = {"int_near_misses"}


def statements() -> Iterator[tuple[str, str]]:
    """The name and text of each statement, and of each table that it needs first; of both kinds of runs, once."""
    seen = set()
    for kind in (run_kinds.PROVIDER, run_kinds.BANK):
        for statement in dbt_project.statements(kind, SPARK):
            for name, sql in (*statement.parts, (statement.name, statement.sql)):
                if (name, sql) not in seen and name not in TOO_DEEP:
                    seen.add((name, sql))
                    yield name, ORDERED.sub("", sql)


@pytest.mark.slow
def test_every_statement_for_spark_is_sql_of_spark() -> None:
    linter = Linter(
        config=FluffConfig(overrides={"dialect": "sparksql", "templater": "raw", "large_file_skip_byte_limit": 0})
    )

    def check(statement: tuple[str, str]) -> None:
        assert [str(fault) for fault in linter.parse_string(statement[1]).violations] == []

    found = list(statements())
    assert len(found) > 150
    check_every(found, check, lambda statement: statement[0])


def test_what_sqlfluff_cannot_read_as_spark_is_refused_by_this_check() -> None:
    linter = Linter(config=FluffConfig(overrides={"dialect": "sparksql", "templater": "raw"}))
    assert linter.parse_string("select * exclude (a) from b\n").violations
