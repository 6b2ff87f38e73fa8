"""A receiver to try webhooks with: verifies each delivery, says what it made of it, and fails when asked to.

For trying things on one machine, and an example of what a receiver has to do. Nothing of Zentra's own needs it.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from zentra_pipeline.sources import signatures

_MOST_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Received:
    """A delivery as it came: is it signed, did it come before, what was answered (null: nothing, for long)."""

    number: int
    event_id: str
    event_type: str | None
    is_verified: bool
    is_repeat: bool
    answered: int | None


@dataclass(frozen=True)
class Behaviour:
    """What the receiver does: the first deliveries get no answer for a while, the next ones a failure, the rest 204."""

    secrets: Sequence[str]
    silent: int = 0
    silent_seconds: float = 20.0
    failing: int = 0
    failing_status: int = 500


class Receiver:
    """Listens on 127.0.0.1; `show` is called for each delivery, in any thread, one at a time."""

    def __init__(
        self,
        behaviour: Behaviour,
        show: Callable[[Received], None],
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._behaviour = behaviour
        self._show = show
        self._now = now
        self._lock = threading.Lock()
        self._count = 0
        self._seen: set[str] = set()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = False  # so that closing waits for the answers under way

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def serve(self) -> None:
        """Take deliveries until `close` is called, by another thread."""
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """End `serve`; answers that are under way are given, those that are late are not."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: Any, body: bytes) -> Received:
        """What is made of a delivery; it is shown before it is answered."""
        given = {name: headers.get(name, "") for name in signatures.STANDARD_HEADERS}
        is_verified = signatures.is_signed("canonical", body, given, self._behaviour.secrets, self._now())
        event_id = given["webhook-id"]
        with self._lock:
            self._count += 1
            number, is_repeat = self._count, event_id in self._seen
            status = self._status(number, is_verified)
            if is_verified and status is not None and status < 300:
                self._seen.add(event_id)
            received = Received(number, event_id, _event_type(body), is_verified, is_repeat, status)
            self._show(received)
        if status is None:
            self._closing.wait(self._behaviour.silent_seconds)
        return received

    def _status(self, number: int, is_verified: bool) -> int | None:
        if number <= self._behaviour.silent:
            return None
        if number <= self._behaviour.silent + self._behaviour.failing:
            return self._behaviour.failing_status
        return 204 if is_verified else 401

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if not (length.isascii() and length.isdigit()) or int(length) > _MOST_BYTES:
                    self.close_connection = True
                    return
                received = receiver.take(self.headers, self.rfile.read(int(length)))
                if received.answered is None:
                    self.close_connection = True
                    return
                self.send_response(received.answered)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: `show` does it."""

        return Handler


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    """Have a receiver listen in a thread for as long as the block."""
    thread = threading.Thread(target=receiver.serve, name="receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        thread.join()


def _event_type(body: bytes) -> str | None:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = event.get("type") if isinstance(event, dict) else None
    return found if isinstance(found, str) else None
