"""What a client may take of a connection before it has a token: bytes and time of its headers, pace of its body.

uvicorn waits for headers and bodies without end; this protocol does not. Does not belong here: what a request asks for.
"""

import asyncio
import itertools
import resource
from asyncio.events import TimerHandle
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from zentra_pipeline.api import problems
from zentra_pipeline.api.problems import ProblemError

_FILES_BESIDE: Final = 256  # stores, logs, published files: what a server opens beside its connections
_TICK_SECONDS: Final = 5.0
_numbers: Final = itertools.count(1)  # of connections as they come; uvloop's clock gives many of them the same time


@dataclass(frozen=True)
class ConnectionLimits:
    """Bytes and seconds of a request's headers, bytes a second of its body behind a grace, and connections at once."""

    header_bytes: int = 64 * 1024
    header_seconds: float = 10.0
    body_grace_seconds: float = 30.0
    body_bytes_per_second: int = 1_024
    connections: int = 4_096


def protocol_of(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """The protocol class of a server with these limits, for uvicorn's `http`."""

    class Limited(LimitedProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, limits=limits, **options)

    return Limited


def raise_file_limit(limits: ConnectionLimits) -> ConnectionLimits:
    """Let this process open as many files as the system allows, and take no more connections than that leaves room."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _FILES_BESIDE
    soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connections = max(1, soft - _FILES_BESIDE)
    return ConnectionLimits(**vars(limits) | {"connections": min(limits.connections, connections)})


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; a client that exceeds one is answered 408 or 431 and disconnected."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._timer: TimerHandle | None = None
        self._number = 0
        self._is_in_body = False
        self._heads = 0
        self._head_bytes = 0
        self._body_bytes = 0
        self._body_until = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether the server owes this connection no answer."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._number = next(_numbers)
        self._expect_head()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._body_bytes += len(data)
        heads_before, was_in_body = self._heads, self._is_in_body
        super().data_received(data)
        if was_in_body or self._is_in_body or self._heads != heads_before or self.transport.is_closing():
            return
        if self._timer is None and self.is_idle:
            self._expect_head()
        self._head_bytes += len(data)
        if self._head_bytes > self._limits.header_bytes:
            self._refuse("headers-too-large", f"The headers may have {self._limits.header_bytes:,} bytes.")

    def on_message_begin(self) -> None:
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._is_in_body, self._head_bytes, self._body_bytes = True, 0, 0
        self._heads += 1
        super().on_headers_complete()
        self._body_until = self.loop.time() + self._limits.body_grace_seconds
        self._timer = self.loop.call_later(_TICK_SECONDS, self._check_body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._is_in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every other problem is answered."""
        self._refuse("malformed", msg)

    def _expect_head(self) -> None:
        self._stop_timer()
        self._head_bytes = 0
        self._timer = self.loop.call_later(self._limits.header_seconds, self._end_head)

    def _end_head(self) -> None:
        self._timer = None
        if not self.is_idle or self.transport.is_closing():
            return
        self._refuse("timeout", f"The headers have to be sent within {self._limits.header_seconds:g} seconds.")

    def _check_body(self) -> None:
        """End a body that comes more slowly than allowed; time in which the server itself does not read is free."""
        self._timer = None
        if self.transport.is_closing() or not self._is_in_body:
            return
        if self.flow.read_paused:
            self._body_until += _TICK_SECONDS
        earned = self._body_bytes / self._limits.body_bytes_per_second
        if self.loop.time() > self._body_until + earned:
            self._refuse("timeout", f"The body has to come at {self._limits.body_bytes_per_second:,} bytes a second.")
            return
        self._timer = self.loop.call_later(_TICK_SECONDS, self._check_body)

    def _make_room(self) -> None:
        """Close the connection that was opened first of those that are owed no answer, else the newest."""
        kept = [each for each in self.connections if not each.transport.is_closing()]
        if len(kept) > self._limits.connections:
            idle = [each for each in kept if isinstance(each, LimitedProtocol) and each.is_idle]
            min(idle, key=lambda each: each._number, default=self).transport.abort()

    def _refuse(self, name: str, detail: str) -> None:
        self._stop_timer()
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        answer = problems.response(ProblemError(name, detail))
        head = [f"HTTP/1.1 {answer.status_code} {problems.KINDS[name].title}".encode()]
        head += [b"%s: %s" % header for header in answer.raw_headers] + [b"connection: close", b"", b""]
        self.transport.write(b"\r\n".join(head) + bytes(answer.body))
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
