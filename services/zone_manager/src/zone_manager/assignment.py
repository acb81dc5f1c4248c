"""Use case: a session gets a host.

Placements go side by side. Those that look for the same at the same time share one look at the zone and its hosts, and
spread over what it shows; the registry's conditional write decides whether a slot is really there.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chassis.single_flight import SingleFlight
from contracts.hosts import FindHosts, Host, HostsFound, ReserveSlot
from contracts.zones import Place, Placement, Zone

from zone_manager.errors import HostNotEligibleError, NoHostFreeError, SlotLostError, ZoneDisabledError
from zone_manager.pending import PendingBook
from zone_manager.placement import AbleHost, Pending, able, best, judgement, ranked
from zone_manager.reasons import rejection_counts, why_nobody, why_not
from zone_manager.zones import hosts_for, reason_against_hosts, way_out

LEAST_CANDIDATES, MOST_CANDIDATES = 8, 64
"""A single placement needs the best and a few to fall back on; a crowd that shares a look needs room for all."""

LOOKS = 3
"""A look whose every host was taken meanwhile is repeated; who loses that often finds the hosts full by then."""

JUDGEMENTS = 8
"""What an answer holds of chosen host and runners-up: enough to see why the one won."""


class Zones(Protocol):
    """Where zones are kept."""

    async def get(self, zone_id: str) -> Zone: ...


class Hosts(Protocol):
    """Whom we ask about hosts."""

    async def find(self, question: FindHosts) -> HostsFound: ...

    async def reserve(self, question: ReserveSlot) -> Host: ...


class Wanted(NamedTuple):
    """What placements have in common when they may share a look."""

    zone_id: str
    seats: int
    exclude: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """A zone and its able hosts, best first, as they were counted at one moment."""

    zone: Zone
    able_hosts: list[AbleHost]
    counted_at: float


class Assignment:
    """Places sessions on hosts."""

    def __init__(self, zones: Zones, hosts: Hosts, *, p2p_allowed: bool, fallback_allowed: bool = True) -> None:
        self._zones = zones
        self._hosts = hosts
        self._p2p_allowed = p2p_allowed
        self._fallback_allowed = fallback_allowed
        self._pending = PendingBook()
        self._zones_read = SingleFlight(self._read_zone)
        self._looks = SingleFlight(self._look)
        self._refusals = SingleFlight(self._why_nobody)

    async def place(self, question: Place) -> Placement:
        """Hold a slot for the session on the host it names, or else on the best; or refuse, and say why."""
        if question.host_id is not None:
            return await self._place_on(question.host_id, question)
        # A host whose seats are all taken serves nobody, not even a session that begins without players.
        wanted = Wanted(question.zone_id, max(1, len(question.player_ids)), tuple(sorted(set(question.exclude))))
        for _ in range(LOOKS):
            look = await self._looks.ask(wanted)
            placement = await self._place_on_best(look, question.session_id, wanted.seats)
            if placement is not None:
                return placement
            if not look.able_hosts:
                break
        raise await self._refusals.ask(wanted)

    async def _place_on(self, host_id: str, question: Place) -> Placement:
        zone = await self._open_zone(question.zone_id)
        seats = len(question.player_ids)
        found = await self._hosts.find(
            hosts_for(zone, seats=seats, limit=1, host_id=host_id, exclude=question.exclude, rejected=True)
        )
        (candidate,) = found.candidates
        if candidate.rejections:
            raise HostNotEligibleError(
                why_not(zone, candidate), fields={"host_id": host_id, "rejections": list(candidate.rejections)}
            )
        host = await self._reserve(zone, host_id, question.session_id, seats)
        chosen = judgement(AbleHost(candidate), chosen=True)
        return Placement(host=host, zone=zone, judgements=(chosen,), considered=1)

    async def _place_on_best(self, look: Look, session_id: str, seats: int) -> Placement | None:
        """Ask the hosts of one look, the best first, until one has a slot; None when none has."""

        def pending_on(host_id: str) -> Pending:
            return self._pending.unseen(host_id, look.counted_at)

        left = list(look.able_hosts)
        while left:
            able_host = best(look.zone, left, pending_on)
            left.remove(able_host)
            try:
                host = await self._reserve(look.zone, able_host.host_id, session_id, seats)
            except SlotLostError:
                continue
            return _placement(look, able_host, host)
        return None

    async def _reserve(self, zone: Zone, host_id: str, session_id: str, seats: int) -> Host:
        with self._pending.asking(host_id, seats):
            return await self._hosts.reserve(
                ReserveSlot(host_id=host_id, session_id=session_id, zone_id=zone.zone_id, seats=seats)
            )

    async def _look(self, wanted: Wanted, askers: int) -> Look:
        zone = await self._open_zone(wanted.zone_id)
        limit = min(MOST_CANDIDATES, max(LEAST_CANDIDATES, 2 * askers))
        counted_at = self._pending.now()
        found = await self._hosts.find(hosts_for(zone, seats=wanted.seats, limit=limit, exclude=wanted.exclude))
        return Look(zone, ranked(zone, able(found.candidates)), counted_at)

    async def _open_zone(self, zone_id: str) -> Zone:
        zone = await self._zones_read.ask(zone_id)
        if (why := reason_against_hosts(zone, p2p_allowed=self._p2p_allowed)) is not None:
            raise ZoneDisabledError(zone_id, why)
        return zone

    async def _read_zone(self, zone_id: str, _askers: int) -> Zone:
        return await self._zones.get(zone_id)

    async def _why_nobody(self, wanted: Wanted, _askers: int) -> NoHostFreeError:
        zone = await self._zones.get(wanted.zone_id)
        found = await self._hosts.find(
            hosts_for(zone, seats=wanted.seats, limit=1, exclude=wanted.exclude, rejected=True)
        )
        counts = rejection_counts(found.candidates, found.rejected_counts)
        return NoHostFreeError(
            why_nobody(zone, counts, taken=bool(able(found.candidates))),
            fields={
                "zone_id": zone.zone_id,
                "rejected_counts": dict(counts.items()),
                **way_out(zone, fallback_allowed=self._fallback_allowed),
            },
        )


def _placement(look: Look, chosen: AbleHost, host: Host) -> Placement:
    runners_up = [other for other in look.able_hosts if other is not chosen][: JUDGEMENTS - 1]
    judgements = (judgement(chosen, chosen=True), *(judgement(other, chosen=False) for other in runners_up))
    return Placement(host=host, zone=look.zone, judgements=judgements, considered=len(look.able_hosts))
