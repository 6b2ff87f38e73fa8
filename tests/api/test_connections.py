"""Nobody holds the server by sending slowly, endlessly or nothing at all, and whoever tries learns why."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import uvicorn

from zentra_pipeline.api.connections import ConnectionLimits, protocol_of

LIMITS = ConnectionLimits(
    header_bytes=4_096, header_seconds=0.6, body_grace_seconds=0.0, body_bytes_per_second=1_000, connections=8
)


async def measure_body(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers with the size of the body it read."""
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": f"{size:08d}".encode()})


@contextlib.contextmanager
def served(limits: ConnectionLimits) -> Iterator[int]:
    """The port of a server with these limits."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(measure_body, http=protocol_of(limits), lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr("zentra_pipeline.api.connections._TICK_SECONDS", 0.1)
    with served(LIMITS) as port:
        yield port


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer_of(connection: socket.socket) -> tuple[int, str]:
    """Status and body of what the server sends before it closes the connection."""
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while block := connection.recv(65_536):
            content += block
    head, _, body = content.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body.decode()


def test_a_body_whose_last_bytes_come_at_once_is_not_taken_for_headers(port: int) -> None:
    body = b"a" * (2 * LIMITS.header_bytes)
    with opened(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: z\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
        time.sleep(0.05)  # so that the body comes apart from the headers, in one piece
        connection.sendall(body)
        assert answer_of(connection) == (200, f"{len(body):08d}")


def test_headers_without_end_are_refused_as_they_come(port: int) -> None:
    with opened(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx-long: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"a" * 1_000)
                time.sleep(0.002)
        status, body = answer_of(connection)
    assert status in (0, 431)  # 0: our own bytes after its answer reset the connection
    if body:
        assert json.loads(body)["type"] == "/problems/headers-too-large"


def test_a_client_that_sends_its_headers_slowly_or_not_at_all_is_disconnected(port: int) -> None:
    for begun in (b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\n"):
        started = time.monotonic()
        with opened(port) as connection:
            connection.sendall(begun)
            status, body = answer_of(connection)
        assert (status, json.loads(body)["type"]) == (408, "/problems/timeout"), begun
        assert time.monotonic() - started < 10


def test_a_body_that_comes_drop_by_drop_is_ended_and_one_that_keeps_its_pace_is_not(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3000\r\n\r\n"
    with opened(port) as connection:
        connection.sendall(head + b"a")
        status, _ = answer_of(connection)
    assert status == 408
    with opened(port) as connection:
        connection.sendall(head)
        for _ in range(10):
            connection.sendall(b"a" * 300)
            time.sleep(0.05)
        assert answer_of(connection) == (200, "00003000")


def test_a_large_body_that_comes_with_its_headers_is_not_taken_for_headers(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n\r\n"
    with opened(port) as connection:
        for _ in range(3):  # one connection, kept
            connection.sendall(head + b"a" * 50_000)
            content = b""
            while not content.endswith(b"00050000"):
                content += connection.recv(65_536)


def test_connections_that_ask_nothing_make_room_for_one_that_does() -> None:
    """None of them is ended by time here: whoever is closed is closed to make room."""
    limits = replace(LIMITS, header_seconds=600.0)
    with served(limits) as port, contextlib.ExitStack() as stack:
        for _ in range(5):
            idle = [stack.enter_context(opened(port)) for _ in range(limits.connections)]
            connection = stack.enter_context(opened(port))
            connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert answer_of(connection) == (200, "00000000")
            assert answer_of(idle[0]) == (0, "")


def test_what_is_no_http_is_a_problem_as_any_other(port: int) -> None:
    with opened(port) as connection:
        connection.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
        status, body = answer_of(connection)
    assert (status, json.loads(body)["status"]) == (400, 400)
