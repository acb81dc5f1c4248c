"""A player enters a zone: into a session that has room, or into a new one, which is made once for all who arrive.

One placement is in flight per zone: in this process those who arrive wait for the first's, over all processes for the
zone's claim. Whoever waited looks for room again. Who could not connect to a host lately gets another, if there is one.
"""

import asyncio
from datetime import timedelta

from chassis.clock import Clock
from chassis.refusals import RefusedError, ServiceError, UnavailableError
from contracts.identifiers import PeerId, ZoneId
from contracts.refusals import Code

from session_manager.errors import HostFullError, SessionFullError, WrongStateError
from session_manager.health import AVOIDED_FOR
from session_manager.lifecycle import Lifecycle
from session_manager.seating import Seated, Seating
from session_manager.sessions import Opening, Ref, choose_opening
from session_manager.store.claims import ClaimStore
from session_manager.store.facts import SessionJson
from session_manager.store.seats import SeatStore

ROUNDS = 100
"""Of looking for room; each that finds it gone means that others got it. The caller's deadline comes first."""

LOOK_AGAIN_S = 0.02
"""While another process asks for a host, which takes a few milliseconds: a look costs one statement a process."""


class Arrivals:
    """Who enters which zone, and where a first session is on its way."""

    def __init__(
        self,
        seats: SeatStore,
        claims: ClaimStore,
        seating: Seating,
        lifecycle: Lifecycle,
        clock: Clock,
        *,
        instance: str,
        claim_for: timedelta,
    ) -> None:
        self._seats = seats
        self._claims = claims
        self._seating = seating
        self._lifecycle = lifecycle
        self._clock = clock
        self._instance = instance
        self._claim_for = claim_for
        self._under_way: dict[ZoneId, asyncio.Future[None]] = {}

    async def enter(self, zone_id: ZoneId, player_id: PeerId, *, socket: bool) -> Seated:
        """Seat the player in the zone."""
        for _ in range(ROUNDS):
            opening = await self._opening(zone_id, player_id)
            if opening is not None and not opening.unreached:
                seated = await self._try_to_join(opening, player_id, socket=socket)
            elif zone_id in self._under_way:
                seated = None
                await asyncio.shield(self._under_way[zone_id])  # one who gives up takes nobody with them
            else:
                seated = await self._lead(zone_id, player_id, socket=socket)
            if seated is not None:
                return seated
        raise UnavailableError(f"Too many arrive in {zone_id!r} at once; try again.", retry_after_s=0.5)

    async def _opening(self, zone_id: ZoneId, player_id: PeerId) -> Opening | None:
        unreached_since = self._clock.now() - AVOIDED_FOR
        return choose_opening(await self._seats.openings(zone_id, player_id, unreached_since))

    async def _try_to_join(self, opening: Opening, player_id: PeerId, *, socket: bool) -> Seated | None:
        try:
            return await self._seating.join(Ref(opening.number, None), player_id, socket=socket)
        except (SessionFullError, HostFullError, WrongStateError):  # filled or ended since we looked
            return None

    async def _lead(self, zone_id: ZoneId, player_id: PeerId, *, socket: bool) -> Seated | None:
        """Bring the zone's next session about for all who wait; a refusal is theirs as well."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[zone_id] = done
        try:
            return await self._claim_and_found(zone_id, player_id, socket=socket)
        except ServiceError as error:
            done.set_exception(RefusedError(error.refusal))
            done.exception()  # nobody may be waiting for it
            raise
        finally:
            del self._under_way[zone_id]
            if not done.done():
                done.set_result(None)

    async def _claim_and_found(self, zone_id: ZoneId, player_id: PeerId, *, socket: bool) -> Seated | None:
        now = self._clock.now()
        if not await self._claims.claim(zone_id, self._instance, now + self._claim_for, now):
            await asyncio.sleep(LOOK_AGAIN_S)
            return None
        try:
            opening = await self._opening(zone_id, player_id)
            if opening is not None and not opening.unreached:  # made by whoever had the claim before
                return None
            return await self._found(zone_id, player_id, opening, socket=socket)
        except HostFullError:  # filled by joins to its other sessions since zone_manager looked
            return None
        finally:
            await self._claims.release(zone_id, self._instance)

    async def _found(
        self, zone_id: ZoneId, player_id: PeerId, last_resort: Opening | None, *, socket: bool
    ) -> Seated | None:
        """Make a session, on a host that the player could not connect to only where there is no other."""
        unreached = await self._seats.unreached(player_id, self._clock.now() - AVOIDED_FOR)
        try:
            founded = await self._lifecycle.found(zone_id, player_id, socket=socket, exclude=unreached)
        except ServiceError as error:
            if not unreached or error.refusal.code is not Code.NO_HOST_FREE:
                raise
            if last_resort is not None:
                return await self._try_to_join(last_resort, player_id, socket=socket)
            founded = await self._lifecycle.found(zone_id, player_id, socket=socket)
        return Seated(SessionJson(founded.decode()), new=True)
