"""NPC state reaches hosts and players, whichever way the AI world speaks, and nothing private with it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import nats
import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from testkit.patience import patient, within
from testkit.suites import RunningSuite, running_suite

from services.signaling_gateway.tests.signaling.client import Peer, dial

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "npc_feed_interval_s": 0.5}

SECRETS = {
    "information_items": ["the king is a doppelganger"],
    "personality": {"openness": 0.9},
    "agent_id": "agent-of-the-guard",
    "memories": ["secret memory"],
}


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite with two gateways."""
    with running_suite({"signaling_gateway": 2}) as running:
        yield running


@pytest.fixture
async def bus(suite: RunningSuite) -> AsyncIterator[Client]:
    connection = await nats.connect(suite.nats)
    yield connection
    await connection.close()


async def _playing(api: httpx.AsyncClient, zone_id: str) -> None:
    """A zone and the one host that may serve it."""
    zone = {**ZONE, "zone_id": zone_id, "map_name": zone_id, "regions": [zone_id]}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    host = {**HOST, "host_id": f"host-{zone_id}", "region": zone_id}
    assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201


async def _enter(peer: Peer, zone_id: str) -> str:
    await peer.say("enter", zone_id=zone_id)
    session: str = (await peer.hear_until("session-joined"))["session_id"]
    return session


async def _until(peer: Peer, npc_id: str) -> dict[str, Any]:
    """The next feed message that tells of the NPC."""
    while True:
        told = await peer.hear_until("npc-state")
        if any(npc["npc_id"] == npc_id for npc in told["npcs"]):
            return told


async def _until_silent(feed: Subscription) -> None:
    """Until nothing came for several of the feed's intervals."""
    try:
        while True:
            await feed.next_msg(timeout=patient(3))
    except nats.errors.TimeoutError:
        return


async def test_what_any_nats_client_publishes_reaches_host_and_player_on_any_gateway(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _playing(api, "harbour")
    here, there = suite.gateways
    async with await dial(here, "host-harbour") as host, await dial(there, "ann") as ann:
        await _enter(ann, "harbour")
        await host.hear_until("session-assigned")
        for peer in (host, ann):
            await peer.say("subscribe", feed="harbour")
        first = await asyncio.gather(host.hear_until("npc-state"), ann.hear_until("npc-state"))
        assert [(told["zone_id"], told["full"], told["npcs"]) for told in first] == [("harbour", True, [])] * 2

        await bus.publish("p2p.npc.harbour.fisher", b'{"npc_id": "fisher", "name": "Old Fisher", "x": 1.5, "y": 2}')
        for told in await asyncio.gather(_until(host, "fisher"), _until(ann, "fisher")):
            assert told["npcs"] == [{"npc_id": "fisher", "name": "Old Fisher", "x": 1.5, "y": 2.0}]
        await bus.publish("p2p.npc.harbour.fisher", b'{"npc_id": "fisher", "removed": true}')
        while "fisher" not in (told := await ann.hear_until("npc-state"))["removed"]:
            assert told["npcs"] == []


async def test_who_comes_later_is_told_everything_first(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _playing(api, "later")
    # Said before anybody plays there: the stream keeps it.
    await bus.jetstream(timeout=patient(5)).publish("p2p.npc.later.smith", b'{"npc_id": "smith", "x": 1, "y": 1}')
    await bus.jetstream(timeout=patient(5)).publish("p2p.environment.later", b'{"weather": "snow", "moon": "full"}')
    async with await dial(suite.gateways[0], "bea") as bea:
        await _enter(bea, "later")
        await bea.say("subscribe", feed="later")
        told = await _until(bea, "smith")
        assert told["full"]
        assert (told["environment"]["weather"], told["environment"]["moon"]) == ("snow", "full")
        async with await dial(suite.gateways[0], "carl") as carl:
            await _enter(carl, "later")
            await carl.say("subscribe", feed="later")
            assert (await carl.hear_until("npc-state"))["npcs"] == told["npcs"]


async def test_private_fields_appear_nowhere_downstream(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _playing(api, "private")
    on_nats = await bus.subscribe("p2p.feed.private")
    async with await dial(suite.gateways[0], "dan") as dan:
        await _enter(dan, "private")
        await dan.say("subscribe", feed="private")
        told = {"npc_id": "guard", "name": "Guard", "x": 1, "y": 2, "urgent": True, **SECRETS}
        await dan.hear_until("npc-state")
        await bus.publish("p2p.npc.private.guard", json.dumps(told).encode())
        frame = await _until(dan, "guard")
        heard = [json.dumps(frame)]
        while '"guard"' not in heard[-1]:
            heard.append((await on_nats.next_msg(timeout=patient(5))).data.decode())
        heard.append((await on_nats.next_msg(timeout=patient(5))).data.decode())
        for secret in ("information_items", "doppelganger", "personality", "openness", "agent_id", "agent-of", "memor"):
            assert not [text for text in heard if secret in text], secret


async def test_what_a_host_tells_of_an_npc_reaches_the_ai_world_and_players_may_not(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _playing(api, "forge")
    events = await bus.subscribe("p2p.npcevents.>")
    await bus.flush()
    async with await dial(suite.gateways[0], "host-forge") as host, await dial(suite.gateways[1], "eva") as eva:
        session_id = await _enter(eva, "forge")
        await host.hear_until("session-assigned")
        event = {"zone_id": "forge", "npc_id": "the.smith", "event": "attacked", "data": {"by": "eva"}}
        await eva.say("npc-event", **event)
        assert (await eva.hear_until("error"))["code"] == "forbidden"
        await host.say("npc-event", **event)
        message = await events.next_msg(timeout=patient(5))
        assert message.subject == "p2p.npcevents.forge.the%2Esmith"
        assert json.loads(message.data) == {**event, "session_id": session_id, "host_id": "host-forge"}


async def test_nobody_hears_of_a_zone_where_they_do_not_play(suite: RunningSuite, api: httpx.AsyncClient) -> None:
    await _playing(api, "elsewhere")
    async with await dial(suite.gateways[0], "fay") as fay:
        await fay.say("subscribe", feed="elsewhere")
        refused = await fay.hear_until("error")
        assert (refused["code"], refused["in_reply_to"]) == ("forbidden", "subscribe")


async def test_what_cannot_be_used_goes_to_the_dead_letters_and_harms_nobody(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _playing(api, "rough")
    letters = await bus.subscribe("p2p.dlq.>")
    async with await dial(suite.gateways[0], "gil") as gil:
        await _enter(gil, "rough")
        await gil.say("subscribe", feed="rough")
        await gil.hear_until("npc-state")
        await bus.publish("p2p.npc.rough.imp", b"not json")
        await bus.publish("p2p.npc.rough.imp", b'{"npc_id": "another"}')
        await bus.publish("p2p.npc.rough.imp", b'{"npc_id": "imp", "map": "geffen", "x": 1, "y": 1}')
        await bus.publish("p2p.npc.rough.imp", b'{"npc_id": "imp", "x": 7, "y": 8}')
        assert (await _until(gil, "imp"))["npcs"] == [{"npc_id": "imp", "x": 7.0, "y": 8.0}]
        reasons = [(await letters.next_msg(timeout=patient(5))).headers for _ in range(3)]
        assert all(reasons)


async def test_a_session_in_progress_is_fed_until_it_ends(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _playing(api, "ending")
    feed = await bus.subscribe("p2p.feed.ending")
    async with await dial(suite.gateways[0], "hal") as hal:
        session_id = await _enter(hal, "ending")
        await feed.next_msg(timeout=patient(10))
        assert (await api.post(f"/api/v1/sessions/{session_id}/end")).status_code == 200
        async with within(30):
            await _until_silent(feed)
