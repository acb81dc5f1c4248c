"""Sessions and ad-hoc rooms that have a socket here: who is in them, and what our sockets have been told of it.

One room at a time changes without a pause in between, so that a socket hears of a member only when that changes
something: what comes twice (from session_manager, from Redis, from another gateway) is told once.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from contracts.frames import FrameOut, PeerJoined, PeerLeft
from contracts.gateway import RoomPresence

from signaling_gateway.codec import written
from signaling_gateway.connections import Connection
from signaling_gateway.conversation import Place
from signaling_gateway.presence import Listing

Tell = Callable[[str, RoomPresence], None]
"""Tells another gateway."""


class Room:
    """One session or ad-hoc room, as this gateway knows it."""

    __slots__ = (
        "_known",
        "_opening",
        "_went",
        "changes",
        "host",
        "host_gateway",
        "looked_at",
        "members",
        "place",
        "sockets",
        "told_active_at",
    )

    def __init__(self, place: Place) -> None:
        self.place = place
        self.sockets: dict[str, Connection] = {}
        """Players here."""
        self.host: Connection | None = None
        """The host, if it is here."""
        self.host_gateway: str | None = None
        self.members: dict[str, str | None] = {}
        """Every player our sockets know of, and its gateway; None has a seat and no socket (it signals over HTTP)."""
        self.told_active_at = float("-inf")
        self.looked_at = float("-inf")
        self.changes = 0
        """When session_manager last heard of it, when Redis was last asked who is in it, how often that changed."""
        self._known = False
        self._opening = 0
        self._went: set[str] = set()

    @property
    def empty(self) -> bool:
        return not self.sockets and self.host is None and not self._opening

    def receiver(self, to: str) -> Connection | str | None:
        """Who takes what is sent to a member: its connection, its gateway, or nobody we know of."""
        here = self.sockets.get(to)
        if here is not None:
            return here
        if to == self.place.host_peer_id:
            return self.host or self.host_gateway
        return self.members.get(to)

    def opening(self) -> None:
        """Somebody is about to enter: what is heard from now on is newer than the listing that comes."""
        self._opening += 1

    def opened(self, listing: Listing | None, seated: Iterable[str], gateway_id: str) -> None:
        """Learn who was there, unless we know already, and better."""
        self._opening -= 1
        if not self._known:
            self._known = True
            self._learn(listing, seated, gateway_id)
        if not self._opening:
            self._went.clear()

    def _learn(self, listing: Listing | None, seated: Iterable[str], gateway_id: str) -> None:
        there = dict(listing.players) if listing else {}
        gone = (listing.gone if listing else frozenset()) | self._went
        for peer in seated:
            if peer not in gone and peer not in there:
                self.members.setdefault(peer, None)
        for peer, mark in there.items():
            if peer not in gone and mark.gateway_id != gateway_id:
                self.members[peer] = mark.gateway_id
        if listing and self.host is None and self.host_gateway is None:
            self.host_gateway = listing.gateway_of_host(self.place.host_peer_id)

    def went(self, peer: str) -> None:
        if self._opening:
            self._went.add(peer)

    def gateways(self) -> set[str]:
        """The gateways that have somebody in it."""
        there = {gateway for gateway in self.members.values() if gateway is not None}
        if self.host_gateway is not None:
            there.add(self.host_gateway)  # not ours: while the host is here, `host` says so
        return there


class Rooms:
    """The rooms of this gateway."""

    def __init__(self, gateway_id: str, tell: Tell) -> None:
        self._gateway_id = gateway_id
        self._tell = tell
        self._rooms: dict[str, Room] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def counted_here(self) -> int:
        """How many are this gateway's to count: of the gateways that share one, one counts it."""
        return sum(self._gateway_id == min(room.gateways() | {self._gateway_id}) for room in self)

    def get(self, room_id: str) -> Room | None:
        return self._rooms.get(room_id)

    def open(self, place: Place) -> Room:
        """The room, made if need be; the place is as its owner says now."""
        room = self._rooms.get(place.session_id)
        if room is None:
            room = self._rooms[place.session_id] = Room(place)
        room.place = place
        return room

    def close_if_empty(self, room: Room) -> None:
        if room.empty and self._rooms.get(room.place.session_id) is room:
            del self._rooms[room.place.session_id]

    def enter(self, room: Room, connection: Connection, listing: Listing | None) -> Callable[[], None]:
        """Let a player's socket in; the call given back tells the others, once the player itself has been told."""
        peer = connection.peer_id
        known = peer in room.members
        others = (room.gateways() | (listing.gateways if listing else set())) - {self._gateway_id}
        room.sockets[peer] = connection
        room.members[peer] = self._gateway_id

        def tell_the_others() -> None:
            if not known:
                self._announce(room, peer, PeerJoined(peer_id=peer), but=connection)
            self._publish(room, others, peer, present=True)

        return tell_the_others

    def leave(self, room: Room, connection: Connection, reason: str) -> bool:
        """Let a player's socket out and tell the others; False if a newer connection of the player is in."""
        peer = connection.peer_id
        if room.sockets.get(peer) is not connection:
            return False
        del room.sockets[peer]
        ours = room.members.get(peer) == self._gateway_id
        if ours:
            self._drop(room, peer, reason)
            self._publish(room, room.gateways() - {self._gateway_id}, peer, present=False, reason=reason)
        self.close_if_empty(room)
        return ours

    def tell_of_host(self, room: Room, host: Connection, listing: Listing | None) -> None:
        """Tell the other gateways that the host's socket is here; players are not told."""
        others = (room.gateways() | (listing.gateways if listing else set())) - {self._gateway_id}
        self._publish(room, others, host.peer_id, present=True, host=True)

    def unseat_host(self, room: Room, connection: Connection) -> bool:
        """Let the host's socket out; False if a newer connection of the host is in."""
        if room.host is not connection:
            return False
        room.host = None
        self._publish(room, room.gateways() - {self._gateway_id}, connection.peer_id, present=False, host=True)
        self.close_if_empty(room)
        return True

    def tell_again(self, room: Room, listing: Listing) -> None:
        """Tell the other gateways of everybody here: they may have thought us dead."""
        others = (room.gateways() | listing.gateways) - {self._gateway_id}
        for peer, connection in room.sockets.items():
            if connection.wire.open:  # else a newer one is elsewhere, and ours is about to go
                self._publish(room, others, peer, present=True)
        if room.host is not None:
            self._publish(room, others, room.host.peer_id, present=True, host=True)

    def hear(self, news: RoomPresence) -> None:
        """Another gateway says who came or went there."""
        room = self._rooms.get(news.room)
        if room is None:
            return
        if news.host:
            self._hear_of_host(room, news)
        elif news.present:
            self.came(room, news.peer_id, news.gateway_id)
        elif room.members.get(news.peer_id, news.gateway_id) == news.gateway_id:
            self._drop(room, news.peer_id, news.reason or "disconnected")

    def _hear_of_host(self, room: Room, news: RoomPresence) -> None:
        if news.present:
            room.host_gateway = news.gateway_id
        elif room.host_gateway == news.gateway_id:
            room.host_gateway = None

    def came(self, room: Room, peer: str, gateway_id: str | None) -> None:
        """A player is in the room elsewhere, or has a seat without a socket."""
        known = peer in room.members
        room.members[peer] = gateway_id
        room.changes += 1
        if not known:
            self._announce(room, peer, PeerJoined(peer_id=peer))

    def seat_freed(self, room: Room, peer: str, reason: str) -> None:
        """A player without a socket gave its seat up; whose socket is somewhere, of that its gateway speaks."""
        if peer in room.members and room.members[peer] is None:
            self._drop(room, peer, reason)

    def reconcile(self, room: Room, listing: Listing, as_of: int) -> None:
        """Believe Redis: let in whom it names, let go whom other gateways had and it doesn't name.

        `as_of` is the room's `changes` when Redis was asked; what has been heard since is newer.
        """
        if room.changes != as_of:
            return
        for peer, mark in listing.players.items():
            if mark.gateway_id != self._gateway_id:
                self.came(room, peer, mark.gateway_id)
        for peer, gateway in list(room.members.items()):
            if gateway not in {None, self._gateway_id} and peer not in listing.players:
                self._drop(room, peer, "disconnected")
        if room.host is None:
            room.host_gateway = listing.gateway_of_host(room.place.host_peer_id)

    def gateway_died(self, gateway_id: str) -> None:
        """Let go of everybody whom a gateway had that is no more."""
        for room in self:
            if room.host_gateway == gateway_id:
                room.host_gateway = None
            for peer, gateway in list(room.members.items()):
                if gateway == gateway_id:
                    self._drop(room, peer, "disconnected")

    def _drop(self, room: Room, peer: str, reason: str) -> None:
        room.went(peer)
        room.changes += 1
        if peer in room.members:
            del room.members[peer]
            self._announce(room, peer, PeerLeft(peer_id=peer, reason=reason))

    def _announce(self, room: Room, peer: str, frame: PeerJoined | PeerLeft, *, but: Connection | None = None) -> None:
        """Tell the sockets of the room here, but the peer's own."""
        if room.sockets:
            text = written(frame)
            for other, connection in list(room.sockets.items()):
                if other != peer and connection is not but:
                    connection.wire.write(text)
        if room.host is not None:
            named: FrameOut = frame.model_copy(update={"session_id": room.place.session_id})
            room.host.say(named)

    def _publish(
        self, room: Room, gateways: set[str], peer: str, *, present: bool, host: bool = False, reason: str | None = None
    ) -> None:
        news = RoomPresence(
            room=room.place.session_id,
            peer_id=peer,
            gateway_id=self._gateway_id,
            host=host,
            present=present,
            reason=reason,
            occurred_at=datetime.now(UTC),
        )
        for gateway in gateways:
            self._tell(gateway, news)
