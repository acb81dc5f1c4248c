"""`p2p demo` as a person starts it, and what its host does with what players say."""

import asyncio
import json
import math
import os
import signal
import sys

import nats
import pytest
from cli.chat import Chat
from cli.entrance import Entrance
from cli.npcs import ALARMED_STEPS, ROAM_TILES, STEP_TILES, VILLAGERS, live_in
from cli.world import MIDDLE, REACH_TILES, World, read_world
from contracts.hosts import RegisterHost
from contracts.streams import NPC
from embedded.ports import free_port
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import StreamConfig
from sdk import HostAgent
from testkit.eventually import eventually
from testkit.patience import patient, within
from testkit.tasks import end

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.conftest import stand_in, webrtc_stays_here

__all__ = ["stand_in", "webrtc_stays_here"]


@pytest.fixture
async def started():
    """Starts demos; what still runs of them when the test is over is killed."""
    processes = []

    async def start(*arguments):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "demo", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def next_line(player):
    """The next that was said in the chat; how the world is comes ten times a second in between."""
    async with within(20):
        while "text" not in (told := json.loads(await player.heard.get())):
            pass
        return told


async def world_where(player, holds):
    """How the world is, as soon as this holds of it."""
    async with within(20):
        while not ("world" in (told := json.loads(await player.heard.get())) and holds(told["world"])):
            pass
        return told["world"]


async def line_with(process, word):
    async with within(20):
        while word not in (line := (await process.stdout.readline()).decode()):
            assert line, await process.stderr.read()
    return line.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_it_prints_the_page_to_open_and_ends_cleanly(stand_in, number, started):
    process = await started("--url", stand_in.url, "--zone", "geffen")
    assert await line_with(process, "open ") == f"open        {stand_in.url}/demo/?zone=geffen"
    (host_id,) = stand_in.hosts
    assert host_id.startswith("demo-")
    process.send_signal(number)
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    assert "forgotten this host" in out.decode()
    assert stand_in.hosts == {}


async def test_it_says_what_to_do_when_nothing_runs_there(tmp_path, started):
    process = await started("--data-dir", str(tmp_path))
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith(f"error: nothing runs on {tmp_path}; start it with `")
    assert f"p2p up --data-dir {tmp_path}`, or give --url" in err.decode()


async def test_it_says_what_to_do_when_nobody_answers(started):
    process = await started("--url", f"http://127.0.0.1:{free_port()}")
    _, err = await process.communicate()
    assert process.returncode == 1
    assert "is the suite running? `" in err.decode()
    assert err.decode().strip().endswith("p2p up` starts it")


async def test_it_says_so_when_a_second_demo_takes_over(stand_in, started):
    process = await started("--url", stand_in.url)
    await line_with(process, "stop ")
    (host_id,) = stand_in.hosts
    await stand_in.close(host_id, 4001)
    _, err = await process.communicate()
    assert process.returncode == 1
    assert "is the program running twice?" in err.decode()


async def test_it_says_so_when_there_can_be_no_npcs(stand_in, started):
    process = await started("--url", stand_in.url)
    assert "--nats" in await line_with(process, "no NPCs")
    process.send_signal(signal.SIGTERM)
    await process.communicate()


async def test_npcs_wander_in_the_zone_until_it_ends(stand_in, nats_url, started):
    async with await nats.connect(nats_url) as client:
        await client.jetstream(timeout=patient(5)).add_stream(StreamConfig(name=NPC.name, subjects=[*NPC.subjects]))
        told = await client.subscribe("p2p.npc.geffen.demo-cat")
        await client.flush()
        process = await started("--url", stand_in.url, "--nats", nats_url, "--zone", "geffen")
        first, second = [json.loads((await told.next_msg(timeout=patient(20))).data) for _ in range(2)]
        assert (first["x"], first["y"]) != (second["x"], second["y"])
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        while not (last := json.loads((await told.next_msg(timeout=patient(5))).data)).get("removed"):
            assert last["name"] == "Mira"


async def test_who_is_poked_starts_at_once(nats_url):
    event = {"zone_id": "geffen", "npc_id": "demo-cat", "event": "poked", "session_id": "s", "host_id": "h"}
    said: asyncio.Queue[str] = asyncio.Queue()
    async with await nats.connect(nats_url) as client:
        await client.jetstream(timeout=patient(5)).add_stream(StreamConfig(name=NPC.name, subjects=[*NPC.subjects]))
        told = await client.subscribe("p2p.npc.geffen.demo-cat")
        await client.flush()
        living = asyncio.create_task(live_in("geffen", Entrance(nats_url, None), said.put_nowait))
        await told.next_msg(timeout=patient(10))

        async def startled():
            await client.publish("p2p.npcevents.geffen.demo-cat", json.dumps(event).encode())
            state = json.loads((await told.next_msg(timeout=patient(5))).data)
            return state.get("urgent") and state["status"] == "startled"

        await eventually(startled)
        assert "NPCs wander about geffen" in await said.get()
        assert "Mira was poked" in await said.get()
        await end(living)


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=200))
def test_a_villager_never_gets_lost(chances):
    villager = VILLAGERS[0].start(0.5)
    assert villager.state().status == "startled"
    for chance in chances:
        villager = villager.wander(chance)
        assert math.dist((villager.x, villager.y), villager.home) <= ROAM_TILES + STEP_TILES + 0.1
    assert (villager.state().status == "strolling") == (len(chances) >= ALARMED_STEPS)


async def test_a_poke_is_told_to_the_ai_world(stand_in, chat):
    async with aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        channel.send(json.dumps({"poke": "demo-cat"}))
        channel.send(json.dumps({"poke": "x" * 500}))
        await stand_in.until(lambda: stand_in.frames_from("demo", "npc-event"))
        await eventually(lambda: any("could not be poked" in words for words in chat))
    (frame,) = stand_in.frames_from("demo", "npc-event")
    assert (frame["zone_id"], frame["npc_id"], frame["event"]) == ("prontera", "demo-cat", "poked")
    assert (frame["data"], frame["session_id"]) == ({"by": "anna"}, anna.joined["session_id"])


async def test_a_message_nested_without_end_is_a_line_like_any_other(stand_in, chat):
    async with aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        channel.send("[" * 5_000)
        while (line := await next_line(anna))["text"] != "[" * 5_000:
            assert line["from"] == "demo"


@pytest.fixture
async def chat(stand_in):
    """The demo's host in this process; gives the lines it wrote to the console."""
    said: list[str] = []
    chat = Chat("demo", said.append)
    host = RegisterHost(host_id="demo", player_id="demo", player_name="Demo")
    async with HostAgent(stand_in.url, host, on_message=chat.on_message, on_event=chat.on_event) as agent:
        telling = asyncio.create_task(chat.tell(agent))
        yield said
        telling.cancel()


async def test_everybody_hears_what_one_says_under_the_name_of_who_said_it(stand_in, chat):
    async with aiortc_player(stand_in.url, "anna") as anna, aiortc_player(stand_in.url, "ben") as ben:
        channel = await anna.enter("prontera")
        await ben.enter("prontera")
        channel.send(json.dumps({"from": "ben", "text": "hello", "id": 3}))
        for player in (anna, ben):
            while (line := await next_line(player))["text"] != "hello":
                assert line["from"] == "demo"
            assert line == {"text": "hello", "id": 3, "from": "anna"}
    assert "anna: hello" in chat


async def test_what_is_no_line_of_the_page_is_passed_on_as_text(stand_in, chat):
    async with aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        assert (await next_line(anna))["text"] == "Welcome, anna."
        for odd in ("hello", "[1]", b"\x00\xff"):
            channel.send(odd)
        assert [(await next_line(anna))["text"] for _ in range(3)] == ["hello", "[1]", "2 bytes"]


async def test_where_players_stand_is_told_and_kept_with_how_much_was_said(stand_in, chat):
    async with aiortc_player(stand_in.url, "anna") as anna, aiortc_player(stand_in.url, "ben") as ben:
        channel = await anna.enter("prontera")
        await ben.enter("prontera")
        channel.send("hello")
        channel.send(json.dumps({"walk": [150, 180.5]}))
        told = await world_where(ben, lambda world: world["places"].get("anna") == [150, 180.5] and world["spoken"])
        assert told["places"].keys() == {"anna", "ben"}
        session_id = anna.joined["session_id"]
        await stand_in.until(lambda: session_id in stand_in.checkpoints)

        def kept():
            return World.model_validate_json(stand_in.checkpoints[session_id][1])

        await stand_in.until(lambda: kept().spoken == 1 and kept().places.keys() == {"anna", "ben"})
        for odd in ([1, 2, 3], ["a", 2], [1e300, 0], [10**400, 0], None):
            channel.send(json.dumps({"walk": odd}))
        channel.send(json.dumps({"walk": [1000, 178]}))
        far = await world_where(ben, lambda world: world["places"].get("anna") != [150, 180.5])
        assert far["places"]["anna"] == [MIDDLE[0] + REACH_TILES, MIDDLE[1]]


async def test_a_host_goes_on_with_what_the_one_before_it_kept(stand_in, chat):
    before = World(spoken=41, places={"anna": (150.0, 180.0), "gone": (1.0, 1.0)})
    stand_in.checkpoints["taken-over"] = (7, before.model_dump_json().encode())
    await stand_in.assign("taken-over", "prontera", "demo")
    async with aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        assert anna.joined["session_id"] == "taken-over"
        told = await world_where(anna, lambda world: True)
        assert told == {"spoken": 41, "places": {"anna": [150, 180]}}
        channel.send("hello")
        await world_where(anna, lambda world: world["spoken"] == 42)
        await stand_in.until(lambda: stand_in.checkpoints["taken-over"][0] == 8)
        assert World.model_validate_json(stand_in.checkpoints["taken-over"][1]).places["gone"] == (1, 1)
    assert "its state came along: 41 lines said, 2 players' places" in chat


@pytest.mark.parametrize("checkpoint", [None, b"", b"[1]", b"\xff", b'{"spoken": -1}'])
def test_what_is_no_world_is_a_new_one(checkpoint):
    assert read_world(checkpoint) == World()


async def test_there_must_be_a_host_to_go_to(started):
    process = await started("--kill-host", "--hosts", "1")
    _, err = await process.communicate()
    assert process.returncode == 1
    assert "--hosts 2 or more" in err.decode()
