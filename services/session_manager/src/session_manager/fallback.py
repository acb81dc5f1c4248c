"""Sessions leave hosts that are lost, bad or unwanted: for another host, the central server, or to fail."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.clock import Clock
from contracts.hosts import HostFact, HostStatus
from contracts.identifiers import HostId, ZoneId
from contracts.zones import ZoneFact

from session_manager.health import AVOIDED_FOR, Complaint, complaint, figures_of, lasts
from session_manager.migration import Migration, Settled
from session_manager.policies import Closed
from session_manager.store.fallback import BATCH, Departed, FallbackStore, Unwell
from session_manager.store.health import Doubtful, HealthStore
from session_manager.store.presence import PresenceStore
from session_manager.zone_policies import ZonePolicies

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
        self,
        sessions: FallbackStore,
        health: HealthStore,
        presence: PresenceStore,
        policies: ZonePolicies,
        migration: Migration,
        clock: Clock,
        patience: Patience,
        *,
        p2p_allowed: bool = True,
    ) -> None:
        self._sessions = sessions
        self._health = health
        self._presence = presence
        self._policies = policies
        self._migration = migration
        self._clock = clock
        self._patience = patience
        self._p2p_allowed = p2p_allowed

    async def host_lost(self, fact: HostFact) -> None:
        """A host is offline, draining or deleted."""
        if fact.host.status is HostStatus.DRAINING:
            await self._migration.vacate(HostId(fact.host_id))
        await self._presence.lost(fact)
        await self.leave_lost()

    async def zone_changed(self, fact: ZoneFact) -> None:
        """A zone says something new of hosts: perhaps that it wants none."""
        policy = await self._policies.changed(fact)
        if policy is not None and policy.closed_for is not None:
            await self._sessions.forget_able_in(ZoneId(fact.zone_id))
            await self.leave_closed()

    async def looked_at(self) -> int:
        """How many sessions there are to look after."""
        return await self._health.count()

    async def finish_migrations(self) -> None:
        """Settle what an instance that died, or that nobody answered, has left."""
        if await self._migration.settle() != Settled():
            await self.leave_lost()

    async def leave_lost(self) -> Settled:
        """Take every session from a host that is lost, and find each another; that one may be lost by then as well."""
        now, settled = self._clock.now(), Settled()
        while True:
            departed = Departed()
            while (batch := await self._sessions.leave_lost(PLACED_WITHIN, HOST_LOST, now)) != Departed():
                departed += batch
            if departed == Departed():
                return settled
            settled += await self._settled(departed)

    async def leave_closed(self) -> Settled:
        """Take every session from its host whose zone no host may serve."""
        now, departed = self._clock.now(), Departed()
        for reason, closed_for in _closings(p2p_allowed=self._p2p_allowed):
            while (batch := await self._sessions.leave_closed(closed_for, reason, now)) != Departed():
                departed += batch
        return await self._settled(departed)

    async def leave_bad(self) -> Settled:
        """Take every session from its host that was unwell there at each look for too long, and find it another."""
        now, departed = self._clock.now(), Departed()
        await self._health.forget_unreached(now - AVOIDED_FOR)
        for reason, unwell in (await self._unwell_for_too_long()).items():
            for first in range(0, len(unwell), BATCH):
                departed += await self._sessions.leave_unwell(unwell[first : first + BATCH], reason, now)
        return await self._settled(departed)

    async def _settled(self, departed: Departed) -> Settled:
        settled = Settled(fell_back=departed.fell_back, failed=departed.failed)
        return settled + await self._migration.settle() if departed.migrating else settled

    async def _unwell_for_too_long(self) -> dict[Complaint, list[Unwell]]:
        now, patience = self._clock.now(), self._patience
        doubtful = await self._health.doubtful(now - patience.report_counts_for, patience.most_loss_percent)
        found = [(each, complaint(each.condition, each.bounds)) for each in doubtful]
        unwell = [(each, reason, _told_at(each, reason, now)) for each, reason in found if reason is not None]
        since = await self._health.note_unwell({each.number: told_at for each, _, told_at in unwell})
        departing: defaultdict[Complaint, list[Unwell]] = defaultdict(list)
        for each, reason, told_at in unwell:
            began = since[each.number]
            if lasts(began, told_at, patience.unhealthy_after):
                figures = {**figures_of(reason, each.condition, each.bounds), "for_s": (now - began).total_seconds()}
                departing[reason].append(Unwell(each.number, each.epoch, figures))
        return departing


def _told_at(doubtful: Doubtful, reason: Complaint, now: datetime) -> datetime:
    """When a complaint was heard last; being unconnected lasts until something else is told."""
    return now if reason is Complaint.UNCONNECTED or doubtful.told_at is None else doubtful.told_at


def _closings(*, p2p_allowed: bool) -> list[tuple[Closed, Closed | None]]:
    """The reasons to leave hosts, and of which zones: those that are closed for it, or (None) all."""
    return [(reason, reason) for reason in Closed] if p2p_allowed else [(Closed.P2P_DISABLED, None)]
