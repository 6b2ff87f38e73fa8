"""Tells a query that only reads from one that would also write; running either does not belong here.

A statement that begins with SELECT or EXPLAIN may still write: `with x as (copy … to …) select …` and `explain analyze
copy …` do, and a published file that a query may read it could then replace. So the parsed statement is looked at.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import duckdb

# Node types of https://duckdb.org/docs/stable/data/json/sql_to_and_from_json that read and do nothing else.
_READING: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_EXPLAIN: Final = re.compile(r"\s*explain(?:\s+analyze)?(?:\s*\([^()]*\))?\s+", re.IGNORECASE)


def is_read_only(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether `sql` is one statement that only reads; duckdb.Error when it cannot be parsed."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        return False
    if statements[0].type == duckdb.StatementType.EXPLAIN:
        explain = _EXPLAIN.match(sql)
        return explain is not None and _only_reads(connection, sql[explain.end() :])
    return statements[0].type == duckdb.StatementType.SELECT and _only_reads(connection, sql)


def _only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether every node of the one parsed statement reads; what is no SELECT has no such form and does not."""
    found = connection.execute("select json_serialize_sql($1::varchar)", [sql]).fetchone()
    parsed = json.loads(found[0]) if found else {}
    return len(parsed.get("statements", ())) == 1 and all(kind in _READING for kind in _node_types(parsed))


def _node_types(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        kind = part.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE"):
            yield kind
        for value in part.values():
            yield from _node_types(value)
    elif isinstance(part, list):
        for value in part:
            yield from _node_types(value)
