"""The feed goes on with what is known, whatever is killed, stopped, away or said; and it says when that grows old."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats
import pytest
from contracts.streams import NPC
from nats.aio.client import Client
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

from services.signaling_gateway.tests.signaling.client import Peer, dial

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "npc_feed_interval_s": 0.5}
STEP_S = 0.05
"""The wanderer's pace: ten steps in each interval of the feed."""


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite with two schedulers, of which one waits for the other to fall silent for a second."""
    with running_suite({"scheduler": 2}, {"SCHEDULER_LEASE_S": str(patient(1))}) as running:
        yield running


class World:
    """An AI server with one NPC that is always on its way, over plain NATS."""

    def __init__(self, url: str, zone_id: str) -> None:
        self._url = url
        self._subject = f"p2p.npc.{zone_id}.wanderer"
        self._silent = asyncio.Event()
        self.x = 0

    async def run(self) -> None:
        client = await nats.connect(self._url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        while not self._silent.is_set():
            self.x += 1
            await client.publish(self._subject, json.dumps({"npc_id": "wanderer", "x": self.x, "y": 0}).encode())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._silent.wait(), STEP_S)
        await client.close()

    def fall_silent(self) -> None:
        self._silent.set()


class Watcher:
    """A player's socket that is subscribed to the zone, and what it heard."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.frames: list[dict[str, Any]] = []

    async def run(self) -> None:
        while True:
            self.frames.append(await self._peer.hear_until("npc-state"))

    @property
    def npcs(self) -> dict[str, float]:
        """Where the NPCs are, by every message."""
        known: dict[str, float] = {}
        for frame in self.frames:
            known = {} if frame["full"] else known
            known |= {npc["npc_id"]: npc["x"] for npc in frame["npcs"]}
            for npc_id in frame["removed"]:
                known.pop(npc_id, None)
        return known

    @property
    def numbers(self) -> list[int]:
        return [frame["seq"] for frame in self.frames]

    @property
    def x(self) -> float:
        """Where the wanderer was told to be last."""
        told = [npc["x"] for frame in self.frames for npc in frame["npcs"]]
        return float(told[-1]) if told else 0.0

    async def sees_it_move(self, times: int = 3) -> None:
        for _ in range(times):
            await self._sees_it_beyond(self.x)

    async def _sees_it_beyond(self, before: float) -> None:
        await eventually(lambda: self.x > before, within=15, of="another step of the wanderer")


HOST_PROGRAM = """
import asyncio, json, sys
from contracts.hosts import RegisterHost
from sdk import HostAgent

async def heard(*said): ...

async def main(url, zone):
    who = {"host_id": f"host-{zone}", "player_id": "p", "player_name": "n", "region": zone}
    machine = RegisterHost(**who, network_speed_mbps=1000, cpu_cores=8, memory_mb=16384)
    async with HostAgent(url, machine, on_message=heard) as agent:
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({npc_id: npc.x for npc_id, npc in agent.npcs(zone).items()}), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class HostProgram:
    """A host in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def npcs(self) -> dict[str, float]:
        """Where it knows its zone's NPCs to be."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"?\n")
        known: dict[str, float] = json.loads(await self.process.stdout.readline())
        return known

    async def knows(self, watcher: Watcher) -> bool:
        """Whether it knows what a reader of every message knows: the wanderer may have walked on meanwhile."""
        known, told = await self.npcs(), watcher.npcs
        return (
            known.keys() == told.keys()
            and abs(known.pop("wanderer", 0) - told.pop("wanderer", 0)) < 100
            and (known == told)
        )


@asynccontextmanager
async def hosting_program(suite: RunningSuite, zone_id: str) -> AsyncIterator[HostProgram]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST_PROGRAM, suite.gateways[0], zone_id, stdin=PIPE, stdout=PIPE
    )
    host = HostProgram(process)
    try:
        await host.npcs()  # it is there
        yield host
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def watched(suite: RunningSuite, zone_id: str) -> AsyncIterator[tuple[Watcher, World]]:
    async with http_client(base_url=suite.gateways[0]) as api:
        zone = {**ZONE, "zone_id": zone_id, "map_name": zone_id, "regions": [zone_id]}
        assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
        host = {**HOST, "host_id": f"host-{zone_id}", "region": zone_id}
        assert (await api.post("/api/v1/hosts/register", json=host)).is_success
    async with await dial(suite.gateways[0], f"watcher-{zone_id}") as peer:
        await peer.say("enter", zone_id=zone_id)
        await peer.hear_until("session-joined")
        await peer.say("subscribe", feed=zone_id)
        watcher, world = Watcher(peer), World(suite.nats, zone_id)
        async with asyncio.TaskGroup() as group:
            group.create_task(world.run())
            watching = group.create_task(watcher.run())
            await watcher.sees_it_move()
            yield watcher, world
            world.fall_silent()
            watching.cancel()


async def _leader(suite: RunningSuite) -> str:
    client: Client = await nats.connect(suite.nats)
    try:
        answer = json.loads((await client.request("p2p.jobs.list", b"{}", timeout=patient(5))).data)
    finally:
        await client.close()
    leader: str | None = answer["leader"]
    return leader or ""


def _never_goes_back(watcher: Watcher) -> None:
    assert watcher.numbers == sorted(watcher.numbers)
    assert all(
        later["full"] or later["seq"] == earlier["seq"] + 1
        for earlier, later in zip(watcher.frames, watcher.frames[1:], strict=False)
    ), "numbers skip only to a full state"


@pytest.mark.parametrize("process", ["zone_manager-1", "session_manager-1", "host_registry-1"])
async def test_the_death_of_others_is_no_matter_to_the_composer(suite: RunningSuite, process: str) -> None:
    async with watched(suite, f"without-{process}") as (watcher, _):
        await suite.kill(process)
        await watcher.sees_it_move()
        _never_goes_back(watcher)


async def test_whoever_comes_back_to_a_killed_gateway_hears_everything(suite: RunningSuite) -> None:
    async with watched(suite, "reopened") as (watcher, _):
        before = watcher.numbers[-1]
    await suite.kill("signaling_gateway-1")
    async with watched(suite, "reopened") as (watcher, _):
        assert watcher.frames[0]["full"]
        assert watcher.numbers[0] > before


async def test_a_killed_leader_is_followed_by_one_that_begins_with_everything(suite: RunningSuite) -> None:
    async with watched(suite, "succession") as (watcher, _):
        before = watcher.numbers[-1]
        await suite.kill(await _leader(suite))
        await watcher.sees_it_move()
        _never_goes_back(watcher)
        assert any(frame["full"] and frame["seq"] > before for frame in watcher.frames)


async def test_a_leader_that_was_stopped_and_wakes_up_says_nothing_more(suite: RunningSuite) -> None:
    async with watched(suite, "sleeper") as (watcher, _):
        asleep = await _leader(suite)
        suite.send(asleep, signal.SIGSTOP)
        try:
            await watcher.sees_it_move()
        finally:
            suite.send(asleep, signal.SIGCONT)
        await watcher.sees_it_move()
        assert await _leader(suite) != asleep
        _never_goes_back(watcher)


@pytest.mark.parametrize("server", ["redis", "postgres"])
async def test_it_goes_on_while_a_server_is_away(suite: RunningSuite, server: str) -> None:
    async with watched(suite, f"without-{server}") as (watcher, _):
        async with suite.outage(server):
            await watcher.sees_it_move()
        await watcher.sees_it_move()
        _never_goes_back(watcher)


async def test_a_stream_that_an_operator_deletes_is_made_anew_and_missed_by_nobody(suite: RunningSuite) -> None:
    client = await nats.connect(suite.nats)
    async with watched(suite, "streamless") as (watcher, _):
        await client.jetstream().delete_stream(NPC.name)
        await watcher.sees_it_move()
        await suite.kill(await _leader(suite))
        await watcher.sees_it_move()
        _never_goes_back(watcher)
        kept = (await client.jetstream().stream_info(NPC.name)).config
        assert (kept.subjects, kept.max_msgs_per_subject) == ([*NPC.subjects], NPC.max_per_subject)
    await client.close()


async def test_a_host_that_was_asleep_knows_what_everybody_knows(suite: RunningSuite) -> None:
    async with hosting_program(suite, "bedroom") as host, watched(suite, "bedroom") as (watcher, _):
        client = await nats.connect(suite.nats)
        for npc_id in ("cat", "dog"):
            await client.publish(f"p2p.npc.bedroom.{npc_id}", b'{"npc_id": "%s", "x": 1}' % npc_id.encode())
        await eventually(lambda: watcher.npcs.keys() == {"wanderer", "cat", "dog"}, within=15, of="all three")
        await eventually(lambda: host.knows(watcher), within=15, of="a host that knows as much")
        host.process.send_signal(signal.SIGSTOP)
        try:
            await client.publish("p2p.npc.bedroom.cat", b'{"npc_id": "cat", "removed": true}')
            await client.publish("p2p.npc.bedroom.dog", b'{"npc_id": "dog", "x": 7}')
            await watcher.sees_it_move(times=8)
        finally:
            host.process.send_signal(signal.SIGCONT)
        await eventually(lambda: host.knows(watcher), within=15, of="a host that knows as much again")
        assert watcher.npcs.keys() == {"wanderer", "dog"}
        await client.close()


async def test_it_comes_back_by_itself_when_nats_was_away(suite: RunningSuite) -> None:
    async with watched(suite, "without-nats") as (watcher, _):
        async with suite.outage("nats"):
            pass
        await watcher.sees_it_move()
        _never_goes_back(watcher)


async def test_what_is_known_is_marked_when_the_ai_world_falls_silent(suite: RunningSuite) -> None:
    async with watched(suite, "silence") as (watcher, world):
        world.fall_silent()
        await eventually(lambda: watcher.frames[-1].get("stale"), within=10, of="a stale feed")
        assert watcher.x == world.x, "its last word is what is known"
        client = await nats.connect(suite.nats)
        await client.publish("p2p.npc.silence.wanderer", b'{"npc_id": "wanderer", "x": 5000, "y": 0}')
        await eventually(lambda: watcher.x == 5000 and not watcher.frames[-1].get("stale"), within=10)
        await client.close()


async def test_a_flood_of_one_zone_delays_no_other(suite: RunningSuite) -> None:
    async with watched(suite, "calm") as (watcher, _), watched(suite, "flooded") as (flooded, _):
        client = await nats.connect(suite.nats)
        for number in range(20_000):
            await client.publish("p2p.npc.flooded.mad", b'{"npc_id": "mad", "x": %d, "y": 0, "urgent": true}' % number)
        await client.flush()
        await watcher.sees_it_move()
        await eventually(
            lambda: any(npc["x"] == 19_999 for frame in flooded.frames for npc in frame["npcs"]), within=15
        )
        assert len(flooded.frames) < 2_000, "what came close together was told together"
        await client.close()
