"""What a peer's frame means, given where the peer stands: a pure function from both to what is to be done."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import assert_never

from chassis.refusals import ServiceError
from contracts.frames import (
    EnterZoneFrame,
    IceResult,
    Join,
    Leave,
    NpcEventFrame,
    Ping,
    Pong,
    ProbeAnswer,
    SessionFallback,
    Subscribe,
)
from contracts.identifiers import identifier
from contracts.npcs import NpcEvent
from contracts.refusals import Code

from signaling_gateway.access.errors import ForbiddenError
from signaling_gateway.peers.frames import FrameRefusedError, Heard, Signal

BAD_FRAMES = 10
"""Unreadable frames in a row after which the other side is no client of ours."""

_SESSION = re.compile(r"session-[0-9a-f]{16}|[0-9]{1,18}")


class NotInSessionError(ServiceError):
    """Who is nowhere cannot leave."""

    code = Code.WRONG_STATE


class UndeliveredError(ServiceError):
    """A signal reached nobody, for one of several reasons; existing clients match on the words."""

    def __init__(self, kind: str, to: str, code: Code = Code.PEER_NOT_FOUND) -> None:
        super().__init__(f"Failed to deliver {kind} to {to}")
        self.refusal = self.refusal.model_copy(update={"code": code})


@dataclass(frozen=True, slots=True)
class Place:
    """The session or ad-hoc room that a socket is in."""

    session_id: str
    is_session: bool
    """Else an ad-hoc room: presence alone, no seat."""
    host_id: str | None = None
    host_peer_id: str | None = None
    epoch: int | None = None
    zone_id: str | None = None
    """Of a session; a room belongs to none."""
    fell_back: bool = False
    """Nobody hosts it, and no host is looked for at once."""
    fallback: SessionFallback | None = field(default=None, compare=False)
    """What its players are told of that."""

    def is_before(self, other: "Place") -> bool:
        """Whether `other` is the same session later on: epochs rise, and within one a host is only ever lost."""
        return self.is_session and other.is_session and self.moment < other.moment

    @property
    def moment(self) -> tuple[int, bool, bool]:
        """Of a session's life: the later, the greater."""
        return (self.epoch or 0, self.host_id is None, self.fell_back)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the peer behind a socket."""

    peer_id: str | None = None
    host_id: str | None = None
    place: Place | None = None
    hosted: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    """The sessions that it hosts, by id; only a host has any."""
    stands_by: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    """Those that it is to host next, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Go into a session or room, out of the present one."""

    peer_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class EnterZone:
    """Go into a session of the zone, out of the present one."""

    peer_id: str
    zone_id: str


@dataclass(frozen=True, slots=True)
class Show:
    """What `Enter` is to a host: it is told again of a session it hosts."""

    place: Place


@dataclass(frozen=True, slots=True)
class GoOut:
    """Leave the present session or room."""

    place: Place


@dataclass(frozen=True, slots=True)
class Carry:
    """Take a signal to another member."""

    signal: Signal
    place: Place
    to: str
    named: bool
    """Say which session it belongs to: hosts are in several."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell how connecting came out."""

    place: Place
    result: IceResult


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer at once."""

    frame: Pong


@dataclass(frozen=True, slots=True)
class Listen:
    """Hear the NPCs of a zone."""

    zone_id: str


@dataclass(frozen=True, slots=True)
class TellAiWorld:
    """Bring what happened to an NPC to the AI world."""

    event: NpcEvent


@dataclass(frozen=True, slots=True)
class PassProbe:
    """Bring a host's answer to whoever measures it."""

    answer: ProbeAnswer


Deed = Enter | EnterZone | GoOut | Carry | Report | Reply | Listen | TellAiWorld | PassProbe


def may_be_session(name: str) -> bool:
    """Whether session_manager may know a session by this name; what cannot be one is an ad-hoc room's."""
    return _SESSION.fullmatch(name) is not None


def peer_name(text: str, what: str = "peer_id") -> str:
    """Give a legal name back; FrameRefusedError for one that no subject could carry."""
    try:
        return identifier(text)
    except ValueError as error:
        raise FrameRefusedError(f"{what} {error}") from error


def hear(standing: Standing, frame: Heard) -> Deed:  # noqa: C901, PLR0911, PLR0912 -- one line for each kind
    """Say what `frame` asks for; a refusal when it asks for nothing this peer may have."""
    match frame:
        case Signal():
            return _carry(standing, frame)
        case Join():
            return _join(standing, frame)
        case EnterZoneFrame():
            return EnterZone(_speaker(standing, frame.peer_id), frame.zone_id)
        case Leave():
            if standing.place is None:
                raise NotInSessionError("Not in a session")
            return GoOut(standing.place)
        case IceResult():
            return Report(_place_of(standing, frame.session_id), frame)
        case Ping():
            return Reply(Pong(id=frame.id))
        case Subscribe():
            if not plays_in(standing, frame.feed):
                raise ForbiddenError(f"Not in a session of zone {frame.feed}: enter one first")
            return Listen(frame.feed)
        case NpcEventFrame():
            return _tell(standing, frame)
        case ProbeAnswer():
            if standing.host_id is None:
                raise ForbiddenError("Only hosts are probed")
            return PassProbe(frame)
        case _:
            assert_never(frame)


def plays_in(standing: Standing, zone_id: str) -> bool:
    """Whether the peer is in a session of the zone, or hosts one."""
    place = standing.place
    if place is not None and place.zone_id == zone_id:
        return True
    return any(hosted.zone_id == zone_id for hosted in standing.hosted.values())


def _tell(standing: Standing, frame: NpcEventFrame) -> TellAiWorld:
    """Only a session's host says what happens in it; where it hosts several of the zone it says of which."""
    hosted = [
        place.session_id
        for place in standing.hosted.values()
        if place.zone_id == frame.zone_id and frame.session_id in {None, place.session_id}
    ]
    if not hosted or standing.host_id is None:
        raise ForbiddenError(f"Hosts no session of zone {frame.zone_id}")
    if len(hosted) > 1:
        raise FrameRefusedError("session_id required")
    event = NpcEvent(
        zone_id=frame.zone_id,
        npc_id=peer_name(frame.npc_id, "npc_id"),
        event=frame.event,
        data=frame.data,
        session_id=hosted[0],
        host_id=standing.host_id,
    )
    return TellAiWorld(event)


def _speaker(standing: Standing, named: str | None) -> str:
    """The peer's name: known since the upgrade, or said in this frame."""
    if standing.peer_id is None:
        if named is None:
            raise FrameRefusedError("peer_id required")
        return peer_name(named)
    if named is not None and named != standing.peer_id:
        raise ForbiddenError(f"This connection is {standing.peer_id}'s")
    return standing.peer_id


def _join(standing: Standing, frame: Join) -> Enter:
    if not frame.session_id:
        raise FrameRefusedError("session_id required")
    session_id = peer_name(frame.session_id, "session_id")
    return Enter(_speaker(standing, frame.peer_id), session_id)


def entered_by(standing: Standing, wish: Enter | EnterZone) -> Enter | EnterZone | Show:
    """What entering comes to once the peer has its name: a host is shown what it hosts, and plays nowhere.

    Only then, for it is by its name that a host is known.
    """
    match wish:
        case EnterZone():
            if standing.host_id is not None:
                raise ForbiddenError("A host enters no zone")
        case Enter(session_id=session_id):
            if session_id in standing.hosted:
                return Show(standing.hosted[session_id])
            if standing.host_id is not None and may_be_session(session_id):
                raise ForbiddenError(f"{standing.host_id} does not host session {session_id}")
    return wish


def _carry(standing: Standing, signal: Signal) -> Carry:
    try:
        place = _place_of(standing, signal.session_id)
    except ForbiddenError as error:
        raise UndeliveredError(signal.type, signal.to, Code.FORBIDDEN) from error
    to = signal.to
    if to == standing.peer_id or not to:
        raise UndeliveredError(signal.type, to)
    if to == place.host_id and place.host_peer_id is not None:
        to = place.host_peer_id
    named = to == place.host_peer_id or place.session_id in standing.hosted or place.session_id in standing.stands_by
    return Carry(signal, place, to, named=named)


def _place_of(standing: Standing, session_id: str | None) -> Place:
    """The session that a frame is about: the one it names, else the only one it can mean."""
    place = standing.place
    if place is not None and session_id in {None, place.session_id}:
        return place
    if session_id is not None:
        if session_id in standing.hosted:
            return standing.hosted[session_id]
        if session_id in standing.stands_by:
            return standing.stands_by[session_id]
        raise ForbiddenError(f"Not in session {session_id}")
    if len(standing.hosted) > 1:
        raise FrameRefusedError("session_id required")
    if standing.hosted:
        return next(iter(standing.hosted.values()))
    raise ForbiddenError("Not in a session")
