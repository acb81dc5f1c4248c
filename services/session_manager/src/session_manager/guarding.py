"""Sessions of zones that ask for it have a second host in reserve, the standby, which takes over when theirs is lost.

One look after the other, sessions side by side. Each step is a conditional write: whoever dies between two of them
leaves a slot that lapses and a session that is looked at again by every instance.
"""

import asyncio
from datetime import datetime, timedelta

import structlog
from chassis.clock import Clock
from chassis.refusals import ServiceError
from contracts.identifiers import HostId

from session_manager.health import distrusts
from session_manager.standbys import LetGo
from session_manager.store.standbys import StandbyStore, Unguarded
from session_manager.zones import Zones

log = structlog.stdlib.get_logger()

AT_ONCE = 32
"""Standbys sought side by side: those of one zone share zone_manager's look."""

AGAIN_AFTER = timedelta(seconds=1)
"""Where somebody else took the seats of the host that was found."""

LATER = timedelta(seconds=10)
"""Where there is none: nobody waits for it, and hosts come by the minute."""


class Guarding:
    """Names standbys, holds them to their sessions' players, and lets them go."""

    def __init__(
        self, standbys: StandbyStore, zones: Zones, clock: Clock, *, claim_for: timedelta, return_after: timedelta
    ) -> None:
        """`claim_for`: longer than one look for a host takes."""
        self._standbys = standbys
        self._zones = zones
        self._clock = clock
        self._claim_for = claim_for
        self._return_after = return_after

    async def look(self) -> None:
        """Give every session that is to have a standby a good one, as far as there is one."""
        await self.let_go()
        await self._fit()
        await self._seek()

    async def let_go(self) -> None:
        """Let go of every standby that is lost, bad or wanted no more."""
        for session, reason in await self._standbys.doubted():
            distrust = reason is LetGo.UNCONNECTED
            now = self._clock.now()
            if await self._standbys.let_go(session.number, session.standby, reason, now, distrust=distrust):
                log.info("standby.let_go", session_id=session.session_id, host_id=session.standby, reason=reason)
        await self._standbys.free_ended()

    async def _fit(self) -> None:
        for session in await self._standbys.unfit():
            if not await self._standbys.fit(session, self._clock.now()):
                # Where only the session has changed meanwhile another is found as soon.
                now = self._clock.now()
                await self._standbys.let_go(session.number, session.standby, LetGo.HOST_FULL, now, distrust=True)

    async def _seek(self) -> None:
        now = self._clock.now()
        while sought := await self._standbys.seek(now + self._claim_for, AT_ONCE, now):
            await asyncio.gather(*(self._find(session) for session in sought))

    async def _find(self, session: Unguarded) -> None:
        now = self._clock.now()
        exclude = {session.host_id, *self._distrusted(session, now)}
        try:
            place = await self._zones.place(session.zone_id, session.session_id, session.players, None, sorted(exclude))
        except ServiceError as error:
            log.debug("standby.not_found", session_id=session.session_id, code=error.refusal.code)
            await self._standbys.later(session, self._clock.now() + LATER)
            return
        if not await self._standbys.name(session, place, self._clock.now()):
            await self._standbys.later(session, self._clock.now() + AGAIN_AFTER)

    def _distrusted(self, session: Unguarded, now: datetime) -> set[HostId]:
        return {HostId(left.host_id) for left in session.left if distrusts(left, now, self._return_after)}
