"""What a statement makes, and when it has no rows: read off DuckDB's plan of it, once, when the project is compiled.

The plan says which tables the rows come from: a join has none where one side has none, a union where no part has any.
Whatever a plan does not say for certain counts as having rows. Does not belong here: executing statements.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from zentra_pipeline.config.profile import Profile
from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.ledger_windows import BusinessDays
from zentra_pipeline.reconcile import run_database, run_kinds
from zentra_pipeline.reconcile.inputs import BankSide, RunInputs
from zentra_pipeline.reconcile.run_kinds import RunKind

# Sets of tables: no rows where all tables of one set are empty.
Alternatives = frozenset[frozenset[str]]

_HAS_ROWS: Final[Alternatives] = frozenset()
_IS_EMPTY: Final[Alternatives] = frozenset([frozenset()])
_MOST_ALTERNATIVES: Final = 32
# Operators that have a row only for a row of their one input.
_ROW_FOR_ROW: Final = frozenset(
    ("PROJECTION", "FILTER", "WINDOW", "STREAMING_WINDOW", "UNNEST", "ORDER_BY", "TOP_N", "LIMIT", "STREAMING_LIMIT")
)
_GROUPED: Final = frozenset(("HASH_GROUP_BY", "PERFECT_HASH_GROUP_BY"))
_JOINS: Final = frozenset(
    ("HASH_JOIN", "NESTED_LOOP_JOIN", "BLOCKWISE_NL_JOIN", "PIECEWISE_MERGE_JOIN", "IE_JOIN", "CROSS_PRODUCT")
)
# Which sides a join needs rows of: either, the left, the right, or any of both.
_NEEDS_BOTH: Final = frozenset(("INNER", "SEMI", "RIGHT_SEMI"))
_NEEDS_LEFT: Final = frozenset(("LEFT", "ANTI", "MARK", "SINGLE"))
_NEEDS_RIGHT: Final = frozenset(("RIGHT", "RIGHT_ANTI"))
# Statistics would tie a plan to the rows that happened to be there.
_UNHELPFUL: Final = "statistics_propagation,empty_result_pullup"
_SEVERAL_GROUPINGS: Final = ("grouping sets", "rollup", "cube")


@dataclass(frozen=True)
class Shape:
    """Column name → type of what a model makes, and `empty_when`: no rows where all tables of one list are empty.

    Tables are named `<schema>.<table>`.
    """

    columns: Mapping[str, str]
    empty_when: tuple[tuple[str, ...], ...]


def shapes(statements: Iterable[tuple[str, str, str | None, str]], kind: RunKind = run_kinds.PROVIDER) -> list[Shape]:
    """The shape of each statement, parents first: its name, `table`, `view` or `test`, the relation it makes, its SQL.

    Raises RunFailedError with the name of the first that DuckDB cannot bind.
    """
    with empty_database(kind) as connection:
        connection.execute(f"set disabled_optimizers = '{_UNHELPFUL}'")
        return [_shape(connection, *statement) for statement in statements]


@contextmanager
def empty_database(kind: RunKind) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database of a run of a kind that sees no rows, with tables only."""
    with (
        tempfile.TemporaryDirectory(prefix="zentra-shapes-") as folder,
        run_database.run_database(_nothing(kind), Path(folder) / "run", Path(folder)) as connection,
    ):
        _make_tables_of_views(connection)
        yield connection


def _shape(
    connection: duckdb.DuckDBPyConnection, name: str, materialized: str, relation: str | None, sql: str
) -> Shape:
    try:
        if relation is None:
            return Shape({}, _empty_when(connection, sql))
        connection.execute(f"create {materialized} {relation} as (\n{sql}\n)").fetchall()
        described = connection.execute(f"describe {relation}").fetchall()
        columns = {str(column): str(data_type).lower() for column, data_type, *_ in described}
        return Shape(columns, _empty_when(connection, sql) if materialized == "table" else ())
    except duckdb.Error as error:
        raise RunFailedError(f"dbt compiled what DuckDB cannot execute: {name}: {error}") from error


def _empty_when(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[tuple[str, ...], ...]:
    if any(word in sql.lower() for word in _SEVERAL_GROUPINGS):  # those have a row for no rows, and plans don't say so
        return ()
    (explained,) = connection.execute(f"explain (format json) {sql}").fetchall()
    (plan,) = orjson.loads(explained[1])
    return tuple(sorted(tuple(sorted(tables)) for tables in _without_rows(plan, {})))


def _without_rows(operator: Mapping[str, Any], ctes: Mapping[str, Alternatives]) -> Alternatives:
    """When an operator of a physical plan has no rows; `ctes` says it of those that are defined above it."""
    name, inputs, details = operator["name"], operator["children"], operator["extra_info"]
    match name:
        case "EMPTY_RESULT":
            found = _IS_EMPTY
        case "SEQ_SCAN":
            found = frozenset([frozenset([_plain(details["Table"])])])
        case "CTE":
            defined, user = inputs
            found = _without_rows(user, {**ctes, details["Table Index"]: _without_rows(defined, ctes)})
        case "CTE_SCAN":
            found = ctes.get(details["CTE Index"], _HAS_ROWS)
        case _:
            found = _of_inputs(name, details, [_without_rows(each, ctes) for each in inputs])
    return found


def _of_inputs(name: str, details: Mapping[str, Any], inputs: Sequence[Alternatives]) -> Alternatives:
    if name in _ROW_FOR_ROW or (name in _GROUPED and details.get("Groups")):
        return inputs[0]
    if name == "UNION":
        return _all_of(inputs)
    if name in _JOINS:
        return _of_join(details.get("Join Type", "INNER"), *inputs)
    return _HAS_ROWS


def _of_join(join_type: str, left: Alternatives, right: Alternatives) -> Alternatives:
    if join_type in _NEEDS_BOTH:
        return _shortest(left | right)
    if join_type in _NEEDS_LEFT:
        return left
    if join_type in _NEEDS_RIGHT:
        return right
    return _all_of([left, right]) if join_type in ("FULL", "OUTER") else _HAS_ROWS


def _all_of(parts: Iterable[Alternatives]) -> Alternatives:
    result = _IS_EMPTY
    for part in parts:
        result = _shortest(frozenset(one | other for one in result for other in part))
    return result


def _shortest(alternatives: Alternatives) -> Alternatives:
    """Without those that another one implies, and without the longest where there are very many."""
    needed = [one for one in alternatives if not any(other < one for other in alternatives)]
    return frozenset(sorted(needed, key=lambda tables: (len(tables), sorted(tables)))[:_MOST_ALTERNATIVES])


def _plain(table: str) -> str:
    """`<schema>.<table>` of a table as a plan names it, with its database and with quotes where a word needs them."""
    _, schema, name = (part.strip('"') for part in table.split("."))
    return f"{schema}.{name}"


def _make_tables_of_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Put an empty table in the place of each view over files, so that plans name it."""
    views = connection.execute(
        "select schema_name, view_name from duckdb_views() where not internal and database_name = current_database()"
    ).fetchall()
    for schema, name in views:
        connection.execute(f"create table {schema}.{name}_table as select * from {schema}.{name} limit 0")
        connection.execute(f"drop view {schema}.{name}")
        connection.execute(f"alter table {schema}.{name}_table rename to {name}")


def _nothing(kind: RunKind) -> RunInputs:
    """What a run of a kind without rows depends on."""
    return RunInputs(
        tenant="",
        provider="",
        run_id="",
        settlement_file="",
        ledger_window=date(2000, 1, 1),
        as_of=datetime(2000, 1, 2, tzinfo=UTC),
        owner="",
        profile=Profile(),
        routing=[],
        business_days=BusinessDays(),
        files=[],
        earlier=[],
        bank=BankSide(account="") if kind == run_kinds.BANK else None,
    )
