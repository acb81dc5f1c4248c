"""Measuring hosts: who is due for a probe, what probes and players found, and what age takes from it."""

from datetime import timedelta

from chassis.clock import Clock
from contracts.gateway import IceOutcome, IceState
from contracts.probes import ProbeDue, ProbesTaken, ReportProbe, TakeProbes

from host_registry.measures import CLAIMED_FOR, PROBE_MISSES, REMEMBERED, REST, UPLOAD_AGAIN
from host_registry.store.measures import MeasureStore, Next

AT_ONCE = 1000
"""Hosts weighed in one transaction, so that a beat waits for their locks for a tenth of a second at most."""


class Measuring:
    """Gives probes out, takes what was found, and weighs it."""

    def __init__(self, store: MeasureStore, *, probe_every: timedelta, upload_every: timedelta, clock: Clock) -> None:
        self._store = store
        self._probe_every = probe_every
        self._upload_every = upload_every
        self._clock = clock

    async def take(self, question: TakeProbes) -> ProbesTaken:
        now = self._clock.now()
        rows = await self._store.take(now, now + CLAIMED_FOR, question.limit)
        return ProbesTaken(items=tuple(ProbeDue(**row) for row in rows))

    async def report(self, report: ReportProbe) -> None:
        now = self._clock.now()
        at = min(report.probed_at, now)  # a prober's clock that is ahead must not make its probe the newest for long
        then = Next(
            misses_until_rest=PROBE_MISSES,
            probe_at=now + self._probe_every,
            rested_at=now + REST,
            upload_at=now + self._upload_every,
            upload_again_at=now + self._upload_every * UPLOAD_AGAIN,
        )
        await self._store.report(report, at, then)

    async def connection_ended(self, outcome: IceOutcome) -> None:
        """Take how connecting came out; one that was there and broke says nothing, and nobody vouches for itself."""
        if outcome.state is not IceState.DISCONNECTED and outcome.peer_id != outcome.to:
            failed = outcome.state is IceState.FAILED
            await self._store.connection_told(outcome.to, REMEMBERED, outcome.occurred_at, failed=failed)

    async def weigh(self) -> None:
        """Put what was measured, or what age has changed of it, where choosing looks."""
        weighed = AT_ONCE
        while weighed == AT_ONCE:
            weighed = await self._store.weigh_due(self._clock.now(), AT_ONCE)
