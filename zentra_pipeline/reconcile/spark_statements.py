"""The compiled statements as Spark and Sail execute them: what dbt compiled for the target `spark`, made fit for both.

The models' macros carry what differs (dbt_project/macros/portable.sql). What is left is of the text: names of tables
and types, quotes within literals, `* exclude (…)`, which Sail has not, and CTEs that are used twice, which both servers
would make twice and which are tables of their own here (ADR 0078). Does not belong here: compiling, executing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.reconcile import statement_shapes
from zentra_pipeline.reconcile.compiled_nodes import CompiledNode
from zentra_pipeline.reconcile.run_kinds import RunKind

# Comments, literals and quoted names are read as a whole; of the rest only parentheses matter.
_PIECES: Final = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|[()]")
_COMMENTS_AND_LITERALS: Final = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
_CTE: Final = re.compile(r"\s*,?\s*(\w+)\s+as\s+(?:not\s+materialized\s+)?\(")
_TABLE: Final = re.compile(r"`(\w+)`\.`(\w+)`")
_READ: Final = re.compile(r"\b(?:from|join)\s+(`?\w+`?(?:\.`?\w+`?)*)(?:\s+as\s+(\w+))?")
_STAR_BUT: Final = re.compile(r"(?:(\w+)\.)?\*\s+(exclude|replace)\s+\(")
# What makes a CTE worth keeping: without any of it, it is rows of a table as they are read.
_WORK: Final = re.compile(r"\b(join|group by|distinct|over|union)\b")
_CAST_TYPE: Final = re.compile(r"\bas (varchar|hugeint|timestamp)\)")
# Relations of one row. Sail loses conditions of an inner join behind a cross join (an equality one side of which is of
# two relations), and none behind a left join, which says the same of one row.
_CROSS_JOIN: Final = re.compile(r"\bcross join ((?:scope|profile)\b(?! as)|`?\w+`? as (?:scope|profile)\b)")
TYPES: Final[Mapping[str, str]] = {
    "varchar": "string",
    "bigint": "bigint",
    "integer": "int",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp_ntz",
    "hugeint": "decimal(38, 0)",
}


@dataclass(frozen=True)
class _Query:
    """A statement as its CTEs, name → body in their order, and the select behind them."""

    ctes: Mapping[str, str]
    select: str

    def with_all(self, select: str) -> str:
        """Another select behind the same CTEs."""
        return _with(self.ctes, select)


def view_of(table: str) -> str:
    """The name of a session's view over what is `<schema>.<table>` elsewhere: sessions share no schemas."""
    return table.replace(".", "__")


def adapted(
    of_duckdb: Sequence[CompiledNode], compiled: Mapping[str, CompiledNode], kind: RunKind
) -> list[CompiledNode]:
    """The statements of a kind with what the servers execute; `compiled` are those of the target `spark`, by id.

    Columns, and when a statement has no rows, are those that DuckDB's plans say: the statements say the same.
    """
    result = []
    with statement_shapes.empty_database(kind) as connection:
        for one in of_duckdb:
            columns = ", ".join(f'"{name}" {data_type}' for name, data_type in one.columns.items())
            if one.relation is not None:
                connection.execute(f"create table {one.relation} ({columns})")
        for one in of_duckdb:
            query = _parsed(one.sql)

            def columns_of(relation: str, query: _Query = query) -> list[str]:
                described = connection.execute(f"describe {query.with_all(f'select * from {relation}')}").fetchall()
                return [str(name) for name, *_ in described]

            other = compiled[one.unique_id]
            parts, sql = _parts(other, _expanded(_parsed(other.sql), columns_of))
            result.append(
                replace(
                    other,
                    sql=sql,
                    parts=tuple(parts.items()),
                    columns=one.columns,
                    empty_when=one.empty_when,
                    target="spark",
                )
            )
    return result


def _parsed(sql: str) -> _Query:
    ctes: dict[str, str] = {}
    start = re.compile(r"(?:\s*--[^\n]*\n)*\s*with\b").match(sql)
    if start is None:
        return _Query(ctes, sql)
    at = start.end()
    while found := _CTE.match(sql, at := _behind_comments(sql, at)):
        end = _closing(sql, found.end())
        ctes[found[1]] = sql[found.end() : end]
        at = end + 1
    return _Query(ctes, sql[at:])


def _behind_comments(sql: str, at: int) -> int:
    found = re.compile(r"(?:\s*,?\s*--[^\n]*\n)+").match(sql, at)
    return at if found is None else found.end()


def _closing(sql: str, at: int) -> int:
    """Where the parenthesis closes that was opened just before `at`."""
    depth = 1
    for piece in _PIECES.finditer(sql, at):
        depth += {"(": 1, ")": -1}.get(piece[0], 0)
        if depth == 0:
            return piece.start()
    raise RunFailedError(f"dbt compiled a statement whose parentheses do not close: {sql[:200]}")


def _expanded(query: _Query, columns_of: Callable[[str], list[str]]) -> _Query:
    """The query with the columns that `* exclude (…)` and `* replace (…)` stand for; `columns_of` has them."""

    def named(body: str) -> str:
        while found := _STAR_BUT.search(body):
            end = _closing(body, found.end())
            listed = _listed(body[found.end() : end])
            others = {} if found[2] == "exclude" else {text.rpartition(" as ")[2].strip(): text for text in listed}
            without = set() if others else set(listed)
            of = f"{found[1]}." if found[1] else ""
            columns = columns_of(_relation(body, found[1], found.end()).replace("`", '"'))
            names = (others.get(name, f"{of}{name}") for name in columns if name not in without)
            body = f"{body[: found.start()]}{', '.join(names)}{body[end + 1 :]}"
        return body

    return _Query({name: named(body) for name, body in query.ctes.items()}, named(query.select))


def _listed(text: str) -> list[str]:
    """The parts of a list, apart by commas that are in no parentheses."""
    parts, depth = [""], 0
    for piece in re.split(r"('(?:[^']|'')*'|[(),])", text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def _relation(body: str, alias: str | None, at: int) -> str:
    """What `alias.*` reads, or `*` the relation of which is named behind it."""
    if alias is None:
        return next(found[1] for found in _READ.finditer(body, at))
    for found in _READ.finditer(body):
        if alias == (found[2] or found[1]):
            return found[1]
    raise RunFailedError(f"{alias}.* names nothing that is read beside it")


def _parts(statement: CompiledNode, query: _Query) -> tuple[dict[str, str], str]:
    """The tables to make first, view → select, and the select of the statement, which reads them."""
    ctes = {name: _text(body) for name, body in query.ctes.items()}
    select = _text(query.select)
    base = view_of(statement.table or statement.unique_id.replace(".", "_"))
    kept = _used_twice(ctes, select)
    parts: dict[str, str] = {}
    for name, body in list(ctes.items()):
        if name in kept:
            view = f"{base}__{name}"
            parts[view] = _with(ctes, body)
            ctes[name] = f"select * from `{view}`"
    return parts, _with(ctes, select)


def _text(sql: str) -> str:
    """The text of a select in the servers' words."""

    def in_their_words(found: re.Match[str]) -> str:
        if found[0].startswith("--"):
            return ""
        content = found[0][1:-1].replace("\\", "\\\\").replace("''", "\\'")
        return f"'{content}'"

    sql = _COMMENTS_AND_LITERALS.sub(in_their_words, sql)
    sql = _TABLE.sub(lambda found: f"`{view_of(f'{found[1]}.{found[2]}')}`", sql)
    sql = _CROSS_JOIN.sub(r"left join \1 on true", sql)
    return _CAST_TYPE.sub(lambda found: f"as {TYPES[found[1]]})", sql)


def _reads(body: str) -> list[str]:
    return [found[1] for found in _READ.finditer(body)]


def _used_twice(ctes: Mapping[str, str], select: str) -> set[str]:
    """The CTEs that would be made twice or more, and are more than rows of a table as they are read."""
    uses = dict.fromkeys(ctes, 0)
    kept: set[str] = set()

    def count(body: str, times: int) -> None:
        for name in _reads(body):
            if name in uses:
                uses[name] += times

    count(select, 1)
    for name, body in reversed(list(ctes.items())):
        if uses[name] > 1 and (_WORK.search(body) or any(read in ctes for read in _reads(body))):
            kept.add(name)
            count(body, 1)
        else:
            count(body, uses[name])
    return kept


def _with(ctes: Mapping[str, str], select: str) -> str:
    """A select behind those CTEs that it needs."""
    needed: set[str] = set()
    waiting = _reads(select)
    while waiting:
        name = waiting.pop()
        if name in ctes and name not in needed:
            needed.add(name)
            waiting += _reads(ctes[name])
    listed = ", ".join(f"{name} as ({body})" for name, body in ctes.items() if name in needed)
    return f"with {listed} {select}" if listed else select
