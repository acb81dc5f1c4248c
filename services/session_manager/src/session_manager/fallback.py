"""Sessions leave hosts that are lost or bad: for the central server where their zone allows it, else they fail."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from chassis.clock import Clock
from contracts.hosts import HostFact

from session_manager.health import Complaint, complaint, lasts
from session_manager.store.fallback import BATCH, Departed, FallbackStore
from session_manager.store.health import HealthStore
from session_manager.store.presence import PresenceStore

PLACED_WITHIN = timedelta(seconds=5)
"""A session may be committed this long after its host was chosen; the host may have been lost meanwhile."""

HOST_LOST = "host_lost"


@dataclass(frozen=True, slots=True)
class Patience:
    """What is borne of a host, and for how long."""

    unhealthy_after: timedelta
    report_counts_for: timedelta
    most_loss_percent: float


class Fallback:
    """Who loses their host, and why."""

    def __init__(
        self, sessions: FallbackStore, health: HealthStore, presence: PresenceStore, clock: Clock, patience: Patience
    ) -> None:
        self._sessions = sessions
        self._health = health
        self._presence = presence
        self._clock = clock
        self._patience = patience

    async def host_lost(self, fact: HostFact) -> None:
        """A host is offline, draining or deleted."""
        await self._presence.lost(fact)
        await self.leave_lost()

    async def looked_at(self) -> int:
        """How many sessions there are to look after."""
        return await self._health.count()

    async def leave_lost(self) -> Departed:
        """Take every session from a host that is lost."""
        now, departed = self._clock.now(), Departed()
        while (batch := await self._sessions.leave_lost(PLACED_WITHIN, HOST_LOST, now)) != Departed():
            departed += batch
        return departed

    async def leave_bad(self) -> Departed:
        """Take every session from its host that was unwell there at each look for too long."""
        now, departed = self._clock.now(), Departed()
        for reason, unwell in (await self._unwell_for_too_long()).items():
            for first in range(0, len(unwell), BATCH):
                departed += await self._sessions.leave_unwell(unwell[first : first + BATCH], reason, now)
        return departed

    async def _unwell_for_too_long(self) -> dict[Complaint, list[tuple[int, int]]]:
        now, patience = self._clock.now(), self._patience
        doubtful = await self._health.doubtful(now - patience.report_counts_for, patience.most_loss_percent)
        found = [(each, complaint(each.condition, each.bounds)) for each in doubtful]
        unwell = [(each, reason) for each, reason in found if reason is not None]
        since = await self._health.note_unwell([each.number for each, _ in unwell], now)
        departing: defaultdict[Complaint, list[tuple[int, int]]] = defaultdict(list)
        for each, reason in unwell:
            if lasts(since[each.number], now, patience.unhealthy_after):
                departing[reason].append((each.number, each.epoch))
        return departing
