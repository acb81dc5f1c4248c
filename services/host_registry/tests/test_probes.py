"""Probes: who is due, who gets whom, and when a host is due again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from contracts.hosts import ChangeHost, HostStatus
from contracts.probes import ProbeDue
from host_registry.errors import HostNotFoundError

from services.host_registry.tests.world import PROBE_EVERY, SECOND, UPLOAD_EVERY, World

CLAIMED_FOR = timedelta(seconds=60)
REST = timedelta(hours=1)


async def arrive(world: World, host_id: str = "host-1") -> None:
    """A host that can be probed."""
    await world.register(host_id, accepts_probes=True)
    await world.connect(f"connection of {host_id}", host_id)


async def names(world: World, limit: int = 10) -> list[str]:
    return [due.host_id for due in await world.take(limit)]


async def test_a_newcomer_is_due_at_once_with_its_upload(world: World) -> None:
    await world.register(peer_id="peer", accepts_probes=True)
    await world.connect("connection", "peer")
    assert await world.take() == (ProbeDue(host_id="host-1", peer_id="peer", upload=True),)


async def test_a_host_that_does_not_agree_is_never_due_and_may_agree_later(world: World) -> None:
    await world.register()
    await world.connect("connection")
    assert await names(world) == []
    await world.registration.change(ChangeHost(host_id="host-1", accepts_probes=True))
    assert (await world.host()).accepts_probes
    assert await names(world) == ["host-1"]


async def test_a_change_of_something_else_takes_no_agreement_back_and_renewing_without_it_does(world: World) -> None:
    await arrive(world)
    await world.registration.change(ChangeHost(host_id="host-1", region="eu"))
    assert (await world.host()).accepts_probes
    assert not (await world.register()).accepts_probes
    assert await names(world) == []


async def test_a_host_without_a_socket_is_not_due(world: World) -> None:
    await arrive(world)
    await world.disconnect("connection of host-1")
    assert await names(world) == []


@pytest.mark.parametrize("status", [HostStatus.BUSY, HostStatus.MAINTENANCE])
async def test_a_host_that_is_set_aside_is_not_due(world: World, status: HostStatus) -> None:
    await arrive(world)
    await world.registration.change(ChangeHost(host_id="host-1", status=status))
    assert await names(world) == []


async def test_a_suspect_host_is_due_and_an_offline_one_is_not(world: World) -> None:
    await arrive(world)
    await world.wait(20 * SECOND)
    assert (await world.host()).status is HostStatus.SUSPECT
    assert await names(world) == ["host-1"]
    for _ in range(12):
        await world.gateway_lives()
        await world.wait(CLAIMED_FOR / 12)
    assert (await world.host()).connected
    assert (await world.host()).status is HostStatus.OFFLINE
    assert await names(world) == []


async def test_hosts_that_have_waited_longest_come_first(world: World) -> None:
    for name in ("a", "b", "c"):
        await arrive(world, name)
    assert await names(world, limit=2) == ["a", "b"]
    world.clock.advance(CLAIMED_FOR)
    assert await names(world) == ["c", "a", "b"]


async def test_a_probe_given_out_is_given_to_nobody_else_for_a_minute(world: World) -> None:
    await arrive(world)
    assert await names(world) == ["host-1"]
    world.clock.advance(CLAIMED_FOR - SECOND)
    assert await names(world) == []
    world.clock.advance(SECOND)
    assert await names(world) == ["host-1"]


async def test_probers_that_ask_at_once_never_get_the_same_host(world: World) -> None:
    hosts = [f"host-{number}" for number in range(40)]
    for name in hosts:
        await arrive(world, name)
    taken = await asyncio.gather(*(names(world, limit=5) for _ in range(20)))
    assert sorted(name for each in taken for name in each) == sorted(hosts)


async def test_a_host_that_was_probed_is_due_again_after_five_minutes_and_its_upload_after_an_hour(
    world: World,
) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20, packet_loss_percent=0, upload_mbps=12.5)
    world.clock.advance(PROBE_EVERY - SECOND)
    assert await names(world) == []
    world.clock.advance(SECOND)
    assert [due.upload for due in await world.take()] == [False]
    world.clock.advance(UPLOAD_EVERY - PROBE_EVERY)
    assert [due.upload for due in await world.take()] == [True]


async def test_an_upload_that_could_not_be_told_is_due_again_after_a_quarter_of_an_hour(world: World) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20, packet_loss_percent=0)
    world.clock.advance(PROBE_EVERY)
    assert [due.upload for due in await world.take()] == [False]
    world.clock.advance(UPLOAD_EVERY / 4 - PROBE_EVERY)
    assert [due.upload for due in await world.take()] == [True]


async def test_an_upload_that_nobody_asked_for_stays_due_when_it_was(world: World) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20, packet_loss_percent=0, upload_mbps=12.5)
    world.clock.advance(PROBE_EVERY)
    await world.probe(round_trip_ms=20, packet_loss_percent=0)
    world.clock.advance(UPLOAD_EVERY - PROBE_EVERY)
    assert [due.upload for due in await world.take()] == [True]


async def test_a_host_missed_three_times_is_left_alone_for_an_hour(world: World) -> None:
    await arrive(world)
    for _ in range(3):
        assert await names(world) == ["host-1"]
        await world.probe()
        world.clock.advance(PROBE_EVERY)
    assert await names(world) == []
    world.clock.advance(REST - PROBE_EVERY)
    assert await names(world) == ["host-1"]


async def test_a_host_that_is_reached_between_misses_is_not_left_alone(world: World) -> None:
    await arrive(world)
    nobody: dict[str, Any] = {}
    for found in (nobody, nobody, {"round_trip_ms": 20}, nobody, nobody):
        await world.probe(**found)
        world.clock.advance(PROBE_EVERY)
        assert await names(world) == ["host-1"]


async def test_a_host_that_registers_again_is_due_within_a_minute_even_from_its_rest(world: World) -> None:
    await arrive(world)
    for _ in range(3):
        await world.probe()
        world.clock.advance(SECOND)
    for _ in range(6):
        await world.register(accepts_probes=True)
        world.clock.advance(10 * SECOND)
    assert [due.upload for due in await world.take()] == [True]


async def test_registering_in_a_loop_is_no_way_to_be_probed_all_the_time(world: World) -> None:
    await arrive(world)
    assert await names(world) == ["host-1"]
    await world.register(accepts_probes=True)
    assert await names(world) == []
    await world.probe(round_trip_ms=20)
    await world.register(accepts_probes=True)
    assert await names(world) == []


async def test_what_a_probe_found_is_shown(world: World) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20, jitter_ms=1.5, packet_loss_percent=0.5, upload_mbps=12.5)
    host = await world.host()
    assert (host.latency_ms, host.jitter_ms, host.packet_loss_percent, host.upload_mbps) == (20.0, 1.5, 0.5, 12.5)
    assert (host.measured, host.measured_at, host.confidence) == (True, world.clock.now(), 1.0)


async def test_an_older_report_says_nothing_any_more(world: World) -> None:
    await arrive(world)
    world.clock.advance(2 * SECOND)
    await world.probe(round_trip_ms=20, jitter_ms=1, ago=SECOND)
    await world.probe(round_trip_ms=99, jitter_ms=9, ago=2 * SECOND)
    await world.probe(ago=SECOND)
    host = await world.host()
    assert (host.latency_ms, host.jitter_ms) == (20.0, 1.0)
    await world.probe(round_trip_ms=30)
    assert (await world.host()).latency_ms == 30.0


async def test_a_prober_whose_clock_is_ahead_is_not_the_newest_for_longer(world: World) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20, ago=-timedelta(hours=5))
    assert (await world.host()).measured_at == world.clock.now()
    world.clock.advance(SECOND)
    await world.probe(round_trip_ms=30)
    assert (await world.host()).latency_ms == 30.0


async def test_a_probe_that_reached_nobody_leaves_what_was_measured(world: World) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20, packet_loss_percent=1)
    before = await world.host()
    world.clock.advance(SECOND)
    await world.probe()
    assert await world.host() == before


async def test_a_report_of_an_unknown_host_is_refused(world: World) -> None:
    with pytest.raises(HostNotFoundError):
        await world.probe("nobody", round_trip_ms=20)


async def test_a_deleted_host_takes_its_measurements_along(world: World) -> None:
    await arrive(world)
    await world.probe(round_trip_ms=20)
    await world.delete("host-1")
    assert not (await world.register()).measured
