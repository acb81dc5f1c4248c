"""Sessions of a lost host get another, each once, whoever dies at whichever step."""

import asyncio
from datetime import timedelta

import pytest
from chassis.refusals import RefusedError, UnavailableError
from contracts.hosts import HostStatus
from contracts.identifiers import HostId
from contracts.refusals import Code
from contracts.sessions import ConnectionType, ReportMetrics, SessionExplained, SessionHistory, SessionStatus
from session_manager.errors import SessionNotFoundError, StaleEpochError, WrongStateError
from session_manager.migration import Settled
from session_manager.sessions import read_ref
from testkit.eventually import eventually

from services.session_manager.tests.facts import a_host_fact
from services.session_manager.tests.world import CLAIM, GIVE_UP, RETURN, assert_sound, make_world


@pytest.fixture(autouse=True)
def no_deadlocks(servers):
    servers.postgres.lines.clear()
    yield
    assert not [line for line in servers.postgres.lines if "deadlock" in line]


@pytest.fixture
def two_worlds(database, clock, zones):
    """Two instances of the service."""
    return [make_world(database, clock, zones, name) for name in ("one", "two")]


async def lose(world, clock, host="lost", revision=1):
    await world.fallback.host_lost(a_host_fact(host, revision=revision, at=clock.now()))


async def leave_it_half_done(world, clock, zones, *players):
    """A session whose instance dies while zone_manager looks for a host."""
    session = await world.create(host_id="lost", player_ids=list(players or "a"))
    zones.answering.clear()
    losing = asyncio.create_task(lose(world, clock))
    await eventually(lambda: len(zones.places) == 2)
    losing.cancel()
    await asyncio.wait((losing,))
    zones.answering.set()
    return session


async def test_a_session_goes_to_another_host_with_its_players_and_in_the_next_epoch(world, clock):
    session = await world.create(host_id="lost", player_ids=["a", "b"])
    await world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=300))
    clock.advance(timedelta(seconds=1))
    await lose(world, clock)

    moved = await world.get(session.session_id)
    assert (moved.status, moved.host_id, moved.host_peer_id) == (SessionStatus.ACTIVE, "host-1", "peer-of-host-1")
    assert (moved.epoch, moved.connected_players, moved.connection_type) == (2, ("a", "b"), ConnectionType.WEBRTC)
    assert moved.average_latency_ms is None
    told = await world.told_of(session.session_id)
    assert [(event, fact.reason, fact.session.epoch) for event, fact in told] == [
        ("created", None, 1),
        ("migrating", "host_lost", 1),
        ("migrated", "host_lost", 2),
    ]
    assert [(fact.session.host_id, fact.host_players) for _, fact in told[1:]] == [("lost", 0), ("host-1", 2)]
    await assert_sound(world.database)


async def test_each_host_it_was_given_is_explained_by_how_hosts_were_judged_then(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a"])
    await lose(world, clock)
    zones.refusal, zones.rejected_counts = Code.NO_HOST_FREE, {"full": 3}
    await lose(world, clock, host="host-1")

    explained = SessionExplained.model_validate_json(await world.questions.explain(read_ref(session.session_id)))
    assert (explained.status, explained.host_id, explained.epoch) == (SessionStatus.FALLBACK, "host-1", 2)
    assert [(one.event, one.reason, one.epoch) for one in explained.decisions] == [
        ("created", None, 1),
        ("migrating", "host_lost", 1),
        ("migrated", "host_lost", 2),
        ("migrating", "host_lost", 2),
        ("fell-back", "host_lost", 2),
    ]
    chosen = [one.grounds and one.grounds.judgements[0].host_id for one in explained.decisions]
    assert chosen == ["lost", None, "host-1", None, None]
    assert explained.decisions[-1].figures == {"hostless_s": 0, "hosts_full": 3}


async def test_of_what_was_decided_before_grounds_were_kept_the_rest_is_told(world):
    session = await world.create(host_id="host-1")
    await world.database.execute("forget", "UPDATE session_events SET grounds = NULL")
    explained = SessionExplained.model_validate_json(await world.questions.explain(read_ref(str(session.id))))
    assert [(one.event, one.grounds) for one in explained.decisions] == [("created", None)]


async def test_no_session_has_no_explanation(world):
    with pytest.raises(SessionNotFoundError):
        await world.questions.explain(read_ref("17"))


async def test_the_record_says_why_and_how_long(world, clock, zones):
    session = await leave_it_half_done(world, clock, zones)
    clock.advance(CLAIM)
    await world.fallback.finish_migrations()

    page = await world.questions.list_events(read_ref(session.session_id), 10, None)
    lines = SessionHistory.model_validate_json(page).items
    assert [(line.event, line.reason, line.figures) for line in lines[1:]] == [
        ("migrating", "host_lost", {"lost_for_s": 0}),
        ("migrated", "host_lost", {"hostless_s": CLAIM.total_seconds()}),
    ]


async def test_what_an_instance_left_half_done_is_finished_by_another_and_not_before_its_time(two_worlds, clock, zones):
    dying, other = two_worlds
    session = await leave_it_half_done(dying, clock, zones)
    await other.fallback.finish_migrations()
    assert (await other.get(session.session_id)).status is SessionStatus.MIGRATING
    await assert_sound(other.database)

    clock.advance(CLAIM)
    await other.fallback.finish_migrations()

    assert (await other.get(session.session_id)).epoch == 2
    await assert_sound(other.database)


async def test_an_instance_that_was_only_slow_moves_nobody_a_second_time(two_worlds, clock, zones):
    slow, quick = two_worlds
    session = await slow.create(host_id="lost", player_ids=["a"])
    zones.answering.clear()
    losing = asyncio.create_task(lose(slow, clock))
    await eventually(lambda: len(zones.places) == 2)
    clock.advance(CLAIM)
    finishing = asyncio.create_task(quick.fallback.finish_migrations())
    await eventually(lambda: len(zones.places) == 3)
    zones.answering.set()
    await asyncio.gather(losing, finishing)

    assert [event for event, _ in await quick.told_of(session.session_id)] == ["created", "migrating", "migrated"]
    assert (await quick.get(session.session_id)).epoch == 2
    await assert_sound(quick.database)


async def test_many_instances_move_many_sessions_once_each(two_worlds, clock):
    sessions = [await two_worlds[0].create(host_id="lost", player_ids=[f"player-{number}"]) for number in range(40)]
    await two_worlds[0].presence.lost(a_host_fact("lost", at=clock.now()))

    settled = await asyncio.gather(*(world.fallback.leave_lost() for world in two_worlds * 2))

    assert sum(each.migrated for each in settled) == 40
    for session in sessions:
        events = [event for event, _ in await two_worlds[0].told_of(session.session_id)]
        assert events == ["created", "migrating", "migrated"]
    await assert_sound(two_worlds[0].database)


async def test_a_host_without_room_for_all_is_passed_over(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a", "b", "c"])
    zones.host_max_players, zones.able, zones.spare = 2, ["small", "as-small"], False
    await lose(world, clock)
    assert zones.excluded[-1] == ("as-small", "lost", "small")
    assert (await world.get(session.session_id)).status is SessionStatus.FALLBACK
    await assert_sound(world.database)


async def test_where_nobody_fits_the_zone_decides_at_once_and_the_record_says_what_spoke_against_hosts(
    world, clock, zones
):
    session = await world.create(host_id="lost", player_ids=["a"])
    zones.refusal, zones.rejected_counts = Code.NO_HOST_FREE, {"draining": 2, "region": 1}
    await lose(world, clock)
    event, fact = (await world.told())[-1]
    assert (event, fact.session_id, fact.reason) == ("fell-back", session.session_id, "host_lost")
    assert fact.figures == {"hostless_s": 0, "hosts_draining": 2, "hosts_region": 1}
    await assert_sound(world.database)


async def test_where_nobody_answers_it_is_asked_again_until_it_is_too_long(world, clock, zones, monkeypatch):
    session = await world.create(host_id="lost", player_ids=["a"])
    asked = 0

    async def away(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise UnavailableError("Nobody answers.")

    monkeypatch.setattr(zones, "place", away)
    await lose(world, clock)
    assert (await world.get(session.session_id)).status is SessionStatus.MIGRATING
    for _ in range(int(GIVE_UP.total_seconds())):
        clock.advance(timedelta(seconds=1))
        await world.fallback.finish_migrations()
    assert asked == 1 + GIVE_UP.total_seconds()
    assert (await world.get(session.session_id)).status is SessionStatus.FALLBACK
    await assert_sound(world.database)


async def test_the_next_host_lost_while_it_takes_over_is_left_in_turn(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a"])
    zones.able = ["next", "last"]
    await world.presence.lost(a_host_fact("next", at=clock.now()))
    await lose(world, clock)
    moved = await world.get(session.session_id)
    assert (moved.host_id, moved.epoch) == ("last", 3)
    await assert_sound(world.database)


async def test_a_session_that_ends_while_it_migrates_stays_ended(world, clock, zones):
    session = await leave_it_half_done(world, clock, zones, "a", "b")
    await world.end(session.session_id)
    clock.advance(CLAIM)
    await world.fallback.finish_migrations()
    ended = await world.get(session.session_id)
    assert (ended.status, ended.epoch) == (SessionStatus.ENDED, 1)
    await assert_sound(world.database)


async def test_while_it_migrates_its_players_come_back_and_go_and_nobody_joins(world, clock, zones):
    session = await leave_it_half_done(world, clock, zones, "a", "b")
    assert (await world.join(session.session_id, "a", socket=True)).status is SessionStatus.MIGRATING
    assert (await world.enter("a")).session_id == session.session_id
    await world.leave(session.session_id, "b")
    with pytest.raises(WrongStateError):
        await world.join(session.session_id, "c")
    await assert_sound(world.database)
    clock.advance(CLAIM)
    await world.fallback.finish_migrations()
    assert (await world.get(session.session_id)).connected_players == ("a",)
    await assert_sound(world.database)


async def test_an_empty_session_moves_too(world, clock):
    session = await world.create(host_id="lost", player_ids=["a"])
    await world.leave(session.session_id, "a")
    assert await leave(world, clock) == Settled(migrated=1)
    assert (await world.get(session.session_id)).host_id == "host-1"


async def leave(world, clock):
    await world.presence.lost(a_host_fact("lost", at=clock.now()))
    return await world.fallback.leave_lost()


async def test_a_host_that_comes_and_goes_is_not_chosen_again_until_it_has_stayed(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a"])
    zones.able = ["lost", "other"]
    await lose(world, clock)
    await world.presence.found(a_host_fact("lost", revision=2, at=clock.now()))
    clock.advance(timedelta(seconds=10))
    await lose(world, clock, host="other")
    assert zones.excluded[-1] == ("lost", "other")
    await world.presence.found(a_host_fact("other", revision=2, at=clock.now()))
    clock.advance(RETURN)
    await lose(world, clock, host="host-1", revision=3)
    assert (await world.get(session.session_id)).host_id == "lost"


async def drain(world, clock, host="lost", revision=1):
    fact = a_host_fact(host, revision=revision, at=clock.now())
    draining = fact.host.model_copy(update={"status": HostStatus.DRAINING})
    await world.fallback.host_lost(fact.model_copy(update={"host": draining}))


async def test_the_sessions_of_a_draining_host_go_over_at_once_and_are_never_without_one(world, clock, zones):
    sessions = [await world.create(host_id="lost", player_ids=[f"player-{number}"]) for number in range(40)]
    await drain(world, clock)
    for session in sessions:
        moved = await world.get(session.session_id)
        assert (moved.status, moved.host_id, moved.epoch) == (SessionStatus.ACTIVE, "host-1", 2)
        told = await world.told_of(session.session_id)
        assert [(event, fact.reason) for event, fact in told[1:]] == [
            ("migrating", "host_draining"),
            ("migrated", "host_draining"),
        ]
        assert told[1][1].occurred_at == told[2][1].occurred_at
    await assert_sound(world.database)


async def test_a_draining_host_whose_sessions_nobody_takes_loses_them_as_its_zone_says(world, clock, zones):
    zones.spare = False
    session = await world.create(host_id="lost", player_ids=["a"])
    pending = await world.create(host_id="lost")
    await drain(world, clock)
    assert (await world.get(session.session_id)).status is SessionStatus.FALLBACK
    assert (await world.get(pending.session_id)).status is SessionStatus.FAILED
    await assert_sound(world.database)


async def test_a_session_is_moved_by_order_to_the_host_that_is_named_or_to_the_best(world, zones):
    session = await world.create(host_id="first", player_ids=["a", "b"])
    await world.migration.order(read_ref(session.session_id), HostId("second"))
    moved = await world.get(session.session_id)
    assert (moved.host_id, moved.epoch, moved.connected_players) == ("second", 2, ("a", "b"))
    await world.migration.order(read_ref(str(session.id)), HostId("second"))
    assert (await world.get(session.session_id)).epoch == 2
    await world.migration.order(read_ref(session.session_id), None)
    assert zones.excluded[-1] == ("second",)
    assert (await world.get(session.session_id)).host_id == zones.host
    assert [fact.reason for event, fact in await world.told() if event == "migrated"] == ["ordered"] * 2
    await assert_sound(world.database)


async def test_an_order_that_nobody_can_meet_leaves_the_session_where_it_is(world, zones):
    session = await world.create(host_id="first", player_ids=["a", "b", "c"])
    zones.refusal = Code.NO_HOST_FREE
    with pytest.raises(RefusedError):
        await world.migration.order(read_ref(session.session_id), None)
    zones.refusal, zones.host_max_players = None, 2
    with pytest.raises(UnavailableError):
        await world.migration.order(read_ref(session.session_id), HostId("small"))
    there = await world.get(session.session_id)
    assert (there.status, there.host_id, there.epoch) == (SessionStatus.ACTIVE, "first", 1)
    await assert_sound(world.database)


async def test_orders_losses_joins_and_leaves_at_once_leave_everything_sound(two_worlds, clock, zones):
    """No seat count wrong, no session on two hosts, no epoch used twice, whatever comes together."""
    zones.host_max_players = 1000
    for round_ in range(5):
        world, other = two_worlds
        session = await world.create(host_id=f"lost-{round_}", player_ids=[f"first-{round_}"])
        ref = read_ref(session.session_id)
        await asyncio.gather(
            *(world.join(session.session_id, f"player-{round_}-{number}") for number in range(5)),
            world.migration.order(ref, HostId("one-side")),
            other.migration.order(ref, HostId("other-side")),
            lose(other, clock, host=f"lost-{round_}", revision=round_ + 1),
            world.leave(session.session_id, f"first-{round_}"),
            return_exceptions=True,
        )
        epochs = [fact.session.epoch for event, fact in await world.told_of(session.session_id) if event == "migrated"]
        assert epochs == list(range(2, 2 + len(epochs)))
        assert (await world.get(session.session_id)).status is SessionStatus.ACTIVE
        await assert_sound(world.database)


async def test_what_an_earlier_host_measured_is_refused_and_names_the_present_one(world, clock):
    session = await world.create(host_id="lost", player_ids=["a"])
    await lose(world, clock)
    late = ReportMetrics(session=session.session_id, epoch=1, average_latency_ms=9000)
    with pytest.raises(StaleEpochError) as refused:
        await world.lifecycle.report(late)
    assert refused.value.refusal.code is Code.STALE_EPOCH
    assert refused.value.refusal.fields == {"session_id": session.session_id, "epoch": 2, "host_id": "host-1"}
    assert (await world.get(session.session_id)).average_latency_ms is None
    await world.lifecycle.report(late.model_copy(update={"epoch": 2, "average_latency_ms": 20}))
    assert (await world.get(session.session_id)).average_latency_ms == 20
