"""A registry and a shelf of zones in memory, which do what the real ones promise."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable

from chassis.refusals import ServiceError
from contracts.hosts import Candidate, FindHosts, Host, HostsFound, Rejection, ReserveSlot
from contracts.refusals import Code, Refusal
from contracts.zones import Zone
from zone_manager.errors import SlotLostError, ZoneNotFoundError


class HostNotFoundError(ServiceError):
    code = Code.HOST_NOT_FOUND


class ZonesInMemory:
    def __init__(self, *zones: Zone) -> None:
        self.zones = {zone.zone_id: zone for zone in zones}
        self.asked = 0

    async def get(self, zone_id: str) -> Zone:
        self.asked += 1
        await asyncio.sleep(0)
        if zone_id not in self.zones:
            raise ZoneNotFoundError(zone_id)
        return self.zones[zone_id]


class RegistryInMemory:
    """Counts slots and seats as it reserves them, and refuses what does not fit, as host_registry does."""

    def __init__(self, *candidates: Candidate) -> None:
        self.candidates = {candidate.host.host_id: candidate for candidate in candidates}
        self.slots: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.questions: list[FindHosts] = []
        self.reservations: list[ReserveSlot] = []
        self.answers_find = asyncio.Event()
        """Cleared, it holds every search up."""
        self.answers_find.set()
        self.after_find: Callable[[], object] = lambda: None
        """What becomes of the hosts between the answer to a search and whatever is done with it."""

    async def find(self, question: FindHosts) -> HostsFound:
        self.questions.append(question)
        await self.answers_find.wait()
        await asyncio.sleep(0)
        found = self._find(question)
        self.after_find()
        return found

    def _find(self, question: FindHosts) -> HostsFound:
        judged = [self._judged(candidate, question) for candidate in self.candidates.values()]
        if question.host_id is not None:
            if question.host_id not in self.candidates:
                raise HostNotFoundError("There is no such host.")
            return HostsFound(candidates=tuple(one for one in judged if one.host.host_id == question.host_id))
        able = [one for one in judged if not one.rejections]
        able.sort(key=lambda one: (-one.host.quality_score * one.host.confidence, one.seats_taken, one.slots_taken))
        others = [one for one in judged if one.rejections] if question.rejected else []
        listed = [*able, *others][: question.limit]
        uncounted = [one for one in others if one not in listed]
        return HostsFound(
            candidates=tuple(listed), rejected_counts=Counter(why for one in uncounted for why in one.rejections)
        )

    async def reserve(self, question: ReserveSlot) -> Host:
        self.reservations.append(question)
        await asyncio.sleep(0)
        candidate = self.candidates.get(question.host_id)
        if candidate is None:
            raise SlotLostError(Refusal(code=Code.HOST_NOT_FOUND, detail="There is no such host."))
        if self._judged(candidate, FindHosts(seats=question.seats)).rejections:
            raise SlotLostError(Refusal(code=Code.HOST_NOT_ELIGIBLE, detail="The host has no room."))
        self.slots[question.host_id][question.session_id] = question.seats
        return candidate.host

    def _judged(self, candidate: Candidate, question: FindHosts) -> Candidate:
        host = candidate.host
        held = self.slots[host.host_id]
        slots, seats = candidate.slots_taken + len(held), candidate.seats_taken + sum(held.values())
        found = {
            Rejection.EXCLUDED: host.host_id in question.exclude,
            Rejection.SCORE_TOO_LOW: host.quality_score < question.min_quality_score,
            Rejection.HOST_FULL: seats + question.seats > host.max_players,
            Rejection.NO_ZONE_SLOT: slots >= host.max_zones,
        }
        rejections = [*candidate.rejections, *(rejection for rejection, applies in found.items() if applies)]
        return candidate.model_copy(
            update={"seats_taken": seats, "slots_taken": slots, "rejections": tuple(rejections)}
        )
