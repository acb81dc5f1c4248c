"""Beats in the database, and the score that follows from them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chassis.database import Database
from contracts.hosts import HostStatus
from host_registry.score import Quality, points, score
from host_registry.store.beats import Beat, BeatStore, Move
from hypothesis import HealthCheck, example, given, settings
from testkit.patience import patient
from testkit.thoroughness import examples

from services.host_registry.tests.fakes import Announced
from services.host_registry.tests.test_score import qualities
from services.host_registry.tests.world import SECOND, World

SET = """
UPDATE standings SET latency_ms = $1, packet_loss_percent = $2, current_players = $3, max_players = $4, cpu_cores = $5,
    memory_mb = $6, network_speed_mbps = $7, upload_mbps = $8
WHERE host_id = 'host-1'
RETURNING score
"""


async def test_a_beat_says_what_the_host_is_like_now(world: World) -> None:
    await world.register(cpu_cores=8, memory_mb=16384, network_speed_mbps=1000)
    host = await world.beat(
        latency_ms=10.0, packet_loss_percent=0.0, bandwidth_usage_mbps=12.5, current_players=1, current_zones=2
    )
    assert (host.latency_ms, host.packet_loss_percent, host.bandwidth_usage_mbps) == (10.0, 0.0, 12.5)
    assert (host.current_players, host.current_zones) == (1, 2)
    assert host.quality_score == 98.5


async def test_what_a_beat_does_not_say_stays_as_it_was(world: World) -> None:
    await world.register()
    await world.beat(latency_ms=10.0, current_players=5)
    host = await world.beat(packet_loss_percent=1.0)
    assert (host.latency_ms, host.packet_loss_percent, host.current_players) == (10.0, 1.0, 5)


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        ({}, 0.0),
        ({"latency_ms": 10.0}, 0.18),
        ({"packet_loss_percent": 0.0}, 0.12),
        ({"latency_ms": 10.0, "packet_loss_percent": 0.0}, 0.3),
    ],
)
async def test_a_hosts_own_word_is_worth_three_tenths(world: World, said: dict[str, Any], confidence: float) -> None:
    await world.register()
    host = await world.beat(**said)
    assert (host.confidence, host.measured) == (confidence, False)


async def test_an_older_beat_does_not_turn_the_time_back(world: World) -> None:
    await world.register()
    now = world.clock.advance(SECOND)
    await world.beat()
    await world.beats.keep([Beat("host-1", now - timedelta(seconds=1))])
    assert (await world.host()).last_heartbeat == now


async def test_an_older_beat_does_not_unsay_a_newer_one(world: World) -> None:
    await world.register()
    now = world.clock.advance(SECOND)
    await world.beat(latency_ms=10.0)
    await world.beats.keep([Beat("host-1", now - SECOND / 2, latency_ms=99.0, packet_loss_percent=1.0)])
    host = await world.host()
    assert (host.latency_ms, host.packet_loss_percent) == (10.0, 1.0)


async def test_names_that_no_host_has_are_given_back(world: World) -> None:
    await world.register()
    kept = await world.beats.keep([Beat(name, world.clock.now()) for name in ("b", "host-1", "a")])
    assert sorted(kept.strays) == ["a", "b"]


async def test_lost_hosts_among_many_beats_are_back_and_each_is_told(world: World) -> None:
    for number in range(10):
        await world.register(f"host-{number}")
    await world.wait(20 * SECOND)
    await world.beats.keep([Beat(f"host-{number}", world.clock.now()) for number in range(10)])
    assert (await world.reader.count()).online == 10
    assert sum(subject.endswith(".online") for subject in await world.told_subjects()) == 10


async def test_batches_that_share_hosts_do_not_hold_each_other_up(world: World) -> None:
    names = [f"host-{number}" for number in range(50)]
    for name in names:
        await world.register(name)
    batches = [[Beat(name, world.clock.now(), latency_ms=float(turn)) for name in names] for turn in range(20)]
    await asyncio.gather(*(world.beats.keep(batch[:: 1 - index % 2 * 2]) for index, batch in enumerate(batches)))
    assert {host.status for host in (await world.page()).items} == {HostStatus.ONLINE}


async def test_a_score_is_told_when_it_moved_by_five_points(world: World, announced: Announced) -> None:
    await world.register()
    world.clock.advance(10 * SECOND)
    await world.beat(latency_ms=0.0)
    assert announced.moves == [Move("host-1", 65.0, 50.0)]
    world.clock.advance(10 * SECOND)
    await world.beat(latency_ms=49.0)
    assert len(announced.moves) == 1
    await world.beat(latency_ms=50.0)
    assert announced.moves[1:] == [Move("host-1", 60.0, 65.0)]


async def test_a_score_is_told_at_most_every_ten_seconds(world: World, announced: Announced) -> None:
    await world.register()
    for second in range(31):
        await world.beat(latency_ms=200.0 * (second // 10 % 2) + 60.0 * (second % 2))
        world.clock.advance(SECOND)
    assert [move.score for move in announced.moves] == [45.0, 65.0, 45.0]


async def test_of_two_registries_one_tells_a_score(world: World) -> None:
    await world.register()
    await world.beat(latency_ms=0.0)
    now = world.clock.advance(10 * SECOND)
    store = BeatStore(world.database, 5.0, 10 * SECOND)
    told = await asyncio.gather(*(store.moves_to_tell(["host-1"], now) for _ in range(8)))
    assert sum(len(moves) for moves in told) == 1


def claimed(speed_mbps: float | None) -> int | None:
    return speed_mbps if isinstance(speed_mbps, int) else None


def uploaded(speed_mbps: float | None) -> float | None:
    return speed_mbps if isinstance(speed_mbps, float) else None


async def scored(database: Database, quality: Quality) -> float:
    known: float = await database.fetchval(
        "test",
        SET,
        quality.latency_ms,
        quality.packet_loss_percent,
        quality.current_players,
        quality.max_players,
        quality.cpu_cores,
        quality.memory_mb,
        claimed(quality.speed_mbps),
        uploaded(quality.speed_mbps),
    )
    return known


async def test_the_database_scores_as_the_rule_does(world: World) -> None:
    await world.register()
    loop = asyncio.get_running_loop()

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(qualities)
    @example(Quality(5e-324, 5e-324, 0, 1, None, None, 5e-324))  # dividing the tiniest figures would be an underflow
    def agree(quality: Quality) -> None:
        stored = asyncio.run_coroutine_threadsafe(scored(world.database, quality), loop).result(timeout=patient(30))
        assert stored == score(points(quality))

    await asyncio.to_thread(agree)
