"""The API of a home in a real server on loopback, and a line to it that breaks on request; no claim is made here."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn

from tests.api.conftest import Books, make_books, run_story
from zentra_pipeline.api.app import create_app
from zentra_pipeline.client import Retry
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

AT_ONCE = Retry(first_delay=0.001, longest_delay=0.002)
_KEY = re.compile(rb"^idempotency-key: (\S+)\r$", re.I | re.M)


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Look until something holds; fails when it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)


@contextmanager
def served(home: Home) -> Iterator[str]:
    """The address of a server for as long as somebody looks."""
    config = uvicorn.Config(create_app(home), host="127.0.0.1", port=0, access_log=False, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Line:
    """A line to a server: the first `lost` requests are carried out there, and their answers never arrive."""

    url: str
    lost: int
    keys: list[str] = field(default_factory=list)
    dropped: int = 0


@contextmanager
def breaking_line(server: str, lost: int) -> Iterator[Line]:
    """Such a line; each connection carries one request."""
    upstream = ("127.0.0.1", int(server.rsplit(":", 1)[1]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(f"http://127.0.0.1:{listener.getsockname()[1]}", lost)

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, socket.create_connection(upstream) as target:
                    request = _whole(client).replace(b"keep-alive", b"close")
                    line.keys += [key.decode() for key in _KEY.findall(request)]
                    target.sendall(request)
                    answer = b"".join(iter(lambda target=target: target.recv(65_536), b""))
                    if line.dropped < line.lost:
                        line.dropped += 1
                        continue
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield line
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _whole(client: socket.socket) -> bytes:
    """One request with its body."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += client.recv(65_536)
    head, _, body = content.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    while length is not None and len(body) < int(length[1]):
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body


@pytest.fixture(scope="package")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """A home with two tenants; acme's story is run, globex's is ingested alone."""
    made = make_books(tmp_path_factory.mktemp("client"))
    run_story(Tenant.of(made.home, "acme"))
    return made


@pytest.fixture(scope="package")
def url(books: Books) -> Iterator[str]:
    """The address of that home's server."""
    with served(books.home) as address:
        yield address
