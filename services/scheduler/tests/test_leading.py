"""Several schedulers, stopped and woken anywhere, on a bucket and a stream that keep their promises.

Each scheduler is a pair of coroutines, keeping the lease and ticking, that the test steps by hand: between any two
steps time may pass and the others may act, so that every await is a place where a process can be found stopped.
"""

from collections.abc import Coroutine, Iterable
from contextlib import closing
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from contracts.jobs import JobDue, JobName
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler.book import TickBook
from scheduler.calendar import Tick, last_due
from scheduler.dispatch import Dispatch, Run
from scheduler.leadership import Leadership
from testkit.thoroughness import examples

from services.scheduler.tests.fakes import NOON, BucketInMemory, StreamInMemory, VirtualTime

LEASE = timedelta(seconds=3)
CALENDAR = {JobName.SESSION_HEALTH: timedelta(seconds=30), JobName.SESSION_CLEANUP: timedelta(minutes=5)}


@dataclass
class Strand:
    """One loop of a scheduler, as far as it has come."""

    round: Any
    coroutine: Coroutine[Any, Any, None] | None = None
    context: Context = field(default_factory=copy_context)

    def step(self) -> None:
        if self.coroutine is None:
            self.coroutine = self.round()
        try:
            self.context.run(self.coroutine.send, None)
        except StopIteration:
            self.coroutine = None

    def close(self) -> None:
        if self.coroutine is not None:
            self.context.run(self.coroutine.close)


class World:
    def __init__(self, schedulers: int) -> None:
        self.time = VirtualTime()
        self.bucket = BucketInMemory()
        self.stream = StreamInMemory(self.time.monotonic)
        self.told = 0
        self.leaderships = [
            Leadership(self.bucket, f"scheduler-{number}", LEASE, self.time.monotonic) for number in range(schedulers)
        ]
        self.strands = [strand for leadership in self.leaderships for strand in self._strands(leadership)]

    def _strands(self, leadership: Leadership) -> Iterable[Strand]:
        dispatch = Dispatch(CALENDAR, leadership, TickBook(self.bucket), self, self.time)
        return Strand(leadership.keep), Strand(dispatch.tick)

    async def job_due(self, tick: Tick, fence: int) -> JobDue:
        assert [leadership.term for leadership in self.leaders] == [fence], "only the leader tells"
        self.told += 1
        return await self.stream.job_due(tick, fence)

    async def job_over(self, run: Run, fence: int) -> None:
        raise AssertionError(f"no job here is the leader's own: {run}, {fence}")

    @property
    def leaders(self) -> list[Leadership]:
        return [leadership for leadership in self.leaderships if leadership.term is not None]

    def run_all(self, seconds: float) -> None:
        self.run(range(len(self.leaderships)), seconds)

    def run(self, awake: Iterable[int], seconds: float) -> None:
        """Let these schedulers take their steps, twenty times a second."""
        until = self.time.seconds + seconds
        strands = [strand for number in awake for strand in self.strands[2 * number : 2 * number + 2]]
        while self.time.seconds < until:
            self.time.seconds += 0.05
            for strand in strands:
                strand.step()

    def close(self) -> None:
        for strand in self.strands:
            strand.close()


def taken_into_account(stored: list[JobDue]) -> list[JobDue]:
    """What a consumer acts on: it leaves out ticks of leaders older than one it has heard of."""
    highest: dict[JobName, int] = {}
    heeded = []
    for due in stored:
        if due.fence >= highest.get(due.job, 0):
            highest[due.job] = due.fence
            heeded.append(due)
    return heeded


@dataclass(frozen=True)
class Phase:
    """Some strands run, the others lie wherever they are."""

    awake: frozenset[int]
    rounds: int
    seconds_a_round: float


phases = st.lists(
    st.builds(
        Phase,
        awake=st.frozensets(st.integers(0, 5)),
        rounds=st.integers(1, 60),
        seconds_a_round=st.sampled_from([0.02, 0.05, 0.3, 1.0, 20.0]),
    ),
    max_size=25,
)


@settings(max_examples=examples(50), deadline=None)
@given(phases)
def test_however_they_are_stopped_one_leads_and_each_due_time_takes_effect_once(phases: list[Phase]):
    with closing(World(schedulers=3)) as world:
        for phase in phases:
            for _ in range(phase.rounds):
                world.time.seconds += phase.seconds_a_round
                assert len(world.leaders) <= 1
                for awake in phase.awake:
                    world.strands[awake].step()
                    assert len(world.leaders) <= 1
        world.run_all(seconds=10)

        heeded = [(due.job, due.due_at) for due in taken_into_account(world.stream.stored)]
        assert len(set(heeded)) == len(heeded)
        assert len(world.leaders) == 1
        a_moment_ago = world.time.now() - timedelta(seconds=2)
        newest = {job: last_due(interval, a_moment_ago) for job, interval in CALENDAR.items()}
        assert newest.items() <= set(heeded)


def test_a_silent_leader_is_followed_within_a_lease_and_a_look():
    with closing(World(schedulers=2)) as world:
        world.run([0], seconds=5)
        world.run([1], seconds=3.5)
        assert world.leaders == [world.leaderships[1]]


def test_a_leader_that_comes_back_knows_what_its_successor_ticked():
    with closing(World(schedulers=2)) as world:
        world.run([0], seconds=5)
        world.run([1], seconds=300 + StreamInMemory.WINDOW_S + 10)
        world.run([0], seconds=100)
        cleanups = [due.due_at for due in world.stream.stored if due.job is JobName.SESSION_CLEANUP]
        assert cleanups == [NOON, NOON + timedelta(minutes=5)]


def test_a_tick_that_a_leader_was_stopped_in_comes_with_a_fence_too_low():
    with closing(World(schedulers=2)) as world:
        while world.told == 0:
            world.run([0], seconds=0.05)
        world.run([1], seconds=200)
        world.run([0], seconds=1)
        late = world.stream.stored[-1]
        assert late.fence < world.stream.stored[-2].fence
        assert late not in taken_into_account(world.stream.stored)


def test_nothing_due_while_nobody_led_is_made_up_for_but_the_newest():
    with closing(World(schedulers=1)) as world:
        world.run_all(seconds=1)
        world.time.seconds += 3600
        told_before = len(world.stream.stored)
        world.run_all(seconds=10)
        due = [(due.job, due.due_at) for due in world.stream.stored[told_before:]]
        assert sorted(due) == sorted((job, last_due(interval, world.time.now())) for job, interval in CALENDAR.items())
