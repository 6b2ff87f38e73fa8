"""How many callbacks a second the server takes, and that each one it acknowledged is there after `kill -9`.

A server process and this one share the machine; every delivery is another body, signed, on one of many connections that
stay open. The server is killed in full flight. Usage: python -m benchmarks.callback_intake --seconds 10
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from zentra_pipeline.settings import Home
from zentra_pipeline.store.models import callback_inbox
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

TENANT = "bench"
PROVIDER = "rail"
SECRET = "bench-secret"  # noqa: S105 - of a home that is gone a moment later


@dataclass
class Taken:
    """What the server acknowledged (digests of bodies), how long each took, and how it answered otherwise."""

    acknowledged: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def prepare(folder: Path) -> tuple[Home, str]:
    """A home with a tenant and a token that may deliver."""
    home, now = Home.at(folder / "home"), datetime.now(UTC)
    tenancy.init_home(home)
    tenancy.add_tenant(home, TENANT, now)
    token, _ = access.create_token(home, tenant=TENANT, actor="sender", role="service", now=now)
    return home, token


@contextmanager
def server(home: Home, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server of the home, which is killed where it still runs at the end."""
    command = [sys.executable, "-m", "zentra_pipeline", "serve", "--home", str(home.root), "--port", str(port)]
    variable = f"ZENTRA_CALLBACK_SECRETS__{TENANT.upper()}__{PROVIDER.upper()}"
    process = subprocess.Popen([*command, "--no-worker"], env={**os.environ, variable: SECRET}, stderr=subprocess.PIPE)
    try:
        wait_until_it_answers(process, port)
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, patience: float = 60.0) -> None:
    """Wait for the server's port to open; RuntimeError when the process ends, or takes too long."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {process.stderr.read().decode() if process.stderr else ''}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server does not answer")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def request(token: str, number: int, at: int) -> tuple[bytes, str]:
    """One signed delivery as bytes of HTTP/1.1, and the digest of its body."""
    body = json.dumps(
        {
            "provider_event_id": f"evt_{number:09d}",
            "event_type": "payment.succeeded",
            "provider_reference": f"pay_{number:09d}",
            "merchant_reference": None,
            "amount_minor": 1000 + number % 1000,
            "currency": "USD",
            "status": "succeeded",
            "occurred_at": "2026-04-26T08:00:00Z",
        }
    ).encode()
    signed = hmac.new(SECRET.encode(), f"msg_{number}.{at}.".encode() + body, hashlib.sha256).digest()
    head = (
        f"POST /callbacks/{PROVIDER} HTTP/1.1\r\nHost: zentra\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nwebhook-id: msg_{number}\r\n"
        f"webhook-timestamp: {at}\r\nwebhook-signature: v1,{base64.b64encode(signed).decode()}\r\n\r\n"
    )
    return head.encode() + body, hashlib.sha256(body).hexdigest()


class _Connection(asyncio.Protocol):
    """One connection that delivers again as soon as it is answered; of bytes alone, so that it takes little itself."""

    def __init__(self, token: str, numbers: Iterator[int], until: float, taken: Taken) -> None:
        self._token, self._numbers, self._until, self._taken = token, numbers, until, taken
        self._received = b""
        self._digest, self._started = "", 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._deliver()

    def _deliver(self) -> None:
        if time.monotonic() >= self._until:
            self._transport.close()
            return
        content, self._digest = request(self._token, next(self._numbers), int(time.time()))
        self._started = time.perf_counter()
        self._transport.write(content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, answer = self._received.partition(b"\r\n\r\n")
        if not ended or len(answer) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self._received = b""
        if head.startswith(b"HTTP/1.1 200 "):
            self._taken.acknowledged.add(self._digest)
            self._taken.seconds.append(time.perf_counter() - self._started)
        else:
            self._taken.refused.append(answer.decode())
        self._deliver()

    def connection_lost(self, _cause: Exception | None) -> None:
        self.ended.set_result(None)


async def send(port: int, token: str, connections: int, until: float, taken: Taken) -> None:
    """Deliver on that many connections at once until a moment of the monotonic clock, or until the server is gone."""
    numbers, loop = iter(range(10**9)), asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: _Connection(token, numbers, until, taken), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in opened))


def kept(home: Home) -> set[str]:
    """Digests of the deliveries in the inbox."""
    with Tenant.of(home, TENANT).reading() as connection:
        return set(connection.execute(select(callback_inbox.c.sha256)).scalars())


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time that a running process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """What came of a load: deliveries, digests in the inbox, seconds, and those of processor time of both sides."""

    taken: Taken
    kept: set[str]
    seconds: float
    of_server: float
    of_senders: float


def measure(folder: Path, seconds: float, connections: int) -> Measured:
    """Load a server, kill it while it is loaded, and look at what is there."""
    home, token = prepare(folder)
    taken, port = Taken(), free_port()
    with server(home, port) as process:

        async def load() -> tuple[float, float, float]:
            started, own, used = time.monotonic(), time.process_time(), processor_seconds(process)
            sending = asyncio.create_task(send(port, token, connections, started + seconds + 5, taken))
            await asyncio.sleep(seconds)
            used = processor_seconds(process) - used
            process.send_signal(signal.SIGKILL)
            took = time.monotonic() - started
            own = time.process_time() - own
            await sending
            return took, used, own

        took, of_server, of_senders = asyncio.run(load())
    return Measured(taken, kept(home), took, of_server, of_senders)


def main() -> None:
    """Measure once and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.seconds, options.connections)
    count, lost = len(found.taken.acknowledged), len(found.taken.acknowledged - found.kept)
    ordered = sorted(found.taken.seconds)
    median, most = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    print(f"{count:,} acknowledged in {found.seconds:.1f} s: {count / found.seconds:,.0f} a second")
    print(f"median {median:.0f} ms, 99 % below {most:.0f} ms")
    for who, used in (("the server", found.of_server), ("the senders", found.of_senders)):
        print(f"{who} took {used:.1f} s of processor time, {1000 * used / count:.2f} ms each")
    print(f"{lost} of them lost after kill -9; {len(found.taken.refused)} answered otherwise")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
