"""Silence and its consequences, clock in hand."""

from datetime import timedelta

import pytest
from contracts.hosts import HostFact, HostStatus

from services.host_registry.tests.world import SECOND, World


async def test_a_host_is_online_until_its_deadline_has_passed(world: World) -> None:
    await world.register()
    await world.wait(19 * SECOND)
    assert (await world.host()).status is HostStatus.ONLINE
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.SUSPECT
    await world.wait(24 * SECOND)
    assert (await world.host()).status is HostStatus.SUSPECT
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.OFFLINE
    assert await world.told_subjects() == ["host-1.registered", "host-1.suspect", "host-1.offline"]


async def test_a_host_that_beats_in_time_stays_online(world: World) -> None:
    await world.register()
    for _ in range(10):
        await world.wait(15 * SECOND)
        await world.beat()
    assert await world.told_subjects() == ["host-1.registered"]


@pytest.mark.parametrize("silence", [20 * SECOND, 60 * SECOND])
async def test_a_beat_brings_a_lost_host_back(world: World, silence: timedelta) -> None:
    await world.register()
    await world.wait(silence)
    host = await world.beat(latency_ms=10.0)
    assert (host.status, host.last_heartbeat) == (HostStatus.ONLINE, world.clock.now())
    last = HostFact.model_validate((await world.told())[-1])
    assert (last.host, last.reason) == (host, "beat")
    assert (await world.told_subjects())[-1] == "host-1.online"


async def test_a_loss_is_told_with_its_reason_and_the_host_as_it_stands(world: World) -> None:
    await world.register()
    await world.wait(20 * SECOND)
    fact = HostFact.model_validate((await world.told())[-1])
    assert (fact.reason, fact.host, fact.occurred_at) == ("silent", await world.host(), world.clock.now())


async def test_a_loss_is_told_once_however_often_it_is_judged(world: World) -> None:
    await world.register()
    await world.wait(120 * SECOND)
    assert await world.told_subjects() == ["host-1.registered", "host-1.suspect", "host-1.offline"]


async def test_a_host_that_drains_has_no_deadline(world: World) -> None:
    await world.register()
    await world.drain("host-1")
    await world.wait(60 * SECOND)
    assert (await world.host()).status is HostStatus.DRAINING


async def test_nobody_is_judged_while_we_cannot_hear(world: World) -> None:
    await world.register()
    world.line.up = False
    await world.wait(60 * SECOND)
    assert (await world.host()).status is HostStatus.ONLINE


async def test_after_an_outage_every_deadline_starts_anew(world: World) -> None:
    await world.register()
    world.line.up = False
    await world.wait(60 * SECOND)
    world.line.up = True
    await world.wait(19 * SECOND)
    assert (await world.host()).status is HostStatus.ONLINE
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.SUSPECT


async def test_a_process_that_stood_still_loses_nobody(world: World) -> None:
    await world.register()
    world.clock.advance(60 * SECOND)
    await world.silence.judge()
    assert (await world.host()).status is HostStatus.ONLINE


async def test_two_registries_that_judge_at_once_tell_a_loss_once(world: World) -> None:
    for number in range(50):
        await world.register(f"host-{number}")
    world.clock.advance(5 * SECOND)
    await world.silence.judge()
    for _ in range(3):
        world.clock.advance(5 * SECOND)
        world.own_absence.check()
    await_both = [world.silence.judge() for _ in range(2)]
    for judging in await_both:
        await judging
    assert (await world.told_subjects()).count("host-1.suspect") == 1


async def test_a_whole_fleet_that_falls_silent_is_judged_in_one_round(world: World) -> None:
    await world.database.execute(
        "test",
        """
        WITH h AS (
            INSERT INTO hosts (host_id, token, peer_id, player_id, player_name, created_at)
            SELECT 'h' || n, 'h' || n, 'h' || n, 'p', 'n', $1 FROM generate_series(1, 5000) AS n RETURNING *
        )
        INSERT INTO standings (host_id, no, max_players, max_zones, last_beat, told_score, told_at, updated_at)
        SELECT host_id, id, 50, 5, $1, 50, $1, $1 FROM h
        """,
        world.clock.now(),
    )
    await world.wait(20 * SECOND)
    assert (await world.reader.count()).online == 0
    assert len(await world.told()) == 5000


async def test_a_host_whose_socket_closed_is_lost_unless_it_beats(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.wait(SECOND)
    await world.disconnect("c1")
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.ONLINE
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.OFFLINE
    fact = (await world.told())[-1]
    assert (fact["subject"], fact["reason"]) == ("p2p.events.hosts.host-1.offline", "socket_gone")


async def test_a_beat_after_its_socket_closed_keeps_a_host_online(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.disconnect("c1")
    await world.wait(SECOND)
    await world.beat()
    await world.wait(10 * SECOND)
    assert (await world.host()).status is HostStatus.ONLINE


async def test_a_beat_from_just_before_its_socket_closed_does_not(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.wait(SECOND)
    await world.beat()
    await world.disconnect("c1")
    await world.wait(2 * SECOND)
    assert (await world.host()).status is HostStatus.OFFLINE


async def test_a_new_socket_keeps_a_host_online(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.wait(SECOND)
    await world.disconnect("c1")
    await world.wait(SECOND)
    await world.connect("c2")
    await world.wait(10 * SECOND)
    assert (await world.host()).status is HostStatus.ONLINE


async def test_a_suspect_host_whose_socket_closes_is_lost_at_once(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.wait(20 * SECOND)
    await world.disconnect("c1")
    await world.wait(2 * SECOND)
    assert (await world.host()).status is HostStatus.OFFLINE


async def test_a_host_that_turns_suspect_after_its_socket_closed_is_lost_all_the_same(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.wait(19 * SECOND)
    await world.disconnect("c1")
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.SUSPECT
    await world.wait(SECOND)
    assert (await world.told())[-1]["reason"] == "socket_gone"


async def test_a_socket_that_closed_before_our_own_absence_is_given_its_time_again(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.wait(SECOND)
    await world.disconnect("c1")
    world.line.up = False
    await world.wait(5 * SECOND)
    world.line.up = True
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.ONLINE
    await world.wait(SECOND)
    assert (await world.host()).status is HostStatus.OFFLINE


async def test_old_news_of_a_closed_socket_cuts_nobody_off(world: World) -> None:
    await world.register()
    await world.wait(10 * SECOND)
    await world.connect("c1")
    await world.disconnect("c1", ago=10 * SECOND)
    await world.wait(9 * SECOND)
    host = await world.host()
    assert (host.status, host.connected) == (HostStatus.ONLINE, False)
