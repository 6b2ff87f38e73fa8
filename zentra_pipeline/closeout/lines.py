"""Streams lines of canonical JSON that DuckDB makes into a file, without an object a row; what they say is elsewhere.

DuckDB lists members in the order it is given, so its lines are the RFC 8785 form of a row but for the escapes of
control characters; the lines that have some are written again.
"""

import json
from io import BufferedWriter
from typing import Any, Final

import duckdb

from zentra_pipeline import canonical_json

BATCH: Final = 50_000
CONTROL_ESCAPE: Final = "\\u00"


def write(lines: duckdb.DuckDBPyRelation, stream: BufferedWriter) -> int:
    """Write the only column of `lines`, each a text that ends its line; how many there were."""
    count = 0
    for batch in lines.to_arrow_reader(BATCH):
        stream.write(canonical(values_of(batch.column(0))))
        count += batch.num_rows
    return count


def values_of(column: Any) -> bytes:
    """The values of an Arrow array of texts or bytes, one after the other."""
    assert str(column.type) in ("string", "binary"), f"a column of {column.type}"
    _, ends, content = column.buffers()
    if content is None:
        return b""
    places = memoryview(ends).cast("i")
    first, last = places[column.offset], places[column.offset + len(column)]
    return bytes(memoryview(content)[first:last])


def canonical(content: bytes) -> bytes:
    """Lines as DuckDB makes them in their RFC 8785 form."""
    if CONTROL_ESCAPE.encode() not in content:
        return content
    return b"".join(map(_rewritten, content.splitlines(keepends=True)))


def _rewritten(line: bytes) -> bytes:
    return rewritten(line.decode()).encode() + b"\n" if CONTROL_ESCAPE.encode() in line else line


def rewritten(text: str) -> str:
    """One object in its RFC 8785 form."""
    return canonical_json.canonical(json.loads(text)).decode()
