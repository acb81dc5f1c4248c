"""Jobs the leader does itself: how they go is told, and one that fails or is asked for by hand holds up no other."""

from datetime import timedelta

import pytest
from chassis.refusals import UnavailableError
from contracts.jobs import JobDue, JobName, JobOutcome, RunJob
from scheduler.book import TickBook
from scheduler.calendar import Tick
from scheduler.dispatch import ASKED_FOR, Dispatch, Run
from scheduler.leadership import Leadership

from services.scheduler.tests.fakes import NOON, BucketInMemory, StreamInMemory, VirtualTime

LEASE = timedelta(seconds=3)
FEED = JobName.NPC_FEED
HEALTH = JobName.SESSION_HEALTH
CALENDAR = {FEED: timedelta(seconds=5), HEALTH: timedelta(seconds=30)}
"""The leader's own first, so that what goes wrong with it could hold up the other."""


class Told(StreamInMemory):
    """The stream, with what was told of own jobs."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(time.monotonic)
        self.runs: list[tuple[Run, int]] = []
        self.away = False

    async def job_over(self, run: Run, fence: int) -> None:
        if self.away:
            raise UnavailableError("The message bus is away.")
        self.runs.append((run, fence))


class Scheduler:
    """One of those that share a bucket; its own job says what `work` says."""

    def __init__(self, time: VirtualTime, bucket: BucketInMemory, told: Told) -> None:
        self.time = time
        self.done: list[Tick] = []
        self.error: Exception | None = None
        self.takes = timedelta(0)
        self.leadership = Leadership(bucket, "scheduler", LEASE, time.monotonic)
        self.dispatch = Dispatch(CALENDAR, self.leadership, TickBook(bucket), told, time, {FEED: self._work})

    async def _work(self, tick: Tick) -> str:
        self.time.seconds += self.takes.total_seconds()
        if self.error is not None:
            raise self.error
        self.done.append(tick)
        return "3 zones"

    async def round(self) -> None:
        await self.leadership.keep()
        await self.dispatch.tick()


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def bucket() -> BucketInMemory:
    return BucketInMemory()


@pytest.fixture
def told(time: VirtualTime) -> Told:
    return Told(time)


@pytest.fixture
def leader(time: VirtualTime, bucket: BucketInMemory, told: Told) -> Scheduler:
    return Scheduler(time, bucket, told)


@pytest.fixture
def other(time: VirtualTime, bucket: BucketInMemory, told: Told) -> Scheduler:
    return Scheduler(time, bucket, told)


def wished(time: VirtualTime) -> JobDue:
    return JobDue(job=FEED, due_at=time.now(), fence=1, manual=True)


async def test_the_leader_does_its_own_job_and_tells_how_it_went(leader: Scheduler, told: Told):
    await leader.round()
    [(run, fence)] = told.runs
    assert (run.tick, run.outcome, run.detail) == (Tick(FEED, NOON), JobOutcome.DONE, "3 zones")
    assert fence == leader.leadership.term
    assert [due.job for due in told.stored] == [HEALTH], "others are told to do theirs only"


async def test_it_does_it_once_for_each_due_time(leader: Scheduler, told: Told, time: VirtualTime):
    for _ in range(11):
        await leader.round()
        time.seconds += 1
    assert [run.tick.due_at - NOON for run, _ in told.runs] == [timedelta(seconds=due) for due in (0, 5, 10)]


async def test_one_that_fails_is_told_as_failed_and_holds_up_no_other(leader: Scheduler, told: Told):
    leader.error = ZeroDivisionError()
    await leader.round()
    [(run, _)] = told.runs
    assert (run.outcome, run.detail) == (JobOutcome.FAILED, "ZeroDivisionError")
    assert [due.job for due in told.stored] == [HEALTH]


async def test_one_that_cannot_be_told_comes_again_and_holds_up_no_other(leader: Scheduler, told: Told):
    told.away = True
    with pytest.raises(UnavailableError):
        await leader.round()
    assert [due.job for due in told.stored] == [HEALTH]
    told.away = False
    await leader.round()
    assert [run.tick.due_at for run, _ in told.runs] == [NOON]


async def test_a_leader_deposed_while_it_worked_tells_nothing_and_leaves_the_due_time_to_its_successor(
    leader: Scheduler, other: Scheduler, told: Told, time: VirtualTime
):
    leader.takes = LEASE
    await leader.round()
    assert told.runs == []
    await other.round()
    time.seconds += LEASE.total_seconds()
    await other.round()
    assert [fence for _, fence in told.runs] == [other.leadership.term]


async def test_made_due_by_hand_it_is_done_by_the_leader_alone(
    leader: Scheduler, other: Scheduler, told: Told, time: VirtualTime
):
    await leader.round()
    await other.round()
    for scheduler in (leader, other):  # all of them hear it
        scheduler.dispatch.manual(wished(time))
    for scheduler in (other, leader, leader):
        await scheduler.round()
    assert [run.tick.manual for run, _ in told.runs] == [False, True]
    assert other.done == []


async def test_made_due_by_hand_while_the_leader_is_dead_it_is_done_by_the_next(
    leader: Scheduler, other: Scheduler, told: Told, time: VirtualTime
):
    await leader.round()
    await other.round()
    wish = wished(time)
    other.dispatch.manual(wish)
    time.seconds += LEASE.total_seconds()
    await other.round()
    assert Tick(FEED, wish.due_at, manual=True) in [run.tick for run, _ in told.runs]


async def test_a_wish_is_forgotten_when_nobody_could_grant_it_for_long(other: Scheduler, told: Told, time: VirtualTime):
    other.dispatch.manual(wished(time))
    time.seconds += ASKED_FOR.total_seconds()
    await other.round()
    assert [run.tick.manual for run, _ in told.runs] == [False]


async def test_a_job_of_others_is_none_of_the_leaders_wishes(leader: Scheduler, told: Told, time: VirtualTime):
    leader.dispatch.manual(JobDue(job=HEALTH, due_at=time.now(), fence=1, manual=True))
    await leader.round()
    assert [run.tick.job for run, _ in told.runs] == [FEED]


async def test_any_scheduler_may_make_it_due(leader: Scheduler, other: Scheduler, told: Told, time: VirtualTime):
    await leader.round()
    time.seconds += 1
    await other.round()
    due = await other.dispatch.run_now(RunJob(job=FEED))
    assert (due.manual, due.fence) == (True, leader.leadership.term)
    assert due in told.stored
