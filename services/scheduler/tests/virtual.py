"""Schedulers in virtual time: everything that takes time or goes wrong is an event in one queue, drawn from a seed.

A process is two loops around the real `Leadership` and `Dispatch`. Each await is a message over a network that may be
slow, lose it, or lose its answer; a process may be stopped or killed between deciding on a message and sending it.
"""

import heapq
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar

from chassis.refusals import UnavailableError
from contracts.jobs import JobDue, JobName
from scheduler.book import TickBook
from scheduler.bucket import ABSENT, ANSWER_WITHIN_S, Entry, MovedError
from scheduler.calendar import Tick
from scheduler.dispatch import Dispatch, Run
from scheduler.leadership import Leadership
from scheduler.lease import look_every

from services.scheduler.tests.fakes import NOON

Answer = TypeVar("Answer")

LEASE = timedelta(seconds=3)
CALENDAR = {
    JobName.SESSION_HEALTH: timedelta(seconds=6),
    JobName.SESSION_CLEANUP: timedelta(seconds=20),
    JobName.NPC_FEED: timedelta(seconds=5),
}
TICK_EVERY_S = 0.2
STORED_WITHIN_S = 5.0
"""How long a publish waits for the stream, as chassis has it."""

WINDOW_S = 12.0
"""How long JOBS remembers ids: so short here that processes are often stopped for longer."""

FACTS_WINDOW_S = 120.0
"""How long EVENTS does, as it is: nobody who hears a fact of the leader's own job need look for its repeat."""

LATEST_S = 3.0
"""How long a message may be on its way at worst."""

DRIFT = 1e-3
"""How much faster or slower a process' clock of its own may run than another's; quartz is a hundred times better."""


@dataclass(slots=True)
class Request:
    """What a process asks of a server."""

    serve: Callable[[], Any]
    patience_s: float


@types.coroutine
def ask(serve: Callable[[], Answer], patience_s: float) -> Generator[Request, Answer, Answer]:
    """Have the server do something; UnavailableError when no answer came in time."""
    return (yield Request(serve, patience_s))


@dataclass(frozen=True)
class Effect:
    """A due time took effect."""

    at: float
    job: JobName
    due_at: datetime
    fence: int


class Ledger:
    """What took effect by the rule of whoever does the work: each due time once, and none told by a deposed leader."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self._done: dict[JobName, dict[datetime, int]] = {job: {} for job in JobName}

    def take(self, at: float, job: JobName, due_at: datetime, fence: int) -> None:
        done = self._done[job]
        if due_at in done or any(later > due_at and newer > fence for later, newer in done.items()):
            return
        done[due_at] = fence
        self.effects.append(Effect(at, job, due_at, fence))

    def has(self, job: JobName, due_at: datetime) -> bool:
        return due_at in self._done[job]


class Servers:
    """The bucket, the streams and the service that does the work."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._stored_at: dict[str, float] = {}
        self._newest: dict[JobName, JobDue] = {}
        self.ledger = Ledger()
        self.facts: list[tuple[JobName, datetime]] = []
        """What the leaders told of their own jobs, as the stream has it."""

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def put(self, key: str, value: bytes, after: int) -> int:
        present = self._entries.get(key)
        if (present.revision if present else ABSENT) != after:
            raise MovedError(key)
        self._revision += 1
        self._entries[key] = Entry(value, self._revision)
        return self._revision

    def tell_due(self, message_id: str, due: JobDue) -> JobDue:
        if self._is_news(message_id, WINDOW_S):
            self._newest[due.job] = due  # the stream keeps one a job
            self._world.later(self._world.random.uniform(0, 0.1), partial(self._work, due))
        return due

    def tell_over(self, run: Run, fence: int) -> None:
        if self._is_news(run.tick.message_id, FACTS_WINDOW_S):
            self.facts.append((run.tick.job, run.tick.due_at))
            self.ledger.take(self._world.now, run.tick.job, run.tick.due_at, fence)

    def _is_news(self, message_id: str, window_s: float) -> bool:
        stored_at = self._stored_at.get(message_id)
        if stored_at is not None and self._world.now - stored_at <= window_s:
            return False
        self._stored_at[message_id] = self._world.now
        return True

    def _work(self, due: JobDue) -> None:
        if self._newest[due.job] is not due:
            return
        dies_before = self._world.trouble.strikes(0.1)
        if not dies_before:
            self.ledger.take(self._world.now, due.job, due.due_at, due.fence)
        if dies_before or self._world.trouble.strikes(0.2):  # or after it, and the stream never hears that it was done
            self._world.later(self._world.random.uniform(0.1, 2), partial(self._work, due))


@dataclass
class Trouble:
    """What goes wrong at the moment: nothing while it is calm."""

    random: Random
    raging: bool = False
    bus_away: bool = False
    stutter: bool = False

    def strikes(self, chance: float) -> bool:
        return self.raging and self.random.random() < chance

    def travel_s(self) -> float | None:
        """How long a message is on its way; None: for ever."""
        if self.raging and self.stutter:
            if self.random.random() < 0.15:
                return None
            if self.random.random() < 0.15:
                return self.random.uniform(0.1, LATEST_S)
        return self.random.uniform(0.0002, 0.005)


class Process:
    """One scheduler."""

    def __init__(self, world: "World", name: str, skew_s: float) -> None:
        self.world = world
        self.awake_at = 0.0
        self.dead = False
        self.skew = timedelta(seconds=skew_s)
        """By how much its wall clock is wrong."""
        self._booted = world.random.uniform(-1e6, 0)
        self._pace = 1 + world.random.uniform(-DRIFT, DRIFT) / 2
        self.leadership = Leadership(self, name, LEASE, self._since_boot)
        own = {JobName.NPC_FEED: self._feed}
        dispatch = Dispatch(CALENDAR, self.leadership, TickBook(self), self, self, own)
        looks_s = look_every(LEASE).total_seconds()
        self._strands = [Strand(self, self.leadership.keep, looks_s), Strand(self, dispatch.tick, TICK_EVERY_S)]

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.world.now) + self.skew

    def _since_boot(self) -> float:
        return (self.world.now - self._booted) * self._pace

    @property
    def awake(self) -> bool:
        return not self.dead and self.world.now >= self.awake_at

    @property
    def leads(self) -> bool:
        return not self.dead and self.leadership.term is not None

    def stop(self, seconds: float) -> None:
        """Stop it, as SIGSTOP and SIGCONT do."""
        self.awake_at = max(self.awake_at, self.world.now + seconds)

    def kill(self) -> None:
        self.dead = True
        self.close()

    def retire(self) -> None:
        """End it the polite way: its loops end, then the lease is given up."""
        self.close()
        self._strands = [Strand(self, partial(self.leadership.__aexit__, None, None, None), None)]

    def close(self) -> None:
        for strand in self._strands:
            strand.close()

    async def get(self, key: str) -> Entry | None:
        return await _asked(partial(self.world.servers.get, key), ANSWER_WITHIN_S)

    async def put(self, key: str, value: bytes, *, after: int) -> int:
        return await _asked(partial(self.world.servers.put, key, value, after), ANSWER_WITHIN_S)

    async def job_due(self, tick: Tick, fence: int) -> JobDue:
        due = JobDue(job=tick.job, due_at=tick.due_at, fence=fence)
        return await _asked(partial(self.world.servers.tell_due, tick.message_id, due), STORED_WITHIN_S)

    async def job_over(self, run: Run, fence: int) -> None:
        await _asked(partial(self.world.servers.tell_over, run, fence), STORED_WITHIN_S)

    async def _feed(self, _tick: Tick) -> str:
        """The leader's own job: a publish that nobody answers."""
        await _asked(lambda: None, ANSWER_WITHIN_S)
        return ""


async def _asked(serve: Callable[[], Answer], patience_s: float) -> Answer:
    return await ask(serve, patience_s)


@dataclass
class Strand:
    """One loop of a process; whatever happens to it waits while the process is stopped."""

    process: Process
    round: Callable[[], Coroutine[Any, Any, None]]
    every_s: float | None
    _coroutine: Coroutine[Any, Any, None] | None = None
    _context: Context = field(default_factory=copy_context)
    _closed: bool = False

    def __post_init__(self) -> None:
        self._world = self.process.world
        self._world.later(self._world.random.uniform(0, self.every_s or 0), self.begin)

    def begin(self) -> None:
        self._when_awake(self._begin)

    def close(self) -> None:
        self._closed = True
        if self._coroutine is not None:
            self._context.run(self._coroutine.close)

    def _begin(self) -> None:
        self._coroutine = self.round()
        self._step(partial(self._coroutine.send, None))

    def _when_awake(self, act: Callable[[], None]) -> None:
        if self._closed:
            return
        if self.process.awake:
            act()
        else:
            self._world.at(self.process.awake_at, partial(self._when_awake, act))

    def _step(self, step: Callable[[], Request]) -> None:
        try:
            request = self._context.run(step)
        except (StopIteration, UnavailableError):  # a loop goes on after an outage
            self._coroutine = None
            if self.every_s is not None:
                self._world.later(self.every_s, self.begin)
        else:
            self._send(request)

    def _send(self, request: Request) -> None:
        trouble = self._world.trouble
        if trouble.strikes(0.03):
            self.process.stop(self._world.random.choice((0.3, 2.0, 4.0, 15.0)))
        elif trouble.strikes(0.01):
            self._world.kill(self.process)
        self._when_awake(partial(self._carry, request))

    def _carry(self, request: Request) -> None:
        world = self._world
        gives_up_at = world.now + request.patience_s
        travel_s = world.trouble.travel_s()
        if world.trouble.bus_away:  # known at once: the connection is gone
            self._fail()
        elif travel_s is None or travel_s >= request.patience_s:
            world.at(gives_up_at, self._fail)
            if travel_s is not None:
                world.later(travel_s, partial(self._serve_unheard, request))
        else:
            world.later(travel_s, partial(self._serve, request, gives_up_at))

    def _serve_unheard(self, request: Request) -> None:
        if not self._world.trouble.bus_away:
            _served(request)

    def _serve(self, request: Request, gives_up_at: float) -> None:
        world = self._world
        if world.trouble.bus_away:
            world.at(gives_up_at, self._fail)
            return
        answered = _served(request)
        travel_s = world.trouble.travel_s()
        if travel_s is None or world.now + travel_s > gives_up_at:
            world.at(gives_up_at, self._fail)
        else:
            world.later(travel_s, partial(self._resume, answered))

    def _resume(self, answered: tuple[Any, MovedError | None]) -> None:
        answer, moved = answered
        self._when_awake(partial(self._step, partial(self._go_on, answer, moved)))

    def _fail(self) -> None:
        away = UnavailableError("The message bus is away.")
        self._when_awake(partial(self._step, partial(self._go_on, None, away)))

    def _go_on(self, answer: Any, error: Exception | None) -> Request:
        assert self._coroutine is not None
        request: Request = self._coroutine.throw(error) if error else self._coroutine.send(answer)
        return request


def _served(request: Request) -> tuple[Any, MovedError | None]:
    try:
        return request.serve(), None
    except MovedError as moved:
        return None, moved


@dataclass(frozen=True)
class Calm:
    """A span in which nothing new goes wrong, the bus is there, and some scheduler is awake all the time."""

    begin: float
    end: float


class World:
    """Some schedulers, the servers they use, and the queue of what will happen."""

    def __init__(self, seed: int, schedulers: int, skew_s: float) -> None:
        self.random = Random(seed)
        self.trouble = Trouble(self.random)
        self.servers = Servers(self)
        self.now = 0.0
        self.calms: list[Calm] = []
        self._skew_s = skew_s
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._started = 0
        self.processes: list[Process] = []
        for _ in range(schedulers):
            self.start()

    def at(self, moment: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (moment, self._count, act))

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.now + seconds, act)

    def start(self) -> None:
        self._started += 1
        skew_s = self.random.uniform(-self._skew_s, self._skew_s)
        self.processes.append(Process(self, f"scheduler-{self._started}", skew_s))

    def kill(self, process: Process) -> None:
        """Kill it; a supervisor starts another."""
        if process in self.processes:
            process.kill()
            self.processes.remove(process)
            self.later(self.random.uniform(0.5, 5), self.start)

    def retire(self, process: Process) -> None:
        process.retire()
        self.later(self.random.uniform(0.5, 5), partial(self.kill, process))

    @property
    def leaders(self) -> list[Process]:
        return [process for process in self.processes if process.leads]

    def rage(self, seconds: float) -> None:
        """Let things go wrong."""
        self.trouble.raging = True
        for _ in range(self.random.randint(1, 6)):
            self.later(self.random.uniform(0, seconds), self.random.choice(_BLOWS)(self))
        self.run(seconds)
        self.trouble.raging = self.trouble.bus_away = self.trouble.stutter = False

    def rest(self, seconds: float) -> None:
        """Let nothing new go wrong."""
        if not any(process.awake for process in self.processes):
            self.start()
        self.calms.append(Calm(self.now, self.now + seconds))
        self.run(seconds)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._queue[0][0] <= until:
            self.now, _, act = heapq.heappop(self._queue)
            act()
            assert len(self.leaders) <= 1, f"two lead at {self.now}"
        self.now = until

    def close(self) -> None:
        for process in self.processes:
            process.close()

    def victim(self) -> Process | None:
        """Mostly the leader."""
        leaders = self.leaders
        if leaders and self.random.random() < 0.7:
            return leaders[0]
        return self.random.choice(self.processes) if self.processes else None

    def strike(self, blow: Callable[[Process], None]) -> None:
        process = self.victim()
        if process is not None and self.trouble.raging:
            blow(process)

    def switch(self, what: str, seconds: float) -> None:
        """Let the bus be away, or stutter, for a while."""
        if self.trouble.raging:
            setattr(self.trouble, what, True)
            self.later(seconds, partial(setattr, self.trouble, what, False))


def _killing(world: World) -> Callable[[], None]:
    return partial(world.strike, world.kill)


def _retiring(world: World) -> Callable[[], None]:
    return partial(world.strike, world.retire)


def _stopping(world: World) -> Callable[[], None]:
    seconds = world.random.choice((0.3, 2.0, 4.0, 10.0, 25.0))
    return partial(world.strike, lambda process: process.stop(seconds))


def _losing_the_bus(world: World) -> Callable[[], None]:
    return partial(world.switch, "bus_away", world.random.uniform(0.1, 6))


def _stuttering(world: World) -> Callable[[], None]:
    return partial(world.switch, "stutter", world.random.uniform(0.5, 6))


_BLOWS = (_killing, _retiring, _stopping, _stopping, _losing_the_bus, _stuttering, _stuttering)
