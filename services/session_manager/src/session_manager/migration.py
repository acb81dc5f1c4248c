"""Sessions whose host is lost or bad get another at once; where no host fits, their zone's policy decides.

A session that looks for a host is claimed for as long as a look may take. Whoever claimed it and died, or could not
find out, leaves it to whoever looks next: every instance does, each second.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from chassis.clock import Clock
from chassis.refusals import RefusedError, ServiceError, UnavailableError
from contracts.identifiers import HostId
from contracts.refusals import Code
from contracts.sessions import HOST_DRAINING, ORDERED, SessionStatus

from session_manager.health import Figures, distrusts
from session_manager.sessions import Ref
from session_manager.standbys import LetGo
from session_manager.store.hostless import HostlessSession, HostlessStore, ServedSession
from session_manager.store.standbys import StandbyStore
from session_manager.zones import Zones

log = structlog.stdlib.get_logger()

AT_ONCE = 32
"""Sessions placed side by side: those of one zone share zone_manager's look, and spread over the hosts it shows."""

TRIES = 3
"""Each that fails means that the seats of the host that was chosen went to somebody else."""

AGAIN_AFTER = timedelta(seconds=0.5)
"""Where nobody could say whether there is a host."""

NOBODY = frozenset({Code.NO_HOST_FREE, Code.ZONE_DISABLED, Code.ZONE_NOT_FOUND, Code.HOST_NOT_ELIGIBLE})
"""Answers that another look would only repeat."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of sessions that looked for another host."""

    migrated: int = 0
    fell_back: int = 0
    failed: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(self.migrated + other.migrated, self.fell_back + other.fell_back, self.failed + other.failed)


class Migration:
    """Brings migrating sessions to an end: on another host, on the central server, or failed."""

    def __init__(
        self,
        sessions: HostlessStore,
        standbys: StandbyStore,
        zones: Zones,
        clock: Clock,
        *,
        claim_for: timedelta,
        give_up_after: timedelta,
        return_after: timedelta,
    ) -> None:
        """`claim_for`: longer than one look takes; `give_up_after`: without a host and without an answer."""
        self._sessions = sessions
        self._standbys = standbys
        self._zones = zones
        self._clock = clock
        self._claim_for = claim_for
        self._give_up_after = give_up_after
        self._return_after = return_after

    async def order(self, ref: Ref, host_id: HostId | None) -> None:
        """Give a session to another host, or refuse and leave it where it is."""
        for _ in range(TRIES):
            session = await self._sessions.served(ref)
            if session is None:
                return
            if host_id == session.host_id:
                return
            if host_id in {None, session.standby} and await self._to_standby(session, ORDERED):
                return
            exclude = () if host_id is not None else (session.host_id,)
            place = await self._zones.place(session.zone_id, session.session_id, session.players, host_id, exclude)
            if await self._sessions.hand_over(session, place, ORDERED, self._clock.now()):
                return
        raise UnavailableError("The session changes too fast at the moment; try again.", retry_after_s=0.1)

    async def vacate(self, host_id: HostId) -> int:
        """Give the sessions of a host that lives, and wants to go, to others; give how many others have taken."""
        sessions, taken = await self._sessions.served_by(host_id), 0
        for first in range(0, len(sessions), AT_ONCE):
            moves = (self._vacated(session) for session in sessions[first : first + AT_ONCE])
            taken += sum(await asyncio.gather(*moves))
        return taken

    async def _vacated(self, session: ServedSession) -> bool:
        """One that nobody takes stays: what becomes of it, its zone's policy says."""
        if await self._to_standby(session, HOST_DRAINING):
            return True
        try:
            place = await self._zones.place(
                session.zone_id, session.session_id, session.players, None, (session.host_id,)
            )
        except ServiceError as error:
            log.info("session.not_taken", session_id=session.session_id, code=error.refusal.code)
            return False
        return await self._sessions.hand_over(session, place, HOST_DRAINING, self._clock.now())

    async def _to_standby(self, session: ServedSession, reason: str) -> bool:
        """Whether its standby has it now; one that could not take it stands by no more, and is placed on as any other.

        Where the session itself has changed, all that follows finds that out too.
        """
        if session.standby is None:
            return False
        if await self._sessions.hand_over_to_standby(session, self._standbys, reason, self._clock.now()):
            return True
        await self._let_go(session, session.standby)
        return False

    async def _let_go(self, session: ServedSession | HostlessSession, standby: HostId) -> None:
        now = self._clock.now()
        await self._standbys.let_go(session.number, standby, LetGo.UNABLE, now, distrust=False)

    async def settle(self) -> Settled:
        """Settle every migrating session that nobody else is at."""
        settled = Settled()
        while True:
            now = self._clock.now()
            claimed = await self._sessions.claim(now + self._claim_for, AT_ONCE, now)
            if not claimed:
                return settled
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._settle(session)) for session in claimed]
            became = Counter(task.result() for task in tasks)
            settled += Settled(
                became[SessionStatus.ACTIVE], became[SessionStatus.FALLBACK], became[SessionStatus.FAILED]
            )

    async def _settle(self, session: HostlessSession) -> SessionStatus | None:
        """What became of it; None where that is for somebody else to say, now or later."""
        now = self._clock.now()
        if session.standby is not None:
            if await self._standbys.take_over(session.number, session.epoch, now) is not None:
                return SessionStatus.ACTIVE
            await self._let_go(session, session.standby)
        exclude = {HostId(left.host_id) for left in session.left if distrusts(left, now, self._return_after)}
        try:
            for _ in range(TRIES):
                place = await self._zones.place(
                    session.zone_id, session.session_id, session.players, None, sorted(exclude)
                )
                now = self._clock.now()
                if await self._sessions.serve(session, place, now, _figures(session, now), step="migrate to host"):
                    return SessionStatus.ACTIVE
                exclude.add(place.host_id)
        except ServiceError as error:
            return await self._unplaced(session, error)
        return None  # it ends, or everybody moves at once: the claim lapses, and it is looked at again

    async def _unplaced(self, session: HostlessSession, error: ServiceError) -> SessionStatus | None:
        now, code = self._clock.now(), error.refusal.code
        if code in NOBODY or now - session.hostless_since >= self._give_up_after:
            figures = {**_figures(session, now), **_rejections(error)}
            return await self._sessions.stop_migrating(session, figures, now)
        log.warning("session.not_placed", session_id=session.session_id, code=code)
        await self._sessions.unclaim(session, now + AGAIN_AFTER)
        return None


def _figures(session: HostlessSession, now: datetime) -> Figures:
    return {"hostless_s": (now - session.hostless_since).total_seconds()}


def _rejections(error: ServiceError) -> Figures:
    """How many hosts were passed over, by code."""
    counts = error.refusal.fields.get("rejected_counts") if isinstance(error, RefusedError) else None
    if not isinstance(counts, dict):
        return {}
    return {f"hosts_{code}": count for code, count in counts.items() if isinstance(count, int)}
