"""The Redis adapter on a real Valkey and real NATS."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from chassis.bus import Bus
from chassis.redis import open_redis
from contracts.npcs import Source
from prometheus_client import REGISTRY
from redis.asyncio import Redis, from_url
from scheduler.ai_service.index import NpcHashes
from scheduler.ai_service.indexing import Indexing
from scheduler.ai_service.played_lately import PlayedLately
from scheduler.ai_service.telling import Telling
from structlog.testing import capture_logs
from testkit.eventually import eventually
from testkit.servers import TestServer

from services.scheduler.tests.ai_service.conftest import Leading, Played, Said, Time
from services.scheduler.tests.ai_service.fake import SECRET_TEXTS, SECRETS

SHARE = 1 / 60


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[Redis]:
    """The AI service's own hand in its Redis."""
    async with from_url(redis_url) as client:
        yield client


@pytest.fixture
def played() -> Played:
    return Played(prontera="prontera", night="prontera", geffen="geffen")


@pytest.fixture
async def indexing(bus: Bus, leading: Leading, time: Time, played: Played, redis_url: str) -> AsyncIterator[Indexing]:
    async with open_redis(redis_url, pool_size=1, decode=False) as client:
        lately = PlayedLately(played, time)
        yield Indexing(NpcHashes(client), leading, lately, Telling(bus, Source.REDIS), time, share=SHARE)


async def _npc(world: Redis, npc_id: str, **fields: Any) -> None:
    given: dict[Any, Any] = {"npc_id": npc_id, "class": "guard", "map": "prontera", "x": 1, "y": 2} | fields
    await world.hset(f"npc:{npc_id}", mapping=given | {name: str(secret) for name, secret in SECRETS.items()})


async def _round(indexing: Indexing, bus: Bus) -> None:
    await indexing.round()
    await bus.settle()


async def test_npcs_are_said_in_every_played_zone_of_their_map_and_nothing_private(
    indexing: Indexing, world: Redis, bus: Bus, said: Said
):
    await _npc(world, "guard", level=10)
    await _npc(world, "mage", map="geffen.gat")
    await _npc(world, "hermit", map="mountain")
    await _round(indexing, bus)
    assert {state["in"] for state in said.states("guard")} == {"prontera", "night"}
    assert said.states("guard")[0] | {"in": ""} == {
        "npc_id": "guard",
        "npc_class": "guard",
        "level": 10,
        "map": "prontera",
        "x": 1.0,
        "y": 2.0,
        "in": "",
    }
    assert said.states("mage")[0]["in"] == "geffen"
    assert said.states("hermit") == []
    assert {text: said.mentions(text) for text in SECRET_TEXTS if said.mentions(text)} == {}


async def test_private_fields_are_not_even_read(indexing: Indexing, world: Redis, bus: Bus):
    await _npc(world, "guard")
    commands: list[str] = []
    async with world.monitor() as monitor:
        await _round(indexing, bus)
        await world.ping()
        async for command in monitor.listen():
            commands.append(command["command"])
            if command["command"] == "PING":
                break
    assert [command for command in commands if command.startswith(("KEYS", "HGETALL"))] == []
    assert {command.split()[0] for command in commands} <= {"CLIENT", "HELLO", "SELECT", "PING", "SCAN", "HMGET"}
    assert [command for command in commands if any(text in command for text in SECRET_TEXTS)] == []


async def test_only_changes_are_said_and_a_part_of_the_rest_again(
    indexing: Indexing, world: Redis, bus: Bus, said: Said
):
    for number in range(120):
        await _npc(world, f"npc-{number}", map="geffen")
    await _round(indexing, bus)
    before = len(said.everything)
    await _npc(world, "npc-7", map="geffen", x=50)
    await _round(indexing, bus)
    later = [message.subject for message in said.everything[before:] if message.subject.startswith("p2p.npc.")]
    assert len(later) == 1 + 120 * SHARE
    assert said.states("npc-7")[-1]["x"] == 50


async def test_an_npc_that_is_gone_is_removed_and_one_that_walks_is_there_and_not_here(
    indexing: Indexing, world: Redis, bus: Bus, said: Said
):
    await _npc(world, "guard", map="geffen")
    await _npc(world, "mage", map="geffen")
    await _round(indexing, bus)
    await world.delete("npc:guard")
    await _npc(world, "mage", map="prontera")
    await _round(indexing, bus)
    assert said.states("guard")[-1] == {"npc_id": "guard", "removed": True, "in": "geffen"}
    assert {state["in"] for state in said.states("mage") if "removed" in state} == {"geffen"}
    assert {"prontera", "night"} <= {state["in"] for state in said.states("mage")}


async def test_what_is_no_hash_of_an_npc_is_counted_and_left_out(
    indexing: Indexing, world: Redis, bus: Bus, said: Said
):
    await _npc(world, "guard", map="geffen", level="high", name="n" * 5_000_000)
    await world.set("npc:text", "x")
    await world.rpush("npc:list", "x")
    await world.hset(b"npc:\xff\xfe", mapping={"map": "geffen"})
    await world.hset("npc:latin", mapping={"map": "geffen", "name": b"caf\xe9"})
    await world.hset("npc:a/b", mapping={"map": "geffen"})
    await world.hset("npc:mapless", mapping={"name": "nowhere"})
    await world.hset("npc:huge", mapping={f"memory-{number}": "x" * 100 for number in range(50_000)})
    await world.hset("npc:huge", mapping={"map": "geffen"})
    before = _counted("unusable")
    with capture_logs() as logs:
        await _round(indexing, bus)
        await _round(indexing, bus)
    assert _counted("unusable") - before == 2 * 5
    assert {name for name in said.states("guard")[0] if name in {"level", "name"}} == set()
    assert said.states("huge")
    assert said.states("mapless") == said.states("latin") == []
    assert len([line for line in logs if line["event"] == "ai_redis.unusable"]) == 1


async def test_zones_nobody_plays_cost_nothing(
    indexing: Indexing, world: Redis, bus: Bus, said: Said, played: Played, redis_server: TestServer
):
    played.maps = {}
    before = (await world.info("commandstats")).get("cmdstat_scan", {"calls": 0})["calls"]
    await _npc(world, "guard")
    await _round(indexing, bus)
    assert (await world.info("commandstats")).get("cmdstat_scan", {"calls": 0})["calls"] == before
    assert said.states("guard") == []


async def test_whoever_does_not_lead_says_nothing_and_a_new_leader_says_everything(
    indexing: Indexing, world: Redis, bus: Bus, said: Said, leading: Leading
):
    await _npc(world, "guard", map="geffen")
    leading.term = None
    await _round(indexing, bus)
    assert said.states("guard") == []
    for term in (7, 8):
        leading.term = term
        before = len(said.states("guard"))
        await _round(indexing, bus)
        assert len(said.states("guard")) > before


async def test_while_redis_is_away_nobody_is_removed_and_it_comes_back_by_itself(
    indexing: Indexing, world: Redis, bus: Bus, said: Said, redis_server: TestServer
):
    await _npc(world, "guard", map="geffen")
    await _round(indexing, bus)
    await world.connection_pool.disconnect()  # a test's client finds out about an outage no better than others
    await redis_server.stop()
    with capture_logs() as logs:
        for _ in range(5):
            await _round(indexing, bus)
    assert not indexing.speaks
    assert [line["event"] for line in logs] == ["ai_redis.away"]
    assert not [state for state in said.states("guard") if "removed" in state]
    await redis_server.start()
    await _npc(world, "guard", map="geffen", x=70)

    async def told() -> bool:
        await _round(indexing, bus)
        return said.states("guard")[-1].get("x") == 70

    await eventually(told, of="the guard's next step")


async def test_a_redis_that_lets_us_read_nothing_is_away_and_not_empty(
    indexing: Indexing, world: Redis, bus: Bus, said: Said
):
    await _npc(world, "guard", map="geffen")
    await _round(indexing, bus)
    await world.execute_command("ACL", "SETUSER", "default", "-hmget")
    try:
        await _round(indexing, bus)
    finally:
        await world.execute_command("ACL", "SETUSER", "default", "+hmget")
    assert not indexing.speaks
    assert not [state for state in said.states("guard") if "removed" in state]


async def test_an_index_without_any_npc_is_one_that_is_made_anew(
    indexing: Indexing, world: Redis, bus: Bus, said: Said
):
    await _npc(world, "guard", map="geffen")
    await _round(indexing, bus)
    await world.flushdb()
    await world.set("another:key", "x")
    await _round(indexing, bus)
    assert not indexing.speaks
    assert not [state for state in said.states("guard") if "removed" in state]


async def test_what_was_perhaps_lost_is_said_anew(indexing: Indexing, world: Redis, bus: Bus, said: Said):
    await _npc(world, "guard", map="prontera")
    await _round(indexing, bus)
    before = len(said.states("guard"))
    await indexing.begin_anew()
    await _round(indexing, bus)
    assert len(said.states("guard")) >= before + 2


def _counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("p2p_ai_redis_npcs_total", {"outcome": outcome}) or 0.0
