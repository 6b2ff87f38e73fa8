"""A tenant that sends webhooks to a scripted receiver on this machine, by a clock that tests move; no claims here."""

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline.events import types
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import event_log
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Attempt, Delivery, Endpoint
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import endpoints, sending
from zentra_pipeline.webhooks.sending import Sender, Tally
from zentra_pipeline.webhooks.transport import Limits

TENANT: Final = "acme"
NOW: Final = datetime(2026, 4, 27, 6, tzinfo=UTC)
QUICK: Final = Limits(connect_seconds=0.5, total_seconds=0.5)


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


Action = Callable[[socket.socket, threading.Event], None]


def answer(status: int, body: bytes = b"", **headers: str) -> Action:
    """Answer with a status; `_` in the names of headers is `-`."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(content: bytes) -> Action:
    """Answer with these bytes and close."""

    def act(connection: socket.socket, _closing: threading.Event) -> None:
        connection.sendall(content)

    return act


def silence(connection: socket.socket, closing: threading.Event) -> None:
    """Answer nothing until the test is over."""
    closing.wait(10)


def reset(connection: socket.socket, _closing: threading.Event) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(content: bytes, seconds: float = 0.05) -> Action:
    """Answer a byte at a time."""

    def act(connection: socket.socket, closing: threading.Event) -> None:
        for number in range(len(content)):
            connection.sendall(content[number : number + 1])
            if closing.wait(seconds):
                return

    return act


class Counterpart:
    """A receiver that does what its script says, one action a request; without a script it answers 204."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: list[Action] = []
        self._closing = threading.Event()
        counterpart = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                line = self.rfile.readline().decode().strip()
                headers = {}
                while content := self.rfile.readline().strip():
                    name, _, value = content.decode().partition(":")
                    headers[name.strip().lower()] = value.strip()
                body = self.rfile.read(int(headers.get("content-length", "0")))
                counterpart.requests.append(Request(line, headers, body))
                action = counterpart.script.pop(0) if counterpart.script else answer(204)
                try:
                    action(self.connection, counterpart._closing)
                except OSError:
                    return  # the sender has gone

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def counterpart() -> Iterator[Counterpart]:
    made = Counterpart()
    try:
        yield made
    finally:
        made.close()


@dataclass
class Station:
    """A home with one tenant; `now` is what the clock shows."""

    tenant: Tenant
    now: datetime = NOW
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return self.tenant.home

    @property
    def paths(self) -> TenantPaths:
        return self.tenant.paths

    @property
    def sender(self) -> Sender:
        return Sender(self.tenant, lambda: self.now, QUICK)

    def add(self, url: str, **options: Any) -> str:
        """Add an endpoint on this machine; its id."""
        options = {"is_loopback_allowed": True, **options}
        endpoint, secret = endpoints.add(self.tenant, url, actor="ada", now=self.now, **options)
        self.secrets[endpoint.endpoint_id] = secret
        return endpoint.endpoint_id

    def emit(self, *names: str, event_type: str = types.RUN_CREATED) -> list[str]:
        """Put single events into the log; their ids."""
        ids = []
        for name in names:
            event = cloud_event(
                event_type,
                tenant=TENANT,
                fact=[name],
                subject=name,
                run_id="run_1",
                actor="ada",
                at=self.now,
                data={"owner": "é\u2028"},
            )
            with self.tenant.writing() as connection:
                event_log.append(connection, event)
            ids.append(event["id"])
        return ids

    def emit_file(self, name: str, rows: Sequence[tuple[str, str, str]]) -> None:
        """Put the events of a lake file into the log: type, subject, data as JSON."""
        relative = f"lake/events/provider=p/ledger_window=2026-04-26/{name}.parquet"
        path = self.paths.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(
                'create table emitted ("offset" bigint, event_id varchar, event_type varchar, subject varchar, '
                "event_time timestamp, actor varchar, run_id varchar, data varchar)"
            )
            connection.executemany(
                "insert into emitted values (?, ?, ?, ?, ?, 'system', 'run_1', ?)",
                [
                    (place, f"evt_{name}_{place}", kind, subject, self.now.replace(tzinfo=None), data)
                    for place, (kind, subject, data) in enumerate(rows)
                ],
            )
            connection.execute(f"copy emitted to '{path}' (format parquet)")
        with self.tenant.writing() as connection:
            event_log.append_file(connection, run_id="run_1", events=len(rows), path=relative, sha256="0" * 64)

    def send(self) -> Tally:
        return sending.send_due(self.sender)

    def wait(self, **by: float) -> None:
        self.now += timedelta(**by)

    def deliveries(self, **chosen: Any) -> list[Delivery]:
        with self.tenant.reading() as connection:
            return webhook_store.deliveries(connection, **chosen)

    def attempts(self, **chosen: Any) -> list[Attempt]:
        with self.tenant.reading() as connection:
            return webhook_store.attempts(connection, **chosen)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        with self.tenant.reading() as connection:
            found = webhook_store.find_endpoint(connection, endpoint_id)
        assert found is not None
        return found


def make_station(folder: Path) -> Station:
    home = Home.at(folder / "home")
    tenancy.init_home(home)
    return Station(tenancy.add_tenant(home, TENANT, NOW))
