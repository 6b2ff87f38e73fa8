"""Rows of published tables as JSON, and their JSON Schema from the same contracts the tables are checked against.

Amounts are integers of minor units, instants UTC with Z, days YYYY-MM-DD. Which rows one gets does not belong here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi.responses import Response

from zentra_pipeline.published import declared_tables, lake
from zentra_pipeline.queries.result_text import json_value
from zentra_pipeline.settings import TenantPaths

_TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "varchar": {"type": ["string", "null"]},
    "bigint": {"type": ["integer", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "date": {"type": ["string", "null"], "format": "date"},
    "timestamp": {"type": ["string", "null"], "format": "date-time"},
}
# Text columns that hold JSON, shown as JSON values.
_JSON_COLUMNS: Final = frozenset({"candidates"})


def query(paths: TenantPaths, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query over the published tables, as JSON values."""
    found = lake.query(paths, sql, parameters)
    return [as_object(found.columns, row) for row in found.rows]


def as_object(columns: Sequence[str], row: Sequence[object]) -> dict[str, Any]:
    """A row as a JSON object."""
    return {column: _value(column, value) for column, value in zip(columns, row, strict=True)}


def row_schema(table: str, **further: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a row of a published table, with members that answers have beside its columns."""
    columns = declared_tables.tables()[table].columns
    return schema_of({name: column.data_type for name, column in columns.items()}, **further)


def schema_of(columns: Mapping[str, str], **further: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object of columns of DuckDB types."""
    properties = {
        column: {"type": "array", "items": {"type": "object"}} if column in _JSON_COLUMNS else _TYPES[data_type]
        for column, data_type in columns.items()
    }
    properties |= further
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as a JSON response; integers keep every digit."""
    return Response(orjson.dumps(content), status, dict(headers or {}), "application/json")


def _value(column: str, value: object) -> object:
    if column in _JSON_COLUMNS:
        return json.loads(str(value)) if value else []
    return json_value(value)
