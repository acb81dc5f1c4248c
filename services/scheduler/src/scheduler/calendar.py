"""When jobs are due: pure.

Due times are whole multiples of a job's interval since the epoch, so every scheduler, now or after a restart, means the
same moments. A due time that nobody ticked is gone as soon as the next one comes: an outage is not replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from contracts.jobs import JobName

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Calendar = Mapping[JobName, timedelta]
"""Each job, and how often it is due."""


@dataclass(frozen=True)
class Tick:
    """A job, and the moment it became due."""

    job: JobName
    due_at: datetime
    manual: bool = False

    @property
    def message_id(self) -> str:
        """The same for everyone who ticks the same due time: the stream keeps the first."""
        return f"{self.job}@{self.due_at.isoformat()}"


def last_due(interval: timedelta, now: datetime) -> datetime:
    """Give the latest due time that is not after `now`."""
    return EPOCH + (now - EPOCH) // interval * interval


def next_due(interval: timedelta, now: datetime) -> datetime:
    """Give the first due time after `now`."""
    return last_due(interval, now) + interval


def ticks_due(calendar: Calendar, ticked: Mapping[JobName, datetime], now: datetime) -> list[Tick]:
    """Give the ticks to tell at `now`, given the due time that was ticked last for each job."""
    return [
        Tick(job, due_at)
        for job, interval in calendar.items()
        if _is_news(due_at := last_due(interval, now), ticked.get(job), interval)
    ]


def _is_news(due_at: datetime, ticked: datetime | None, interval: timedelta) -> bool:
    # A tick far ahead of now was told by a clock that has been put right since: waiting for it could take for ever.
    return ticked is None or due_at > ticked or ticked - due_at > interval
