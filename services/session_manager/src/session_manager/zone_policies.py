"""What zones say of their sessions' hosts: heard of zone_manager, and read from the placements it gives."""

from contracts.identifiers import ZoneId
from contracts.zones import ZoneFact

from session_manager.policies import ZonePolicy, policy_of
from session_manager.sessions import PlacedHost
from session_manager.store.policies import PolicyStore


class ZonePolicies:
    """Kept for the day on which zone_manager cannot be asked."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store
        self._placed: set[ZoneId] = set()

    async def changed(self, fact: ZoneFact) -> ZonePolicy | None:
        """What the zone says now; None where something newer is known."""
        policy = policy_of(fact.zone)
        return policy if await self._store.learn(ZoneId(fact.zone_id), policy, fact.revision) else None

    async def placed(self, place: PlacedHost) -> None:
        """Learn from a zone's first placement here; facts may have been forgotten, and are newer where they are not."""
        if place.zone_id in self._placed:
            return
        await self._store.learn(place.zone_id, place.policy, 0)
        self._placed.add(place.zone_id)
