"""Keeps an outage from filling the log: one line when it begins, one a minute while it lasts. It retries nothing."""

import threading
import time
from collections.abc import Callable
from typing import Final

SECONDS_BETWEEN_LINES: Final = 60.0


class OutageLog:
    """Writes the first message of an outage and at most one a minute after it, with how many were left out."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._written_at: float | None = None
        self._left_out = 0

    def note(self, message: str) -> None:
        """Write a message, or count it where one was written within a minute."""
        with self._lock:
            now = self._clock()
            if self._written_at is not None and now - self._written_at < SECONDS_BETWEEN_LINES:
                self._left_out += 1
                return
            more = f" ({self._left_out} more like it in the meantime)" if self._left_out else ""
            self._written_at, self._left_out = now, 0
        self._write(f"{message}{more}")
