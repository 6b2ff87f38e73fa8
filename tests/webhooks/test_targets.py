"""Nothing is sent to an address that is not public, however its URL is written and whatever its name leads to."""

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.webhooks.station import Counterpart, Station
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.webhooks import addresses, sending, targets, transport

CORPUS = (
    Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora/payloads/Server_Side_Request_Forgery_README.md"
)
NOT_PUBLIC = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.1.2.3"),  # noqa: S104
    "169.254.169.254",
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fec0::1", "ff02::1", "4000::1", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:7f00:1"),
)
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700::1111",
    "2a00::1",
)


def forms(text: str) -> Iterator[str]:
    """Ways to write an IPv4 address that one parser or another takes."""
    address = IPv4Address(text)
    parts = [int(part) for part in text.split(".")]
    yield text
    yield str(int(address))
    yield hex(int(address))
    yield f"0{int(address):o}"
    yield ".".join(hex(part) for part in parts)
    yield ".".join(f"0{part:o}" for part in parts)
    yield ".".join(f"0000{part:o}" for part in parts)
    yield f"{parts[0]}.{(parts[1] << 16) + (parts[2] << 8) + parts[3]}"
    yield f"{parts[0]}.{parts[1]}.{(parts[2] << 8) + parts[3]}"
    yield ".".join(str(part + 256) for part in parts)
    yield f"{text}."
    yield text.translate({ord(str(digit)): chr(0x245F + digit) for digit in range(1, 10)})
    yield text.replace(".", "。")
    for six in (
        f"::ffff:{text}",
        f"::{text}",
        f"64:ff9b::{text}",
        f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::",
    ):
        yield f"[{six}]"
        yield f"[{six}%25lo]"


def disguises(host: str) -> Iterator[str]:
    yield from (
        f"{scheme}://{host}{rest}" for scheme in ("https", "http") for rest in ("", "/", ":443/", "?@example.com/")
    )
    yield f"https://example.com@{host}/"
    yield f"https://{host}@example.com@{host}/"
    yield f"https://{host}#@example.com/"
    yield f"https://example.com:80\\@{host}/"
    yield f"https://{host}\t.example.com/"
    yield f"https://{host}%09.example.com/"
    yield f"https://{host}:443:80/"
    yield f"//{host}/"
    yield f"gopher://{host}/"
    yield f" https://{host}/"
    yield f"https:///{host}/"
    yield f"https://{host}\r\nhost: x/"


def corpus() -> list[str]:
    if not CORPUS.exists():
        return []
    return sorted(set(re.findall(r"[a-z0-9]+://[^\s`)\"'|]+", CORPUS.read_text(encoding="utf-8"))))


def lenient(host: str, port: int) -> Sequence[str]:
    """What the system makes of odd numbers, and for every name a way into the machine."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ["169.254.169.254"]
    return [str(one[4][0]) for one in found]


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every connection that anything here tries to make."""
    tried: list[object] = []

    def connect(_socket: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def sent(url: str, resolver: targets.Resolver) -> bool:
    """Whether an attempt to post to a URL came as far as connecting."""
    try:
        target = targets.target_of(url, is_loopback_allowed=False)
        found = targets.resolve(target, resolver)
    except (UsageError, RefusedError):
        return False
    try:
        transport.post(target, found, {}, b"{}")
    except transport.NoAnswerError:
        return True
    return True


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_known_as_such(text: str) -> None:
    assert not addresses.is_public(ip_address(text))
    assert not sent(f"https://[{text}]/" if ":" in text else f"https://{text}/", lenient)
    with pytest.raises(RefusedError, match="not one of the public internet"):
        targets.resolve(targets.target_of("https://example.com/", is_loopback_allowed=False), lambda *_: [text])


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_be_sent_to(text: str, connects: list[object]) -> None:
    assert addresses.is_public(ip_address(text))
    assert sent("https://example.com/", lambda *_: [text])
    assert [address[0] for address in connects if isinstance(address, tuple)] == [text]


@pytest.mark.parametrize("text", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "192.0.0.192", "0.0.0.0"])  # noqa: S104
def test_no_disguise_of_an_internal_address_is_connected_to(text: str, connects: list[object]) -> None:
    tried = [url for form in forms(text) for url in disguises(form)]
    assert len(tried) > 300
    assert [url for url in tried if sent(url, lenient)] == []
    assert connects == []


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpora are not beside this repository")
def test_nothing_of_the_corpus_is_connected_to(connects: list[object]) -> None:
    urls = corpus()
    assert len(urls) > 60
    https = [re.sub("^[a-z0-9]+://", "https://", url) for url in urls]
    public = "1.1.1.1"  # which a parser is confused with, and is nobody's own
    assert [url for url in (*urls, *https) if public not in url and sent(url, lenient)] == []
    assert connects == []


@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**32 - 1).map(lambda four: (0x64FF9B << 96) + four))
@example(int(IPv6Address("2001:db8::")))
def test_an_ipv6_address_that_counts_as_public_is_global_unicast(number: int) -> None:
    address = IPv6Address(number)
    if addresses.is_public(address):
        assert number >> 125 == 1
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_that_counts_as_public_is_in_no_special_range(number: int) -> None:
    address = IPv4Address(number)
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    special |= address.is_reserved or address.is_unspecified or not address.is_global
    assert not (addresses.is_public(address) and special)


def test_one_address_that_is_not_public_refuses_all_of_a_name() -> None:
    target = targets.target_of("https://example.com/", is_loopback_allowed=False)
    with pytest.raises(RefusedError, match=r"10\.0\.0\.7"):
        targets.resolve(target, lambda *_: ["8.8.8.8", "10.0.0.7"])


def test_a_name_that_is_rebound_after_the_check_is_not_looked_up_again(connects: list[object]) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    assert sent("https://rebind.example/", lambda *_: next(answers))
    assert connects == [("93.184.216.34", 443)]
    assert next(answers) == ["127.0.0.1"]  # it was asked once
    assert not sent("https://rebind.example/", lambda *_: next(answers))
    assert connects == [("93.184.216.34", 443)]


def test_the_checked_address_is_connected_to_with_the_name_in_host_and_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS is asked for the name, not for the address, and the Host header names it too."""
    written: list[bytes] = []
    names: list[str | None] = []
    hosts: list[str] = []

    class Stream(httpcore.MockStream):
        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            written.append(buffer)

        def start_tls(
            self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
        ) -> httpcore.NetworkStream:
            names.append(server_hostname)
            return self

    def connect(_backend: object, host: str, port: int, *_rest: object) -> httpcore.NetworkStream:
        hosts.append(f"{host}:{port}")
        return Stream([b"HTTP/1.1 204 No Content\r\n\r\n"])

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    target = targets.target_of("https://Hooks.Example.com:8443/in?a=b", is_loopback_allowed=False)
    assert transport.post(target, [IPv4Address("8.8.8.8")], {}, b"{}").status_code == 204
    assert (hosts, names) == (["8.8.8.8:8443"], ["hooks.example.com"])
    assert b"".join(written).startswith(b"POST /in?a=b HTTP/1.1\r\nhost: hooks.example.com:8443\r\n")


def test_the_next_address_of_a_name_is_tried_when_one_does_not_take_connections(receiver: Counterpart) -> None:
    target = targets.target_of(receiver.url, is_loopback_allowed=True)
    found = [ip_address("127.0.0.2"), ip_address("127.0.0.1")]
    assert transport.post(target, found, {}, b"{}").status_code == 204


@pytest.mark.parametrize(
    ("url", "is_usable"),
    [
        ("http://127.0.0.1:8080/", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]:8080/x", True),
        ("http://localhost:8080/", True),
        ("https://localhost:8443/", True),
        ("https://receiver.localhost/", True),
        ("https://127.0.0.1:8443/", True),
        ("https://example.com/", True),
        ("http://[::ffff:127.0.0.1]:8080/", False),
        ("http://10.0.0.1/", False),
        ("http://169.254.169.254/", False),
        ("https://10.0.0.1/", False),
        ("http://8.8.8.8/", False),
        ("http://127.0.0.1:22/", False),
        ("http://me@127.0.0.1/", False),
    ],
)
def test_loopback_opens_this_machine_and_nothing_else(url: str, is_usable: bool) -> None:
    try:
        targets.target_of(url, is_loopback_allowed=True)
    except (UsageError, RefusedError):
        assert not is_usable
    else:
        assert is_usable
    if is_usable and "example" not in url:
        with pytest.raises((UsageError, RefusedError)):
            targets.target_of(url, is_loopback_allowed=False)


def test_http_to_a_name_that_leads_elsewhere_is_refused_though_loopback_is_allowed() -> None:
    target = targets.target_of("http://localhost.example:8080/", is_loopback_allowed=True)
    assert targets.resolve(target, lambda *_: ["127.0.0.1"]) == [ip_address("127.0.0.1")]
    for elsewhere in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1"):
        with pytest.raises(RefusedError):
            targets.resolve(target, lambda *_, found=elsewhere: [found])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///path",
        "https://example.com/#part",
        "https://user:password@example.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:/x",
        "https://exa mple.com/",
        "https://exämple.com/",
        "https://-x.example/",
        "https://example..com/",
        "https://example.com./",
        "https://1.2.3/",
        "https://1.2.3.0x4/",
        "https://example.com/\u2028",
        "https://example.com/" + "x" * 2_100,
        "ftp://example.com/",
        "javascript:alert(1)",
    ],
)
def test_urls_that_cannot_be_a_webhooks_are_refused_with_the_reason(url: str) -> None:
    with pytest.raises(UsageError, match="cannot be a webhook's"):
        targets.target_of(url, is_loopback_allowed=False)


@pytest.mark.parametrize(
    ("said", "reason"),
    [([], "leads to no address"), (["fe80::1%eth0"], "leads to no address"), (["nonsense"], "leads to no address")],
)
def test_a_name_without_a_usable_address_is_refused(said: list[str], reason: str) -> None:
    target = targets.target_of("https://example.com/", is_loopback_allowed=False)
    with pytest.raises(RefusedError, match=reason):
        targets.resolve(target, lambda *_: said)


def test_a_resolver_that_hangs_costs_its_seconds_and_no_more() -> None:
    target = targets.target_of("https://example.com/", is_loopback_allowed=False)
    never = threading.Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        never.wait(10)
        return ["8.8.8.8"]

    with pytest.raises(RefusedError, match=r"within 0\.05 s"):
        targets.resolve(target, hang, 0.05)
    never.set()


def test_an_endpoint_whose_name_turns_inward_fails_without_a_connection(
    station: Station, receiver: Counterpart
) -> None:
    station.add("https://hooks.example.com/", is_loopback_allowed=False)
    station.emit("a")
    sender = replace(station.sender, resolver=lambda *_: ["127.0.0.1"])
    assert sending.send_due(sender).failed == 1
    (attempt,) = station.attempts()
    assert attempt.status_code is None
    assert "127.0.0.1, which is not one of the public internet" in str(attempt.error)
    assert receiver.requests == []


def test_proxies_of_the_environment_are_not_used(
    station: Station, receiver: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    station.add(receiver.url)
    station.emit("a")
    assert station.send().delivered == 1
    assert receiver.requests[0].line == "POST /hook?x=1 HTTP/1.1"
