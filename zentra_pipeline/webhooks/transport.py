"""One HTTP POST to an address that was checked before, within a time and a size; nothing else of HTTP is used.

No name is looked up here, no redirect followed, no proxy taken from the environment, no cookie kept, no connection
used twice. TLS is made for the name of the target. Does not belong here: which address may be used (targets).
"""

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import httpcore

from zentra_pipeline.webhooks.addresses import Address, address_of
from zentra_pipeline.webhooks.targets import Target

if TYPE_CHECKING:
    from httpcore import NetworkStream

_READ_AT_MOST: Final = 64 * 1024
_WRITE_AT_ONCE: Final = 16 * 1024


@dataclass(frozen=True)
class Limits:
    """Seconds for the connection and for the whole exchange, TLS, headers and body included."""

    connect_seconds: float = 5.0
    total_seconds: float = 15.0


@dataclass(frozen=True)
class Answer:
    """What came back: the status, headers by their names in lower case, and how the body begins."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswerError(Exception):
    """No answer came; the message says why in words for whoever runs the endpoint."""


def post(
    target: Target, found: Sequence[Address], headers: Mapping[str, str], body: bytes, limits: Limits | None = None
) -> Answer:
    """Send a body to a target at one of the addresses found for it; NoAnswerError when no status comes back in time.

    The status is the answer: a body that is long, slow or cut off is read as far as it comes, and no further.
    """
    limits = limits or Limits()
    backend = _CheckedAddresses(found, limits)
    with httpcore.ConnectionPool(
        ssl_context=_tls() if target.scheme == "https" else None,
        max_connections=1,
        max_keepalive_connections=0,
        http2=False,
        retries=0,
        network_backend=backend,
    ) as pool:
        try:
            return _exchange(pool, target, {"host": target.authority, **headers}, body, limits)
        except httpcore.ConnectTimeout as cause:
            raise NoAnswerError(f"no connection within {limits.connect_seconds:g} s") from cause
        except httpcore.TimeoutException as cause:
            raise NoAnswerError(f"no answer within {limits.total_seconds:g} s") from cause
        except (httpcore.NetworkError, httpcore.ProtocolError) as cause:
            raise NoAnswerError(f"the connection failed: {_reason(cause)}") from cause


def _exchange(
    pool: httpcore.ConnectionPool, target: Target, headers: Mapping[str, str], body: bytes, limits: Limits
) -> Answer:
    timeouts = {"connect": limits.connect_seconds, "pool": limits.connect_seconds}
    left: dict[str, float | None] = {"read": limits.total_seconds, "write": limits.total_seconds}
    request = httpcore.Request(
        "POST",
        httpcore.URL(
            scheme=target.scheme.encode("ascii"),
            host=target.host.encode("ascii"),
            port=target.port,
            target=target.path.encode("ascii"),
        ),
        headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        + [(b"content-length", str(len(body)).encode("ascii")), (b"connection", b"close")],
        content=body,
        extensions={"timeout": timeouts | left},
    )
    response = pool.handle_request(request)
    try:
        assert isinstance(response.stream, Iterable)
        read = _beginning(response.stream)
    finally:
        response.close()
    given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(response.status, given, read)


def _beginning(stream: Iterable[bytes]) -> bytes:
    read = b""
    try:
        for block in stream:
            read += block
            if len(read) >= _READ_AT_MOST:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass  # the status has come, and that was the answer
    return read[:_READ_AT_MOST]


def _reason(error: BaseException) -> str:
    """The system's own words, which are at the root of the error."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split()) or type(error).__name__


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Certificates are checked, against the roots that httpx ships or SSL_CERT_FILE names."""
    import httpx

    return httpx.create_ssl_context()


class _CheckedAddresses(httpcore.NetworkBackend):
    """Connects to the addresses it was given, one after another, whatever the host is called."""

    def __init__(self, found: Sequence[Address], limits: Limits) -> None:
        self._found = found
        self._limits = limits
        self._deadline = time.monotonic() + limits.total_seconds
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address that takes one, within the time there is for all of them."""
        connect_by = min(time.monotonic() + self._limits.connect_seconds, self._deadline)
        failure: Exception | None = None
        for address in self._found:
            left = connect_by - time.monotonic()
            if left <= 0:
                break
            try:
                stream = self._backend.connect_tcp(str(address), port, left, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            peer = stream.get_extra_info("server_addr")
            assert peer is None or address_of(peer[0]) == address, f"connected to {peer}, not to {address}"
            return _Timed(stream, self._deadline)
        raise failure or httpcore.ConnectTimeout


class _Timed(httpcore.NetworkStream):
    """A connection on which every step ends by one deadline: receivers that drip bytes gain nothing."""

    def __init__(self, stream: "NetworkStream", deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_AT_ONCE):
            block = buffer[start : start + _WRITE_AT_ONCE]
            self._stream.write(block, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._left(timeout, httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None, expired: type[httpcore.TimeoutException]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise expired
        return left if timeout is None else min(timeout, left)
