"""What everybody may ask for, by what they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Network, ip_address

from contracts.access import Role

from signaling_gateway.access.identity import Identity
from signaling_gateway.limits.bucket import Allowance

UNCOUNTED = frozenset({"GET /health", "GET /health/live", "GET /health/ready", "GET /metrics"})
"""Whoever watches over the gateway has the address of everybody behind the same proxy; a flood there must not look as
if the gateway were gone."""

SITE_BITS = 64
"""Of an IPv6 address: what a line at home has, and may choose the rest of as it likes."""

ADDRESSES_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """The allowances; where there is none there is no limit."""

    requests: Mapping[Role, Allowance] = field(default_factory=dict)
    connects: Allowance | None = None
    messages: Allowance | None = None


UNLIMITED = Rates()


def rates(
    *, anonymous: int, player: int, host: int, connects_per_s: int, messages_per_s: int, burst_of_messages: int
) -> Rates:
    """The limits of those who have one, requests by the minute.

    A server speaks for any number of players, and an operator repairs things.
    """
    minute, second = timedelta(minutes=1), timedelta(seconds=1)
    return Rates(
        requests={
            Role.ANONYMOUS: Allowance.of(anonymous, minute),
            Role.PLAYER: Allowance.of(player, minute),
            Role.HOST: Allowance.of(host, minute),
        },
        connects=Allowance.of(connects_per_s, second),
        messages=Allowance.of(messages_per_s, second, burst_of_messages),
    )


def budget_of(identity: Identity, address: str) -> str:
    """Name the budget that a request counts against: its sender's, or its address's where anybody may be anybody."""
    if identity.role is Role.ANONYMOUS:
        return f"anonymous:{site_of(address)}"
    return f"{identity.role.value}:{identity.name}"


@lru_cache(ADDRESSES_REMEMBERED)
def site_of(address: str) -> str:
    """The address, or of IPv6 the network of the one line that it is on."""
    if ":" not in address:
        return address
    parsed = ip_address(address.partition("%")[0])
    if parsed.version == 4:  # noqa: PLR2004 -- IP's
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, SITE_BITS), strict=False))
