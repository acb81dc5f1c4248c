"""Sessions of zones that want it have a standby, which takes over when their host is lost, whoever dies meanwhile."""

import asyncio
from datetime import timedelta

import pytest
from chassis.ids import new_event_id
from contracts.gateway import IceState
from contracts.identifiers import HostId
from contracts.refusals import Code
from contracts.sessions import ListSessions, SeatsTaken, SessionExplained, SessionPage, SessionStatus, Standby
from contracts.zones import ZoneFact
from session_manager.guarding import AGAIN_AFTER, LATER
from session_manager.policies import ZonePolicy
from session_manager.sessions import read_ref
from testkit.eventually import eventually

from services.session_manager.tests.facts import a_host_fact, an_outcome
from services.session_manager.tests.suite import a_zone
from services.session_manager.tests.world import CLAIM, FakeZones, assert_sound, make_world

GUARDED = ZonePolicy(fallback_enabled=True, fallback_endpoint=None, max_latency_ms=100, standby=True)


@pytest.fixture(autouse=True)
def no_deadlocks(servers):
    servers.postgres.lines.clear()
    yield
    assert not [line for line in servers.postgres.lines if "deadlock" in line]


@pytest.fixture
def zones():
    """Three hosts, the best first, in zones that want standbys."""
    return FakeZones(policy=GUARDED, able=["first", "second", "third"], spare=False)


@pytest.fixture
def two_worlds(database, clock, zones):
    """Two instances of the service."""
    return [make_world(database, clock, zones, name) for name in ("one", "two")]


async def lose(world, clock, host, revision=1):
    await world.fallback.host_lost(a_host_fact(host, revision=revision, at=clock.now()))


async def guarded(world, *players):
    session = await world.create(player_ids=list(players or "a"))
    await world.guarding.look()
    return await world.get(session.session_id)


async def seats_on(world, host):
    return await world.database.fetchval("taken", "SELECT taken FROM host_seats WHERE host_id = $1", host) or 0


def on(host):
    return Standby(host_id=host, host_peer_id=f"peer-of-{host}")


async def told_of_standbys(world, session):
    told = [fact for event, fact in await world.told_of(session.session_id) if event == "standby-changed"]
    return [(fact.reason, fact.session.standby and fact.session.standby.host_id, fact.standby_seats) for fact in told]


async def test_the_second_best_host_is_reserved_for_a_session_with_players(world):
    session = await guarded(world, "a", "b")
    assert (session.host_id, session.standby) == ("first", on("second"))
    assert [await seats_on(world, host) for host in ("first", "second")] == [2, 2]
    seats = SeatsTaken(host_id="second", taken=2, revision=1)
    assert await told_of_standbys(world, session) == [("named", "second", seats)]
    await world.guarding.look()
    assert len(await told_of_standbys(world, session)) == 1
    await assert_sound(world.database)


@pytest.mark.parametrize("why", ["no players", "not asked for"])
async def test_no_standby_is_sought_where_there_is_nobody_to_take_over(world, zones, why):
    if why == "not asked for":
        zones.policy = ZonePolicy(fallback_enabled=True, fallback_endpoint=None, max_latency_ms=100)
    session = await world.create(player_ids=[] if why == "no players" else ["a"])
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby is None
    assert len(zones.places) == 1


async def test_the_standby_takes_over_with_no_placement_in_the_next_epoch(world, clock, zones):
    session = await guarded(world, "a", "b")
    asked = len(zones.places)
    await lose(world, clock, "first")
    moved = await world.get(session.session_id)
    assert (moved.status, moved.host_id, moved.host_peer_id) == (SessionStatus.ACTIVE, "second", "peer-of-second")
    assert (moved.epoch, moved.connected_players, moved.standby) == (2, ("a", "b"), None)
    assert len(zones.places) == asked
    assert [await seats_on(world, host) for host in ("first", "second")] == [0, 2]
    event, fact = (await world.told_of(session.session_id))[-1]
    assert (event, fact.reason, fact.host_players, fact.figures) == ("migrated", "host_lost", 2, {"standby": 1})
    explained = SessionExplained.model_validate_json(await world.questions.explain(read_ref(session.session_id)))
    grounds = explained.decisions[-1].grounds
    assert grounds is not None
    assert grounds.judgements[0].host_id == "second"
    await assert_sound(world.database)
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby == on("third")
    await assert_sound(world.database)


async def test_a_planned_move_goes_to_the_standby_too(world):
    session = await guarded(world)
    await world.migration.order(read_ref(session.session_id), None)
    moved = await world.get(session.session_id)
    assert (moved.host_id, moved.epoch, moved.standby) == ("second", 2, None)
    events = [event for event, _ in await world.told_of(session.session_id)]
    assert events == ["created", "standby-changed", "migrating", "migrated"]
    await assert_sound(world.database)


async def test_a_host_may_ask_whom_it_stands_by_for(world):
    session = await guarded(world)
    for host, there in (("second", [session.session_id]), ("first", [])):
        page = await world.questions.list_sessions(ListSessions(standby_host_id=host, live=True))
        assert [one.session_id for one in SessionPage.model_validate_json(page).items] == there


async def test_an_order_to_another_host_leaves_the_standby_where_it_is(world):
    session = await guarded(world)
    await world.migration.order(read_ref(session.session_id), HostId("third"))
    moved = await world.get(session.session_id)
    assert (moved.host_id, moved.epoch, moved.standby) == ("third", 2, on("second"))
    await assert_sound(world.database)


async def test_as_many_seats_are_held_as_there_are_players(world):
    session = await guarded(world, "a")
    await world.join(session.session_id, "b")
    await world.join(session.session_id, "c")
    await world.guarding.look()
    assert await seats_on(world, "second") == 3
    await world.leave(session.session_id, "a")
    await world.guarding.look()
    assert await seats_on(world, "second") == 2
    assert [(reason, held.taken) for reason, _, held in await told_of_standbys(world, session)] == [
        ("named", 1),
        ("seats", 3),
        ("seats", 2),
    ]
    await assert_sound(world.database)


async def test_players_who_came_since_the_last_look_are_taken_over_as_well(world, clock):
    session = await guarded(world, "a")
    await world.join(session.session_id, "b")
    await lose(world, clock, "first")
    assert ((await world.get(session.session_id)).host_id, await seats_on(world, "second")) == ("second", 2)
    await assert_sound(world.database)


async def test_a_standby_without_room_for_all_oversubscribes_nobody(world, clock, zones):
    zones.host_max_players = 3
    session = await guarded(world, "a")
    await world.create(host_id="second", player_ids=["x", "y"])
    await world.join(session.session_id, "b")
    await lose(world, clock, "first")
    moved = await world.get(session.session_id)
    assert (moved.host_id, moved.standby, await seats_on(world, "second")) == ("third", None, 2)
    await assert_sound(world.database)


async def test_a_standby_whose_seats_are_gone_is_let_go_for_another(world, zones):
    zones.host_max_players = 3
    session = await guarded(world, "a")
    await world.create(host_id="second", player_ids=["x", "y"])
    await world.join(session.session_id, "b")
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby == on("third")
    assert await seats_on(world, "second") == 2
    await assert_sound(world.database)


async def test_a_standby_that_is_lost_is_let_go_and_another_is_found(world, clock, zones):
    session = await guarded(world)
    await lose(world, clock, "second")
    zones.able = ["first", "third"]
    clock.advance(timedelta(seconds=1))
    await world.guarding.look()
    again = await world.get(session.session_id)
    assert (again.host_id, again.epoch, await seats_on(world, "second")) == ("first", 1, 0)
    told = [(reason, host) for reason, host, _ in await told_of_standbys(world, session)]
    assert told == [("named", "second"), ("host_lost", None), ("named", "third")]
    await assert_sound(world.database)


async def test_where_host_and_standby_are_lost_a_third_is_placed(world, clock):
    session = await guarded(world)
    await world.presence.lost(a_host_fact("second", at=clock.now()))
    await lose(world, clock, "first")
    moved = await world.get(session.session_id)
    assert (moved.host_id, moved.standby, moved.epoch) == ("third", None, 3)
    await assert_sound(world.database)


async def test_a_standby_that_most_players_cannot_reach_is_let_go_for_another(world, clock):
    session = await guarded(world, "a", "b", "c")
    clock.advance(timedelta(seconds=1))
    for player in ("a", "b"):
        to = "peer-of-second"
        await world.health.connection(an_outcome(session, player, IceState.FAILED, at=clock.now(), to=to))
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby == on("third")
    await assert_sound(world.database)


async def test_a_zone_that_wants_none_any_more_gives_them_back(world):
    session = await guarded(world)
    await world.database.execute("unwanted", "UPDATE zone_policies SET standby = false")
    await world.guarding.look()
    assert ((await world.get(session.session_id)).standby, await seats_on(world, "second")) == (None, 0)
    await assert_sound(world.database)


async def test_the_end_gives_slot_and_seats_back_and_says_so(world):
    session = await guarded(world, "a", "b")
    await world.end(session.session_id)
    assert await seats_on(world, "second") == 0
    event, fact = (await world.told_of(session.session_id))[-1]
    assert (event, fact.session.standby) == ("ended", None)
    assert fact.standby_seats == SeatsTaken(host_id="second", taken=0, revision=2)
    await assert_sound(world.database)


async def test_what_a_release_without_standbys_ended_is_given_back(world):
    session = await guarded(world, "a", "b")
    await world.end(session.session_id)
    left = "UPDATE sessions SET standby_host_id = 'second', standby_peer_id = 'p', standby_seats = 2"
    await world.database.execute("left", left)
    await world.database.execute("taken", "UPDATE host_seats SET taken = taken + 2 WHERE host_id = 'second'")
    await world.guarding.look()
    assert await seats_on(world, "second") == 0
    await assert_sound(world.database)


async def test_on_the_central_server_a_session_has_no_standby(world, clock):
    session = await guarded(world)
    zone = a_zone(session.zone_id).model_copy(update={"standby": True, "p2p_enabled": False})
    told = ZoneFact(event_id=new_event_id(), occurred_at=clock.now(), revision=1, zone_id=session.zone_id, zone=zone)
    await world.fallback.zone_changed(told)
    await world.guarding.look()
    now = await world.get(session.session_id)
    assert (now.status, now.standby, await seats_on(world, "second")) == (SessionStatus.FALLBACK, None, 0)
    await assert_sound(world.database)


async def test_an_instance_that_died_while_it_sought_is_followed_by_another_after_its_time(two_worlds, clock, zones):
    dying, other = two_worlds
    session = await dying.create(player_ids=["a"])
    zones.answering.clear()
    seeking = asyncio.create_task(dying.guarding.look())
    await eventually(lambda: len(zones.places) == 2)
    seeking.cancel()
    await asyncio.wait((seeking,))
    zones.answering.set()
    await other.guarding.look()
    assert (await other.get(session.session_id)).standby is None
    clock.advance(CLAIM)
    await other.guarding.look()
    assert (await other.get(session.session_id)).standby == on("second")
    await assert_sound(other.database)


async def test_an_instance_that_was_only_slow_names_no_second_one(two_worlds, clock, zones):
    slow, quick = two_worlds
    session = await slow.create(player_ids=["a"])
    zones.answering.clear()
    seeking = asyncio.create_task(slow.guarding.look())
    await eventually(lambda: len(zones.places) == 2)
    clock.advance(CLAIM)
    zones.able = ["first", "third"]
    following = asyncio.create_task(quick.guarding.look())
    await eventually(lambda: len(zones.places) == 3)
    zones.answering.set()
    await asyncio.gather(seeking, following)
    assert len(await told_of_standbys(quick, session)) == 1
    await assert_sound(quick.database)


async def test_an_instance_that_died_before_the_standby_took_over_is_followed_by_another(two_worlds, clock):
    dying, other = two_worlds
    session = await guarded(dying)
    await dying.presence.lost(a_host_fact("first", at=clock.now()))
    left = await dying.fallback._sessions.leave_lost(timedelta(seconds=5), "host_lost", clock.now())
    assert left.migrating == 1
    assert (await other.get(session.session_id)).standby == on("second")
    await assert_sound(other.database)
    await other.fallback.finish_migrations()
    moved = await other.get(session.session_id)
    assert (moved.host_id, moved.epoch, moved.standby) == ("second", 2, None)
    await assert_sound(other.database)


async def test_a_session_that_ends_while_its_standby_takes_over_stays_ended(two_worlds, clock):
    session = await guarded(two_worlds[0], "a", "b")
    await asyncio.gather(lose(two_worlds[0], clock, "first"), two_worlds[1].end(session.session_id))
    assert (await two_worlds[0].get(session.session_id)).status is SessionStatus.ENDED
    assert await seats_on(two_worlds[0], "second") == 0
    await assert_sound(two_worlds[0].database)


async def test_many_instances_name_and_move_each_session_once(two_worlds, clock):
    worlds = two_worlds * 2
    sessions = [await worlds[0].create(host_id="first", player_ids=[f"player-{number}"]) for number in range(20)]
    await asyncio.gather(*(world.guarding.look() for world in worlds))
    assert await seats_on(worlds[0], "second") == 20
    await worlds[0].presence.lost(a_host_fact("first", at=clock.now()))
    await asyncio.gather(*(world.fallback.leave_lost() for world in worlds))
    for session in sessions:
        events = [event for event, _ in await worlds[0].told_of(session.session_id)]
        assert events == ["created", "standby-changed", "migrating", "migrated"]
    assert [await seats_on(worlds[0], host) for host in ("first", "second")] == [0, 20]
    await assert_sound(worlds[0].database)


async def test_where_there_is_no_second_host_it_is_sought_again_at_leisure(world, clock, zones):
    zones.able = ["first"]
    session = await guarded(world)
    asked = len(zones.places)
    zones.able = ["first", "second"]
    clock.advance(LATER - timedelta(seconds=1))
    await world.guarding.look()
    assert len(zones.places) == asked
    clock.advance(timedelta(seconds=1))
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby == on("second")


async def test_a_host_whose_seats_went_to_somebody_else_is_no_standby(world, clock, zones):
    zones.host_max_players = 2
    await world.create(host_id="second", player_ids=["x"])
    session = await guarded(world, "a", "b")
    assert session.standby is None
    zones.able = ["first", "third"]
    clock.advance(AGAIN_AFTER)
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby == on("third")
    await assert_sound(world.database)


async def test_while_zone_manager_is_away_nobody_is_named_and_nothing_fails(world, clock, zones):
    session = await world.create(player_ids=["a"])
    zones.refusal = Code.UNAVAILABLE
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby is None
    zones.refusal = None
    clock.advance(LATER)
    await world.guarding.look()
    assert (await world.get(session.session_id)).standby == on("second")


async def test_why_a_host_stands_by_is_explained_and_how_it_came_to_host(world, clock):
    session = await guarded(world, "a")
    await lose(world, clock, "first")

    explained = SessionExplained.model_validate_json(await world.questions.explain(read_ref(session.session_id)))
    assert [(one.event, one.reason, one.epoch) for one in explained.decisions] == [
        ("created", None, 1),
        ("standby-changed", "named", 1),
        ("migrating", "host_lost", 1),
        ("migrated", "host_lost", 2),
    ]
    chosen = [one.grounds and one.grounds.judgements[0].host_id for one in explained.decisions]
    assert chosen == ["first", "second", None, "second"]
    assert explained.decisions[-1].figures == {"standby": 1}
