"""Sessions and ad-hoc rooms that have a socket here, and what these sockets are told of who comes and goes.

A room changes without a pause in between, so that a socket hears of a member only when that changes something: what
comes twice (from session_manager, from Redis, from another gateway) is told once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.frames import PeerJoined, PeerLeft
from contracts.gateway import RoomPresence

from signaling_gateway.cluster.presence import Listing, Mark
from signaling_gateway.peers.connections import Connection
from signaling_gateway.peers.conversation import Place
from signaling_gateway.peers.frames import written
from signaling_gateway.rooms.room import Room

Tell = Callable[[str, RoomPresence], None]
"""Tells another gateway."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A player's socket that has come in, and whom to tell."""

    peer: str
    mark: Mark
    is_news: bool
    """To the sockets here: else the player was there before, in another socket."""
    gateways: set[str]


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
        return sum(room.played and self._gateway_id == min(room.gateways | {self._gateway_id}) for room in self)

    def get(self, room_id: str) -> Room | None:
        return self._rooms.get(room_id)

    @contextmanager
    def opening(self, place: Place) -> Iterator[Room]:
        """The room, for somebody who enters it in the block; it closes if nobody is in it then."""
        room = self._rooms.setdefault(place.session_id, Room(place))
        room.follow(place)
        room.open()
        try:
            yield room
        finally:
            room.opened()
            self.close_if_empty(room)

    def close_if_empty(self, room: Room) -> None:
        if room.empty and self._rooms.get(room.place.session_id) is room:
            del self._rooms[room.place.session_id]

    def enter(self, room: Room, connection: Connection, listing: Listing | None) -> Arrival | None:
        """Let a player's socket in, without a word to the others; None when a newer one of the player is in."""
        peer = connection.peer_id
        mark = self._mark(connection)
        newest = listing.players.get(peer, mark) if listing is not None else mark
        known = peer in room.members
        others = self._others(room, listing)
        if newest.connection_id > mark.connection_id or not room.move(peer, mark):
            return None
        room.sockets[peer] = connection
        return Arrival(peer, mark, not known, others)

    def tell_of(self, room: Room, arrival: Arrival) -> None:
        """Tell the others of who came, once it has been told itself."""
        if arrival.is_news:
            _announce(room, arrival.peer, PeerJoined(peer_id=arrival.peer))
        self._publish(room, arrival.gateways, arrival.peer, arrival.mark)

    def leave(self, room: Room, connection: Connection, reason: str) -> bool:
        """Let a player's socket out and tell the others; False if a newer one of the player is in."""
        peer = connection.peer_id
        if room.sockets.get(peer) is not connection:
            return False
        del room.sockets[peer]
        mark = self._mark(connection)
        left = room.remove(peer, mark)
        if left:
            _announce(room, peer, PeerLeft(peer_id=peer, reason=reason))
            self._publish(room, self._others(room), peer, mark, present=False, reason=reason)
        self.close_if_empty(room)
        return left

    def tell_of_host(self, room: Room, host: Connection, listing: Listing | None) -> None:
        """Tell the other gateways that the host's socket is here; players are not told."""
        self._publish(room, self._others(room, listing), host.peer_id, self._mark(host), host=True)

    def unseat_host(self, room: Room, connection: Connection) -> None:
        """Let the host's socket out, unless a newer one of the host is in."""
        if room.host is not connection:
            return
        room.host = None
        mark = self._mark(connection)
        self._publish(room, self._others(room), connection.peer_id, mark, host=True, present=False)
        self.close_if_empty(room)

    def tell_again(self, room: Room, listing: Listing) -> None:
        """Tell the other gateways of everybody here: they may have thought us dead."""
        others = self._others(room, listing)
        for peer, connection in room.sockets.items():
            self._publish(room, others, peer, self._mark(connection))
        if room.host is not None:
            self.tell_of_host(room, room.host, listing)

    def hear(self, news: RoomPresence) -> None:
        """Another gateway says who came or went there."""
        room = self._rooms.get(news.room)
        if room is None:
            return
        mark = Mark(news.connection_id, news.gateway_id)
        match news.host, news.present:
            case True, True:
                room.move_host(mark)
            case True, False:
                room.host_mark = None if room.host_mark == mark else room.host_mark
            case False, True:
                self.came(room, news.peer_id, mark)
            case _:
                self.went(room, news.peer_id, mark, news.reason or "disconnected")

    def came(self, room: Room, peer: str, mark: Mark | None) -> None:
        """A player is in the room elsewhere, or has a seat without a socket."""
        known = peer in room.members
        if room.move(peer, mark) and not known:
            _announce(room, peer, PeerJoined(peer_id=peer))

    def went(self, room: Room, peer: str, mark: Mark | None, reason: str) -> None:
        """A player's socket elsewhere is gone, or its seat if it has no socket."""
        if room.remove(peer, mark):
            _announce(room, peer, PeerLeft(peer_id=peer, reason=reason))

    def reconcile(self, room: Room, listing: Listing, as_of: int) -> None:
        """Believe Redis: let in whom it names, let go whom other gateways had and it doesn't name.

        `as_of` is the room's `changes` when Redis was asked; what has been heard since is newer.
        """
        if room.changes != as_of:
            return
        for peer, mark in listing.players.items():
            if mark.gateway_id != self._gateway_id:
                self.came(room, peer, mark)
        for peer, held in list(room.members.items()):
            if held is not None and held.gateway_id != self._gateway_id and peer not in listing.players:
                self.went(room, peer, held, "disconnected")
        room.host_mark = None
        room.move_host(listing.host(room.place.host_peer_id))

    def gateway_died(self, gateway_id: str) -> None:
        """Let go of everybody whom a gateway had that is no more."""
        for room in self:
            if room.host_mark is not None and room.host_mark.gateway_id == gateway_id:
                room.host_mark = None
            for peer, held in list(room.members.items()):
                if held is not None and held.gateway_id == gateway_id:
                    self.went(room, peer, held, "disconnected")

    def _mark(self, connection: Connection) -> Mark:
        return Mark(connection.connection_id, self._gateway_id)

    def _others(self, room: Room, listing: Listing | None = None) -> set[str]:
        return (room.gateways | (listing.gateways if listing is not None else set())) - {self._gateway_id}

    def _publish(
        self,
        room: Room,
        gateways: set[str],
        peer: str,
        mark: Mark,
        *,
        present: bool = True,
        host: bool = False,
        reason: str | None = None,
    ) -> None:
        if not gateways:
            return
        news = RoomPresence(
            room=room.place.session_id,
            peer_id=peer,
            gateway_id=mark.gateway_id,
            connection_id=mark.connection_id,
            host=host,
            present=present,
            reason=reason,
            occurred_at=datetime.now(UTC),
        )
        for gateway in gateways:
            self._tell(gateway, news)


def _announce(room: Room, peer: str, frame: PeerJoined | PeerLeft) -> None:
    """Tell the sockets of the room here, but the peer's own; the host also in which of its sessions that is."""
    if room.sockets:
        text = written(frame)
        for other, connection in list(room.sockets.items()):
            if other != peer:
                connection.wire.write(text)
    if room.host is not None:
        room.host.say(frame.model_copy(update={"session_id": room.place.session_id}))
