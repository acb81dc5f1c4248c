"""A flood of frames in either dialect ends its own socket, and nobody else's."""

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from services.signaling_gateway.tests.access.conftest import WARP_IDS
from services.signaling_gateway.tests.access.test_sockets import GAME
from services.signaling_gateway.tests.limits.test_gateways import (
    _owners,
    clients,
    database,
    gateways,
    opened_by,
    token,
)
from services.signaling_gateway.tests.signaling.client import Peer, dial, leaving

__all__ = ["_owners", "database"]

UNREADABLE, TOO_MANY = (1003, "no readable frames"), (1008, "too many messages")

FLOODS = {
    "frames": ('{"type":"ping"}', TOO_MANY),
    "sessions": ('{"type":"create_session","peer_id":"900001","zone":"prontera"}', TOO_MANY),
    "an unknown type": ('{"type":"shout"}', TOO_MANY),
    "what is no JSON": ("{", UNREADABLE),
}


@pytest.mark.parametrize(("frame", "ended"), FLOODS.values(), ids=FLOODS.keys())
async def test_a_game_client_that_floods_is_told_in_its_words_and_closed_and_others_are_served(
    servers, database, frame: str, ended: tuple[int, str]
):
    limits = {"limit_messages_per_second": 20, "limit_messages_burst": 40}
    async with gateways(servers, database, **limits, warp_peer_ids=WARP_IDS) as urls, clients(urls) as (here,):
        other, game = await opened_by(urls[0], await token(here, "ann")), await dial(urls[0], **GAME)
        async with leaving(other, game):
            await game.say("create_session", peer_id="900001", zone="prontera")
            assert (await game.hear())["type"] == "session_created"
            hearing = asyncio.create_task(_hear_to_the_end(game))
            with pytest.raises(ConnectionClosed) as closed:
                await _flood(game, frame)
            heard = await hearing
            await other.hears_nothing_more()
            late = await dial(urls[0], **GAME)
            async with leaving(late):
                await late.say("create_session", peer_id="900002", zone="prontera")
                assert (await late.hear())["type"] == "session_created"
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == ended
    assert all(one.keys() == {"type", "message"} for one in heard if one["type"] == "error")
    told = {"type": "error", "message": "Too many messages"} in heard
    assert told is (ended == TOO_MANY)


async def _flood(peer: Peer, frame: str) -> None:
    while True:
        await peer.say_raw(frame)


async def _hear_to_the_end(peer: Peer) -> list[dict[str, str]]:
    heard = []
    try:
        while True:
            heard.append(json.loads(await peer.socket.recv()))
    except ConnectionClosed:
        return heard
