"""Seats whose socket is gone: given up after a while, but never for our own absence."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chassis.clock import Clock
from chassis.own_absence import OwnAbsence
from contracts.gateway import PeerPresence, SessionsActive

from session_manager.store.presence import PresenceStore
from session_manager.store.seats import SeatStore
from session_manager.store.sessions import SessionStore

ABSENT = "absent"
"""Why a player left who did not come back in time."""

BATCH = 100
"""Seats given up in one round of looking, some 0.1 s; rounds follow one another while there are more."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Absence:
    """What gateways say of sockets, and what follows from their silence."""

    def __init__(
        self,
        seats: SeatStore,
        presence: PresenceStore,
        sessions: SessionStore,
        clock: Clock,
        *,
        grace: timedelta,
        gateway_silence: timedelta,
        hears: Callable[[], bool],
    ) -> None:
        self._seats = seats
        self._presence = presence
        self._sessions = sessions
        self._clock = clock
        self._grace = grace
        self._gateway_silence = gateway_silence
        self._own_absence = OwnAbsence(clock, hears)
        self._own_absence.doubt()  # until a round has gone well

    async def entered(self, fact: PeerPresence) -> None:
        """The socket of a seat is there."""
        if fact.session_id is not None:
            await self._presence.entered(fact, self._clock.now())
            await self._active((fact.session_id,))

    async def disconnected(self, fact: PeerPresence) -> None:
        """The socket of a seat is gone: its grace begins, or is over at once where nobody will come back."""
        if fact.session_id is not None:
            # Since ever is absent enough at any time, even while we have not been hearing for as long as the grace.
            since = min(fact.occurred_at, self._clock.now()) if fact.keeps_seat else NEVER
            await self._presence.disconnected(fact, since)

    async def active(self, fact: SessionsActive) -> None:
        """A gateway lives, and so do these of its sessions."""
        await self._presence.heard(fact.gateway_id, self._clock.now())
        if fact.session_ids:
            await self._active(fact.session_ids)

    async def give_up_seats(self) -> int:
        """Free the seats of players who were absent for too long; give how many."""
        now = self._clock.now()
        self._own_absence.check()
        absent_by = max(NEVER, self._own_absence.stale_before(self._grace))
        unheard_by = max(NEVER, self._own_absence.stale_before(self._gateway_silence + self._grace))
        try:
            latest_word = await self._presence.latest_word()
            if latest_word is not None and latest_word < now - self._gateway_silence:
                self._own_absence.doubt()  # when all gateways fall silent, it is rather we who hear nothing
                return 0
            return await self._round(now, absent_by, unheard_by)
        except Exception:
            self._own_absence.doubt()
            raise

    async def _round(self, now: datetime, absent_by: datetime, unheard_by: datetime) -> int:
        given_up = 0
        while expired := await self._seats.expired(absent_by=absent_by, unheard_by=unheard_by, limit=BATCH):
            for number, player_id in expired:
                left = await self._seats.give_up_absent(
                    number, player_id, reason=ABSENT, absent_by=absent_by, unheard_by=unheard_by, now=now
                )
                given_up += left is not None
            if not given_up:  # every one of them came back while we looked
                break
        await self._presence.forget_gateways(unheard_by)
        return given_up

    async def _active(self, session_ids: tuple[str, ...]) -> None:
        """Active when it is heard of: a gateway's clock may be wrong, and who is told late lives a little longer."""
        await self._sessions.touch(session_ids, self._clock.now())
