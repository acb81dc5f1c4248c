"""An AI service that is slow, down or lies harms nobody but its own NPCs: other sources' feed goes on beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import nats
import pytest
from testkit.eventually import eventually
from testkit.portal import Portal
from testkit.servers import TestServer
from testkit.suites import RunningSuite, running_suite

from services.scheduler.tests.ai_service.fake import (
    Answer,
    FakeAiService,
    broken,
    compressed,
    elsewhere,
    fake_ai_service,
    garbage,
    hangs_up,
    html,
    limited,
    never,
    ten_megabytes,
)
from services.signaling_gateway.tests.signaling.client import Peer, dial

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "square", "zone_id": "square", "regions": ["square"]}


@pytest.fixture(scope="module")
def service() -> Iterator[FakeAiService]:
    """An AI service with one NPC."""
    portal = Portal()
    try:
        with portal.holding(fake_ai_service({"statue": {"map": "square", "x": 1, "y": 1}})) as fake:
            yield fake
    finally:
        portal.close()


@pytest.fixture(scope="module")
def suite(service: FakeAiService, servers: Any) -> Iterator[RunningSuite]:
    """A suite that has all three sources of one zone."""
    redis: TestServer = servers.redis
    environment = {
        "AI_SERVICE_ENABLED": "true",
        "AI_SERVICE_URL": service.url,
        "AI_SERVICE_NPCS": json.dumps({"square": ["statue"]}),
        "AI_REDIS_URL": redis.url,
        "SCHEDULER_NPC_FEED_EVERY_S": "0.5",
    }
    with running_suite({}, environment) as running:
        yield running


class Square:
    """A player on the square, where an AI server on NATS moves a pigeon."""

    def __init__(self, peer: Peer, url: str) -> None:
        self._peer = peer
        self._url = url
        self.npcs: dict[str, dict[str, Any]] = {}
        self.numbers: list[int] = []

    async def watch(self) -> None:
        while True:
            with suppress(TimeoutError):  # without a scheduler there is a while without a frame
                frame = await self._peer.hear_until("npc-state")
                self.numbers.append(frame["seq"])
                self.npcs |= {npc["npc_id"]: npc for npc in frame["npcs"]}

    async def fly(self) -> None:
        client = await nats.connect(self._url)
        try:
            for x in range(1_000_000):
                await client.publish("p2p.npc.square.pigeon", json.dumps({"npc_id": "pigeon", "x": x, "y": 0}).encode())
                await asyncio.sleep(0.05)
        finally:
            await client.close()

    async def sees_the_pigeon_fly(self, times: int = 3) -> None:
        for _ in range(times):
            await self._sees_it_leave(self._x("pigeon"))

    async def sees_the_statue_at(self, x: float) -> None:
        await eventually(lambda: self._x("statue") == x, within=30, of=f"the statue at {x}")

    async def _sees_it_leave(self, before: float) -> None:
        await eventually(lambda: self._x("pigeon") != before, within=10, of="another stroke of the pigeon's wings")

    def _x(self, npc_id: str) -> float:
        return float(self.npcs.get(npc_id, {}).get("x", -1))


@pytest.fixture
async def square(suite: RunningSuite, api: httpx.AsyncClient) -> AsyncIterator[Square]:
    assert (await api.post("/api/v1/zones/", json=ZONE)).status_code == 201
    host = {**HOST, "host_id": "host-square", "region": "square"}
    assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201
    async with await dial(suite.gateways[0], "passer-by") as peer:
        await peer.say("enter", zone_id="square")
        await peer.hear_until("session-joined")
        await peer.say("subscribe", feed="square")
        square = Square(peer, suite.nats)
        beside = [asyncio.create_task(square.watch()), asyncio.create_task(square.fly())]
        try:
            yield square
        finally:
            for task in beside:
                task.cancel()


@asynccontextmanager
async def trouble(service: FakeAiService, answer: Answer) -> AsyncIterator[None]:
    service.trouble = answer
    try:
        yield
    finally:
        service.trouble = None


@pytest.mark.parametrize(
    "answer",
    [never, hangs_up, broken, limited, html, compressed, ten_megabytes, elsewhere, garbage],
    ids=lambda answer: answer.__name__,
)
async def test_the_feed_of_others_goes_on_and_the_scheduler_is_ready(
    suite: RunningSuite, service: FakeAiService, square: Square, answer: Answer
) -> None:
    async with trouble(service, answer):
        asked = len(service.asked)
        await eventually(lambda: len(service.asked) > asked, within=30, of="a question that meets the trouble")
        await square.sees_the_pigeon_fly()
        assert await suite.ready("scheduler-1")
    assert square.numbers == sorted(square.numbers)
    service.npcs["statue"]["x"] += 1
    await square.sees_the_statue_at(service.npcs["statue"]["x"])


async def test_a_redis_of_the_ai_service_that_goes_away_is_no_matter_to_others(
    suite: RunningSuite, servers: Any, square: Square
) -> None:
    redis: TestServer = servers.redis
    await square.sees_the_pigeon_fly()
    await redis.stop()
    try:
        await square.sees_the_pigeon_fly(times=6)
        assert await suite.ready("scheduler-1")
    finally:
        await redis.start()


async def test_an_ai_service_that_hangs_does_not_hold_up_a_scheduler_that_stops(
    suite: RunningSuite, service: FakeAiService, square: Square
) -> None:
    async with trouble(service, never):
        asked = len(service.asked)
        await eventually(lambda: len(service.asked) > asked, within=30, of="a question that is never answered")
        async with suite.outage("scheduler-1"):
            last = [line for line in suite.log if line.startswith("scheduler-1 ")]
        assert any("lease.given_up" in line for line in last)
    await square.sees_the_pigeon_fly()
