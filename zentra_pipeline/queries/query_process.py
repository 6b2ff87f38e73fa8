"""Runs a user's query in a process of its own and hands its rows on as they come; nothing is gathered here.

Does not belong here: what that process does (query_child), what rows look like as text (result_text).
"""

import io
import json
import os
import pickle
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from zentra_pipeline import errors
from zentra_pipeline.errors import LimitExceededError, ZentraError
from zentra_pipeline.queries.query_request import QueryRequest

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from zentra_pipeline.queries import query_child; query_child.main()"
)
_VALUES: Final = frozenset(
    {
        *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(("decimal", "Decimal"), ("uuid", "UUID"), ("uuid", "SafeUUID")),
    }
)
_PIECE: Final = 1 << 20
_TO_GET_READY: Final = 300.0


@dataclass(frozen=True)
class StreamedResult:
    """The answer to a query: column names, DuckDB type names, and rows of Python values, to be read once.

    Of an answer as Arrow a row is a frame of the other process: `rows` and the bytes of an Arrow IPC stream.
    """

    columns: list[str]
    types: list[str]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def answered(request: QueryRequest, meanwhile: Callable[[], None] | None = None) -> Iterator[StreamedResult]:
    """The answer to a request, while its process lives; what the reader leaves unread is not computed.

    `meanwhile` is called while the process gets ready, before any row is handed on.

    Raises UsageError for anything that is not a single query over published tables, LimitExceededError when it takes
    more time or memory than it may.
    """
    command = [sys.executable, "-c", _START, json.dumps(sys.path)]
    with (
        tempfile.TemporaryDirectory(prefix="zentra-query-") as folder,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process,  # noqa: S603
    ):
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with process.stdin as asking, memoryview(pickle.dumps(replace(request, folder=folder))) as content:
                sent = 0
                while sent < len(content):
                    sent += asking.write(content[sent:])
            if meanwhile is not None:
                meanwhile()
            frames = _frames(request, process.stdout.fileno())
            next(frames)
            _, columns, types = next(frames)
            yield StreamedResult(columns, types, map(tuple, frames) if request.as_arrow else _rows(frames))
        finally:
            process.kill()


def _rows(frames: Iterator[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    for frame in frames:
        yield from frame[1]


def _frames(request: QueryRequest, stream: int) -> Iterator[Sequence[Any]]:
    """The frames of an answer up to its end; only waiting for them counts against the time limit."""
    left = _TO_GET_READY
    while True:
        size, left = _read(request, stream, 8, left)
        content, left = _read(request, stream, struct.unpack(">Q", size)[0], left)
        frame = _Values(io.BytesIO(content)).load()
        if frame[0] == "error":
            raise _error(frame[1], frame[2])
        if frame[0] == "end":
            return
        if frame[0] == "ready":
            left = float(request.seconds)
        yield frame


def _read(request: QueryRequest, stream: int, size: int, left: float) -> tuple[bytes, float]:
    pieces: list[bytes] = []
    missing = size
    while missing:
        started = time.monotonic()
        ready, _, _ = select.select([stream], [], [], max(left, 0))
        left -= time.monotonic() - started
        if not ready:
            raise LimitExceededError(request.time_message())
        piece = os.read(stream, min(missing, _PIECE))
        if not piece:
            raise LimitExceededError(
                "the process that ran the query was ended by the system: it took more memory or processor time than "
                f"it may; {request.memory_message()}"
            )
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces), left


class _Values(pickle.Unpickler):
    """Reads values that DuckDB gives and nothing else: the other process is not trusted with more."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _VALUES:
            raise pickle.UnpicklingError(f"{module}.{name} is no value of a query")
        return super().find_class(module, name)


def _error(name: str, message: str) -> ZentraError:
    kind = getattr(errors, name, ZentraError)
    return kind(message) if isinstance(kind, type) and issubclass(kind, ZentraError) else ZentraError(message)
