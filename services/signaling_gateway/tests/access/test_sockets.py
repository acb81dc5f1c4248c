"""Sockets in enforced mode: who may open one, under which name, what they may say, and when it ends."""

import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from contracts.access import Role
from contracts.hosts import Host, PeerHost
from contracts.sessions import Session
from signaling_gateway.access.errors import BAD_TOKEN
from signaling_gateway.access.permissions import FRAMES, WithoutPermissionError, frames_of
from signaling_gateway.peers.frames import KINDS
from signaling_gateway.peers.warp import USER_AGENT
from testkit.clients import connect

from services.signaling_gateway.tests.access.conftest import World, as_key, bearer
from services.signaling_gateway.tests.rest.owners import example
from services.signaling_gateway.tests.signaling.client import Peer, leaving

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = PeerHost(host=None).model_dump_json().encode()
GAME = {"user_agent_header": USER_AGENT.decode()}


async def opened(client: httpx.AsyncClient, *query: tuple[str, str], **options: Any) -> Peer:
    url = f"{str(client.base_url).replace('http', 'ws', 1)}/api/v1/signaling/ws?{urlencode(query)}"
    return Peer(await connect(url, compression=None, **options), None)


async def refused(client: httpx.AsyncClient, *query: tuple[str, str], **options: Any) -> str:
    """What a socket is told that is closed for not being allowed."""
    peer = await opened(client, *query, **options)
    error = await peer.hear("error")
    assert await peer.close_code() == 1008
    message: str = error["message"]
    return message


async def token(world: World, peer_id: str, **wish: Any) -> str:
    made: str = (await world.tokens(**({"player_id": peer_id} | wish)))["token"]
    return made


@pytest.fixture(autouse=True)
def _no_hosts(world: World) -> None:
    world.owners.replies["p2p.hosts.of_peer"] = NOBODY


async def test_the_name_comes_from_the_token(world: World, peer: str):
    socket = await opened(world.here, ("token", await token(world, peer)))
    async with leaving(socket):
        await socket.hears_nothing_more()
        kicked = await world.here.post(f"/api/v1/peers/{peer}/kick", headers=world.operator)
        assert kicked.status_code == 200
        assert await socket.close_code() == 1008


async def test_a_token_in_the_header_is_as_good(world: World, peer: str):
    socket = await opened(world.here, additional_headers=bearer(await token(world, peer)))
    async with leaving(socket):
        await socket.hears_nothing_more()


async def test_without_a_token_nobody_comes_in(world: World):
    assert "token is needed" in await refused(world.here)
    assert "token is needed" in await refused(world.here, ("peer_id", "ann"), ("session_id", "x"))
    assert "token is needed" in await refused(world.here, ("peer_id", "900001"), **GAME)
    assert "token is needed" in await refused(world.here, additional_headers=world.server)


async def test_a_token_that_is_none_is_refused_in_the_words_that_clients_know(world: World, peer: str):
    refresh = (await world.tokens(player_id=peer))["refresh_token"]
    for bad in ("x", "a.b.c", refresh, world.server["X-API-Key"], (await token(world, peer))[:-2]):
        assert await refused(world.here, ("token", bad)) == BAD_TOKEN


async def test_a_token_opens_no_other_peer(world: World, peer: str):
    shown = await token(world, peer)

    assert await refused(world.here, ("token", shown), ("peer_id", "other")) == "The token is another peer's."
    socket = await opened(world.here, ("token", shown))
    async with leaving(socket):
        await socket.say("join", session_id="session-0123456789abcdef", peer_id="other")
        assert (await socket.hear("error"))["code"] == "forbidden"


async def test_two_tokens_are_none(world: World, peer: str):
    shown = await token(world, peer)

    assert await refused(world.here, ("token", shown), ("token", shown)) == "The query says something twice"
    assert await refused(world.here, ("token", shown), ("peer_id", peer), ("peer_id", peer))
    assert "one token" in await refused(world.here, ("token", shown), additional_headers=bearer(shown))


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_each_kind_of_frame_is_for_those_whom_the_table_names(kind: str, world: World, peer: str, digits: str):
    sockets = {
        Role.PLAYER: await opened(world.here, ("token", await token(world, peer))),
        Role.HOST: await opened(world.here, ("token", await token(world, peer, role="host", host_id=f"h-{peer}"))),
        Role.ANONYMOUS: await opened(world.here, **GAME),
    }
    async with leaving(*sockets.values()):
        for role, socket in sockets.items():
            frame: dict[str, Any] = {"session_id": "session-0123456789abcdef", "peer_id": None, "to": "x", "sdp": "v=0"}
            frame |= {"candidate": "c", "state": "connected", "feed": "z", "zone_id": "z", "npc_id": "n", "event": "e"}
            frame |= {"probe_id": "p"}
            await socket.say_raw(json.dumps({name: value for name, value in frame.items() if value} | {"type": kind}))
            answer = await socket.hear()
            turned_away = answer.get("message") == f"A {role} may not send {kind}."
            assert turned_away is (role not in FRAMES[kind]), (role, answer)


async def test_a_kind_of_frame_without_a_row_keeps_the_gateway_from_starting():
    assert FRAMES.keys() == KINDS
    with pytest.raises(WithoutPermissionError, match="shout: no row"):
        frames_of(Role.PLAYER, {"join", "shout"}, enforced=True)


async def test_a_name_that_no_session_has_is_no_room(world: World, peer: str):
    socket = await opened(world.here, ("token", await token(world, peer)), ("session_id", "lobby"))
    async with leaving(socket):
        assert (await socket.hear("error"))["code"] == "session_not_found"


async def test_a_hosts_peer_is_not_for_a_players_token(world: World, peer: str):
    host = Host.model_validate_json(example(Host)).model_copy(update={"host_id": f"h-{peer}", "peer_id": peer})
    world.owners.replies["p2p.hosts.of_peer"] = PeerHost(host=host).model_dump_json().encode()

    assert "host's peer" in await refused(world.here, ("token", await token(world, peer)))


async def test_a_ticket_opens_its_session_and_no_other(world: World, peer: str):
    session = Session.model_validate_json(example(Session))
    player = await world.player(peer)
    entered = await world.here.post(
        "/api/v1/sessions/join", json={"zone_id": "prontera", "peer_id": peer}, headers=player
    )
    ticket = entered.json()["ticket"]

    assert (await world.here.get("/api/v1/hosts", headers=bearer(ticket))).status_code == 401
    socket = await opened(world.there, ("token", ticket))
    async with leaving(socket):
        await socket.say("join", session_id="session-ffffffffffffffff")
        assert session.session_id in (await socket.hear("error"))["message"]
        await socket.say("enter", zone_id="prontera")
        assert (await socket.hear("error"))["code"] == "forbidden"
        await socket.say("join", session_id=session.session_id)
        assert (await socket.hear("session-joined"))["session_id"] == session.session_id


async def test_a_kick_closes_the_peers_sockets_on_every_gateway_and_refuses_its_tokens(world: World, peer: str):
    other = f"{peer}-other"
    shown, refresh = (
        (await world.tokens(player_id=peer))["token"],
        (await world.tokens(player_id=peer))["refresh_token"],
    )
    here = await opened(world.here, ("token", shown))
    bystander = await opened(world.there, ("token", await token(world, other)))
    kicked = await opened(world.there, ("token", await token(world, peer)))
    assert await here.close_code() == 4001  # the newer one counts
    async with leaving(bystander):
        response = await world.here.post(
            f"/api/v1/peers/{peer}/kick", json={"reason": "cheats", "for_s": 600}, headers=world.operator
        )

        assert response.status_code == 200
        assert await kicked.close_code() == 1008
        for gateway in (world.here, world.there):
            assert await refused(gateway, ("token", shown)) == BAD_TOKEN
            assert (await gateway.get("/api/v1/hosts", headers=bearer(shown))).status_code == 401
            assert (await gateway.post("/api/v1/auth/refresh", json={"refresh_token": refresh})).status_code == 401
            again = await gateway.post("/api/v1/auth/token", json={"player_id": peer}, headers=world.server)
            assert (again.status_code, again.json()["detail"]) == (403, "The peer was kicked.")
        await bystander.hears_nothing_more()


async def test_a_revoked_key_takes_its_tokens_and_their_sockets_along(world: World, peer: str):
    key = await world.key(Role.SERVER)
    made = await world.here.post("/api/v1/auth/token", json={"player_id": peer}, headers=as_key(key.key))
    socket = await opened(world.there, ("token", made.json()["token"]))

    revoked = await world.here.delete(f"/api/v1/auth/keys/{key.key_id}", headers=world.operator)

    assert revoked.json()["revoked_at"] is not None
    assert await socket.close_code() == 1008
    for gateway in (world.here, world.there):
        assert (await gateway.get("/api/v1/hosts", headers=as_key(key.key))).status_code == 401
        assert (await gateway.get("/api/v1/hosts", headers=bearer(made.json()["token"]))).status_code == 401


async def test_a_game_client_comes_in_without_a_key_and_displaces_nobody_who_has_one(world: World, digits: str):
    create = {"zone": "prontera", "capabilities": {}}
    socket = await opened(world.here, **GAME)
    async with leaving(socket):
        await socket.say("create_session", peer_id=digits, **create)
        assert (await socket.hear("session_created"))["zone"] == "prontera"
    keyed = await opened(world.there, ("token", await token(world, digits)))
    late = await opened(world.here, **GAME)
    async with leaving(keyed, late):
        await late.say("create_session", peer_id=digits, **create)
        assert "somebody with a key" in (await late.hear("error"))["message"]
        await late.say("create_session", peer_id="150001", **create)
        assert "may not have this peer_id" in (await late.hear("error"))["message"]
        await keyed.hears_nothing_more()
