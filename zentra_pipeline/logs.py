"""The log of a server and its worker on stderr: lines for people, or one JSON object a line with ZENTRA_LOG=json.

An object has `at`, `level`, `source`, `message`, and what is known of the request or run it is about: `request_id`,
`tenant`, `actor`, `run_id`. Does not belong here: what is worth a line.
"""

import json
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from zentra_pipeline import settings

INFO: Final = "info"
ERROR: Final = "error"
# One mutable mapping a request or run: whoever works for it, in whatever thread, adds to the same.
_facts: ContextVar[dict[str, Any] | None] = ContextVar("zentra_log_facts", default=None)


@contextmanager
def about(**facts: Any) -> Iterator[dict[str, Any]]:
    """Have every line of JSON within carry these facts, and those that `note` adds meanwhile."""
    outer = _facts.get() or {}
    token = _facts.set({**outer, **facts})
    try:
        yield _facts.get() or {}
    finally:
        _facts.reset(token)


def note(**facts: Any) -> None:
    """Add to what is known of the request or run being worked for; nothing where there is none."""
    known = _facts.get()
    if known is not None:
        known.update(facts)


def known(fact: str) -> Any:
    """What is known by this name of the request or run being worked for; null where nothing is."""
    return (_facts.get() or {}).get(fact)


def new_request_id() -> str:
    """An id for a request that came without one."""
    return secrets.token_hex(8)


def write(source: str, message: str, level: str = INFO, **facts: Any) -> None:
    """Write a line: `source: message`, facts left out, or all of it as JSON."""
    line = _json(source, message, level, facts) if settings.logs_json() else f"{source}: {message}"
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class JsonFormatter(logging.Formatter):
    """Records of libraries in the same form; `source` is the name of their logger."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        return _json(record.name, message, record.levelname.lower(), {})


def of_libraries() -> dict[str, Any] | None:
    """The configuration that has uvicorn log as this log is written; null where its own will do."""
    if not settings.logs_json():
        return None
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {"uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
    }


def _json(source: str, message: str, level: str, facts: dict[str, Any]) -> str:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = {name: value for name, value in {**(_facts.get() or {}), **facts}.items() if value is not None}
    return json.dumps({"at": at, "level": level, "source": source, "message": message, **known}, default=str)
