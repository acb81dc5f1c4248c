"""The ticks scheduler publishes, and how its own jobs went."""

from chassis import tracing
from chassis.bus import Bus
from chassis.ids import new_event_id
from chassis.jetstream import publish
from chassis.refusals import UnavailableError
from contracts.jobs import JOB_DONE, JOB_DUE, JOB_FAILED, JobDue, JobFact, JobOutcome

from scheduler.calendar import Tick
from scheduler.dispatch import Run


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

    async def job_over(self, run: Run, fence: int) -> None:
        """Tell how one of the leader's own jobs went; the stream keeps the first word on each due time."""
        tick = run.tick
        fact = JobFact(
            event_id=new_event_id(),
            occurred_at=run.finished_at,
            revision=fence,
            job=tick.job,
            due_at=tick.due_at,
            outcome=run.outcome,
            duration_ms=run.duration.total_seconds() * 1000,
            detail=run.detail,
        )
        subject = (JOB_DONE if run.outcome is JobOutcome.DONE else JOB_FAILED).of(job=tick.job)
        headers: dict[str, str] = {}
        tracing.inject(headers)
        await publish(
            self._bus, subject, fact.model_dump_json().encode(), message_id=f"{tick.message_id}/done", headers=headers
        )
