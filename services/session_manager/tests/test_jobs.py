import asyncio
from datetime import timedelta

import pytest
from chassis.refusals import UnavailableError
from contracts.jobs import JobDue, JobFact, JobName, JobOutcome
from contracts.sessions import ReportMetrics, SessionHistory, SessionStatus
from session_manager.sessions import read_ref

from services.session_manager.tests.facts import a_host_fact
from services.session_manager.tests.world import EMPTY, IDLE, RETURN

CLEANUP = JobName.SESSION_CLEANUP


def a_tick(clock, job=CLEANUP, *, fence=1):
    return JobDue(job=job, due_at=clock.now(), fence=fence)


async def announced(world):
    rows = await world.database.fetch(
        "outbox.jobs", "SELECT subject, payload FROM outbox WHERE subject LIKE 'p2p.events.jobs.%' ORDER BY seq"
    )
    return [(row["subject"].rpartition(".")[2], JobFact.model_validate_json(row["payload"])) for row in rows]


async def test_cleanup_ends_idle_and_empty_sessions(world, clock):
    idle = await world.create(player_ids=["a"])
    clock.advance(IDLE - EMPTY)
    empty = await world.create()
    clock.advance(EMPTY)
    fresh = await world.create()

    await world.jobs.due(a_tick(clock))

    assert [(await world.get(session.session_id)).end_reason for session in (idle, empty, fresh)] == [
        "idle",
        "empty",
        None,
    ]
    [(event, fact)] = await announced(world)
    assert (event, fact.outcome, fact.due_at) == ("done", JobOutcome.DONE, clock.now())
    assert fact.detail == "ended 1 idle and 1 empty sessions"


async def test_of_two_sessions_after_31_minutes_the_busy_one_lives_and_the_idle_one_is_cleaned(world, clock):
    busy, idle = await world.create(player_ids=["a"]), await world.create(player_ids=["b"])
    for _ in range(31):
        clock.advance(timedelta(minutes=1))
        await world.lifecycle.report(ReportMetrics(session=busy.session_id, average_latency_ms=20))

    await world.jobs.due(a_tick(clock))

    assert (await world.get(busy.session_id)).status is SessionStatus.ACTIVE
    page = await world.questions.list_events(read_ref(idle.session_id), 10, None)
    line = SessionHistory.model_validate_json(page).items[-1]
    assert (line.event, line.reason) == ("ended", "idle")


async def test_health_sends_away_and_brings_back_and_says_so(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a"])
    await world.presence.lost(a_host_fact("lost", at=clock.now()))
    zones.spare = False
    for zones.able in ([], ["good"], ["good"]):
        await world.jobs.due(a_tick(clock, JobName.SESSION_HEALTH))
        clock.advance(RETURN)

    assert [fact.detail for _, fact in await announced(world)] == [
        "looked at 1 active sessions: 1 fell back",
        "looked at 0 active sessions",
        "looked at 0 active sessions: 1 returned",
    ]
    page = await world.questions.list_events(read_ref(session.session_id), 10, None)
    lines = SessionHistory.model_validate_json(page).items
    assert [(line.event, line.reason, line.epoch) for line in lines] == [
        ("created", None, 1),
        ("migrating", "host_lost", 1),
        ("fell-back", "host_lost", 1),
        ("migrated", "host_lost", 2),
    ]


async def test_health_fails_what_was_missed_when_a_host_was_lost(world, clock):
    await world.presence.lost(a_host_fact("lost", at=clock.now()))
    missed = await world.create(host_id="lost")

    await world.jobs.due(a_tick(clock, JobName.SESSION_HEALTH))

    assert (await world.get(missed.session_id)).status is SessionStatus.FAILED
    [(event, fact)] = await announced(world)
    assert (event, fact.detail) == ("done", "looked at 0 active sessions: 1 failed")


async def test_a_tick_told_twice_takes_effect_and_is_announced_once(world, clock):
    tick = a_tick(clock)
    await world.jobs.due(tick)
    clock.advance(IDLE)
    await world.create()
    clock.advance(IDLE)

    await world.jobs.due(tick)

    assert len(await announced(world)) == 1
    assert len(await world.database.fetch("live", "SELECT FROM sessions WHERE live")) == 1


async def test_a_tick_told_twice_at_once_is_announced_once(world, clock):
    session = await world.create()
    clock.advance(IDLE)

    await asyncio.gather(*(world.jobs.due(a_tick(clock)) for _ in range(5)))

    assert len(await announced(world)) == 1
    assert [event for event, fact in await world.told_of(session.session_id)] == ["created", "ended"]


async def test_the_next_due_time_is_another_tick(world, clock):
    await world.jobs.due(a_tick(clock))
    clock.advance(timedelta(minutes=5))
    await world.jobs.due(a_tick(clock))

    assert [fact.revision for _, fact in await announced(world)] == [1, 2]


async def test_the_tick_of_a_deposed_leader_is_passed_by(world, clock):
    late = a_tick(clock, fence=1)
    clock.advance(timedelta(minutes=5))
    await world.jobs.due(a_tick(clock, fence=2))

    await world.jobs.due(late)

    assert len(await announced(world)) == 1


async def test_a_lease_that_began_again_from_one_is_no_deposed_leader(world, clock):
    await world.jobs.due(a_tick(clock, fence=99))
    clock.advance(timedelta(minutes=5))
    await world.jobs.due(a_tick(clock, fence=1))

    assert len(await announced(world)) == 2


async def test_a_job_that_fails_says_so(world, clock, monkeypatch):
    async def fail(_after, **_):
        raise ZeroDivisionError

    monkeypatch.setattr(world.lifecycle, "end_idle", fail)
    await world.jobs.due(a_tick(clock))

    [(event, fact)] = await announced(world)
    assert (event, fact.outcome, fact.detail) == ("failed", JobOutcome.FAILED, "ZeroDivisionError")


async def test_a_job_that_meets_no_database_comes_again(world, clock, monkeypatch):
    async def away(_after, **_):
        raise UnavailableError("The database is away.")

    tick = a_tick(clock)
    with monkeypatch.context() as outage:
        outage.setattr(world.lifecycle, "end_idle", away)
        with pytest.raises(UnavailableError):
            await world.jobs.due(tick)
    await world.jobs.due(tick)

    assert [event for event, _ in await announced(world)] == ["done"]
