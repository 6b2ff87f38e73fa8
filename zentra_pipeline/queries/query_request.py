"""What is asked of the process that runs a query, and its limits; nothing heavy is imported here."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from zentra_pipeline import settings
from zentra_pipeline.errors import UsageError

SECONDS_VARIABLE: Final = "ZENTRA_QUERY_SECONDS"
MEMORY_VARIABLE: Final = "ZENTRA_QUERY_MEMORY"
_SIZE: Final = re.compile(r"([1-9][0-9]{0,8})(MB|GB)", re.IGNORECASE)
_MOST_SECONDS: Final = 86_400


@dataclass(frozen=True)
class QueryRequest:
    """A statement over a tenant's published tables, and how long it may compute (seconds) in how much memory (`1GB`).

    `most` is how many rows are wanted at most; null wants all. `folder` is an empty one for the process's own use. With
    `as_arrow` the answer is Arrow's record batches in place of rows.
    """

    home: str
    tenant: str
    sql: str
    parameters: Sequence[Any]
    seconds: int
    memory: str
    threads: int
    most: int | None = None
    folder: str = ""
    as_arrow: bool = False

    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        found = _SIZE.fullmatch(self.memory)
        assert found is not None
        return int(found[1]) * (10**6 if found[2].upper() == "MB" else 10**9)

    def memory_message(self) -> str:
        """What is said when the memory does not suffice."""
        return (
            f"the query needs more memory than the {self.memory} it may take: ask for less at a time, or allow more "
            f"with --memory or {MEMORY_VARIABLE}"
        )

    def time_message(self) -> str:
        """What is said when the time is over."""
        return (
            f"the query did not end within {self.seconds} seconds: ask for less at a time, or allow more with "
            f"--timeout or {SECONDS_VARIABLE}"
        )


def request(
    home: str,
    tenant: str,
    sql: str,
    parameters: Sequence[Any] = (),
    *,
    seconds: int | None = None,
    memory: str | None = None,
    most: int | None = None,
    as_arrow: bool = False,
) -> QueryRequest:
    """A request with the limits given, else those of the environment, else 60 seconds and 1GB; UsageError otherwise."""
    text = str(seconds) if seconds is not None else os.environ.get(SECONDS_VARIABLE) or "60"
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= _MOST_SECONDS:
        raise UsageError(f"a time limit of {text!r} is not possible: use whole seconds, 1 to {_MOST_SECONDS}")
    size = memory or os.environ.get(MEMORY_VARIABLE) or "1GB"
    if not _SIZE.fullmatch(size):
        raise UsageError(f"a memory limit of {size!r} is not possible: use a whole number of MB or GB, such as 2GB")
    return QueryRequest(
        home, tenant, sql, tuple(parameters), int(text), size, settings.threads(), most, as_arrow=as_arrow
    )
