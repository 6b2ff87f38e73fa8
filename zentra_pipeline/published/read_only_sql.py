"""Distinguishes a query that only reads published tables from one that could do more; running it does not belong here.

A statement that begins with SELECT or EXPLAIN may still write or read elsewhere: `with x as (copy … to …) select …`,
`explain analyze copy …`, and functions that execute text do. So the parsed statement is looked at, whole: every node,
every relation and every function has to be one that is known to read and do nothing else.
"""

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline.errors import UsageError

ALLOWED: Final = "one query at a time, and only queries: SELECT, FROM, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"
# Node types of https://duckdb.org/docs/stable/data/json/sql_to_and_from_json that read and do nothing else.
_READING: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_RELATIONS: Final = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "EMPTY_FROM", "PIVOT", "SHOW_REF"}
)
_EXPRESSIONS: Final = frozenset(
    {
        *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "DEFAULT"),
        *("FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY"),
        *("TYPE", "WINDOW"),
    }
)
_OTHER_TYPES: Final = re.compile(r"[A-Z]+_MODIFIER|ORDER_[A-Z]+|ASCENDING|DESCENDING|[A-Z_]+_TYPE_INFO")
# Table functions that read nothing, and those that list what there is.
_COMPUTING: Final = frozenset({"range", "generate_series", "unnest", "repeat", "json_each", "json_tree"})
_TABLE_FUNCTIONS: Final = _COMPUTING | {
    *("histogram", "histogram_values"),
    *("duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_functions"),
}
_SYSTEM_TABLES: Final = frozenset({"duckdb_columns", "duckdb_tables", "duckdb_views"})
_INFORMATION_SCHEMA: Final = frozenset({"tables", "columns", "schemata"})
_SHOWN: Final = frozenset({"tables", "__show_tables_expanded"})
_CTE_NAME: Final = re.compile(r"\w[\w ]*")
_EXPLAIN: Final = re.compile(r"\s*explain(?:\s+analyze)?(?:\s*\([^()]*\))?\s+", re.IGNORECASE)


def is_read_only(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether `sql` is one statement whose nodes only read; duckdb.Error when it cannot be parsed.

    Enough for what Zentra itself asks; a statement that somebody brings is checked with `check`.
    """
    return _read(connection, sql) is not None


def tables_read(connection: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str]) -> frozenset[str] | None:
    """Which of `tables` a query reads; null for anything but one query that only reads, see `is_read_only`.

    All of them where it asks for more than tables of these names, as SHOW TABLES does and an unknown name.
    """
    parsed = _read(connection, sql)
    if parsed is None:
        return None
    parts = list(_parts(parsed))
    given = {name.lower() for part in parts for name in _names_given(part)}
    found = set()
    for part in parts:
        if part.get("type") == "BASE_TABLE":
            *_, table = _path_of(part)
            if table in tables:
                found.add(table)
            elif table not in given:
                return frozenset(tables)
        elif part.get("type") == "SHOW_REF" or (
            part.get("type") == "TABLE_FUNCTION" and _function_of(part).lower() not in _COMPUTING
        ):
            return frozenset(tables)
    return frozenset(found)


def _read(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any] | None:
    parsed = _parsed(connection, sql)
    return parsed if parsed is not None and all(kind in _READING for kind in _node_types(parsed)) else None


def check(connection: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str]) -> None:
    """Refuse with UsageError whatever is more than one query over `tables` with functions that only compute.

    duckdb.Error when it cannot be parsed.
    """
    parsed = _parsed(connection, sql)
    if parsed is None or any(kind not in _READING for kind in _node_types(parsed)):
        raise UsageError(ALLOWED)
    parts = list(_parts(parsed))
    named = {name for part in parts for name in _names_given(part)}
    for name in named:
        if not _CTE_NAME.fullmatch(name):
            raise UsageError(f"WITH names {name!r}: use letters, digits and _ only")
    known = {*(table.lower() for table in tables), *(name.lower() for name in named)}
    for part in parts:
        _check_part(part, known)


def _check_part(part: dict[str, Any], known: Collection[str]) -> None:
    kind, of = part.get("type"), part.get("class")
    if isinstance(of, str):
        if of not in _EXPRESSIONS:
            raise UsageError(f"the query uses an expression ({of}) that is not allowed here")
    elif isinstance(kind, str) and kind not in _READING | _RELATIONS and not _OTHER_TYPES.fullmatch(kind):
        raise UsageError(f"the query uses a clause ({kind}) that is not allowed here; {ALLOWED}")
    if of is None and kind == "TABLE_FUNCTION":
        _check_function(_function_of(part), _TABLE_FUNCTIONS)
    elif of in ("FUNCTION", "WINDOW"):
        _check_function(str(part.get("function_name", "")), _functions() | _TABLE_FUNCTIONS)
    elif of is None and kind == "BASE_TABLE":
        _check_table(part, known)
    elif of is None and kind == "SHOW_REF" and part.get("query") is None:
        shown = str(part.get("table_name", "")).strip('"').lower()
        if shown not in _SHOWN:
            raise UsageError(f"SHOW {shown} is not possible here: use SHOW TABLES")


def _check_function(name: str, allowed: Collection[str]) -> None:
    if name.lower() not in allowed:
        raise UsageError(
            f"function {name} is not allowed in a query: only functions that compute from their arguments are"
        )


def _check_table(part: dict[str, Any], known: Collection[str]) -> None:
    *schema, table = _path_of(part)
    is_known = schema in ([], ["main"]) and (table in known or table in _SYSTEM_TABLES)
    if not is_known and not (schema == ["information_schema"] and table in _INFORMATION_SCHEMA):
        raise UsageError(f"there is no table {'.'.join([*schema, table])!r}: SHOW TABLES lists those there are")


def _path_of(part: dict[str, Any]) -> list[str]:
    """The name of a base table in lower case, behind the schema it is given with."""
    path = (part.get("qualified_name") or {}).get("path") or [part.get("schema_name"), part.get("table_name")]
    return [str(step).lower() for step in path if step]


def _function_of(part: dict[str, Any]) -> str:
    function = part.get("function")
    return str(function.get("function_name", "")) if isinstance(function, dict) else ""


def _names_given(part: dict[str, Any]) -> Iterator[str]:
    """The names that a WITH gives in this node."""
    entries = part.get("cte_map")
    for entry in (entries or {}).get("map", ()) if isinstance(entries, dict) else ():
        yield str(entry.get("key", ""))
    if part.get("type") in ("CTE_NODE", "RECURSIVE_CTE_NODE"):
        yield str(part.get("cte_name") or part.get("ctename") or "unnamed")


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any] | None:
    """The one parsed statement, of an EXPLAIN what it explains; null where that is no query."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        return None
    if statements[0].type == duckdb.StatementType.EXPLAIN:
        explain = _EXPLAIN.match(sql)
        if explain is None:
            return None
        sql = sql[explain.end() :]
    elif statements[0].type != duckdb.StatementType.SELECT:
        return None
    (found,) = connection.execute("select json_serialize_sql($1::varchar)", [sql]).fetchall()
    parsed: dict[str, Any] = json.loads(found[0]) if found else {}
    return parsed if len(parsed.get("statements", ())) == 1 else None


def _node_types(part: Any) -> Iterator[str]:
    for each in _parts(part):
        kind = each.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE"):
            yield kind


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the parsed statement, itself included."""
    waiting = [part]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


@cache
def _functions() -> frozenset[str]:
    lines = Path(__file__).with_name("query_functions.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.lower() for line in lines if line and not line.startswith("# "))
