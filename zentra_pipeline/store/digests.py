"""Gives each row that somebody answers for a digest of its own, by which a flipped bit is found; judging is elsewhere.

A new row gets it as it is inserted (the default of its column `row_digest`), a changed one through `change_rows`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Row, String, Table, select, update

COLUMN: Final = "row_digest"
# How far a delivery or an intent has come on its way into a file; many change at once, and the file shows it as well.
_ON_THE_WAY: Final = frozenset({COLUMN, "batch", "staging"})
_ALSO_ON_THE_WAY: Final = {"callback_inbox": frozenset({"status"})}


def column() -> Column[str]:
    """The column that holds a row's digest."""
    return Column(COLUMN, String(64), nullable=True, default=_of_inserted, comment="SHA-256 of the row's other columns")


def covered(table: Table) -> list[Column[Any]]:
    """The columns whose values a row's digest covers."""
    left_out = _ON_THE_WAY | _ALSO_ON_THE_WAY.get(table.name, frozenset())
    return [each for each in table.columns if each.name not in left_out]


def facts(table: Table) -> list[Column[Any]]:
    """Every column but the digest: what a row says."""
    return [each for each in table.columns if each.name != COLUMN]


def digest_of(table: Table, values: Mapping[str, Any]) -> str:
    """Digest of a row: the same values have the same one in either database."""
    names = sorted(each.name for each in covered(table))
    content = [[name, _plain(values.get(name))] for name in names]
    canonical = json.dumps([table.name, content], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def change_rows(connection: Connection, table: Table, these: ColumnElement[bool], values: Mapping[str, Any]) -> None:
    """Update some rows, and their digests with them."""
    key = list(table.primary_key)
    found = connection.execute(select(*key).where(these)).all()
    connection.execute(update(table).where(these).values(dict(values)))
    for row in found:
        this = _is(table, row)
        changed = dict(connection.execute(select(table).where(this)).one()._mapping)
        connection.execute(update(table).where(this).values({COLUMN: digest_of(table, changed)}))


def rows_apart(connection: Connection, table: Table) -> Iterator[str]:
    """The rows whose digest is not that of what they hold, each by its primary key."""
    for row in connection.execute(select(table).order_by(*table.primary_key)):
        values = dict(row._mapping)
        if values[COLUMN] != digest_of(table, values):
            yield ", ".join(f"{each.name} {values[each.name]!r}" for each in table.primary_key)


def _is(table: Table, key: Row[Any]) -> ColumnElement[bool]:
    first, *others = (each == key._mapping[each.name] for each in table.primary_key)
    condition: ColumnElement[bool] = first
    for other in others:
        condition &= other
    return condition


def _of_inserted(context: Any) -> str:
    return digest_of(context.current_column.table, context.get_current_parameters())


def _plain(value: Any) -> Any:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
