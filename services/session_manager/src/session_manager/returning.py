"""Sessions on the central server return to a host that has been able for long enough; zone after zone."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from chassis.clock import Clock
from chassis.refusals import ServiceError
from contracts.identifiers import HostId, ZoneId
from contracts.refusals import Code

from session_manager.health import MOST_DISTRUST, distrusts, lasts
from session_manager.store.fallback import FallbackStore
from session_manager.store.hostless import HostlessSession, HostlessStore
from session_manager.zones import Zones

log = structlog.stdlib.get_logger()


class Returning:
    """Gives hostless sessions a host."""

    def __init__(
        self, sessions: HostlessStore, hosts: FallbackStore, zones: Zones, clock: Clock, return_after: timedelta
    ) -> None:
        self._sessions = sessions
        self._hosts = hosts
        self._zones = zones
        self._clock = clock
        self._return_after = return_after

    async def bring_back(self) -> int:
        """Give every session a host that can have a good one now; give how many."""
        zones = await self._sessions.zones_in_fallback()
        await self._hosts.forget_able_but_in(zones)
        await self._hosts.forget_left(self._clock.now() - 2 * MOST_DISTRUST)
        return sum([await self._bring_back_to(zone_id) for zone_id in zones])

    async def _bring_back_to(self, zone_id: ZoneId) -> int:
        """One zone's failure is no other's."""
        try:
            hosts = await self._zones.able_hosts(zone_id)
        except ServiceError as error:
            log.warning("zone.hosts_unknown", zone_id=zone_id, code=error.refusal.code)
            return 0
        now = self._clock.now()
        since = await self._hosts.note_able(zone_id, hosts, now)
        good = {host_id: at for host_id, at in since.items() if lasts(at, now, self._return_after)}
        return await self._serve(zone_id, good, since.keys() - good.keys()) if good else 0

    async def _serve(self, zone_id: ZoneId, good: Mapping[HostId, datetime], young: set[HostId]) -> int:
        """`good`: since when each of them is able."""
        served = 0
        for session in await self._sessions.in_fallback(zone_id):
            now = self._clock.now()
            left = {HostId(left.host_id) for left in session.left if distrusts(left, now, self._return_after)}
            if good.keys() <= left:
                continue
            try:
                served += await self._place(zone_id, session, good, young | left, now)
            except ServiceError as error:
                log.warning("session.not_returned", session_id=session.session_id, code=error.refusal.code)
                if error.refusal.code is not Code.NO_HOST_FREE:  # a smaller session may still fit
                    return served
        return served

    async def _place(
        self,
        zone_id: ZoneId,
        session: HostlessSession,
        good: Mapping[HostId, datetime],
        exclude: set[HostId],
        now: datetime,
    ) -> bool:
        """Whether the session has a host now; a slot that comes to nothing lapses by itself."""
        place = await self._zones.place(zone_id, session.session_id, session.players, None, sorted(exclude))
        if place.host_id not in good:
            return False
        figures = {
            "host_able_s": (now - good[place.host_id]).total_seconds(),
            "fallback_s": (now - session.hostless_since).total_seconds(),
        }
        return await self._sessions.serve(session, place, now, figures, step="return to host")
