"""Players are given the TURN servers near their host first, with credentials for their seat, and new ones in time."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from contracts.identifiers import to_token
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import dial, leaving
from services.signaling_gateway.tests.signaling.gateways import gateway
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "/api/v1"
TURN: dict[str, Any] = {
    "stun_servers": (),
    "turn_servers": ("us=turn:us.example", "eu=turn:eu.example", "turn:any.example"),
    "turn_secret": "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx",
}
US = (["turn:us.example"], ["turn:any.example"], ["turn:eu.example"])
EU = (["turn:eu.example"], ["turn:any.example"], ["turn:us.example"])
AS_CONFIGURED = (["turn:us.example"], ["turn:eu.example"], ["turn:any.example"])

Name = Callable[[str], str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relaying(servers: TestServers, owners: Owners) -> AsyncIterator[str]:
    """A gateway that knows TURN servers in two regions, and one for everybody."""
    async with gateway(servers, **TURN) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def client(relaying: str, client_of: Callable[[str], httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(relaying) as client:
        yield client


@pytest.fixture
def session(owners: Owners, number: int) -> str:
    """On a host in Europe."""
    owners.add_host(f"eu-{number}", peer_id=f"peer-of-eu-{number}", region="eu")
    owners.add_host(f"us-{number}", region="us")
    return owners.add_session(number, f"eu-{number}", zone_id=f"zone-{number}")


def urls(told: dict[str, Any]) -> tuple[list[str], ...]:
    return tuple(server["urls"] for server in told["ice_servers"])


def shown_by(told: dict[str, Any]) -> str:
    """What the credentials are for: the username behind its end."""
    (username,) = {server["username"] for server in told["ice_servers"]}
    until, _, names = username.partition(":")
    assert until.isdigit()
    return str(names)


async def test_who_joins_by_socket_or_over_rest_has_the_relays_near_the_host_first(
    relaying: str, client: httpx.AsyncClient, owners: Owners, session: str, number: int, name: Name
):
    ann, bob = name("ann"), name("bob")
    peer = await dial(relaying, ann, session)
    async with leaving(peer):
        told = await peer.hear("session-joined")
        assert (urls(told), shown_by(told)) == (EU, f"{ann}.{session}")

        await owners.migrate(session, f"us-{number}")
        moved = await peer.hear_until("host-migrated")
        assert (urls(moved), shown_by(moved)) == (US, f"{ann}.{session}")

    entered = await client.post(f"{API}/sessions/join", json={"zone_id": f"zone-{number}", "peer_id": bob})
    assert (urls(entered.json()), shown_by(entered.json())) == (US, f"{bob}.{session}")


async def test_who_asks_for_a_session_is_a_member_and_has_what_its_members_have(
    client: httpx.AsyncClient, owners: Owners, session: str, number: int, name: Name
):
    ann, host = name("ann"), f"peer-of-eu-{number}"
    await owners.seat(session, ann)

    async def asked(**query: str) -> httpx.Response:
        return await client.get(f"{API}/signaling/ice-servers", params=query)

    for member in (ann, host):
        told = (await asked(peer_id=member, session_id=session)).json()
        assert (urls(told), shown_by(told)) == (EU, f"{member}.{session}")
    by_number = (await asked(peer_id=ann, session_id=str(number))).json()
    assert shown_by(by_number) == f"{ann}.{session}", "by the session's own name, whatever it is asked for by"
    stranger = await asked(peer_id="eve", session_id=session)
    assert (stranger.status_code, stranger.json()["code"]) == (403, "forbidden")
    nowhere = await asked(peer_id=ann, session_id="session-ffffffffffffffff")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "session_not_found")
    nobody = await asked(session_id=session)
    assert (nobody.status_code, nobody.json()["code"]) == (422, "invalid")


async def test_a_host_has_those_of_its_own_region_first_and_who_is_none_as_they_are_configured(
    client: httpx.AsyncClient, session: str, number: int
):
    for peer, order in ((f"peer-of-eu-{number}", EU), (f"us-{number}", US), ("1@tower: e", AS_CONFIGURED)):
        told = (await client.get(f"{API}/signaling/ice-servers", params={"peer_id": peer})).json()
        assert (urls(told), shown_by(told)) == (order, to_token(peer))


async def test_who_stays_is_given_new_credentials_before_the_old_ones_end(
    servers: TestServers, owners: Owners, session: str, name: Name
):
    ann = name("ann")
    async with gateway(servers, **TURN, turn_credentials_s=2) as url:
        peer = await dial(url, ann, session)
        async with leaving(peer):
            until = [_end(await peer.hear("session-joined"))]
            for _ in range(3):
                renewed = await peer.hear("ice-servers")
                assert renewed["session_id"] == session
                assert (urls(renewed), shown_by(renewed)) == (EU, f"{ann}.{session}")
                until.append(_end(renewed))
    assert until == sorted(until)
    assert until[0] < until[-1]


def _end(told: dict[str, Any]) -> int:
    return int(told["ice_servers"][0]["username"].partition(":")[0])
