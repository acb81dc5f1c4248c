"""How a peer comes in: it is named, seated and settled, then its former connection is closed; and how it goes.

1. `_name`: the connection becomes its peer's, here and in Redis, and it is found out whether the peer is a host.
2. `_seat`, `_seat_in_zone`: session_manager gives the player a seat; a name that is no session's is an ad-hoc room's.
3. `_settle`: the socket is in the room, here and in Redis; it is told who is there, then the others that it came.
4. `_close`: the connection that the peer had before is closed: last, so that the others see one peer that stays, and
   not one that goes and comes.

One connection does one of these at a time, in the order of its frames; connections side by side.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

import structlog
from chassis.bus import Bus
from chassis.refusals import RefusedError, ServiceError, UnavailableError
from chassis.requests import call
from contracts import sessions
from contracts.frames import SessionJoined, SessionLeft
from contracts.gateway import Replaced
from contracts.refusals import Code
from contracts.sessions import (
    ENTER_ZONE,
    JOIN_SESSION,
    LEAVE_SESSION,
    JoinSession,
    LeaveSession,
    Session,
)

from signaling_gateway.access.entrance import Entrance
from signaling_gateway.access.errors import ForbiddenError
from signaling_gateway.cluster.announcer import Announcer
from signaling_gateway.cluster.neighbours import Neighbours
from signaling_gateway.cluster.presence import PLAYER, Listing, Mark, Presence
from signaling_gateway.peers.connections import Connection, Connections, is_far_ahead
from signaling_gateway.peers.conversation import Enter, EnterZone, Place, Show, entered_by, may_be_session
from signaling_gateway.rooms.hosting import Hosting, place_of
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.join_funnel import JoinFunnel
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.standing_by import StandingBy

log = structlog.stdlib.get_logger()


class NoSuchSessionError(ServiceError):
    """Where everybody is asked who they are, a name that no session has is nobody's room."""

    code = Code.SESSION_NOT_FOUND


@dataclass(frozen=True, slots=True)
class Former:
    """The connection that a peer had before its present one."""

    here: Connection | None
    elsewhere: Mark | None
    """On another gateway, as Redis says."""


class Entering:
    """Who is where, and what that makes the others hear."""

    def __init__(
        self,
        *,
        bus: Bus,
        connections: Connections,
        rooms: Rooms,
        presence: Presence,
        hosting: Hosting,
        standing_by: StandingBy,
        announcer: Announcer,
        neighbours: Neighbours,
        funnel: JoinFunnel,
        ice: IceServers,
        entrance: Entrance,
    ) -> None:
        self._bus = bus
        self._connections = connections
        self._rooms = rooms
        self._presence = presence
        self._hosting = hosting
        self._standing_by = standing_by
        self._announcer = announcer
        self._neighbours = neighbours
        self._funnel = funnel
        self._ice = ice
        self._entrance = entrance

    async def enter(self, connection: Connection, wish: Enter | EnterZone) -> None:
        """Go where the peer's frame says, out of where it is; a connection without a name is named first."""
        if connection.standing.peer_id is not None:
            await self._go(connection, wish)
            return
        former = await self._name(connection, wish.peer_id)
        try:
            if connection.wire.open:  # else a still newer connection of the peer is there
                await self._go(connection, wish)
        finally:
            self._close(connection, former)

    async def name(self, connection: Connection, peer_id: str) -> None:
        """Make the connection this peer's, without going anywhere."""
        self._close(connection, await self._name(connection, peer_id))

    async def _name(self, connection: Connection, peer_id: str) -> Former:
        connection.entry = await self._entrance.name(connection.entry, peer_id)
        connection.standing = replace(connection.standing, peer_id=peer_id)
        here = self._connections.name(connection)
        connection.take_new_id(after=here.connection_id if here is not None else None)
        held = await self._claim(connection)
        if held is not None and held.connection_id > connection.connection_id:
            connection.give_way()  # a still newer one came meanwhile, elsewhere
        else:
            self._announcer.connected(connection)
            await self._hosting.identify(connection)
        is_elsewhere = held is not None and held.gateway_id != self._presence.gateway_id
        return Former(here, held if is_elsewhere else None)

    async def _claim(self, connection: Connection) -> Mark | None:
        """Tell Redis that the peer is here; the other connection that held it, if any."""
        try:
            held = await self._presence.claim(connection.peer_id, self._presence.mark(connection.connection_id))
            if held is None or not is_far_ahead(held.connection_id, of=connection.connection_id):
                return held
            connection.take_new_id(after=held.connection_id)
            return await self._presence.claim(connection.peer_id, self._presence.mark(connection.connection_id))
        except UnavailableError:
            return None  # told when Redis is back

    async def _go(self, connection: Connection, wish: Enter | EnterZone) -> None:
        match entered_by(connection.standing, wish):
            case Show(place):
                self.show(connection, place)
            case EnterZone(zone_id=zone_id):
                _hold_to_ticket(connection, None)
                with connection.moving():
                    await self._into_session(connection, await self._seat_in_zone(connection, zone_id))
            case Enter(session_id=session_id):
                _hold_to_ticket(connection, session_id)
                with connection.moving():
                    session = await self._seat(connection, session_id)
                    if session is not None:
                        await self._into_session(connection, session)
                    else:
                        await self._into_room(connection, session_id)
            case unknown:
                assert_never(unknown)

    async def _seat(self, connection: Connection, session_id: str) -> Session | None:
        """Take a seat; None where there is no session of this name, and an ad-hoc room may be meant."""
        if may_be_session(session_id):
            try:
                question = JoinSession(session=session_id, player_id=connection.peer_id, socket=True)
                return await call(self._bus, JOIN_SESSION, question)
            except RefusedError as error:
                if error.refusal.code is not Code.SESSION_NOT_FOUND:
                    raise
        if not connection.entry.trusting:
            raise NoSuchSessionError(f"There is no session {session_id}.")
        return None

    async def _seat_in_zone(self, connection: Connection, zone_id: str) -> Session:
        """Take a seat in a session of the zone that has one, or in a new one."""
        question = sessions.EnterZone(zone_id=zone_id, player_id=connection.peer_id, socket=True)
        return await call(self._bus, ENTER_ZONE, question)

    async def _into_session(self, connection: Connection, session: Session) -> None:
        place = place_of(session)
        if connection.standing.place is not None and connection.standing.place.session_id != place.session_id:
            await self.let_out(connection, "moved")
        connection.seated_at = session.updated_at
        self._announcer.entered(connection, place.session_id)
        host = self._connections.of(session.host_peer_id)
        if host is not None and host is not connection:
            await self._hosting.assign(host, session)
        await self._ice.learn(place.host_id)
        await self._settle(connection, place, session.connected_players, session)
        self._funnel.entered()

    async def _into_room(self, connection: Connection, session_id: str) -> None:
        before = connection.standing.place
        if before is not None and before.session_id != session_id:
            await self._give_seat_up(connection, before)
            await self.let_out(connection, "moved")
        await self._settle(connection, Place(session_id, is_session=False), ())

    async def _settle(
        self, connection: Connection, place: Place, seated: Iterable[str], session: Session | None = None
    ) -> None:
        """Be in the room: first the peer itself is told, then the others."""
        with self._rooms.opening(place) as room:
            if session is not None:
                self._standing_by.note(room, session)
            listing = await self._tell_redis(connection, place)
            room.learn(listing, seated, self._presence.gateway_id)
            arrival = self._rooms.enter(room, connection, listing)
        if arrival is None:
            connection.give_way()
            return
        connection.standing = replace(connection.standing, place=room.place)  # facts may have come meanwhile
        self.show(connection, room.place)
        if room.place.fallback is not None:
            connection.say(room.place.fallback)
        self._rooms.tell_of(room, arrival)

    async def _tell_redis(self, connection: Connection, place: Place) -> Listing | None:
        mark = self._presence.mark(connection.connection_id)
        member = PLAYER + connection.peer_id
        try:
            return await self._presence.enter(place.session_id, member, mark, limited=not place.is_session)
        except UnavailableError:
            log.info("entering.unseen", session_id=place.session_id)  # others learn when Redis is back
            return None

    def show(self, connection: Connection, place: Place) -> None:
        """Tell the socket where it is and who else is there."""
        room = self._rooms.get(place.session_id)
        peers = tuple(peer for peer in room.members if peer != connection.peer_id) if room is not None else ()
        connection.say(
            SessionJoined(
                session_id=place.session_id,
                peers=peers,
                host_id=place.host_id,
                host_peer_id=place.host_peer_id,
                epoch=place.epoch,
                zone_id=place.zone_id,
                standby=room.standby if room is not None else None,
                ice_servers=self._ice.of(connection.peer_id, place.session_id, place.host_id),
                id=connection.answers_to,
            )
        )

    def _close(self, connection: Connection, former: Former) -> None:
        """Close the connection that the peer had before, unless the present one gave way itself to one elsewhere."""
        if former.here is not None:
            former.here.give_way()
        if former.elsewhere is not None and connection.wire.open:
            self.replace_elsewhere(connection, former.elsewhere)

    async def seated(self, connection: Connection, session: Session) -> None:
        """Take a socket in whose peer was given a seat without its doing; out of where it was, as it is told."""
        place = connection.standing.place
        with connection.moving():
            if place is not None:
                connection.say(SessionLeft(session_id=place.session_id, reason="moved"))
            await self._into_session(connection, session)

    async def go_out(self, connection: Connection, place: Place) -> None:
        """Leave, giving the seat up."""
        with connection.moving():
            await self._give_seat_up(connection, place)
            await self.let_out(connection, "left")
            connection.say(SessionLeft(session_id=place.session_id, reason="left", id=connection.answers_to))

    async def let_out(self, connection: Connection, reason: str, *, seat_kept: bool = False) -> bool:
        """Take the socket out of where it is; False when a newer one of the same peer stays in there."""
        place = connection.standing.place
        if place is None:
            return False
        connection.standing = replace(connection.standing, place=None)
        room = self._rooms.get(place.session_id)
        left = room is not None and self._rooms.leave(room, connection, reason)
        mark = self._presence.mark(connection.connection_id)
        await self._presence.leave(
            place.session_id, PLAYER + connection.peer_id, mark, seat_kept=seat_kept and place.is_session
        )
        return left

    async def depart(self, connection: Connection) -> None:
        """The socket is closed: the others hear it at once, session_manager starts the seat's clock."""
        self._connections.remove(connection)
        if connection.standing.peer_id is None:
            return
        place = connection.standing.place
        # A game client's seat too is there until session_manager has heard of it: who comes now is not to see it.
        left = await self.let_out(connection, connection.left_because, seat_kept=True)
        seat = place.session_id if left and place is not None and place.is_session else None
        self._announcer.disconnected(connection, seat)
        await self._hosting.depart(connection)
        await self._presence.release(connection.peer_id, self._presence.mark(connection.connection_id))

    def replaced(self, peer_id: str, connection_id: str) -> None:
        """A newer connection of the peer lives elsewhere."""
        connection = self._connections.of(peer_id)
        if connection is not None and connection.connection_id < connection_id:
            connection.give_way()

    def replace_elsewhere(self, connection: Connection, held: Mark) -> None:
        """Tell the gateway of the peer's older connection to close it."""
        word = Replaced(peer_id=connection.peer_id, connection_id=connection.connection_id)
        self._neighbours.replaced(held.gateway_id, word)

    async def _give_seat_up(self, connection: Connection, place: Place) -> None:
        if not place.is_session:
            return
        question = LeaveSession(session=place.session_id, player_id=connection.peer_id)
        try:
            await call(self._bus, LEAVE_SESSION, question)
        except RefusedError as error:
            if error.refusal.code not in {Code.PLAYER_NOT_FOUND, Code.SESSION_NOT_FOUND, Code.WRONG_STATE}:
                raise


def _hold_to_ticket(connection: Connection, session_id: str | None) -> None:
    """A ticket opens one session, by the name that it has there."""
    ticket = connection.entry.identity.session_id
    if ticket not in {None, session_id}:
        raise ForbiddenError(f"The ticket is for session {ticket} alone.")
