"""The process in which a user's query runs: it opens the tables of one moment, gives its rights up, and answers.

Request and answer are pickles on stdin and stdout; the other end is query_process. Does not belong here: which
statements are allowed (read_only_sql), limits on waiting (query_process).
"""

import os
import pickle
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb

from zentra_pipeline import machine_errors, sql_text
from zentra_pipeline.errors import LimitExceededError, UsageError, ZentraError
from zentra_pipeline.published import declared_tables, lake, read_only_sql, store_age
from zentra_pipeline.queries import confinement
from zentra_pipeline.queries.query_request import QueryRequest
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenancy import require_tenant

_ROWS_A_FRAME: Final = 1_000
_ROWS_A_BATCH: Final = 50_000
# What interpreter and DuckDB take beside the memory of the query, address space that is only reserved included.
_BESIDE: Final = 16 << 30


def main() -> None:
    """Answer the one request on stdin."""
    request: QueryRequest = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints does not print into the answer
    try:
        _answer(request, answers)
    except ZentraError as error:
        _send(answers, ("error", type(error).__name__, str(error)))
    except MemoryError:
        _send(answers, ("error", LimitExceededError.__name__, request.memory_message()))
    except Exception as error:  # a fault, which is not to look like a query that took too much
        known = machine_errors.explained(error) or ZentraError(
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        )
        _send(answers, ("error", type(known).__name__, str(known)))


def _answer(request: QueryRequest, answers: BinaryIO) -> None:
    paths = require_tenant(Home.at(request.home), request.tenant).paths
    file = Path(request.folder) / "catalog.duckdb"
    store_age.require_newest(paths)
    readable = lake.write_moment(paths, file, file.with_name("tenant"))
    confinement.confine(
        [file, paths.lake, paths.staged],
        request.seconds * request.threads + 5,
        _BESIDE + request.memory_bytes(),
    )
    with _connected(request, file, readable) as connection:
        _send(answers, ("ready",))
        try:
            _stream(request, connection, answers)
        except duckdb.OutOfMemoryException as cause:
            raise LimitExceededError(request.memory_message()) from cause
        except duckdb.Error as cause:
            if known := machine_errors.explained(cause):
                raise known from cause
            raise UsageError(f"the query cannot be answered: {cause}") from cause


def _connected(request: QueryRequest, file: Path, readable: list[Path]) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "threads": request.threads,
        "memory_limit": request.memory,
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
    }
    connection = duckdb.connect(config=config)
    connection.execute(f"attach {sql_text.literal(str(file))} as zentra (read_only)")
    connection.execute("use zentra.main")
    connection.execute(sql_text.allowed_paths(readable))
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _stream(request: QueryRequest, connection: duckdb.DuckDBPyConnection, answers: BinaryIO) -> None:
    read_only_sql.check(connection, request.sql, declared_tables.tables())
    if request.as_arrow:
        _stream_arrow(connection.sql(request.sql, params=list(request.parameters)), answers)
        return
    answer = connection.execute(request.sql, list(request.parameters))
    described = answer.description or []
    first = answer.fetchmany(min(_ROWS_A_FRAME, request.most or _ROWS_A_FRAME))
    types = [str(column[1]) for column in described]
    zoned = [place for place, data_type in enumerate(types) if "TIME ZONE" in data_type]
    _send(answers, ("columns", [column[0] for column in described], types))
    sent, rows = 0, first
    while rows:
        _send(answers, ("rows", [_in_utc(row, zoned) for row in rows] if zoned else rows))
        sent += len(rows)
        if request.most is not None and sent >= request.most:
            break
        left = _ROWS_A_FRAME if request.most is None else min(_ROWS_A_FRAME, request.most - sent)
        rows = answer.fetchmany(left)
    _send(answers, ("end",))


def _stream_arrow(answer: duckdb.DuckDBPyRelation, answers: BinaryIO) -> None:
    """The answer as Arrow IPC streams, a batch each; what types it has is in them."""
    types = [str(data_type) for data_type in answer.types]
    reader = answer.to_arrow_reader(_ROWS_A_BATCH)
    _send(answers, ("columns", list(reader.schema.names), types))
    _send(answers, ("rows", _stream_of(reader.schema, [])))  # an answer without rows has columns
    for batch in reader:
        _send(answers, ("rows", _stream_of(reader.schema, [batch])))
    _send(answers, ("end",))


def _stream_of(schema: Any, batches: list[Any]) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def _in_utc(row: tuple[Any, ...], zoned: list[int]) -> tuple[Any, ...]:
    """A row whose instants are in UTC by Python's own zone, which the other process can read."""
    values = list(row)
    for place in zoned:
        if isinstance(values[place], datetime):
            values[place] = values[place].astimezone(UTC)
    return tuple(values)


def _send(answers: BinaryIO, frame: tuple[Any, ...]) -> None:
    content = pickle.dumps(frame, protocol=5)
    answers.write(struct.pack(">Q", len(content)))
    answers.write(content)
    answers.flush()


if __name__ == "__main__":
    main()
