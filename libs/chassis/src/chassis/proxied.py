"""PROXY protocol, version 2: how a balancer of TCP says whose connection it passes on, before the first byte of it.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2.
"""

import struct
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

Network = IPv4Network | IPv6Network

PROXIED = "chassis.proxied"
"""Where the ASGI scope's state has the client's address and port, if a proxy that is trusted has said them."""

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

MOST_BYTES = 2048
"""Behind the first 16: the addresses have 36, what balancers say beside them a few hundred."""

_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_OVER_IPV4, _OVER_IPV6 = struct.Struct("!4s4sHH"), struct.Struct("!16s16sHH")


class NotProxiedError(Exception):
    """What was sent is no such head."""


class Head(NamedTuple):
    """What a connection began with."""

    length: int
    client: tuple[str, int] | None
    """None where the proxy speaks for itself, to see whether we live, or for what has no address."""


def read_head(data: bytes) -> Head | None:
    """Read the head that `data` begins with; None while a part of it is missing, NotProxiedError if it is none."""
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        raise NotProxiedError
    if len(data) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(data)
    if command not in {_LOCAL, _PROXY} or length > MOST_BYTES:
        raise NotProxiedError
    end = _HEAD.size + length
    if len(data) < end:
        return None
    addresses = {_TCP4: _OVER_IPV4, _TCP6: _OVER_IPV6}.get(family)
    if command == _LOCAL or addresses is None:
        return Head(end, None)
    if length < addresses.size:
        raise NotProxiedError
    source, _, port, _ = addresses.unpack_from(data, _HEAD.size)
    return Head(end, (str(ip_address(source)), port))


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks; what is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)
