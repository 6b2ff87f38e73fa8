"""Where a webhook may go: the form of its URL, and the addresses of its host, found once and each of them checked.

Whoever connects has to use the addresses found here: looking the name up again may find others. Connecting does not
belong here (transport).
"""

import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.webhooks import addresses
from zentra_pipeline.webhooks.addresses import Address

Resolver = Callable[[str, int], Sequence[str]]

_LONGEST: Final = 2_048
_URL: Final = re.compile(r"(https?)://([^/?#]*)((?:[/?][!\x22$-~]*)?)", re.ASCII)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)  # as a last label it makes an odd IPv4 address
_PORTS: Final = {"https": 443, "http": 80}
_FIRST_FREE_PORT: Final = 1_024
_MOST_ADDRESSES: Final = 4
_OWN: Final = IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class Target:
    """A URL taken apart; `path` is all that follows the authority, from `/` on."""

    scheme: str
    host: str
    port: int
    path: str
    is_loopback_allowed: bool

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, *, is_loopback_allowed: bool) -> Target:
    """The target of a URL; UsageError saying which rule it breaks.

    https only (http where loopback is allowed), no user, no fragment, port 443 or from 1024 on, and a host that is a
    name, or an address that may be connected to.
    """
    form = _URL.fullmatch(url) if len(url) <= _LONGEST and "\\" not in url else None
    if form is None:
        raise _unusable(url, "write https://HOST/PATH in ASCII, without fragment or backslash")
    scheme, authority, rest = form.groups()
    if "@" in authority:
        raise _unusable(url, "it names a user; the signature says who sends, so leave that out")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _unusable(url, "its host has to be a name in ASCII (punycode) or an address")
    if scheme == "http" and not is_loopback_allowed:
        raise _unusable(url, "use https; http is only for a receiver on this machine, with --allow-loopback")
    port = int(parts[2] or _PORTS[scheme])
    if port != _PORTS[scheme] and not _FIRST_FREE_PORT <= port < 65_536:
        raise _unusable(url, f"port {port} belongs to other services: use {_PORTS[scheme]}, or 1024 to 65535")
    host = parts[1].strip("[]").lower()
    target = Target(scheme, host, port, rest if rest.startswith("/") else f"/{rest}", is_loopback_allowed)
    address = addresses.address_of(host)
    if address is not None:
        _require_allowed(target, [address])
    elif parts[1].startswith("[") or not _is_name(host):
        raise _unusable(url, f"{host!r} is neither a host's name nor an address in its usual form")
    elif host.rsplit(".", 1)[-1] == "localhost":  # this machine's, whoever answers for it (RFC 6761, 6.3)
        _require_allowed(target, [_OWN])
    return target


def resolve(target: Target, resolver: Resolver | None = None, seconds: float = 5.0) -> list[Address]:
    """The addresses to connect to, all of them checked.

    One that may not be connected to refuses all (RefusedError); so does a name that cannot be looked up.
    """
    literal = addresses.address_of(target.host)
    if literal is not None:
        found: list[Address] = [literal]
    else:
        texts = _looked_up(target, resolver or _system_resolver, seconds)
        read = [addresses.address_of(text) for text in dict.fromkeys(texts)]
        if not read or None in read:
            raise RefusedError(f"the name {target.host} leads to no address")
        found = [address for address in read if address is not None]
    _require_allowed(target, found)
    return found[:_MOST_ADDRESSES]


def _require_allowed(target: Target, found: Sequence[Address]) -> None:
    for address in found:
        is_own = target.is_loopback_allowed and addresses.is_loopback(address)
        if not is_own and (target.scheme == "http" or not addresses.is_public(address)):
            where = "is not this machine's own" if target.scheme == "http" else "is not one of the public internet"
            raise RefusedError(f"{target.host} has the address {address}, which {where}: nothing is sent there")


def _is_name(host: str) -> bool:
    labels = host.split(".")
    return all(_LABEL.fullmatch(label) for label in labels) and not _NUMBER.fullmatch(labels[-1]) and len(host) < 254


def _looked_up(target: Target, resolver: Resolver, seconds: float) -> Sequence[str]:
    """What a resolver answers within the time it has: the system's own may take half a minute."""
    answers: list[Sequence[str]] = []
    errors: list[Exception] = []

    def look_up() -> None:
        try:
            answers.append(resolver(target.host, target.port))
        except (OSError, UnicodeError) as error:
            errors.append(error)

    worker = threading.Thread(target=look_up, name="resolve", daemon=True)
    worker.start()
    worker.join(seconds)
    if errors:
        raise RefusedError(f"the name {target.host} cannot be looked up: {errors[0]}") from errors[0]
    if not answers:
        raise RefusedError(f"the name {target.host} cannot be looked up within {seconds:g} s")
    return answers[0]


def _system_resolver(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _unusable(url: str, why: str) -> UsageError:
    return UsageError(f"URL {url[:200]!r} cannot be a webhook's: {why}")
