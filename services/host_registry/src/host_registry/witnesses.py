"""Hosts that their players have lost, judged at every word and at the end of a socket: one host at a time."""

from datetime import datetime
from typing import Protocol

import structlog
from chassis.clock import Clock
from chassis.own_absence import OwnAbsence
from contracts.gateway import IceOutcome, IceState

from host_registry.agreement import LATELY, Case, Verdict, heard_alive, judge
from host_registry.deadlines import SILENT
from host_registry.store.words import REASON, Told

log = structlog.stdlib.get_logger()


class Store(Protocol):
    async def hear(self, told: Told) -> str | None: ...

    async def forget(self, before: datetime) -> None: ...

    async def case(self, host_id: str) -> Case | None: ...

    async def find(
        self, host_id: str, verdict: Verdict, now: datetime, gone_at: datetime | None, alive_at: datetime
    ) -> bool: ...


class Witnesses:
    """Hears players."""

    def __init__(self, store: Store, own_absence: OwnAbsence, clock: Clock) -> None:
        self._store = store
        self._own_absence = own_absence
        self._clock = clock

    async def channel_told(self, outcome: IceOutcome) -> None:
        """Take a player's word that its channel is lost or stands; one that never stood says nothing of either."""
        if outcome.state is IceState.FAILED or outcome.peer_id == outcome.to:
            return
        lost = outcome.state is IceState.DISCONNECTED
        at = min(outcome.occurred_at, self._clock.now())  # a gateway's clock that is ahead must not outlast denials
        host_id = await self._store.hear(Told(outcome.to, outcome.peer_id, lost, at, outcome.session_id))
        if lost and host_id is not None:
            await self.judge(host_id)

    async def judge(self, host_id: str) -> None:
        """Judge by what is known now; the deadlines judge whoever is left."""
        now = self._clock.now()
        case = await self._store.case(host_id)
        verdict = judge(case, self._own_absence.since, now) if case else None
        if case is None or verdict is None:
            return
        if await self._store.find(host_id, verdict, now, case.socket_gone_at, heard_alive(case.words)):
            log.info("hosts.lost_by_players", host_id=host_id, verdict=verdict.value)
            SILENT.labels(verdict.value, REASON).inc()

    async def forget(self) -> None:
        """Forget what is too old to count."""
        await self._store.forget(self._clock.now() - LATELY)
