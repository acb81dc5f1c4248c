"""Use case: the leader tells what is due, each due time once; anyone makes a job due by hand.

A tick is told and then noted. A leader that dies in between is followed by one that tells the same due time again,
under the same message id, which the stream drops. A leader that wakes up deposed finds its lease over right before it
tells; what it told before it fell asleep, and the stream gets only then, carries a fence lower than its successor's.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

import structlog
from chassis import tracing
from chassis.clock import Clock
from chassis.refusals import UnavailableError
from contracts.jobs import JobDue, JobName, JobOutcome, RunJob

from scheduler.book import TickBook
from scheduler.bucket import MovedError
from scheduler.calendar import Calendar, Tick, ticks_due
from scheduler.errors import JobNotFoundError, NobodyLeadsError
from scheduler.leadership import Leadership

log = structlog.stdlib.get_logger()


ASKED_FOR = timedelta(seconds=10)
"""How long a wish stands: longer than any takeover. What two leaders did of one wish the stream keeps once."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a job of the leader's own went."""

    tick: Tick
    outcome: JobOutcome
    duration: timedelta
    detail: str
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class _Wish:
    """A job of the leader's own that was made due by hand."""

    tick: Tick
    heard_at: datetime


class Ticks(Protocol):
    """How ticks are told."""

    async def job_due(self, tick: Tick, fence: int) -> JobDue: ...

    async def job_over(self, run: Run, fence: int) -> None: ...


Work = Callable[[Tick], Awaitable[str]]
"""Does a job, and says in words what it came to."""


class Dispatch:
    """Tells ticks."""

    def __init__(
        self,
        calendar: Calendar,
        leadership: Leadership,
        book: TickBook,
        ticks: Ticks,
        clock: Clock,
        own: Mapping[JobName, Work] = MappingProxyType({}),
    ) -> None:
        self._calendar = calendar
        self._leadership = leadership
        self._book = book
        self._ticks = ticks
        self._clock = clock
        self._own = own
        self._term: int | None = None
        self._ticked: dict[JobName, datetime] = {}
        self._asked: dict[JobName, _Wish] = {}

    async def tick(self) -> None:
        """Tell what is due, if this process leads."""
        term = self._leadership.term
        if term is None:
            return
        if term != self._term:  # another may have ticked since we last led
            self._ticked = await self._book.read()
            self._term = term
        untold: UnavailableError | None = None
        for tick in (*self._asked_for(), *ticks_due(self._calendar, self._ticked, self._clock.now())):
            try:
                await self._tell(tick, term)
            except UnavailableError as error:  # it comes again in the next round; the others must not wait for it
                untold = error
        if untold is not None:
            raise untold

    async def run_now(self, question: RunJob) -> JobDue:
        """Make a job due now, beside its calendar; any scheduler may, under the present leader's fence."""
        if question.job not in set(JobName):
            raise JobNotFoundError(question.job)
        leader = self._leadership.known
        if leader is None:
            raise NobodyLeadsError
        return await self._ticks.job_due(Tick(JobName(question.job), self._clock.now(), manual=True), leader.term)

    def manual(self, due: JobDue) -> None:
        """Hear that a job of the leader's own was made due by hand; whoever leads, now or next, does it."""
        if due.manual and due.job in self._own:
            self._asked[due.job] = _Wish(Tick(due.job, due.due_at, manual=True), self._clock.now())

    def _asked_for(self) -> list[Tick]:
        since = self._clock.now() - ASKED_FOR
        return [wish.tick for wish in self._asked.values() if wish.heard_at > since]

    async def _tell(self, tick: Tick, term: int) -> None:
        with tracing.root(f"tick {tick.job}"):
            if self._leadership.term != term:  # the last moment to find out
                return
            if tick.job in self._own:
                run = await self._do(tick)
                if self._leadership.term != term:  # deposed meanwhile: the successor does it, and tells
                    return
                await self._ticks.job_over(run, term)
            else:
                await self._ticks.job_due(tick, term)
            if tick.manual:
                self._grant(tick)
            else:
                await self._note(tick, term)

    def _grant(self, tick: Tick) -> None:
        if self._asked[tick.job].tick == tick:  # else there is a newer wish
            del self._asked[tick.job]

    async def _note(self, tick: Tick, term: int) -> None:
        try:
            await self._book.note(tick.job, tick.due_at)
        except MovedError:
            log.warning("tick.noted_by_another", job=tick.job, term=term)
            self._term = None
        else:
            self._ticked[tick.job] = tick.due_at

    async def _do(self, tick: Tick) -> Run:
        began_at = self._clock.now()
        try:
            outcome, detail = JobOutcome.DONE, await self._own[tick.job](tick)
        except UnavailableError:  # the bus is away, so nothing could be told of it either
            raise
        except Exception as error:  # the edge of a job: whoever set it hears how it went
            log.exception("job.failed", job=tick.job)
            outcome, detail = JobOutcome.FAILED, type(error).__name__
        now = self._clock.now()
        return Run(tick, outcome, now - began_at, detail, now)
