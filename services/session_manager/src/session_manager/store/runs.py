"""Which due times of which jobs have been done."""

from datetime import datetime, timedelta

from chassis.database import Database, Transaction
from chassis.ids import new_event_id
from chassis.outbox import outbox_row, tell
from contracts.jobs import JOB_DONE, JOB_FAILED, JobDue, JobFact, JobOutcome

# $1 job, $2 due_at, $3 fence
_LATEST = """
SELECT due_at, fence FROM job_runs WHERE job = $1 AND (due_at = $2 OR due_at > $2 AND fence > $3)
"""
# $1 job, $2 due_at, $3 fence
_RECORD = """
INSERT INTO job_runs (job, due_at, fence, revision)
VALUES ($1, $2, $3, (SELECT coalesce(max(revision), 0) + 1 FROM job_runs WHERE job = $1))
ON CONFLICT DO NOTHING RETURNING revision
"""
# $1 job, $2 due_before
_FORGET = "DELETE FROM job_runs WHERE job = $1 AND due_at < $2"

KEPT = timedelta(days=1)
"""Many times longer than a tick can wait in its stream."""


class RunStore:
    """The job_runs table; a run and its announcement are there together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def superseded(self, tick: JobDue) -> bool:
        """Whether this due time was done, or a later one by order of a newer leader."""
        return bool(await self._database.fetch("job_runs.latest", _LATEST, tick.job, tick.due_at, tick.fence))

    async def record(self, tick: JobDue, outcome: JobOutcome, duration: timedelta, detail: str, now: datetime) -> None:
        """Note that the tick has had its effect, and announce it, once."""

        async def once(transaction: Transaction) -> None:
            revision = await transaction.fetchval("job_runs.record", _RECORD, tick.job, tick.due_at, tick.fence)
            if revision is None:
                return
            fact = JobFact(
                event_id=new_event_id(),
                occurred_at=now,
                revision=revision,
                job=tick.job,
                due_at=tick.due_at,
                outcome=outcome,
                duration_ms=duration / timedelta(milliseconds=1),
                detail=detail,
            )
            subject = JOB_DONE if outcome is JobOutcome.DONE else JOB_FAILED
            await tell(transaction, [outbox_row(subject.of(job=tick.job), fact)])
            await transaction.execute("job_runs.forget", _FORGET, tick.job, tick.due_at - KEPT)

        await self._database.transact(once)
