"""What hosts' sockets are told: which sessions are theirs, from session_manager's answers and facts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import MappingProxyType

import structlog
from chassis.bus import Bus
from chassis.refusals import RefusedError, ServiceError, UnavailableError
from chassis.requests import call
from contracts.frames import PeerJoined, SessionAssigned, SessionFallback, SessionReleased
from contracts.hosts import FIND_PEER_HOST, NamePeer
from contracts.refusals import Code
from contracts.sessions import GET_SESSION, LIST_SESSIONS, ListSessions, NameSession, Session, SessionStatus

from signaling_gateway.background import Background
from signaling_gateway.cluster.announcer import Announcer
from signaling_gateway.cluster.presence import HOST, Listing, Presence
from signaling_gateway.peers.connections import Connection, Connections
from signaling_gateway.peers.conversation import Place
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.standing_by import StandingBy

log = structlog.stdlib.get_logger()

HOST_LOST = "host_lost"
"""What is told of a fallback whose reason was told before, to those who come back to it."""

MIGRATED = "migrated"
"""What a host is told whose session has another one, if nothing more is known."""

FINAL = frozenset({SessionStatus.ENDED, SessionStatus.FAILED})


def place_of(session: Session, reason: str = HOST_LOST) -> Place:
    """Where one is in this session; one that is migrating or, for this reason, in fallback has no host to speak to."""
    hostless = Place(session.session_id, is_session=True, epoch=session.epoch, zone_id=session.zone_id)
    if session.status is SessionStatus.MIGRATING:
        return hostless
    if session.status is not SessionStatus.FALLBACK:
        return replace(hostless, host_id=session.host_id, host_peer_id=session.host_peer_id)
    return replace(
        hostless,
        fell_back=True,
        fallback=SessionFallback(session_id=session.session_id, reason=reason, endpoint=session.fallback_endpoint),
    )


class Hosting:
    """Hosts and the sessions they host."""

    def __init__(
        self,
        *,
        bus: Bus,
        connections: Connections,
        rooms: Rooms,
        presence: Presence,
        announcer: Announcer,
        standing_by: StandingBy,
    ) -> None:
        self._bus = bus
        self._connections = connections
        self._rooms = rooms
        self._presence = presence
        self._announcer = announcer
        self._standing_by = standing_by

    async def identify(self, connection: Connection) -> None:
        """Find out if the peer is a host; if nobody can say now, `unidentified` has it asked again."""
        if connection.speaks_warp:
            return
        connection.unidentified = True
        try:
            host = (await call(self._bus, FIND_PEER_HOST, NamePeer(peer_id=connection.peer_id))).host
            if host is not None:
                await self.recognise(connection, host.host_id)
        except ServiceError as error:
            log.debug("hosting.not_identified", peer_id=connection.peer_id, code=error.refusal.code)
            return
        connection.unidentified = False

    async def recognise(self, connection: Connection, host_id: str) -> None:
        """Treat the socket as this host's, and tell it of its sessions; a WARP client hosts none, whatever its name."""
        if connection.speaks_warp or not connection.entry.may_host(host_id):
            return
        self._name(connection, host_id)
        async for session in self._live_sessions(host_id=host_id):
            await self.assign(connection, session)
        async for session in self._live_sessions(standby_host_id=host_id):
            await self._standing_by.follow(session)

    async def assign(self, host: Connection, session: Session) -> None:
        """Tell the host that the session is its, once in each epoch; one in fallback is nobody's.

        An answer of session_manager may be older than a fact of the same session, by which it is another's by now.
        """
        place = place_of(session)
        if place.host_id is None or host.speaks_warp or host.standing.hosted.get(place.session_id) == place:
            return
        if not host.entry.may_host(place.host_id):  # a player's token, whose peer has a host's name
            return
        self._name(host, place.host_id)
        with self._rooms.opening(place) as room:
            if place.is_before(room.place):
                return
            former, room.host = room.host, host
            room.host_mark = None
            hosted = {**host.standing.hosted, place.session_id: place}
            host.standing = replace(host.standing, hosted=MappingProxyType(hosted))
            host.say(_assigned(session))
            if former is not None and former.peer_id != host.peer_id:
                await self.release(former, place.session_id, MIGRATED)
            listing = await self._enter(host, place)
            room.learn(listing, session.connected_players, self._presence.gateway_id)
            if room.host is host:
                self._rooms.tell_of_host(room, host, listing)
                for peer in room.members.keys() - set(session.connected_players):
                    host.say(PeerJoined(peer_id=peer, session_id=place.session_id))
            else:  # it closed, or lost the session, while Redis was asked
                await self._leave(host, place)

    async def release(self, host: Connection, session_id: str, reason: str) -> None:
        """Tell the host that the session is its no longer."""
        place = host.standing.hosted.get(session_id)
        if place is None:
            return
        hosted = {name: kept for name, kept in host.standing.hosted.items() if name != session_id}
        host.standing = replace(host.standing, hosted=MappingProxyType(hosted))
        host.say(SessionReleased(session_id=session_id, reason=reason))
        room = self._rooms.get(session_id)
        if room is not None:
            self._rooms.unseat_host(room, host)
        await self._leave(host, place)

    async def depart(self, host: Connection) -> None:
        """The host's socket closed."""
        self._standing_by.depart(host)
        for place in host.standing.hosted.values():
            room = self._rooms.get(place.session_id)
            if room is not None:
                self._rooms.unseat_host(room, host)
        for place in host.standing.hosted.values():
            await self._leave(host, place)

    async def confirm(self, peer_id: str, session_id: str) -> None:
        """Ask whether a socket of ours hosts a session we have not heard of yet, or stands by; then that is told."""
        connection = self._connections.of(peer_id)
        if connection is None:
            return
        try:
            session = await call(self._bus, GET_SESSION, NameSession(session=session_id))
        except RefusedError as error:
            if error.refusal.code is not Code.SESSION_NOT_FOUND:
                raise
            return
        if session.host_peer_id == peer_id and session.status not in FINAL:
            await self.assign(connection, session)
        elif session.status not in FINAL:
            await self._standing_by.follow(session)

    def _name(self, connection: Connection, host_id: str) -> None:
        if connection.standing.host_id != host_id:
            connection.standing = replace(connection.standing, host_id=host_id)
            self._announcer.connected(connection)

    async def _live_sessions(self, **of: str) -> AsyncIterator[Session]:
        cursor: str | None = None
        while True:
            question = ListSessions.model_validate({**of, "live": True, "cursor": cursor})
            page = await call(self._bus, LIST_SESSIONS, question)
            for session in page.items:
                yield session
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _enter(self, host: Connection, place: Place) -> Listing | None:
        mark = self._presence.mark(host.connection_id)
        try:
            return await self._presence.enter(place.session_id, HOST + host.peer_id, mark, limited=False)
        except UnavailableError:
            return None  # other gateways learn of it when Redis is back

    async def _leave(self, host: Connection, place: Place) -> None:
        mark = self._presence.mark(host.connection_id)
        await self._presence.leave(place.session_id, HOST + host.peer_id, mark, seat_kept=False)


def _assigned(session: Session) -> SessionAssigned:
    return SessionAssigned(
        session_id=session.session_id,
        zone_id=session.zone_id,
        epoch=session.epoch,
        players=session.connected_players,
    )


class Doubts:
    """Messages for a host about a session it has not been told of: held, in order, while session_manager is asked.

    A player may know its session, and send an offer, before the fact of its creation has come to the host's gateway.
    """

    def __init__(self, hosting: Hosting, background: Background) -> None:
        self._hosting = hosting
        self._background = background
        self._held: dict[tuple[str, str], list[Callable[[], Awaitable[None]]]] = {}

    def hold(self, peer_id: str, session_id: str, deliver: Callable[[], Awaitable[None]]) -> None:
        """Ask about the session, unless that is under way, and `deliver` when there is an answer."""
        key = (peer_id, session_id)
        if key in self._held:
            self._held[key].append(deliver)
            return
        self._held[key] = [deliver]
        self._background.send(self._settle(key))

    def holds(self, peer_id: str, session_id: str) -> bool:
        """Whether messages wait that later ones must not overtake."""
        return (peer_id, session_id) in self._held

    async def _settle(self, key: tuple[str, str]) -> None:
        try:
            await self._hosting.confirm(*key)
        except ServiceError as error:
            log.info("hosting.not_confirmed", session_id=key[1], code=error.refusal.code)
        finally:
            for deliver in self._held.pop(key):
                await deliver()
