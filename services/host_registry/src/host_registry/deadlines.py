"""Silence and its consequences: suspect, then offline; reservations lapse, and silent gateways are not believed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from chassis.clock import Clock
from chassis.own_absence import OwnAbsence
from chassis.refusals import UnavailableError
from prometheus_client import Counter

from host_registry.store.liveness import Deadlines, Verdict

log = structlog.stdlib.get_logger()

SILENT = Counter("p2p_hosts_silent", "Hosts found suspect or offline, and why.", ["verdict", "reason"])

AT_ONCE = 2000
"""Hosts judged by one statement: if a whole region falls silent, its facts are written in bites of 0.2 s."""


NAMED = 10
"""Of many at once a log line names some; each one has its fact."""


class Hosts(Protocol):
    async def judge(self, deadlines: Deadlines, now: datetime, limit: int) -> list[Verdict]: ...

    async def disbelieve_gateways(self, silent_since: datetime) -> None: ...


class Slots(Protocol):
    async def expire(self, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is borne."""

    suspect_after: timedelta
    offline_after: timedelta
    cut_off_after: timedelta
    gateway_silent_after: timedelta
    slot_held_for: timedelta


class Silence:
    """Judges, every round, whoever has been silent for too long while we could hear."""

    def __init__(
        self, hosts: Hosts, slots: Slots, own_absence: OwnAbsence, *, patience: Patience, clock: Clock
    ) -> None:
        self._hosts = hosts
        self._slots = slots
        self._own_absence = own_absence
        self._patience = patience
        self._clock = clock

    async def judge(self) -> None:
        """Judge all that is due; while we hear nothing, nobody is."""
        if not self._own_absence.check():
            return
        try:
            await self._judge_hosts()
            await self._lapse()
        except UnavailableError:
            self._own_absence.interrupted()
            raise

    async def _judge_hosts(self) -> None:
        now = self._clock.now()
        deadlines = Deadlines(
            hearing_since=self._own_absence.since,
            suspect_before=now - self._patience.suspect_after,
            offline_before=now - self._patience.offline_after,
            cut_off_before=now - self._patience.cut_off_after,
        )
        judged = AT_ONCE
        while judged == AT_ONCE:
            verdicts = await self._hosts.judge(deadlines, now, AT_ONCE)
            if verdicts:
                log.info("hosts.silent", hosts=len(verdicts), some=[list(verdict) for verdict in verdicts[:NAMED]])
            for _, verdict, reason in verdicts:
                SILENT.labels(verdict, reason).inc()
            judged = len(verdicts)

    async def _lapse(self) -> None:
        now = self._clock.now()
        if now - self._own_absence.since >= self._patience.gateway_silent_after:
            await self._hosts.disbelieve_gateways(now - self._patience.gateway_silent_after)
        if now - self._own_absence.since >= self._patience.slot_held_for:
            await self._slots.expire(now)
