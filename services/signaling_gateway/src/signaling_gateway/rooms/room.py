"""What this gateway knows of one session or ad-hoc room that has a socket here."""

from collections.abc import Iterable
from datetime import datetime

from contracts.sessions import Standby

from signaling_gateway.cluster.presence import Listing, Mark
from signaling_gateway.peers.connections import Connection
from signaling_gateway.peers.conversation import Place


class Room:
    """Its members and its host, here and on other gateways.

    What is heard of them comes twice and in any order, from Redis, other gateways and session_manager. Of a peer's
    connections the one with the greatest id counts, so news of an older one changes nothing.
    """

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
        "standby",
        "standby_as_of",
        "standby_mark",
        "standby_socket",
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
        self.standby: Standby | None = None
        """The host that is to be its next."""
        self.standby_as_of: datetime | None = None
        """Of which moment of the session that is known."""
        self.standby_socket: Connection | None = None
        """The standby, if it is here."""
        self.standby_mark: Mark | None = None
        """Where it is, as far as anybody had to know."""
        self.members: dict[str, Mark | None] = {}
        """Every player our sockets know of, and where it is; None has a seat and no socket: it signals over HTTP."""
        self.told_active_at = float("-inf")
        """When session_manager was last told that it is active, by the monotonic clock."""
        self.looked_at = float("-inf")
        """When Redis was last asked for a member that nobody here knew, by the monotonic clock."""
        self.changes = 0
        """How often `members` changed: what Redis was asked before a change is older than that change."""
        self._known = False
        """Whether `members` has been filled; from then on it follows the news."""
        self._opening = 0
        """How many sockets are about to enter."""
        self._went: set[str] = set()
        """Peers and connections that went while somebody was about to enter."""

    @property
    def empty(self) -> bool:
        return not self.sockets and self.host is None and self.standby_socket is None and not self._opening

    @property
    def played(self) -> bool:
        """Whether somebody is here who is in it, not only one who may host it."""
        return bool(self.sockets) or self.host is not None

    @property
    def gateways(self) -> set[str]:
        """The gateways that have somebody in it."""
        there = {mark.gateway_id for mark in self.members.values() if mark is not None}
        return there | {self.host_mark.gateway_id} if self.host_mark is not None else there

    def receiver(self, to: str) -> Connection | Mark | None:
        """The connection that takes signals to this peer, or the mark of where it is elsewhere, or None."""
        here = self.sockets.get(to)
        if here is not None:
            return here
        if to == self.place.host_peer_id:
            return self.host if self.host is not None and self.host.peer_id == to else self.host_mark
        if self.standby is not None and to == self.standby.host_peer_id:
            return self.standby_socket or self.standby_mark
        return self.members.get(to)

    def follow(self, place: Place) -> None:
        """Take what session_manager says of host and epoch; what is older than what we know is ignored."""
        if place == self.place or place.is_before(self.place):
            return
        if place.host_peer_id != self.place.host_peer_id:
            self.host_mark = None  # that was another's; where the new one is, is looked up
            self.looked_at = float("-inf")
        self.place = place

    def open(self) -> None:
        """Begin to note who goes, before Redis is asked who is there: its listing may still name them."""
        self._opening += 1

    def opened(self) -> None:
        """The listing that was asked for has come, or nobody entered after all: end of what `open` began."""
        self._opening -= 1
        if not self._opening:
            self._went.clear()

    def learn(self, listing: Listing | None, seated: Iterable[str], gateway_id: str) -> None:
        """Fill `members`, once: from Redis's listing and from the seats of the session; who went meanwhile is left out.

        `listing` is None while Redis is away. Later calls do nothing.
        """
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
        """Note where a player's connection is, None for a seat without a socket; False when a newer one is known."""
        held = self.members.get(peer)
        if held is not None and (mark is None or mark.connection_id < held.connection_id):
            return False
        self.members[peer] = mark
        self.changes += 1
        return True

    def remove(self, peer: str, mark: Mark | None) -> bool:
        """Forget a player whose connection is gone, or with None whose seat is; False if it has another."""
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
        """Note on which gateway the host's connection is; ignored if it is here, or a newer one is known."""
        held = self.host_mark
        if mark is not None and self.host is None and (held is None or held.connection_id <= mark.connection_id):
            self.host_mark = mark
