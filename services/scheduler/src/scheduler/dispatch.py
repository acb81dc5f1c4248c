"""Use case: the leader tells what is due, each due time once; anyone makes a job due by hand.

A tick is told and then noted. A leader that dies in between is followed by one that tells the same due time again,
under the same message id, which the stream drops. A leader that wakes up deposed finds its lease over right before it
tells; what it told before it fell asleep, and the stream gets only then, carries a fence lower than its successor's.
"""

from datetime import datetime
from typing import Protocol

import structlog
from chassis import tracing
from chassis.clock import Clock
from contracts.jobs import JobDue, JobName, RunJob

from scheduler.book import TickBook
from scheduler.bucket import MovedError
from scheduler.calendar import Calendar, Tick, ticks_due
from scheduler.errors import JobNotFoundError, NobodyLeadsError
from scheduler.leadership import Leadership

log = structlog.stdlib.get_logger()


class Ticks(Protocol):
    """How ticks are told."""

    async def job_due(self, tick: Tick, fence: int) -> JobDue: ...


class Dispatch:
    """Tells ticks."""

    def __init__(self, calendar: Calendar, leadership: Leadership, book: TickBook, ticks: Ticks, clock: Clock) -> None:
        self._calendar = calendar
        self._leadership = leadership
        self._book = book
        self._ticks = ticks
        self._clock = clock
        self._term: int | None = None
        self._ticked: dict[JobName, datetime] = {}

    async def tick(self) -> None:
        """Tell what is due, if this process leads."""
        term = self._leadership.term
        if term is None:
            return
        if term != self._term:  # another may have ticked since we last led
            self._ticked = await self._book.read()
            self._term = term
        for tick in ticks_due(self._calendar, self._ticked, self._clock.now()):
            await self._tell(tick, term)

    async def run_now(self, question: RunJob) -> JobDue:
        """Make a job due now, beside its calendar; any scheduler may, under the present leader's fence."""
        if question.job not in set(JobName):
            raise JobNotFoundError(question.job)
        leader = self._leadership.known
        if leader is None:
            raise NobodyLeadsError
        return await self._ticks.job_due(Tick(JobName(question.job), self._clock.now(), manual=True), leader.term)

    async def _tell(self, tick: Tick, term: int) -> None:
        with tracing.root(f"tick {tick.job}"):
            if self._leadership.term != term:  # the last moment to find out
                return
            await self._ticks.job_due(tick, term)
            try:
                await self._book.note(tick.job, tick.due_at)
            except MovedError:
                log.warning("tick.noted_by_another", job=tick.job, term=term)
                self._term = None
            else:
                self._ticked[tick.job] = tick.due_at
