"""Who stands by for the sessions here, and what players, hosts and the standbys themselves are told of it.

What session_manager says comes in facts and answers, in any order: the newest moment of a session counts.
"""

from dataclasses import replace
from types import MappingProxyType

from chassis.refusals import UnavailableError
from contracts.frames import SessionStandby, StandbyAssigned, StandbyReleased
from contracts.sessions import Session, Standby

from signaling_gateway.cluster.presence import Listing, Presence
from signaling_gateway.peers.connections import Connection, Connections
from signaling_gateway.peers.conversation import Place
from signaling_gateway.rooms.room import Room
from signaling_gateway.rooms.rooms import Rooms

LET_GO = "standby_changed"
"""What a standby is told that is let go, if nothing more is known."""


class StandingBy:
    """The standbys of the rooms here, and the sockets here that stand by."""

    def __init__(self, *, connections: Connections, rooms: Rooms, presence: Presence) -> None:
        self._connections = connections
        self._rooms = rooms
        self._presence = presence

    async def follow(self, session: Session, reason: str | None = None) -> None:
        """Take what session_manager says, and tell those here whom it concerns."""
        room = self._rooms.get(session.session_id)
        if room is not None and not self.note(room, session, reason):
            return
        standby = session.standby
        socket = None if standby is None else self._connections.of(standby.host_peer_id)
        if standby is not None and socket is not None and socket.standing.host_id == standby.host_id:
            await self._assign(socket, session, standby)

    def note(self, room: Room, session: Session, reason: str | None = None) -> bool:
        """Have the room know its standby; False where what it knows is newer."""
        if room.standby_as_of is not None and session.updated_at < room.standby_as_of:
            return False
        room.standby_as_of = session.updated_at
        if room.standby == session.standby:
            return True
        former, room.standby, room.standby_mark = room.standby_socket, session.standby, None
        room.looked_at = float("-inf")
        if former is not None:
            self._release(former, room, reason or LET_GO)
        told = SessionStandby(session_id=session.session_id, epoch=session.epoch, standby=session.standby)
        for connection in (*room.sockets.values(), *([room.host] if room.host is not None else [])):
            connection.say(told)
        return True

    def over(self, room: Room, reason: str) -> None:
        """The session is over."""
        if room.standby_socket is not None:
            self._release(room.standby_socket, room, reason)
        room.standby = None

    def depart(self, socket: Connection) -> None:
        """A socket closed that may have stood by."""
        for session_id in socket.standing.stands_by:
            room = self._rooms.get(session_id)
            if room is not None and room.standby_socket is socket:
                room.standby_socket = None
                self._rooms.close_if_empty(room)

    async def _assign(self, socket: Connection, session: Session, standby: Standby) -> None:
        """Tell the host that it stands by, once in each epoch."""
        place = Place(
            session.session_id,
            is_session=True,
            host_id=session.host_id,
            host_peer_id=session.host_peer_id,
            epoch=session.epoch,
            zone_id=session.zone_id,
        )
        if socket.speaks_warp or not socket.entry.may_host(standby.host_id):
            return
        if socket.standing.stands_by.get(place.session_id) == place:
            return
        with self._rooms.opening(place) as room:
            room.standby, room.standby_socket, room.standby_mark = standby, socket, None
            room.standby_as_of = session.updated_at
            stands_by = {**socket.standing.stands_by, place.session_id: place}
            socket.standing = replace(socket.standing, stands_by=MappingProxyType(stands_by))
            socket.say(
                StandbyAssigned(
                    session_id=session.session_id,
                    zone_id=session.zone_id,
                    epoch=session.epoch,
                    players=session.connected_players,
                )
            )
            room.learn(await self._look(place.session_id), session.connected_players, self._presence.gateway_id)

    async def _look(self, session_id: str) -> Listing | None:
        try:
            return await self._presence.look(session_id)
        except UnavailableError:
            return None

    def _release(self, socket: Connection, room: Room, reason: str) -> None:
        session_id = room.place.session_id
        stands_by = {name: kept for name, kept in socket.standing.stands_by.items() if name != session_id}
        socket.standing = replace(socket.standing, stands_by=MappingProxyType(stands_by))
        room.standby_socket = None
        if session_id not in socket.standing.hosted:
            socket.say(StandbyReleased(session_id=session_id, reason=reason))
        self._rooms.close_if_empty(room)
