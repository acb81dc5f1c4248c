"""The ticks scheduler publishes."""

from chassis import tracing
from chassis.bus import Bus
from chassis.jetstream import publish
from chassis.refusals import UnavailableError
from contracts.jobs import JOB_DUE, JobDue

from scheduler.calendar import Tick


class Announcer:
    """Tells that jobs are due."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def job_due(self, tick: Tick, fence: int) -> JobDue:
        """Tell a tick; returns when the stream has it, now or since an earlier try."""
        if not self._bus.connected:  # told at the reconnect it might come from a leader that has been deposed
            raise UnavailableError("The message bus is away.")
        due = JobDue(job=tick.job, due_at=tick.due_at, fence=fence, manual=tick.manual)
        headers: dict[str, str] = {}
        tracing.inject(headers)
        await publish(
            self._bus,
            JOB_DUE.of(job=tick.job),
            due.model_dump_json().encode(),
            message_id=tick.message_id,
            headers=headers,
        )
        return due
