"""The last run of each job, in SQL."""

from dataclasses import dataclass
from datetime import datetime

from chassis.database import Database
from contracts.jobs import JobFact, JobName, JobOutcome

# A due time far ahead was told by a clock that was wrong.
# $1 job, $2 due_at, $3 occurred_at, $4 outcome, $5 duration_ms, $6 detail
_KEEP = """
INSERT INTO job_runs AS known (job, due_at, finished_at, outcome, duration_ms, detail)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (job) DO UPDATE
SET due_at = excluded.due_at, finished_at = excluded.finished_at, outcome = excluded.outcome,
    duration_ms = excluded.duration_ms, detail = excluded.detail
WHERE (excluded.due_at, excluded.finished_at) > (known.due_at, known.finished_at)
    OR known.due_at > now() + interval '1 minute' AND excluded.due_at <= now() + interval '1 minute'
"""
_ALL = "SELECT job, due_at, finished_at, outcome, duration_ms, detail FROM job_runs"


@dataclass(frozen=True)
class Run:
    """How a job went last."""

    due_at: datetime
    finished_at: datetime
    outcome: JobOutcome
    duration_ms: float
    detail: str | None


class RunStore:
    """Last runs as they are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, fact: JobFact) -> None:
        """Keep a run unless a later one is known."""
        values = (fact.job, fact.due_at, fact.occurred_at, fact.outcome, fact.duration_ms, fact.detail)
        await self._database.execute("job_runs.keep", _KEEP, *values)

    async def last(self) -> dict[JobName, Run]:
        """Give the last run of each job that has had one; jobs of a newer release's calendar are left out."""
        rows = await self._database.fetch("job_runs.all", _ALL)
        return {
            JobName(row["job"]): Run(
                due_at=row["due_at"],
                finished_at=row["finished_at"],
                outcome=JobOutcome(row["outcome"]),
                duration_ms=row["duration_ms"],
                detail=row["detail"],
            )
            for row in rows
            if row["job"] in set(JobName)
        }
