import asyncio
from datetime import timedelta

import pytest
from chassis.refusals import RefusedError
from contracts.gateway import IceState
from contracts.refusals import Code
from session_manager.health import AVOIDED_FOR
from testkit.eventually import eventually

from services.session_manager.tests.facts import an_outcome
from services.session_manager.tests.world import assert_sound, make_world


async def test_the_first_to_enter_a_zone_gets_a_session_of_their_own(world):
    session = await world.enter("a")

    assert session.connected_players == ("a",)
    assert [event for event, _ in await world.told()] == ["created"]


async def test_whoever_comes_after_joins_it(world):
    first = await world.enter("a")
    assert (await world.enter("b")).session_id == first.session_id


async def test_whoever_sits_in_the_zone_already_stays(world):
    session = await world.create(player_ids=["a"])
    await world.create(player_ids=["b", "c"])

    assert (await world.enter("a")).session_id == session.session_id


async def test_entering_another_zone_is_a_move(world):
    first = await world.enter("a")
    second = await world.enter("a", zone="geffen")

    assert second.session_id != first.session_id
    assert (await world.get(first.session_id)).connected_players == ()


async def test_a_session_on_a_full_host_is_no_opening(world, zones):
    zones.host_max_players = 1
    await world.create(player_ids=["a"], max_players=5)
    zones.host = "host-2"

    assert (await world.enter("b")).host_id == "host-2"


async def fail_to_connect(world, clock, session, player):
    clock.advance(timedelta(seconds=1))
    await world.health.connection(an_outcome(session, player, IceState.FAILED, at=clock.now()))


@pytest.fixture
async def unreached(world, clock, zones):
    """A session in which a player sits who cannot connect to its host; another host is there by now."""
    session = await world.enter("a")
    await world.enter("b")
    await fail_to_connect(world, clock, session, "a")
    zones.able = [session.host_id, "host-2"]
    return session


async def test_a_second_try_leads_to_another_host_and_of_the_others_nobody(world, unreached):
    second = await world.enter("a")

    assert (second.host_id, second.connected_players) == ("host-2", ("a",))
    assert (await world.enter("b")).session_id == unreached.session_id


async def test_a_second_try_after_leaving_leads_to_another_host_too(world, clock, unreached):
    await world.leave(unreached.session_id, "a")
    assert (await world.enter("a")).host_id == "host-2"


async def test_a_failure_that_is_heard_of_after_the_player_has_left_counts(world, clock, zones):
    session = await world.enter("a")
    await world.leave(session.session_id, "a")
    await fail_to_connect(world, clock, session, "a")
    zones.host = "host-2"

    assert (await world.enter("a")).host_id == "host-2"


async def test_a_second_try_leads_to_the_same_host_where_there_is_no_other(world, zones, unreached):
    zones.able = []
    assert (await world.enter("a")).session_id == unreached.session_id
    await world.end(unreached.session_id)
    assert (await world.enter("a")).host_id == unreached.host_id


async def test_a_connection_that_comes_about_or_time_makes_up_for_one_that_failed(world, clock, zones, unreached):
    clock.advance(timedelta(seconds=1))
    await world.health.connection(an_outcome(unreached, "a", IceState.CONNECTED, at=clock.now()))
    assert (await world.enter("a")).session_id == unreached.session_id
    await fail_to_connect(world, clock, unreached, "a")
    clock.advance(AVOIDED_FOR)
    assert (await world.enter("a")).session_id == unreached.session_id
    await world.fallback.leave_bad()
    assert await world.database.fetchval("test", "SELECT count(*) FROM unreached_hosts") == 0


async def test_fifty_first_arrivals_share_sessions(world, zones):
    zones.zone_max_players = 20
    zones.host_max_players = 1000

    await asyncio.gather(*(world.enter(f"player-{number}") for number in range(50)))

    rows = await world.database.fetch("all", "SELECT current_players FROM sessions ORDER BY current_players")
    assert [row["current_players"] for row in rows] == [10, 20, 20]
    assert len(zones.places) == 3
    await assert_sound(world.database)


async def test_one_placement_is_in_flight_per_zone_over_all_instances(database, clock, zones):
    worlds = [make_world(database, clock, zones, instance=name) for name in ("one", "two", "three")]
    zones.answering.clear()
    arrivals = [asyncio.create_task(worlds[number % 3].enter(f"player-{number}")) for number in range(30)]
    await eventually(lambda: zones.places)
    zones.answering.set()

    sessions = await asyncio.gather(*arrivals)

    assert len(zones.places) == 1
    assert len({session.session_id for session in sessions}) == 1
    await assert_sound(database)


async def test_zones_do_not_wait_for_one_another(world, zones):
    zones.answering.clear()
    arrivals = [asyncio.create_task(world.enter(zone, zone=zone)) for zone in ("prontera", "geffen")]
    await eventually(lambda: len(zones.places) == 2)
    zones.answering.set()
    await asyncio.gather(*arrivals)


async def test_a_refused_placement_is_the_answer_to_all_who_waited(world, zones):
    zones.refusal = Code.NO_HOST_FREE
    zones.answering.clear()
    arrivals = [asyncio.create_task(world.enter(f"player-{number}")) for number in range(20)]
    await eventually(lambda: zones.places)
    zones.answering.set()

    refused = await asyncio.gather(*arrivals, return_exceptions=True)

    assert all(isinstance(error, RefusedError) and error.refusal.code is Code.NO_HOST_FREE for error in refused)
    assert len(zones.places) < 20


async def test_whoever_gives_up_waiting_takes_nobody_with_them(world, zones):
    zones.answering.clear()
    leader = asyncio.create_task(world.enter("a"))
    await eventually(lambda: zones.places)
    followers = [asyncio.create_task(world.enter(name)) for name in ("b", "c")]
    await eventually(lambda: len(world.arrivals._under_way["prontera"]._callbacks or ()) == 2, of="both waiting")
    followers[0].cancel()
    zones.answering.set()

    assert (await followers[1]).session_id == (await leader).session_id
    with pytest.raises(asyncio.CancelledError):
        await followers[0]


async def test_the_claim_of_a_process_that_died_ends_by_itself(world, database, clock, zones):
    dead = "INSERT INTO zone_claims VALUES ('prontera', 'dead', $1)"
    await database.execute("claim", dead, clock.now())

    assert (await world.enter("a")).zone_id == "prontera"
