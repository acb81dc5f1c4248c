"""A peer says its name, goes into sessions and rooms, moves between them, and goes.

One connection does one of these at a time, in the order of its frames; connections side by side.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog
from chassis.bus import Bus
from chassis.refusals import RefusedError, ServiceError, UnavailableError
from chassis.requests import call
from contracts.frames import SessionJoined, SessionLeft
from contracts.gateway import Replaced
from contracts.refusals import Code
from contracts.sessions import (
    ENTER_ZONE,
    JOIN_SESSION,
    LEAVE_SESSION,
    EnterZone,
    JoinSession,
    LeaveSession,
    Session,
)

from signaling_gateway.access.entrance import Entrance
from signaling_gateway.cluster.announcer import Announcer
from signaling_gateway.cluster.neighbours import Neighbours
from signaling_gateway.cluster.presence import PLAYER, Listing, Mark, Presence
from signaling_gateway.peers.connections import Connection, Connections, is_far_ahead
from signaling_gateway.peers.conversation import Place, may_be_session
from signaling_gateway.rooms.hosting import Hosting, place_of
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.join_funnel import Funnel
from signaling_gateway.rooms.rooms import Rooms

log = structlog.stdlib.get_logger()

Evict = Callable[[], None]


class NoSuchSessionError(ServiceError):
    """Where everybody is asked who they are, a name that no session has is nobody's room."""

    code = Code.SESSION_NOT_FOUND


class Attendance:
    """Who is where, and what that makes the others hear."""

    def __init__(
        self,
        *,
        bus: Bus,
        connections: Connections,
        rooms: Rooms,
        presence: Presence,
        hosting: Hosting,
        announcer: Announcer,
        neighbours: Neighbours,
        funnel: Funnel,
        ice: IceServers,
        entrance: Entrance,
    ) -> None:
        self._bus = bus
        self._connections = connections
        self._rooms = rooms
        self._presence = presence
        self._hosting = hosting
        self._announcer = announcer
        self._neighbours = neighbours
        self._funnel = funnel
        self._ice = ice
        self._entrance = entrance

    async def name(self, connection: Connection, peer_id: str) -> Evict:
        """Give the connection its peer's name; the call given back ends the peer's older connection.

        It is for the caller to say when: after the new one has joined what it came to join, so that the others in
        there see one peer that stays and not one that goes and comes.
        """
        connection.entry = await self._entrance.name(connection.entry, peer_id)
        connection.standing = replace(connection.standing, peer_id=peer_id)
        older = self._connections.name(connection)
        connection.take_new_id(after=older.connection_id if older is not None else None)
        held = await self._claim(connection)
        if held is not None and held.connection_id > connection.connection_id:
            connection.give_way()  # a still newer one came meanwhile, elsewhere
        else:
            self._announcer.connected(connection)
            await self._hosting.identify(connection)

        def evict() -> None:
            if older is not None:
                older.give_way()
            if held is not None and held.gateway_id != self._presence.gateway_id and connection.wire.open:
                self.replace_elsewhere(connection, held)

        return evict

    def replace_elsewhere(self, connection: Connection, held: Mark) -> None:
        """Tell the gateway of the peer's older connection to close it."""
        word = Replaced(peer_id=connection.peer_id, connection_id=connection.connection_id)
        self._neighbours.replaced(held.gateway_id, word)

    def replaced(self, peer_id: str, connection_id: str) -> None:
        """A newer connection of the peer lives elsewhere."""
        connection = self._connections.of(peer_id)
        if connection is not None and connection.connection_id < connection_id:
            connection.give_way()

    async def enter(self, connection: Connection, session_id: str) -> None:
        """Go into a session, by taking a seat, or into the ad-hoc room of that name when there is no such session."""
        if may_be_session(session_id):
            with connection.moving():
                question = JoinSession(session=session_id, player_id=connection.peer_id, socket=True)
                try:
                    session = await call(self._bus, JOIN_SESSION, question)
                except RefusedError as error:
                    if error.refusal.code is not Code.SESSION_NOT_FOUND:
                        raise
                else:
                    await self._into_session(connection, session)
                    return
        if not connection.entry.trusting:
            raise NoSuchSessionError(f"There is no session {session_id}.")
        with connection.moving():
            await self._into_room(connection, session_id)

    async def enter_zone(self, connection: Connection, zone_id: str) -> None:
        """Go into a session of the zone that has room, or into a new one."""
        with connection.moving():
            question = EnterZone(zone_id=zone_id, player_id=connection.peer_id, socket=True)
            session = await call(self._bus, ENTER_ZONE, question)
            await self._into_session(connection, session)

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
                ice_servers=self._ice.of(connection.peer_id),
                id=connection.answers_to,
            )
        )

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
        left = await self.let_out(connection, connection.left_because, seat_kept=not connection.speaks_warp)
        seat = place.session_id if left and place is not None and place.is_session else None
        self._announcer.disconnected(connection, seat)
        await self._hosting.depart(connection)
        await self._presence.release(connection.peer_id, self._presence.mark(connection.connection_id))

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

    async def _into_session(self, connection: Connection, session: Session) -> None:
        place = place_of(session)
        if connection.standing.place is not None and connection.standing.place.session_id != place.session_id:
            await self.let_out(connection, "moved")
        connection.seated_at = session.updated_at
        self._announcer.entered(connection, place.session_id)
        host = self._connections.of(session.host_peer_id)
        if host is not None and host is not connection:
            await self._hosting.assign(host, session)
        await self._settle(connection, place, session.connected_players)
        self._funnel.entered()

    async def _into_room(self, connection: Connection, session_id: str) -> None:
        before = connection.standing.place
        if before is not None and before.session_id != session_id:
            await self._give_seat_up(connection, before)
            await self.let_out(connection, "moved")
        await self._settle(connection, Place(session_id, is_session=False), ())

    async def _settle(self, connection: Connection, place: Place, seated: Iterable[str]) -> None:
        """Be in the room: first the peer itself is told, then the others."""
        with self._rooms.opening(place) as room:
            listing = await self._tell_redis(connection, place)
            room.learn(listing, seated, self._presence.gateway_id)
            tell_the_others = self._rooms.enter(room, connection, listing)
        if tell_the_others is None:
            connection.give_way()
            return
        connection.standing = replace(connection.standing, place=room.place)  # facts may have come meanwhile
        self.show(connection, room.place)
        if room.place.fallback is not None:
            connection.say(room.place.fallback)
        tell_the_others()

    async def _tell_redis(self, connection: Connection, place: Place) -> Listing | None:
        mark = self._presence.mark(connection.connection_id)
        member = PLAYER + connection.peer_id
        try:
            return await self._presence.enter(place.session_id, member, mark, limited=not place.is_session)
        except UnavailableError:
            log.info("attendance.entered_unseen", session_id=place.session_id)  # others learn when Redis is back
            return None

    async def _give_seat_up(self, connection: Connection, place: Place) -> None:
        if not place.is_session:
            return
        question = LeaveSession(session=place.session_id, player_id=connection.peer_id)
        try:
            await call(self._bus, LEAVE_SESSION, question)
        except RefusedError as error:
            if error.refusal.code not in {Code.PLAYER_NOT_FOUND, Code.SESSION_NOT_FOUND, Code.WRONG_STATE}:
                raise
