"""The sockets of this gateway, by peer: of two connections of one peer the newer is the peer's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from uuid import UUID

from chassis.ids import new_event_id
from contracts.closing import CloseCode
from contracts.frames import ErrorFrame, FrameOut
from contracts.refusals import Code
from prometheus_client import Gauge

from signaling_gateway.access.entrance import Entry
from signaling_gateway.access.identity import ANYBODY
from signaling_gateway.access.revocations import Revocations
from signaling_gateway.peers.conversation import Standing
from signaling_gateway.peers.frames import written
from signaling_gateway.peers.uvicorn_socket import Wire
from signaling_gateway.peers.warp import WarpWire

SOCKETS = Gauge("p2p_sockets", "WebSockets that are open here.")

_NUMBERS = count(1)

_RANDOM_BITS = 80
"""Of a UUIDv7; the 48 before them are its milliseconds."""

RACE_MS = 1000

NOT_LET_IN = Entry(ANYBODY, frozenset(), trusting=False)


class Connection:
    """One socket: how to write to it, who opened it, and the standing of its peer."""

    __slots__ = (
        "answers_to",
        "connection_id",
        "entry",
        "has_spoken",
        "is_moving",
        "left_because",
        "number",
        "seated_at",
        "standing",
        "unidentified",
        "wire",
    )

    def __init__(self, wire: Wire | WarpWire) -> None:
        self.wire = wire
        self.has_spoken = False
        """Whether its first message, or its URL, has told which dialect it speaks."""
        self.entry = NOT_LET_IN
        """Who has opened it, and what they may send."""
        self.connection_id = new_event_id()
        self.number = next(_NUMBERS)
        """Tells it from every other of this process, for as long as it is open."""
        self.standing = Standing()
        self.seated_at: datetime | None = None
        """`updated_at` of the session when the present seat was taken: facts of the session from before are stale."""
        self.left_because = "disconnected"
        """What the others are told when it closes."""
        self.answers_to: str | None = None
        """The `id` of the frame that is being done, which what answers it carries back."""
        self.is_moving = False
        """Whether it is entering or leaving: facts that come meanwhile tell of just that, and are ignored."""
        self.unidentified = False
        """Whether nobody could say yet if the peer is a host."""

    @property
    def peer_id(self) -> str:
        """The peer's name; only asked of those who have said it."""
        return self.standing.peer_id or ""

    @property
    def seat(self) -> object:
        """Equal only for the same socket in the same seat: two values tell whether the peer left and came back."""
        return self.number, self.seated_at

    @property
    def speaks_warp(self) -> bool:
        """Whether it is the shipped game client: never a host, and never back once it is gone."""
        return isinstance(self.wire, WarpWire)

    def say(self, frame: FrameOut) -> None:
        self.wire.write(written(frame))

    @contextmanager
    def moving(self) -> Iterator[None]:
        self.is_moving = True
        try:
            yield
        finally:
            self.is_moving = False

    def take_new_id(self, after: str | None = None) -> None:
        """Take a new `connection_id`, greater than `after`: of two connections the greater id is the newer."""
        made = new_event_id()
        self.connection_id = made if after is None else max(made, _later_than(after))

    def give_way(self) -> None:
        """Close, because a newer connection of the peer is there."""
        self.left_because = "replaced"
        self.wire.hang_up(CloseCode.REPLACED, "replaced by a newer connection")

    def expel(self, why: str) -> None:
        """Close, because its peer is not to be here any more."""
        self.left_because = why
        self.say(ErrorFrame(message=f"Not allowed any more: {why}", code=Code.FORBIDDEN))
        self.wire.hang_up(CloseCode.NOT_ALLOWED, why)


def is_far_ahead(connection_id: str, of: str) -> bool:
    """Whether an id is more than a second ahead of another: no race explains that, so one gateway's clock is wrong."""
    return _milliseconds(connection_id) - _milliseconds(of) > RACE_MS


def age_ms(connection_id: str) -> int:
    """How long ago the connection was made, by the clocks of its gateway and of this one."""
    return _milliseconds(new_event_id()) - _milliseconds(connection_id)


def _milliseconds(connection_id: str) -> int:
    return UUID(connection_id).int >> _RANDOM_BITS


def _later_than(connection_id: str) -> str:
    return str(UUID(int=UUID(connection_id).int + (1 << _RANDOM_BITS)))


class Connections:
    """All of them, and those whose peer is known by its name."""

    def __init__(self) -> None:
        self._all: dict[int, Connection] = {}
        self._of_peer: dict[str, Connection] = {}

    def expel(self, held: Revocations) -> None:
        """Close those of peers that are kicked, and of keys and tokens that are revoked."""
        for connection in self:
            why = held.against(connection.entry.identity)
            if why is not None and connection.wire.open:
                connection.expel(why)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._all.values()))

    def of(self, peer_id: str) -> Connection | None:
        """The peer's connection, if it is here."""
        return self._of_peer.get(peer_id)

    def numbered(self, number: int) -> Connection | None:
        """The connection of this number, while it is open."""
        return self._all.get(number)

    def named(self) -> list[Connection]:
        return list(self._of_peer.values())

    def add(self, connection: Connection) -> None:
        self._all[connection.number] = connection
        SOCKETS.set(len(self._all))

    def name(self, connection: Connection) -> Connection | None:
        """Register it under its peer's name; gives the connection that had the name before, if there was one."""
        before = self._of_peer.get(connection.peer_id)
        self._of_peer[connection.peer_id] = connection
        return before

    def remove(self, connection: Connection) -> None:
        """Forget it; if a newer connection has its peer's name by now, that one keeps it."""
        self._all.pop(connection.number, None)
        SOCKETS.set(len(self._all))
        peer_id = connection.standing.peer_id
        if peer_id is not None and self._of_peer.get(peer_id) is connection:
            del self._of_peer[peer_id]
