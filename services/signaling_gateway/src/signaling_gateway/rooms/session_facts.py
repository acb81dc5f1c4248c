"""What session_manager's and host_registry's facts change for the sockets here."""

from dataclasses import replace

import structlog
from chassis.refusals import UnavailableError
from contracts.frames import HostMigrated, SessionEnded, SessionLeft
from contracts.hosts import HostFact
from contracts.sessions import Session, SessionFact

from signaling_gateway.cluster.presence import Presence
from signaling_gateway.peers.connections import Connection, Connections
from signaling_gateway.peers.conversation import Place
from signaling_gateway.rooms.entering import Entering
from signaling_gateway.rooms.hosting import FINAL, HOST_LOST, Hosting, place_of
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.room import Room
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.standing_by import StandingBy

log = structlog.stdlib.get_logger()


class SessionFacts:
    """One session's facts come in order, sessions side by side; a fact that says what is known changes nothing."""

    def __init__(
        self,
        *,
        connections: Connections,
        rooms: Rooms,
        presence: Presence,
        hosting: Hosting,
        standing_by: StandingBy,
        entering: Entering,
        ice: IceServers,
    ) -> None:
        self._connections = connections
        self._rooms = rooms
        self._presence = presence
        self._hosting = hosting
        self._standing_by = standing_by
        self._entering = entering
        self._ice = ice

    async def session_changed(self, fact: SessionFact) -> None:
        """A session was created, joined, left, ended and so on."""
        host = self._connections.of(fact.session.host_peer_id)
        if fact.session.status in FINAL:
            await self._over(fact, host)
            return
        await self._follow_host(fact)
        if host is not None:
            await self._hosting.assign(host, fact.session)
        await self._standing_by.follow(fact.session, fact.reason)
        for player in fact.players_joined:
            await self._seat_taken(fact.session, player, by_socket=fact.by_socket)
        for player in fact.players_left:
            await self._seat_freed(fact, player)

    async def host_registered(self, fact: HostFact) -> None:
        """A machine was made a host, or renewed itself; its socket may have been here before."""
        connection = self._connections.of(fact.host.peer_id)
        if connection is not None and connection.standing.host_id != fact.host_id:
            await self._hosting.recognise(connection, fact.host_id)

    async def host_deleted(self, fact: HostFact) -> None:
        """A host is no more; what it hosted ends by facts of its own. Its name may be another's by now."""
        connection = self._connections.of(fact.host.peer_id)
        if connection is not None and connection.standing.host_id == fact.host_id:
            connection.standing = replace(connection.standing, host_id=None)
            await self._hosting.identify(connection)

    async def _follow_host(self, fact: SessionFact) -> None:
        """Have those here know who hosts them, another one or nobody for now, and the host that was that it is not."""
        if self._rooms.get(fact.session_id) is None:
            return
        await self._ice.learn(fact.session.host_id)
        room = self._rooms.get(fact.session_id)
        if room is None:
            return
        reason = HOST_LOST if fact.reason is None or fact.players_left else fact.reason
        now = place_of(fact.session, reason)
        if now.is_before(room.place):
            return
        room.follow(now)
        for player in [socket for socket in room.sockets.values() if _is_in(socket, fact.session_id)]:
            if player.standing.place != now:
                player.standing = replace(player.standing, place=now)
                self._tell_of_host(player, now, reason)
        if room.host is not None and room.host.peer_id != now.host_peer_id:
            await self._hosting.release(room.host, fact.session_id, reason)

    def _tell_of_host(self, player: Connection, place: Place, reason: str) -> None:
        """Of one that is looked for nothing is said: who it is, or that there is none, comes within a second."""
        if place.fallback is not None:
            player.say(place.fallback)
        elif place.host_id is not None:
            player.say(
                HostMigrated(
                    session_id=place.session_id,
                    host_id=place.host_id,
                    host_peer_id=place.host_peer_id,
                    epoch=place.epoch,
                    reason=reason,
                    ice_servers=self._ice.of(player.peer_id, place.session_id, place.host_id),
                )
            )

    async def _seat_taken(self, session: Session, player: str, *, by_socket: bool) -> None:
        """Tell of a player that joined without a socket; of one that has one, the gateway that holds it tells.

        Only so does a joiner's own `session-joined` come before the others' `peer-joined`. A socket that took the seat
        and is nowhere is gone by now, which its gateway has told: this fact is late.
        """
        session_id = session.session_id
        if (connection := self._connections.of(player)) is not None:
            await self._seat_given(connection, session)
            return
        room = self._rooms.get(session_id)
        if room is None or player in room.members:
            return
        try:
            if await self._presence.where(player) is not None or by_socket:
                return
        except UnavailableError:
            log.info("session_facts.presence_unknown", session_id=session_id)
        room = self._rooms.get(session_id)
        if room is not None and player not in room.members:
            self._rooms.came(room, player, None)

    async def _seat_given(self, connection: Connection, session: Session) -> None:
        """Take the socket in, if it was not itself that asked: over REST, say."""
        asked = connection.is_moving or _is_in(connection, session.session_id)
        stale = connection.seated_at is not None and session.updated_at <= connection.seated_at
        hosts = connection.standing.host_id is not None or connection.speaks_warp
        if not (asked or stale or hosts):
            await self._entering.seated(connection, session)

    async def _seat_freed(self, fact: SessionFact, player: str) -> None:
        connection = self._connections.of(player)
        if connection is not None and _is_in(connection, fact.session_id):
            stale = connection.seated_at is not None and fact.session.updated_at <= connection.seated_at
            if not stale and not connection.is_moving:
                connection.say(SessionLeft(session_id=fact.session_id, reason=fact.reason or "left"))
                await self._entering.let_out(connection, fact.reason or "left")
            return
        room = self._rooms.get(fact.session_id)
        if room is not None:
            self._rooms.went(room, player, None, fact.reason or "left")

    async def _over(self, fact: SessionFact, host: Connection | None) -> None:
        """Everybody out: nobody is told of the others' going any more."""
        reason = fact.reason or fact.session.end_reason or fact.session.status
        if host is not None:
            await self._hosting.release(host, fact.session_id, reason)
        room = self._rooms.get(fact.session_id)
        if room is None:
            return
        self._standing_by.over(room, reason)
        going = [connection for connection in room.sockets.values() if _is_in(connection, fact.session_id)]
        self._empty(room)
        for connection in going:
            connection.say(SessionEnded(session_id=fact.session_id, reason=reason))
            await self._entering.let_out(connection, reason)

    def _empty(self, room: Room) -> None:
        room.sockets.clear()
        room.members.clear()
        self._rooms.close_if_empty(room)


def _is_in(connection: Connection, session_id: str) -> bool:
    place = connection.standing.place
    return place is not None and place.session_id == session_id
