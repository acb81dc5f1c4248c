"""The shipped game client and the whole suite, which has two gateways: unmodified, it gets what it came for.

So it is where nobody is asked who they are, and where all but game clients (`WARP_ANONYMOUS`) are.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from embedded.plan import Mode
from testkit.admission import bearer_for, headers_for
from testkit.clients import connect, http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite
from websockets.asyncio.client import ClientConnection

from tests.compat.game_client import GameClient, game_client, post

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_display_name": "Z", "map_name": "z", "min_host_quality_score": 0}

_NUMBERS = count(250001)

InSession = Callable[[str, str, str], AbstractAsyncContextManager[ClientConnection]]


@pytest.fixture
def suite(in_either_mode: RunningSuite) -> RunningSuite:
    return in_either_mode


@pytest.fixture
async def api(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    """The game's server, which has a key."""
    async with http_client(base_url=suite.gateways[0], headers=await headers_for(suite)) as client:
        yield client


@pytest.fixture
async def zone(api: httpx.AsyncClient) -> str:
    """A zone that somebody can host, and nobody plays."""
    return await _new_zone(api)


async def _new_zone(api: httpx.AsyncClient) -> str:
    name = f"zone-{next(_NUMBERS)}"
    host = {**HOST, "host_id": f"host-of-{name}"}
    assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201
    answer = await api.post("/api/v1/zones/", json={**ZONE, "zone_id": name, "zone_name": name})
    assert answer.status_code == 201
    return name


def _game(suite: RunningSuite, gateway: int) -> Any:
    return game_client(suite.gateways[gateway], suite.authority, str(next(_NUMBERS)))


@pytest.fixture
def in_session(suite: RunningSuite) -> InSession:
    """Bring a client of the coordinator dialect, in clear text, into a session; with a token where one is needed."""

    @asynccontextmanager
    async def entered(gateway: str, peer_id: str, session_id: str) -> AsyncIterator[ClientConnection]:
        asked = urlencode({"peer_id": peer_id, "session_id": session_id})
        shown = await bearer_for(suite, player_id=peer_id)
        url = f"{gateway.replace('http', 'ws', 1)}/api/signaling/ws?{asked}"
        async with connect(url, additional_headers=shown) as socket:
            yield socket

    return entered


async def _hear(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


async def _created(game: GameClient, zone: str) -> dict[str, Any]:
    await game.create_session(zone)
    return await game.hear()


async def test_it_gets_a_session_with_a_host(suite: RunningSuite, zone: str) -> None:
    async with _game(suite, 0) as game:
        frame = await _created(game, zone)
        assert frame.keys() == {"type", "session_id", "host_id", "zone", "peers"}
        assert (frame["type"], frame["zone"], frame["peers"]) == ("session_created", zone, [])


async def test_it_sees_peers_of_both_dialects_come_and_go_on_both_gateways(
    suite: RunningSuite, zone: str, in_session: InSession
) -> None:
    here, there = suite.gateways
    async with _game(suite, 0) as game:
        session = (await _created(game, zone))["session_id"]
        async with in_session(there, "ann", session) as ann:
            assert (await _hear(ann))["peers"] == [game.peer_id]
            assert await game.hear() == {"type": "peer_joined", "peer_id": "ann"}
            async with _game(suite, 1) as other:
                frame = await _created(other, zone)
                assert (frame["session_id"], set(frame["peers"])) == (session, {game.peer_id, "ann"})
                assert await game.hear() == {"type": "peer_joined", "peer_id": other.peer_id}
                assert (await _hear(ann))["peer_id"] == other.peer_id
            assert await game.hear() == {"type": "peer_left", "peer_id": other.peer_id}
            assert (await _hear(ann))["type"] == "peer-left"
        assert await game.hear() == {"type": "peer_left", "peer_id": "ann"}
        async with in_session(here, "bob", session) as bob:
            assert (await _hear(bob))["peers"] == [game.peer_id]
            assert await game.hear() == {"type": "peer_joined", "peer_id": "bob"}


async def test_it_moves_and_is_seen_to(suite: RunningSuite, zone: str, api: httpx.AsyncClient) -> None:
    elsewhere = await _new_zone(api)
    async with _game(suite, 0) as stays, _game(suite, 1) as goes:
        first = (await _created(stays, zone))["session_id"]
        assert (await _created(goes, zone))["session_id"] == first
        assert await stays.hear() == {"type": "peer_joined", "peer_id": goes.peer_id}
        frame = await _created(goes, elsewhere)
        assert (frame["zone"], frame["session_id"] != first) == (elsewhere, True)
        assert await stays.hear() == {"type": "peer_left", "peer_id": goes.peer_id}
        session = (await api.get(f"/api/v1/sessions/{first}")).json()
        assert session["connected_players"] == [stays.peer_id]


async def test_it_sees_a_peer_of_the_other_dialect_move_away_and_come_back(
    suite: RunningSuite, zone: str, api: httpx.AsyncClient, in_session: InSession
) -> None:
    elsewhere = await _new_zone(api)
    async with _game(suite, 0) as game, _game(suite, 1) as other:
        first = (await _created(game, zone))["session_id"]
        second = (await _created(other, elsewhere))["session_id"]
        async with in_session(suite.gateways[1], "ann", first) as ann:
            assert await game.hear() == {"type": "peer_joined", "peer_id": "ann"}
            await ann.send(json.dumps({"type": "join", "session_id": second}))
            assert await game.hear() == {"type": "peer_left", "peer_id": "ann"}
            assert await other.hear() == {"type": "peer_joined", "peer_id": "ann"}
            await ann.send(json.dumps({"type": "join", "session_id": first}))
            assert await other.hear() == {"type": "peer_left", "peer_id": "ann"}
            assert await game.hear() == {"type": "peer_joined", "peer_id": "ann"}


async def test_a_candidate_reaches_it_as_a_string_and_an_offer_not_at_all(
    suite: RunningSuite, zone: str, in_session: InSession
) -> None:
    async with _game(suite, 0) as game:
        session = (await _created(game, zone))["session_id"]
        async with in_session(suite.gateways[1], "ann", session) as ann:
            await game.hear()
            candidate = {"candidate": "candidate:1 1 udp 1 192.0.2.1 4 typ host", "sdpMid": "0"}
            await ann.send(json.dumps({"type": "offer", "to": game.peer_id, "sdp": "v=0"}))
            await ann.send(json.dumps({"type": "ice-candidate", "to": game.peer_id, "candidate": candidate}))
            heard = await game.hear()
            assert (heard["type"], heard["from"], heard["candidate"]) == (
                "ice_candidate",
                "ann",
                candidate["candidate"],
            )


async def test_a_zone_that_is_not_there_is_said_and_the_connection_stays(suite: RunningSuite, zone: str) -> None:
    async with _game(suite, 1) as game:
        frame = await _created(game, "nowhere")
        assert frame == {"type": "error", "message": frame["message"]}
        assert (await _created(game, zone))["type"] == "session_created"


async def test_its_seat_is_free_as_soon_as_it_is_gone(suite: RunningSuite, zone: str, api: httpx.AsyncClient) -> None:
    async with _game(suite, 0) as game:
        session = (await _created(game, zone))["session_id"]
        assert (await api.get(f"/api/v1/sessions/{session}")).json()["current_players"] == 1

    async def is_free() -> bool:
        return bool((await api.get(f"/api/v1/sessions/{session}")).json()["current_players"] == 0)

    await eventually(is_free, within=10, of="its seat")  # a third of what others' seats wait


async def test_a_player_s_id_that_is_a_host_s_makes_it_none(
    suite: RunningSuite, zone: str, api: httpx.AsyncClient
) -> None:
    async with _game(suite, 0) as game:
        claimed = {**HOST, "host_id": f"host-{game.peer_id}", "peer_id": game.peer_id}
        assert (await api.post("/api/v1/hosts/register", json=claimed)).status_code == 201
        frame = await _created(game, zone)
        if suite.mode is Mode.ENFORCED:
            assert frame == {"type": "error", "message": "This is a host's peer: it needs the token of the host."}
            game.peer_id = str(next(_NUMBERS))
            frame = await _created(game, zone)
        assert frame["type"] == "session_created"


async def test_it_is_given_a_token_and_refreshes_it_with_nothing(suite: RunningSuite) -> None:
    here, there = suite.gateways
    asked = {"peer_id": str(next(_NUMBERS)), "client_version": "1.0", "timestamp": 1_795_000_000}
    given = await post(here, "/api/v1/auth/token", asked)
    assert given.status == 200
    renewed = await post(there, "/api/v1/auth/refresh", {}, token=given.body["token"])
    again = await post(here, "/api/v1/auth/refresh", {}, token=renewed.body["token"])
    for answer in (renewed, again):
        assert answer.status == 200
        assert answer.body.keys() == {"token", "access_token", "refresh_token", "token_type", "expires_in"}
        assert answer.body["token"] == answer.body["access_token"]
    assert len({answer.body["token"] for answer in (given, renewed, again)}) == 3
