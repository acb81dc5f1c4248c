"""What this gateway knows of one session or ad-hoc room that has a socket here."""

from collections.abc import Iterable

from signaling_gateway.cluster.presence import Listing, Mark
from signaling_gateway.peers.connections import Connection
from signaling_gateway.peers.conversation import Place


class Room:
    """Of each peer the newest connection counts, whoever speaks of it, in whatever order."""

    __slots__ = (
        "_known",
        "_opening",
        "_went",
        "changes",
        "host",
        "host_mark",
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
        self.host_mark: Mark | None = None
        """Where it is, if it is elsewhere."""
        self.members: dict[str, Mark | None] = {}
        """Every player our sockets know of, and where it is; None has a seat and no socket: it signals over HTTP."""
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

    @property
    def gateways(self) -> set[str]:
        """The gateways that have somebody in it."""
        there = {mark.gateway_id for mark in self.members.values() if mark is not None}
        return there | {self.host_mark.gateway_id} if self.host_mark is not None else there

    def receiver(self, to: str) -> Connection | Mark | None:
        """Who takes what is sent to a member: its connection here or elsewhere, or nobody we know of."""
        here = self.sockets.get(to)
        if here is not None:
            return here
        if to == self.place.host_peer_id:
            return self.host if self.host is not None and self.host.peer_id == to else self.host_mark
        return self.members.get(to)

    def follow(self, place: Place) -> None:
        """Take what its owner says of it, unless something later was said."""
        if place == self.place or place.is_before(self.place):
            return
        if place.host_peer_id != self.place.host_peer_id:
            self.host_mark = None  # that was another's; where the new one is, is looked up
            self.looked_at = float("-inf")
        self.place = place

    def open(self) -> None:
        """Somebody is about to enter: what is heard from now on is newer than the listing that comes."""
        self._opening += 1

    def opened(self) -> None:
        """Somebody has entered, or has not."""
        self._opening -= 1
        if not self._opening:
            self._went.clear()

    def learn(self, listing: Listing | None, seated: Iterable[str], gateway_id: str) -> None:
        """Learn who was there when the first of ours came; afterwards we know, and better."""
        if self._known:
            return
        self._known = True
        gone = (listing.gone if listing else frozenset()) | self._went
        for peer in seated:
            if peer not in gone:
                self.members.setdefault(peer, None)
        if listing is None:
            return
        for peer, mark in listing.players.items():
            if mark.connection_id not in self._went and mark.gateway_id != gateway_id:
                self.move(peer, mark)
        self.move_host(listing.host(self.place.host_peer_id))

    def move(self, peer: str, mark: Mark | None) -> bool:
        """A player is there now; False when that is older than what we know."""
        held = self.members.get(peer)
        if held is not None and (mark is None or mark.connection_id < held.connection_id):
            return False
        self.members[peer] = mark
        self.changes += 1
        return True

    def remove(self, peer: str, mark: Mark | None) -> bool:
        """A connection of a player is gone, or its seat if it has none; False when a newer one is known, or nobody."""
        if self._opening:
            self._went |= {peer} if mark is None else {peer, mark.connection_id}
        if peer not in self.members:
            return False
        held = self.members[peer]
        if held is not None and (mark is None or held.connection_id != mark.connection_id):
            return False
        del self.members[peer]
        self.changes += 1
        return True

    def move_host(self, mark: Mark | None) -> None:
        """The host is there now, unless it is here, or what we know is newer."""
        held = self.host_mark
        if mark is not None and self.host is None and (held is None or held.connection_id <= mark.connection_id):
            self.host_mark = mark
