"""NPC state reaches hosts and players, whichever way the AI world speaks, and nothing private with it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import nats
import pytest
from contracts.grants import AI_SERVER, GAME_SERVER, OPERATOR
from embedded.plan import Mode
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from redis.asyncio import from_url
from testkit.admission import on_nats, owning_nats
from testkit.eventually import eventually
from testkit.patience import patient, within
from testkit.suites import RunningSuite, running_suite

from services.signaling_gateway.tests.signaling.client import Peer
from tests.journeys.entering import dial, dial_host

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "npc_feed_interval_s": 0.5}

SECRETS = {
    "information_items": ["the king is a doppelganger"],
    "personality": {"openness": 0.9},
    "agent_id": "agent-of-the-guard",
    "memories": ["secret memory"],
}

TRACE_ID = "5ec7e75ec7e75ec7e75ec7e75ec7e75e"
A_TRACE = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite with two gateways."""
    with running_suite({"signaling_gateway": 2}, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def ai(suite: RunningSuite) -> AsyncIterator[Client]:
    """The AI world's server."""
    async with on_nats(suite, AI_SERVER) as client:
        yield client


@pytest.fixture
async def game(suite: RunningSuite) -> AsyncIterator[Client]:
    """A game's server."""
    async with on_nats(suite, GAME_SERVER) as client:
        yield client


@pytest.fixture
async def operator(suite: RunningSuite) -> AsyncIterator[Client]:
    async with on_nats(suite, OPERATOR) as client:
        yield client


@pytest.fixture
async def everything(suite: RunningSuite) -> AsyncIterator[Client]:
    """Whoever hears all that is said on NATS."""
    async with owning_nats(suite) as client:
        yield client


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


async def test_what_a_plain_nats_client_publishes_reaches_host_and_player_on_any_gateway(
    suite: RunningSuite, api: httpx.AsyncClient, ai: Client
) -> None:
    await _playing(api, "harbour")
    here, there = suite.gateways
    async with await dial_host(suite, here, "host-harbour") as host, await dial(suite, there, "ann") as ann:
        await _enter(ann, "harbour")
        await host.hear_until("session-assigned")
        for peer in (host, ann):
            await peer.say("subscribe", feed="harbour")
        first = await asyncio.gather(host.hear_until("npc-state"), ann.hear_until("npc-state"))
        assert [(told["zone_id"], told["full"], told["npcs"]) for told in first] == [("harbour", True, [])] * 2

        await ai.publish("p2p.npc.harbour.fisher", b'{"npc_id": "fisher", "name": "Old Fisher", "x": 1.5, "y": 2}')
        for told in await asyncio.gather(_until(host, "fisher"), _until(ann, "fisher")):
            assert told["npcs"] == [{"npc_id": "fisher", "name": "Old Fisher", "x": 1.5, "y": 2.0}]
        await ai.publish("p2p.npc.harbour.fisher", b'{"npc_id": "fisher", "removed": true}')
        while "fisher" not in (told := await ann.hear_until("npc-state"))["removed"]:
            assert told["npcs"] == []


async def test_who_comes_later_is_told_everything_first(
    suite: RunningSuite, api: httpx.AsyncClient, ai: Client
) -> None:
    await _playing(api, "later")
    # Said before anybody plays there: the stream keeps it.
    await ai.jetstream(timeout=patient(5)).publish("p2p.npc.later.smith", b'{"npc_id": "smith", "x": 1, "y": 1}')
    await ai.jetstream(timeout=patient(5)).publish("p2p.environment.later", b'{"weather": "snow", "moon": "full"}')
    async with await dial(suite, suite.gateways[0], "bea") as bea:
        await _enter(bea, "later")
        await bea.say("subscribe", feed="later")
        told = await _until(bea, "smith")
        assert told["full"]
        assert (told["environment"]["weather"], told["environment"]["moon"]) == ("snow", "full")
        async with await dial(suite, suite.gateways[0], "carl") as carl:
            await _enter(carl, "later")
            await carl.say("subscribe", feed="later")
            assert (await carl.hear_until("npc-state"))["npcs"] == told["npcs"]


async def test_private_fields_appear_nowhere_downstream(
    suite: RunningSuite, operated: httpx.AsyncClient, ai: Client, everything: Client
) -> None:
    await _playing(operated, "private")
    heard: list[str] = []

    async def hear(msg: Msg) -> None:
        if not msg.subject.startswith("p2p.npc."):  # what the AI server itself said
            heard.append(f"{msg.subject} {msg.headers} {msg.data!r}")

    for subjects in ("p2p.>", "$KV.>"):
        await everything.subscribe(subjects, cb=hear)
    here, there = suite.gateways
    async with await dial_host(suite, here, "host-private") as host, await dial(suite, there, "dan") as dan:
        await _enter(dan, "private")
        await host.hear_until("session-assigned")
        for peer in (host, dan):
            await peer.say("subscribe", feed="private")
            await peer.hear_until("npc-state")
        guard = {"npc_id": "guard", "name": "Guard", "x": 1, "y": 2, **SECRETS}
        unusable = {"npc_id": "another", **SECRETS}, {**guard, "map": "geffen"}, {**guard, "x": SECRETS}, [SECRETS]
        for body in (*map(json.dumps, unusable), json.dumps(guard)[:-1]):
            await ai.publish("p2p.npc.private.guard", body.encode(), headers=A_TRACE)
        await ai.publish("p2p.npc.private.guard", json.dumps({**guard, "urgent": True}).encode(), headers=A_TRACE)
        heard += [json.dumps(frame) for frame in await asyncio.gather(_until(host, "guard"), _until(dan, "guard"))]
        await eventually(lambda: len([text for text in heard if text.startswith("p2p.dlq.npc ")]) == 5, of="letters")
        await eventually(lambda: suite.spans.spans_of(TRACE_ID), of="its spans")
        outputs = {
            "NATS and sockets": heard,
            "REST": [
                text async for text in _everything_of(operated, {"zone_id": "private", "host_id": "host-private"})
            ],
            "the console": [await _console_with(operated, npcs="private")],
            "metrics": [(await operated.get(f"{suite.http(instance)}/metrics")).text for instance in suite.instances],
            "logs": list(suite.log),
            "spans": [repr(span) for span in suite.spans.spans],
            "databases": [row async for row in _rows(suite)],
            "Redis": [value async for value in _values(suite)],
        }
    for what, texts in outputs.items():
        assert texts, what
        for secret in (*SECRETS, "doppelganger", "openness", "agent-of", "secret memory"):
            assert not [text for text in texts if secret in text], (what, secret)
    for what in ("NATS and sockets", "the console"):
        assert any("Guard" in text for text in outputs[what]), "there was something to find secrets in"


async def _everything_of(api: httpx.AsyncClient, named: dict[str, str]) -> AsyncIterator[str]:
    """The answer of every GET route that needs no more names than these."""
    for path, methods in (await api.get("/openapi.json")).json()["paths"].items():
        wanted = set(re.findall(r"{(\w+)}", path))
        if "get" in methods and wanted <= named.keys() and not path.endswith("/console"):
            yield (await api.get(path.format_map(named))).text


async def _console_with(api: httpx.AsyncClient, **watched: str) -> str:
    """What the console page is told until the NPCs are among it."""
    told = ""
    stream = {"Accept": "text/event-stream"}
    async with within(15), api.stream("GET", "/api/v1/console", params=watched, headers=stream) as answer:
        async for line in answer.aiter_lines():
            told += line
            if "Guard" in line:
                break
    return told


async def _rows(suite: RunningSuite) -> AsyncIterator[str]:
    """Everything in the databases of the suite, as text."""
    for service in {instance.rpartition("-")[0] for instance in suite.instances} - {"prober"}:
        connection = await asyncpg.connect(suite.postgres(service))
        tables = await connection.fetch("SELECT relid::regclass::text AS name FROM pg_stat_user_tables")
        for table in tables:
            for row in await connection.fetch(f"SELECT kept::text FROM {table['name']} AS kept"):
                yield row[0]
        await connection.close()


async def _values(suite: RunningSuite) -> AsyncIterator[str]:
    """Everything in Redis."""
    async with from_url(suite.redis) as redis:
        async for key in redis.scan_iter():
            yield f"{key!r} {await redis.dump(key)!r}"


async def test_what_a_host_tells_of_an_npc_reaches_the_ai_world_and_players_may_not(
    suite: RunningSuite, api: httpx.AsyncClient, ai: Client
) -> None:
    await _playing(api, "forge")
    events = await ai.subscribe("p2p.npcevents.*.*")
    await ai.flush()
    async with (
        await dial_host(suite, suite.gateways[0], "host-forge") as host,
        await dial(suite, suite.gateways[1], "eva") as eva,
    ):
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
    async with await dial(suite, suite.gateways[0], "fay") as fay:
        await fay.say("subscribe", feed="elsewhere")
        refused = await fay.hear_until("error")
        assert (refused["code"], refused["in_reply_to"]) == ("forbidden", "subscribe")


async def test_what_cannot_be_used_goes_to_the_dead_letters_and_harms_nobody(
    suite: RunningSuite, api: httpx.AsyncClient, ai: Client, operator: Client
) -> None:
    await _playing(api, "rough")
    letters = await operator.subscribe("p2p.dlq.>")
    async with await dial(suite, suite.gateways[0], "gil") as gil:
        await _enter(gil, "rough")
        await gil.say("subscribe", feed="rough")
        await gil.hear_until("npc-state")
        await ai.publish("p2p.npc.rough.imp", b"not json")
        await ai.publish("p2p.npc.rough.imp", b'{"npc_id": "another"}')
        await ai.publish("p2p.npc.rough.imp", b'{"npc_id": "imp", "map": "geffen", "x": 1, "y": 1}')
        await ai.publish("p2p.npc.rough.imp", b'{"npc_id": "imp", "x": 7, "y": 8}')
        assert (await _until(gil, "imp"))["npcs"] == [{"npc_id": "imp", "x": 7.0, "y": 8.0}]
        reasons = [(await letters.next_msg(timeout=patient(5))).headers for _ in range(3)]
        assert all(reasons)


async def test_a_session_in_progress_is_fed_until_it_ends(
    suite: RunningSuite, api: httpx.AsyncClient, game: Client
) -> None:
    await _playing(api, "ending")
    feed = await game.subscribe("p2p.feed.ending")
    async with await dial(suite, suite.gateways[0], "hal") as hal:
        session_id = await _enter(hal, "ending")
        await feed.next_msg(timeout=patient(10))
        assert (await api.post(f"/api/v1/sessions/{session_id}/end")).status_code == 200
        async with within(30):
            await _until_silent(feed)
