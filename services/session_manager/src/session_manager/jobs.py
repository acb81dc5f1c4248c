"""What the scheduler's ticks bring about: idle and empty sessions end, those on lost or bad hosts move on."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog
from chassis.clock import Clock
from chassis.refusals import UnavailableError
from contracts.jobs import JobDue, JobName, JobOutcome

from session_manager.fallback import Fallback
from session_manager.lifecycle import Lifecycle
from session_manager.returning import Returning
from session_manager.store.runs import RunStore

log = structlog.stdlib.get_logger()

Work = Callable[[], Awaitable[str]]


class Jobs:
    """One due time takes effect and is announced once, however often it is told."""

    def __init__(
        self,
        runs: RunStore,
        lifecycle: Lifecycle,
        fallback: Fallback,
        returning: Returning,
        clock: Clock,
        *,
        idle_after: timedelta,
        empty_after: timedelta,
    ) -> None:
        self._runs = runs
        self._lifecycle = lifecycle
        self._fallback = fallback
        self._returning = returning
        self._clock = clock
        self._idle_after = idle_after
        self._empty_after = empty_after
        self._work: Mapping[JobName, Work] = {
            JobName.SESSION_CLEANUP: self._clean_up,
            JobName.SESSION_HEALTH: self._look_after,
        }

    async def due(self, tick: JobDue) -> None:
        """Do what is due, unless it was done already."""
        if await self._runs.superseded(tick):
            return
        began_at = self._clock.now()
        outcome, detail = await self._run(tick.job)
        now = self._clock.now()
        await self._runs.record(tick, outcome, now - began_at, detail, now)
        log.info("job.run", job=tick.job, due_at=tick.due_at.isoformat(), outcome=outcome, detail=detail)

    async def _run(self, job: JobName) -> tuple[JobOutcome, str]:
        try:
            return JobOutcome.DONE, await self._work[job]()
        except UnavailableError:  # nothing could be announced now either: the tick comes again
            raise
        except Exception as error:  # the edge of a job: whoever set it hears how it went
            log.exception("job.failed", job=job)
            return JobOutcome.FAILED, type(error).__name__

    async def _clean_up(self) -> str:
        idle = await self._lifecycle.end_idle(self._idle_after, gently=True)
        empty = await self._lifecycle.end_empty(self._empty_after, gently=True)
        return f"ended {len(idle)} idle and {len(empty)} empty sessions"

    async def _look_after(self) -> str:
        looked_at = await self._fallback.looked_at()
        moved = (
            await self._fallback.leave_lost() + await self._fallback.leave_closed() + await self._fallback.leave_bad()
        )
        returned = await self._returning.bring_back()
        counted = (
            (moved.migrated, "migrated"),
            (moved.fell_back, "fell back"),
            (moved.failed, "failed"),
            (returned, "returned"),
        )
        # Whoever reads "failed" looks for a failure: what did not happen is not named.
        happened = ", ".join(f"{count} {what}" for count, what in counted if count)
        return f"looked at {looked_at} active sessions" + (f": {happened}" if happened else "")
