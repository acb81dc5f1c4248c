"""The examples do what they say."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

import nats
import pytest
from contracts.hosts import Host
from contracts.streams import EVENTS, NPC
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import StreamConfig
from testkit.eventually import eventually
from testkit.examples import example
from testkit.patience import patient, within
from testkit.tasks import end

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.test_agent_traces import TRACEPARENT


@asynccontextmanager
async def running(example, url):
    """The example as `python example.py URL`, until the block ends."""
    module: Any = import_module(f"libs.sdk.examples.{example}")
    task = asyncio.create_task(module.main(url))
    try:
        yield
        if task.done():
            await task
    finally:
        await end(task)


@pytest.fixture
async def client(nats_url):
    connection = await nats.connect(nats_url)
    for stream in (EVENTS, NPC):
        await connection.jetstream(timeout=patient(5)).add_stream(
            StreamConfig(name=stream.name, subjects=[*stream.subjects])
        )
    yield connection
    await connection.close()


async def test_the_echo_host_says_everything_back(stand_in):
    async with running("echo_host", stand_in.url), aiortc_player(stand_in.url, "anna") as anna:
        await stand_in.until(lambda: "echo-host" in stand_in.sockets)
        (await anna.enter("prontera", traceparent=TRACEPARENT)).send("hello")
        assert await anna.heard.get() == "hello"


async def test_the_zone_host_tells_everybody_where_everybody_is(stand_in):
    async with (
        running("zone_host", stand_in.url),
        aiortc_player(stand_in.url, "anna") as anna,
        aiortc_player(stand_in.url, "ben") as ben,
    ):
        await stand_in.until(lambda: "zone-host" in stand_in.sockets)
        (await anna.enter("prontera")).send(json.dumps({"x": 1, "y": 2}))
        (await ben.enter("prontera")).send(json.dumps({"x": 3, "y": 4}))
        both = {"anna": [1, 2], "ben": [3, 4]}
        async with within(10):
            while json.loads(await anna.heard.get())["places"] != both:
                pass


async def test_the_game_server_registers_and_beats(client, nats_url, capsys):
    async def registered(msg):
        await msg.respond(example(Host, **json.loads(msg.data) | {"quality_score": 99}).model_dump_json().encode())

    await client.subscribe("p2p.hosts.register", cb=registered)
    beats = await client.subscribe("p2p.heartbeat.central-1")
    await client.flush()
    async with running("game_server", nats_url):
        assert json.loads((await beats.next_msg(timeout=patient(10))).data)["latency_ms"] == 2
        assert "registered with score 99" in capsys.readouterr().out


async def test_the_ai_server_walks_and_becomes_alert(client, nats_url):
    states = await client.subscribe("p2p.npc.prontera.guard")
    await client.flush()
    event = {"zone_id": "prontera", "npc_id": "guard", "event": "insulted", "session_id": "s", "host_id": "h"}

    async def alert():
        await client.publish("p2p.npcevents.prontera.guard", json.dumps(event).encode())
        return json.loads((await states.next_msg(timeout=patient(10))).data).get("status") == "alert"

    async with running("ai_server", nats_url):
        assert json.loads((await states.next_msg(timeout=patient(10))).data)["x"] == 156
        await eventually(alert)


async def test_the_guard_on_faststream_becomes_alert(client, nats_url):
    states = await client.subscribe("p2p.npc.prontera.guard")
    await client.flush()
    event = {"zone_id": "prontera", "npc_id": "guard", "event": "insulted", "session_id": "s", "host_id": "h"}

    async def alert():
        await client.publish("p2p.npcevents.prontera.guard", json.dumps(event).encode())
        with suppress(NatsTimeoutError):  # he was not there yet
            return json.loads((await states.next_msg(timeout=patient(0.5))).data)["status"] == "alert"

    async with running("faststream_guard", nats_url):
        await eventually(alert)
