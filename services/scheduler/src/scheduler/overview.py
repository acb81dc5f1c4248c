"""Use case: somebody wants to know which jobs there are, when they are due and how they went."""

from datetime import datetime, timedelta

from chassis.clock import Clock
from contracts.jobs import Job, JobName, Jobs

from scheduler.calendar import Calendar, next_due
from scheduler.leadership import Leadership
from scheduler.store import Run, RunStore


class Overview:
    """The calendar with its last runs."""

    def __init__(self, calendar: Calendar, leadership: Leadership, runs: RunStore, clock: Clock) -> None:
        self._calendar = calendar
        self._leadership = leadership
        self._runs = runs
        self._clock = clock

    async def jobs(self) -> Jobs:
        runs = await self._runs.last()
        now = self._clock.now()
        leader = self._leadership.known
        items = tuple(_job(name, interval, runs.get(name), now) for name, interval in self._calendar.items())
        return Jobs(leader=leader.holder if leader else None, items=items)


def _job(name: JobName, interval: timedelta, run: Run | None, now: datetime) -> Job:
    return Job(
        name=name,
        interval_s=interval.total_seconds(),
        next_due_at=next_due(interval, now),
        last_due_at=run.due_at if run else None,
        last_finished_at=run.finished_at if run else None,
        last_outcome=run.outcome if run else None,
        last_duration_ms=run.duration_ms if run else None,
        last_detail=run.detail if run else None,
    )
