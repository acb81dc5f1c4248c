import asyncio
from datetime import timedelta
from itertools import permutations

import pytest
from contracts.sessions import ReportMetrics, SessionStatus
from session_manager.errors import SessionNotFoundError, WrongStateError
from session_manager.migration import Settled
from session_manager.policies import ZonePolicy
from session_manager.store import sessions as session_store

from services.session_manager.tests.facts import a_host_fact
from services.session_manager.tests.world import IDLE, assert_sound

MINUTE = timedelta(minutes=1)
STERN = ZonePolicy(fallback_enabled=False, fallback_endpoint=None, max_latency_ms=100)


async def test_an_end_frees_all_seats_and_names_who_sat_there(world, clock):
    session = await world.create(player_ids=["a", "b"])
    await world.forget_told()

    ended = await world.end(session.session_id, "boss is dead")

    assert (ended.status, ended.end_reason, ended.ended_at) == (SessionStatus.ENDED, "boss is dead", clock.now())
    assert (ended.connected_players, ended.current_players) == ((), 0)
    [(event, fact)] = await world.told()
    assert (event, fact.players_left, fact.reason, fact.host_players) == ("ended", ("a", "b"), "boss is dead", 0)
    assert fact.session == ended
    assert (await world.join((await world.create()).session_id, "a")).connected_players == ("a",)


async def test_ending_twice_is_the_first_end(world):
    session = await world.create()
    first = await world.end(session.session_id, "first")
    await world.forget_told()

    assert await world.end(session.session_id, "second") == first
    assert await world.told() == []


async def test_twenty_simultaneous_ends_are_one(world):
    session = await world.create(player_ids=["a"])
    ends = await asyncio.gather(*(world.end(session.session_id, str(number)) for number in range(20)))
    assert len({ended.end_reason for ended in ends}) == 1
    assert [event for event, _ in await world.told()] == ["created", "ended"]


async def test_a_session_that_is_over_takes_nothing_more(world):
    session = await world.create(player_ids=["a"])
    await world.end(session.session_id)

    for command in (
        world.join(session.session_id, "a"),
        world.leave(session.session_id, "a"),
        world.lifecycle.activate(session.session_id),
        world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=1)),
    ):
        with pytest.raises(WrongStateError):
            await command


async def test_activating_is_told_once(world):
    session = await world.create()
    await world.forget_told()

    first = await world.lifecycle.activate(session.session_id)
    again = await world.lifecycle.activate(str(session.id))

    assert first == again
    assert [event for event, _ in await world.told()] == ["activated"]


async def test_what_is_not_there_can_be_neither_activated_nor_ended(world):
    for command in (world.lifecycle.activate("4711"), world.end("4711"), world.get("4711")):
        with pytest.raises(SessionNotFoundError):
            await command


async def test_a_session_idle_for_half_an_hour_ends(world, clock):
    session = await world.create(player_ids=["a"])
    clock.advance(IDLE)

    assert await world.lifecycle.end_idle(IDLE) == [session.session_id]

    ended = await world.get(session.session_id)
    assert (ended.status, ended.end_reason) == (SessionStatus.ENDED, "idle")
    await assert_sound(world.database)


async def test_a_session_busy_for_31_minutes_lives(world, clock):
    session = await world.create(player_ids=["a"])
    for _ in range(31):
        clock.advance(MINUTE)
        await world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=20))

    assert await world.lifecycle.end_idle(IDLE) == []


async def _join(world, session):
    await world.join(session.session_id, "b")


async def _leave(world, session):
    await world.leave(session.session_id, "a")


async def _report(world, session):
    await world.lifecycle.report(ReportMetrics(session=session.session_id, packet_loss_percent=1))


@pytest.mark.parametrize("activity", [_join, _leave, _report])
async def test_activity_is_a_join_a_leave_or_a_report(world, clock, activity):
    session = await world.create(player_ids=["a"])
    clock.advance(IDLE - MINUTE)
    await activity(world, session)
    clock.advance(MINUTE)

    assert await world.lifecycle.end_idle(IDLE) == []
    assert (await world.get(session.session_id)).last_activity_at == clock.now() - MINUTE


async def test_activating_is_activity(world, clock):
    session = await world.create()
    clock.advance(IDLE - MINUTE)
    await world.lifecycle.activate(session.session_id)
    clock.advance(MINUTE)

    assert await world.lifecycle.end_idle(IDLE) == []


async def test_a_session_without_players_ends_after_ten_minutes_however_busy(world, clock):
    never_joined = await world.create()
    left = await world.create(player_ids=["a"])
    played = await world.create(player_ids=["b"])
    clock.advance(5 * MINUTE)
    await world.leave(left.session_id, "a")
    clock.advance(5 * MINUTE)
    await world.lifecycle.report(ReportMetrics(session=never_joined.session_id, average_latency_ms=20))

    assert await world.lifecycle.end_empty(10 * MINUTE) == [never_joined.session_id]
    clock.advance(5 * MINUTE)
    assert await world.lifecycle.end_empty(10 * MINUTE) == [left.session_id]
    assert (await world.get(played.session_id)).status is SessionStatus.ACTIVE


async def test_a_session_that_was_empty_in_between_starts_its_ten_minutes_anew(world, clock):
    session = await world.create()
    clock.advance(9 * MINUTE)
    await world.join(session.session_id, "a")
    await world.leave(session.session_id, "a")
    clock.advance(9 * MINUTE)

    assert await world.lifecycle.end_empty(10 * MINUTE) == []


async def test_the_sessions_of_a_lost_host_fail_where_their_zone_does_not_fall_back(world, zones):
    zones.policy, zones.spare = STERN, False
    lost = [await world.create(host_id="lost", player_ids=[f"player-{number}"]) for number in range(3)]
    other = await world.create(host_id="other", player_ids=["x"])
    await world.forget_told()

    await world.fallback.host_lost(a_host_fact("lost"))

    for session in lost:
        failed = await world.get(session.session_id)
        assert (failed.status, failed.end_reason, failed.current_players) == (SessionStatus.FAILED, "host_lost", 0)
    assert (await world.get(other.session_id)).status is SessionStatus.ACTIVE
    told = [(event, fact.reason) for event, fact in await world.told()]
    assert told == [("migrating", "host_lost")] * 3 + [("failed", "host_lost")] * 3
    assert {fact.host_players for _, fact in await world.told()} == {0}


async def test_a_loss_told_again_changes_nothing_more(world, clock):
    await world.create(host_id="lost")
    fact = a_host_fact("lost", revision=4, at=clock.now())
    await world.fallback.host_lost(fact)
    await world.presence.found(a_host_fact("lost", revision=5))
    clock.advance(timedelta(seconds=2))
    again = await world.create(host_id="lost")

    await world.fallback.host_lost(fact)

    assert (await world.get(again.session_id)).status is SessionStatus.PENDING


@pytest.mark.parametrize("told", list(permutations(("deleted", "registered", "placed"))))
async def test_a_loss_is_of_one_life_of_a_host_in_whatever_order_it_is_told(world, zones, clock, told):
    """Deleted and registered again: the sessions it had leave it, those that it gets then stay."""
    zones.policy, zones.spare = STERN, False
    former = await world.create(host_id="lost", player_ids=["a"])
    zones.numbers["lost"] = 2
    for what in told:
        match what:
            case "deleted":
                await world.fallback.host_lost(a_host_fact("lost", revision=4, at=clock.now()))
            case "registered":
                await world.presence.found(a_host_fact("lost", revision=5, at=clock.now(), number=2))
            case _:
                present = await world.create(host_id="lost", player_ids=["b"])
    await world.fallback.leave_lost()

    assert (await world.get(former.session_id)).status is SessionStatus.FAILED
    assert (await world.get(present.session_id)).status is SessionStatus.ACTIVE
    await world.fallback.host_lost(a_host_fact("lost", revision=6, at=clock.now(), number=2))
    assert (await world.get(present.session_id)).status is SessionStatus.FAILED


async def test_a_loss_that_is_told_after_the_return_is_over(world, clock):
    session = await world.create(host_id="lost")
    await world.presence.found(a_host_fact("lost", revision=5))
    await world.fallback.host_lost(a_host_fact("lost", revision=4, at=clock.now()))

    assert (await world.get(session.session_id)).status is SessionStatus.PENDING


async def test_a_session_placed_while_its_host_was_being_lost_is_found_by_the_health_check(world, clock):
    await world.fallback.host_lost(a_host_fact("lost", at=clock.now()))
    clock.advance(timedelta(seconds=1))
    missed = await world.create(host_id="lost")

    assert await world.fallback.leave_lost() == Settled(failed=1)
    assert (await world.get(missed.session_id)).status is SessionStatus.FAILED


async def test_a_host_on_which_zone_manager_still_places_later_is_not_lost_to_us(world, clock):
    await world.fallback.host_lost(a_host_fact("host", at=clock.now()))
    clock.advance(MINUTE)
    await world.create(host_id="host")

    assert await world.fallback.leave_lost() == Settled()


async def test_more_sessions_than_one_batch_end_all_the_same(world, clock, monkeypatch):
    monkeypatch.setattr(session_store, "BATCH", 2)
    sessions = [await world.create(player_ids=[f"player-{number}"]) for number in range(5)]
    clock.advance(IDLE)

    assert await world.lifecycle.end_idle(IDLE) == [session.session_id for session in sessions]
    await assert_sound(world.database)
