"""Which IP addresses belong to the public internet; names and connections do not belong here (targets, transport).

Sources: IANA's special-purpose address registries (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

# Beside what `is_global` knows: where it differs between versions of Python, and what only looks public.
_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            "192.88.99.0/24",  # relays of 6to4
            "224.0.0.0/4",
            "240.0.0.0/4",
            "168.63.129.16/32",  # the host of a virtual machine on Azure, from within it
        ),
    )
)
_UNICAST_6: Final = IPv6Network("2000::/3")  # what is not in it is mapped, translated, local, multicast or unassigned
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols: Teredo, benchmarking, ORCHID
            "2001:db8::/32",
            "2002::/16",  # 6to4: it holds an IPv4 address
            "3fff::/20",
        ),
    )
)
_ISATAP: Final = 0x5EFE  # an interface id that begins so holds an IPv4 address (RFC 5214)


def address_of(text: str) -> Address | None:
    """The address that a text is in its usual form, null for any other; no zone (`%eth0`), no octal, no short forms."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id is not None else address


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and holds no other address that a router would go on to."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_4)
    if address not in _UNICAST_6 or any(address in network for network in _NOT_PUBLIC_6):
        return False
    return address.is_global and (int(address) >> 32) & 0xFDFFFFFF != _ISATAP


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine itself, in its own form (not mapped into IPv6)."""
    return address.is_loopback
