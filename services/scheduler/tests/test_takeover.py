"""Schedulers as processes, ended and stopped by real signals."""

import signal
from datetime import datetime

from chassis.bus import Bus
from chassis.events import Consumers
from chassis.refusals import RefusedError
from chassis.requests import call
from contracts.jobs import RUN_JOB, JobDue, JobFact, JobName, RunJob
from contracts.refusals import Code
from contracts.streams import EVENTS
from testkit.eventually import eventually
from testkit.servers import TestServer

from services.scheduler.tests.conftest import Fleet

LONG_LEASE = {"SCHEDULER_LEASE_S": "60"}


def due_times(ticks: list[JobDue]) -> list[tuple[str, str]]:
    return [(due.job, due.due_at.isoformat()) for due in ticks]


def each_due_time_once(ticks: list[JobDue]) -> bool:
    return len(set(due_times(ticks))) == len(ticks)


async def more(ticks: list[JobDue], count: int) -> None:
    wanted = len(ticks) + count
    await eventually(lambda: len(ticks) >= wanted, within=20, of=f"{count} more ticks")


async def test_another_takes_over_when_the_leader_is_killed(fleet: Fleet, ticks: list[JobDue]):
    await fleet.start("scheduler-1")
    await fleet.start("scheduler-2")
    leader = await fleet.leader()
    await more(ticks, 4)
    await fleet.kill(leader)
    fence = ticks[-1].fence

    assert await fleet.leader(other_than=leader) in fleet.processes
    await more(ticks, 6)
    assert ticks[-1].fence > fence
    assert each_due_time_once(ticks)


async def test_a_leader_that_was_stopped_and_wakes_up_tells_nothing_under_its_old_fence(
    fleet: Fleet, ticks: list[JobDue]
):
    await fleet.start("scheduler-1")
    await fleet.start("scheduler-2")
    stopped = await fleet.leader()
    await more(ticks, 2)
    fleet.signal(stopped, signal.SIGSTOP)
    old = ticks[-1].fence
    await eventually(lambda: ticks[-1].fence > old, within=20, of="a tick by a successor")
    fleet.signal(stopped, signal.SIGCONT)
    await more(ticks, 6)

    fences = [due.fence for due in ticks]
    assert fences == sorted(fences)
    assert each_due_time_once(ticks)


async def test_a_leader_that_is_told_to_stop_hands_over_at_once(fleet: Fleet, ticks: list[JobDue]):
    await fleet.start("scheduler-1", **LONG_LEASE)
    await fleet.leader()
    await fleet.start("scheduler-2", **LONG_LEASE)
    await more(ticks, 1)
    # The second one's lease is a minute, so it could not lead this soon unless it was given the lease.
    assert await fleet.stop("scheduler-1") == 0
    assert await fleet.leader(other_than="scheduler-1") == "scheduler-2"
    assert each_due_time_once(ticks)


async def test_ticks_go_on_after_nats_was_killed(fleet: Fleet, ticks: list[JobDue], nats_server: TestServer):
    await fleet.start("scheduler-1")
    await fleet.start("scheduler-2")
    await fleet.leader()
    await more(ticks, 2)
    await nats_server.kill()
    await nats_server.start()
    await more(ticks, 6)
    assert each_due_time_once(ticks)


async def _made_due(bus: Bus) -> datetime | None:
    """When; None while nobody leads, for so short a lease may lapse on a busy machine."""
    try:
        return (await call(bus, RUN_JOB, RunJob(job=JobName.NPC_FEED))).due_at
    except RefusedError as error:
        if error.refusal.code is not Code.UNAVAILABLE:
            raise
        return None


async def test_the_feed_made_due_by_hand_is_done_whichever_scheduler_is_asked(fleet: Fleet, bus: Bus):
    runs: list[JobFact] = []

    async def take(fact: JobFact) -> None:
        runs.append(fact)

    consumers = Consumers(bus, "test", instance="test")
    consumers.consume(EVENTS, "p2p.events.jobs.>", JobFact, take, name="runs")
    async with consumers:
        await fleet.start("scheduler-1")
        await fleet.start("scheduler-2")
        await fleet.leader()
        # Whoever is free answers: of six, one that does not lead.
        answers = [await eventually(lambda: _made_due(bus), of="somebody who leads") for _ in range(6)]
        asked = {due_at for due_at in answers if due_at is not None}
        await eventually(
            lambda: runs and max(asked) in {run.due_at for run in runs}, of="the run that was asked for last"
        )
    told = [run.due_at for run in runs]
    assert len(set(told)) == len(told)
