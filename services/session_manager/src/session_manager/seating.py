"""Players take seats, change them and give them up."""

from dataclasses import dataclass

from chassis.clock import Clock
from chassis.refusals import UnavailableError
from contracts.identifiers import PeerId

from session_manager.errors import PlayerNotFoundError
from session_manager.sessions import Joining, Ref, Seat, SessionState, judge_join, judge_leave
from session_manager.store.facts import SessionJson
from session_manager.store.seats import SeatStore

TRIES = 10
"""Each try that fails means that somebody else's join or leave succeeded in between."""


@dataclass(frozen=True, slots=True)
class Seated:
    """The session that a player sits in, and whether the seat is new."""

    json: SessionJson
    new: bool


class Seating:
    """Joins and leaves: the write is tried at once, and only when it does not apply is asked why."""

    def __init__(self, seats: SeatStore, clock: Clock) -> None:
        self._seats = seats
        self._clock = clock

    async def join(self, ref: Ref, player_id: PeerId, *, socket: bool) -> Seated:
        """Seat the player there, and nowhere else any more."""
        for _ in range(TRIES):
            json = await self._seats.take(ref, player_id, socket=socket, now=self._clock.now())
            if json is not None:
                return Seated(json, new=True)
            state, seat = await self._seats.state(ref, player_id)
            joining = judge_join(state, seat)
            seated = await self._join_from(seat, joining, state, player_id, socket=socket)
            if seated is not None:
                return seated
        raise _too_busy(player_id)

    async def leave(self, ref: Ref | None, player_id: PeerId) -> SessionJson:
        """Give the player's seat up, there or wherever it is."""
        for _ in range(TRIES):
            json = await self._seats.give_up(ref, player_id, now=self._clock.now())
            if json is not None:
                return json
            number = None if ref else await self._seats.seated_in(player_id)
            if ref is None and number is None:
                raise PlayerNotFoundError(player_id)
            state, seat = await self._seats.state(ref or Ref(number, None), player_id)
            judge_leave(state, seat, player_id)
        raise _too_busy(player_id)

    async def _join_from(
        self, seat: Seat | None, joining: Joining, state: SessionState, player_id: PeerId, *, socket: bool
    ) -> Seated | None:
        """Join as judged; None where the world has moved on since."""
        now = self._clock.now()
        if seat is None or joining is Joining.FIRST_SEAT:  # there is room again
            return None
        if joining is Joining.SAME_SEAT:
            again = await self._seats.take_again(state.number, player_id, socket=socket, now=now)
            return None if again is None else Seated(again, new=False)
        moved = await self._seats.move(seat.session, state.number, player_id, socket=socket, now=now)
        return None if moved is None else Seated(moved, new=True)


def _too_busy(player_id: PeerId) -> UnavailableError:
    return UnavailableError(f"The seats for {player_id!r} change too fast at the moment; try again.", retry_after_s=0.1)
