"""Which jobs failed when they ran last, for readiness: looked up, as any scheduler may have heard it."""

from contracts.jobs import JobName, JobOutcome

from scheduler.store import Run, RunStore


class Failing:
    """What was found at the last look."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs
        self._failed: dict[JobName, Run] = {}

    async def look(self) -> None:
        """See how each job went last."""
        runs = await self._runs.last()
        self._failed = {job: run for job, run in runs.items() if run.outcome is JobOutcome.FAILED}

    def note(self) -> str | None:
        """Which jobs failed, in words; None where none did."""
        told = [f"{job} failed at {run.finished_at.isoformat()}: {run.detail}" for job, run in self._failed.items()]
        return "; ".join(told) or None
