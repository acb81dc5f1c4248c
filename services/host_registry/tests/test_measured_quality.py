"""What counts of a host is what was measured of it, not what it says."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from contracts.gateway import IceState
from contracts.hosts import Rejection
from contracts.sessions import SessionStatus

from services.host_registry.tests.world import SECOND, World, session_fact

MINUTE = timedelta(minutes=1)


async def claim(world: World, host_id: str, latency_ms: float) -> None:
    await world.register(host_id, cpu_cores=8, memory_mb=16384, network_speed_mbps=1000)
    await world.beat(host_id, latency_ms=latency_ms, packet_loss_percent=0.0)


async def ranked(world: World, **bounds: Any) -> list[str]:
    return [candidate.host.host_id for candidate in (await world.find(**bounds)).candidates]


async def players_tell(world: World, session_id: str = "session-1", **told: Any) -> None:
    await world.tell_session(session_fact(session_id, at=world.clock.now(), **told))
    await world.measuring.weigh()


async def test_a_host_that_claims_1_ms_and_is_measured_at_200_is_ranked_by_200(world: World) -> None:
    await claim(world, "liar", 1.0)
    await claim(world, "honest", 50.0)
    assert await ranked(world, max_latency_ms=100) == ["liar", "honest"]
    await world.probe("liar", round_trip_ms=200, packet_loss_percent=0)
    await world.probe("honest", round_trip_ms=50, packet_loss_percent=0)
    await world.beat("liar", latency_ms=1.0)
    assert (await world.host("liar")).latency_ms == 200.0
    assert await ranked(world) == ["honest", "liar"]
    assert await ranked(world, max_latency_ms=100) == ["honest"]
    (judged,) = (await world.find(host_id="liar", max_latency_ms=100)).candidates
    assert judged.rejections == (Rejection.LATENCY_TOO_HIGH,)


async def test_registering_again_does_not_undo_what_was_measured(world: World) -> None:
    await claim(world, "host-1", 1.0)
    await world.probe(round_trip_ms=200)
    await claim(world, "host-1", 1.0)
    assert (await world.host()).latency_ms == 200.0


async def test_what_players_measured_replaces_the_hosts_own_word(world: World) -> None:
    await world.register(cpu_cores=8, memory_mb=16384, network_speed_mbps=1000)
    claimed = await world.beat(latency_ms=1.0, packet_loss_percent=0.0, current_players=1)
    assert (claimed.measured, claimed.confidence) == (False, 0.3)
    await players_tell(world, latency_ms=100.0, loss_percent=5.0)
    host = await world.beat(latency_ms=1.0, packet_loss_percent=0.0)
    assert (host.measured, host.confidence, host.latency_ms, host.packet_loss_percent) == (True, 1.0, 100.0, 5.0)
    assert host.quality_score == 79.5


async def test_a_probe_outweighs_players_for_fifteen_minutes(world: World) -> None:
    await world.register()
    await world.probe(round_trip_ms=200, packet_loss_percent=0)
    world.clock.advance(SECOND)
    await players_tell(world, latency_ms=50.0)
    assert (await world.pass_and_weigh(15 * MINUTE - 2 * SECOND)).latency_ms == 200.0
    assert (await world.pass_and_weigh(SECOND)).latency_ms == 50.0


async def test_what_was_measured_is_believed_less_with_age_and_stays(world: World) -> None:
    await world.register()
    await world.probe(round_trip_ms=20, packet_loss_percent=1)
    believed = [(await world.pass_and_weigh(5 * MINUTE)).confidence for _ in range(10)]
    assert believed == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3, 0.3]
    assert (await world.host()).latency_ms == 20.0
    assert await world.database.fetchval("test", "SELECT weigh_at IS NULL FROM measurements")
    await world.probe(round_trip_ms=20, packet_loss_percent=1)
    assert (await world.host()).confidence == 1.0


async def test_a_session_that_repeats_its_averages_has_not_measured_again(world: World) -> None:
    await world.register()
    await players_tell(world, revision=1, latency_ms=50.0, loss_percent=1.0)
    world.clock.advance(20 * MINUTE)
    await players_tell(world, revision=2, latency_ms=50.0, loss_percent=1.0)
    assert (await world.host()).confidence == 0.7
    await players_tell(world, revision=3, latency_ms=51.0, loss_percent=1.0)
    assert (await world.host()).confidence == 1.0


async def test_of_two_sessions_on_a_host_the_one_that_measured_last_counts(world: World) -> None:
    await world.register()
    await players_tell(world, "a", revision=1, latency_ms=50.0)
    world.clock.advance(SECOND)
    await players_tell(world, "b", revision=1, latency_ms=80.0)
    await players_tell(world, "a", revision=2, latency_ms=50.0)
    assert (await world.host()).latency_ms == 80.0


async def test_what_a_session_last_measured_where_it_was_counts_when_it_leaves(world: World) -> None:
    await world.register()
    await players_tell(world, revision=1, latency_ms=50.0)
    await players_tell(world, revision=2, latency_ms=400.0, status=SessionStatus.FALLBACK)
    assert (await world.host()).latency_ms == 400.0


async def test_facts_that_measured_nothing_new_write_no_measurement(world: World) -> None:
    await world.register()
    await players_tell(world, revision=1, latency_ms=50.0)
    for revision in range(2, 6):
        await world.tell_session(session_fact(revision=revision, players=revision, latency_ms=50.0))
    await world.tell_session(session_fact("other"))
    assert await world.database.fetchval("test", "SELECT count(*) FROM measurements WHERE weigh_at = '-infinity'") == 0


async def test_probes_players_and_beats_of_one_host_at_once_do_not_hold_each_other_up(world: World) -> None:
    hosts = [f"host-{number}" for number in range(8)]
    for name in hosts:
        await world.register(name, max_zones=1000)
    for turn in range(10):
        now = world.clock.advance(SECOND)
        facts = [session_fact(name, revision=1 + turn, host_id=name, latency_ms=50.0 + turn, at=now) for name in hosts]
        await asyncio.gather(
            *(world.probe(name, round_trip_ms=turn, ago=SECOND / 2) for name in hosts),
            *(world.tell_session(fact) for fact in reversed(facts)),
            *(world.beat(name, latency_ms=1.0) for name in hosts),
            *(world.ice(IceState.FAILED, to=name) for name in reversed(hosts)),
        )
    await world.measuring.weigh()
    assert [(await world.host(name)).latency_ms for name in hosts] == [9.0] * 8
    await world.pass_and_weigh(15 * MINUTE)
    assert [(await world.host(name)).latency_ms for name in hosts] == [59.0] * 8


@pytest.mark.parametrize(
    ("claimed", "uploaded", "rejections"),
    [
        (1000, None, ()),
        (1000, 19.9, (Rejection.BANDWIDTH_TOO_LOW,)),
        (1000, 20.0, ()),
        (50, 800.0, (Rejection.BANDWIDTH_TOO_LOW,)),
        (None, None, (Rejection.BANDWIDTH_UNKNOWN,)),
        (None, 5.0, (Rejection.BANDWIDTH_TOO_LOW,)),
        (None, 800.0, ()),
    ],
    ids=[
        "the claim, unmeasured",
        "a slow line is told by its upload",
        "of a fast one the claim stands",
        "also a modest one",
        "nothing known",
        "nothing claimed, slow",
        "nothing claimed, fast",
    ],
)
async def test_the_bandwidth_of_a_host(
    world: World, claimed: int | None, uploaded: float | None, rejections: tuple[Rejection, ...]
) -> None:
    await world.register(network_speed_mbps=claimed)
    await world.probe(round_trip_ms=10, upload_mbps=uploaded)
    (judged,) = (await world.find(host_id="host-1", min_bandwidth_mbps=100)).candidates
    assert judged.rejections == rejections
    assert await ranked(world, min_bandwidth_mbps=100) == ([] if rejections else ["host-1"])


async def test_players_who_cannot_connect_take_up_to_nine_tenths_of_a_hosts_confidence(world: World) -> None:
    await world.register()
    await world.probe(round_trip_ms=20, packet_loss_percent=0)
    await world.ice(IceState.FAILED)
    assert (await world.host()).confidence == pytest.approx(0.8)
    await world.ice(IceState.FAILED)
    assert (await world.host()).confidence == pytest.approx(0.64)
    for _ in range(30):
        await world.ice(IceState.FAILED)
    assert (await world.host()).confidence == pytest.approx(0.1)


async def test_players_who_connect_give_it_back_in_full(world: World) -> None:
    await world.register()
    await world.probe(round_trip_ms=20, packet_loss_percent=0)
    for state in [IceState.FAILED] * 10 + [IceState.CONNECTED] * 40:
        await world.ice(state)
    assert (await world.host()).confidence == 1.0


async def test_a_host_that_nobody_reaches_is_ranked_below_one_that_is_reached(world: World) -> None:
    for name, round_trip_ms in (("near", 10), ("far", 90)):
        await claim(world, name, 1.0)
        await world.probe(name, round_trip_ms=round_trip_ms, packet_loss_percent=0)
    assert await ranked(world) == ["near", "far"]
    for _ in range(3):
        await world.ice(IceState.FAILED, to="near")
    assert await ranked(world) == ["far", "near"]


@pytest.mark.parametrize(
    ("state", "to", "peer_id"),
    [
        (IceState.DISCONNECTED, "peer", "alice"),
        (IceState.FAILED, "host-1", "alice"),
        (IceState.FAILED, "alice", "peer"),
        (IceState.FAILED, "peer", "peer"),
    ],
    ids=["one that broke", "to some other peer", "reported by the host", "of the host to itself"],
)
async def test_other_outcomes_say_nothing_of_a_host(world: World, state: IceState, to: str, peer_id: str) -> None:
    await world.register(peer_id="peer")
    await world.probe(round_trip_ms=20, packet_loss_percent=0)
    await world.ice(state, to=to, peer_id=peer_id)
    assert (await world.host()).confidence == 1.0
