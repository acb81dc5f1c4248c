"""An AI service that speaks only HTTP, and one known by its Redis, reach players; their secrets reach nobody."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from contracts.grants import OPERATOR
from embedded.plan import Mode
from nats.aio.msg import Msg
from redis.asyncio import from_url
from testkit.admission import headers_for, on_nats, owning_nats
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.portal import Portal
from testkit.servers import TestServer
from testkit.suites import RunningSuite, running_suite

from services.scheduler.tests.ai_service.fake import (
    LIMIT,
    SECRET_TEXTS,
    SECRETS,
    FakeAiService,
    fake_ai_service,
)
from services.signaling_gateway.tests.signaling.client import Peer
from tests.journeys.entering import dial

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z"}

TOWN = [f"townsman-{number}" for number in range(LIMIT + 20)]
"""More than the service would answer for in a minute."""

DEFAULT_BUDGET = 90


@pytest.fixture(scope="module")
def service() -> Iterator[FakeAiService]:
    """An AI service that knows the people of a town."""
    portal = Portal()
    npcs: dict[str, dict[str, Any]] = {npc_id: {"name": npc_id, "map": "town", "x": 1, "y": 2} for npc_id in TOWN}
    try:
        with portal.holding(fake_ai_service(npcs)) as fake:
            yield fake
    finally:
        portal.close()


@pytest.fixture(scope="module")
def suite(service: FakeAiService, servers: Any) -> Iterator[RunningSuite]:
    """Two schedulers that ask the service, and read a Redis that is not the suite's."""
    redis: TestServer = servers.redis
    environment = {
        "AI_SERVICE_ENABLED": "true",
        "AI_SERVICE_URL": service.url,
        "AI_SERVICE_NPCS": json.dumps({"town": TOWN}),
        "AI_REDIS_URL": redis.url,
        "SCHEDULER_LEASE_S": str(patient(1)),
        "SCHEDULER_NPC_FEED_EVERY_S": "0.5",
    }
    with running_suite({"scheduler": 2}, environment, mode=Mode.ENFORCED) as running:
        yield running


@asynccontextmanager
async def listening(suite: RunningSuite) -> AsyncIterator[list[bytes]]:
    """Every byte that is published on NATS, but for answers.

    Whoever listens to `>` stands in for the inboxes of the killed: the server would deliver to them until their pulls
    are over.
    """
    heard: list[bytes] = []

    async def hear(msg: Msg) -> None:
        heard.append(msg.subject.encode() + b" " + json.dumps(msg.headers or {}).encode() + msg.data)

    async with owning_nats(suite) as client:
        for subjects in ("p2p.>", "$KV.>", "$SRV.>"):
            await client.subscribe(subjects, cb=hear)
        await client.flush()
        yield heard


@asynccontextmanager
async def playing(suite: RunningSuite, zone_id: str) -> AsyncIterator["Screen"]:
    """A player whose socket hears the zone's feed."""
    async with http_client(base_url=suite.gateways[0], headers=await headers_for(suite)) as api:
        zone = {**ZONE, "zone_id": zone_id, "map_name": zone_id, "regions": [zone_id]}
        assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
        host = {**HOST, "host_id": f"host-{zone_id}", "region": zone_id}
        assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201
    async with await dial(suite, suite.gateways[0], f"player-{zone_id}") as peer:
        await peer.say("enter", zone_id=zone_id)
        await peer.hear_until("session-joined")
        await peer.say("subscribe", feed=zone_id)
        screen = Screen(peer)
        watching = asyncio.create_task(screen.watch())
        try:
            yield screen
        finally:
            watching.cancel()


class Screen:
    """The NPCs as a player sees them, and every frame that brought them."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.npcs: dict[str, dict[str, Any]] = {}
        self.environment: dict[str, Any] = {}
        self.frames: list[bytes] = []

    async def watch(self) -> None:
        while True:
            frame = await self._peer.hear_until("npc-state")
            self.frames.append(json.dumps(frame).encode())
            if frame["full"]:
                self.npcs.clear()
            self.npcs |= {npc["npc_id"]: npc for npc in frame["npcs"]}
            for npc_id in frame["removed"]:
                self.npcs.pop(npc_id, None)
            self.environment |= frame.get("environment") or {}


async def _leader(suite: RunningSuite) -> str:
    async with on_nats(suite, OPERATOR) as operator:
        answer = json.loads((await operator.request("p2p.jobs.list", b"{}", timeout=patient(5))).data)
    return str(answer["leader"])


def _secrets_in(heard: list[bytes]) -> dict[str, bytes]:
    """Each secret that was told, with the first message that did."""
    found = {text: next((told for told in heard if text.encode() in told), None) for text in SECRET_TEXTS}
    return {text: told for text, told in found.items() if told is not None}


async def test_a_service_that_speaks_only_http_is_never_asked_more_than_its_limit_though_its_leader_is_killed(
    suite: RunningSuite, service: FakeAiService
) -> None:
    assert service.asked == [], "nobody plays, so nobody asks"
    async with listening(suite) as heard, playing(suite, "town") as screen:
        await eventually(lambda: len(screen.npcs) >= 30, within=20, of="thirty people of the town")
        before, found = len(service.asked), len(screen.npcs)
        await suite.kill(await _leader(suite), signal.SIGKILL)
        await eventually(lambda: len(service.asked) > before + 10, within=20, of="questions of the second leader")
        await eventually(lambda: len(service.asked) >= DEFAULT_BUDGET - 3, within=30, of="the budget's end")
        seen = len(screen.frames)
        await eventually(lambda: len(screen.frames) > seen + 6, within=10, of="the feed, which goes on meanwhile")
        await eventually(lambda: len(screen.npcs) >= found + 10, within=10, of="people that the second leader found")

        assert service.most_in_a_minute <= DEFAULT_BUDGET
        assert service.refused == 0
        assert screen.npcs.keys() <= set(TOWN)
        someone = next(iter(screen.npcs))
        assert screen.npcs[someone] | {"updated_at": ""} == {
            "npc_id": someone,
            "name": someone,
            "npc_class": "guard",
            "level": 10,
            "map": "town",
            "x": 1.0,
            "y": 2.0,
            "status": "idle",
            "updated_at": "",
        }
        assert screen.environment["weather"] == "rain"
        assert _secrets_in(heard) == {}
        assert _secrets_in(screen.frames) == {}
        assert any(b"p2p.npc.town." in told for told in heard), "there was something to find secrets in"


async def test_a_service_is_known_by_its_redis_too(suite: RunningSuite, servers: Any) -> None:
    secrets = {name: json.dumps(value) for name, value in SECRETS.items()}
    async with from_url(servers.redis.url) as world:
        for npc_id, map_name in (("smith", "village"), ("mage", "village"), ("hermit", "mountain")):
            state: dict[Any, Any] = {"npc_id": npc_id, "class": "villager", "map": map_name, "x": 3, "y": 4, **secrets}
            await world.hset(f"npc:{npc_id}", mapping=state)
        async with listening(suite) as heard, playing(suite, "village") as screen:
            await eventually(lambda: screen.npcs.keys() == {"smith", "mage"}, within=15, of="the village's NPCs")
            assert screen.npcs["smith"] == {
                "npc_id": "smith",
                "npc_class": "villager",
                "map": "village",
                "x": 3,
                "y": 4,
            }
            await suite.kill(await _leader(suite), signal.SIGKILL)
            await world.hset("npc:smith", "x", "77")
            await eventually(lambda: screen.npcs["smith"]["x"] == 77, within=15, of="the smith's next step")
            await world.delete("npc:mage")
            await eventually(lambda: screen.npcs.keys() == {"smith"}, within=15, of="the mage's departure")
            assert _secrets_in(heard) == {}
            assert _secrets_in(screen.frames) == {}
            assert not [told for told in heard if b"hermit" in told], "nobody plays on the mountain"
