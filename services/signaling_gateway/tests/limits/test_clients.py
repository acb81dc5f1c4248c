"""Whose address counts: the socket's, unless a proxy that is trusted says whose it is."""

from ipaddress import ip_network
from typing import Any

import pytest
from chassis.proxied import PROXIED
from contracts.access import Role
from signaling_gateway.access.identity import ANYBODY, Identity
from signaling_gateway.limits.clients import MOST_PROXIES, Clients
from signaling_gateway.limits.rates import budget_of, site_of
from starlette.types import Receive, Scope, Send

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


async def client_of(peer: str, *forwarded: str, proxied: tuple[str, int] | None = None) -> str:
    """The address that what lies behind sees."""
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["client"][0])

    state: dict[str, Any] = {PROXIED: proxied} if proxied else {}
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1234), "headers": headers, "state": state}
    await Clients(app, TRUSTED)(scope, None, None)  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.7,10.0.0.8"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.7"], "10.0.0.7"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [",,,"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1," + "10.0.0.2," * (MOST_PROXIES - 1) + "10.0.0.2"], "10.0.0.2"),
        ("unix", ["198.51.100.1"], "unix"),
    ],
)
async def test_the_rightmost_address_that_is_no_trusted_proxys_is_the_clients(
    peer: str, forwarded: list[str], client: str
):
    assert await client_of(peer, *forwarded) == client


async def test_what_the_proxy_protocol_said_is_the_sockets_address():
    assert await client_of("10.0.0.1", proxied=("198.51.100.1", 4711)) == "198.51.100.1"
    assert await client_of("10.0.0.1", "1.1.1.1", proxied=("198.51.100.1", 4711)) == "198.51.100.1"
    assert await client_of("10.0.0.1", "1.1.1.1", proxied=("10.0.0.3", 4711)) == "1.1.1.1"


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_line_at_home_is_one_address_whatever_it_chooses_to_be(address: str, site: str):
    assert site_of(address) == site


def test_a_budget_is_its_senders_or_its_addresss_where_anybody_may_be_anybody():
    ann = Identity(Role.PLAYER, "ann", peer_id="ann")
    game_client = Identity(Role.ANONYMOUS, "150001", peer_id="150001")

    assert budget_of(ann, "198.51.100.1") == budget_of(ann, "198.51.100.2") == "player:ann"
    assert budget_of(Identity(Role.HOST, "ann"), "198.51.100.1") == "host:ann"
    assert budget_of(game_client, "198.51.100.1") == budget_of(ANYBODY, "198.51.100.1") == "anonymous:198.51.100.1"
