"""The coordinator dialect: what players, pages and hosts say and hear on the signaling WebSocket."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, AwareDatetime, ConfigDict, Field, JsonValue

from contracts.gateway import IceState
from contracts.identifiers import Identifier
from contracts.npcs import NpcFeed
from contracts.refusals import Code
from contracts.sessions import Standby
from contracts.subjects import Message, says_its_type
from contracts.values import Milliseconds, ShallowJson, SmallJson, Text, Word

SOCKET_LOST = frozenset({"disconnected", "replaced", "restarting"})
"""Reasons of `peer-left` that tell of a socket alone."""

Opaque = ShallowJson
"""SDP and candidates pass through as they came: a string or an object, never read."""


MAX_ID_BYTES = 64


def _short(text: str) -> str:
    if len(text.encode()) > MAX_ID_BYTES:
        raise ValueError(f"must not exceed {MAX_ID_BYTES} bytes")
    return text


FrameId = Annotated[str, AfterValidator(_short)]


class FrameIn(Message):
    """What every frame to the gateway may carry."""

    model_config = ConfigDict(json_schema_extra=says_its_type)

    traceparent: str | None = None
    id: FrameId | None = None
    """At the sender's choice; what answers the frame, or refuses it, carries it back."""


class Join(FrameIn):
    """Enter a session (or, in open mode, an ad-hoc room), leaving the one before."""

    type: Literal["join"] = "join"
    session_id: str
    peer_id: Identifier | None = None
    """Names a connection that opened without `peer_id`."""


class EnterZoneFrame(FrameIn):
    """Enter the zone's session: one with room, or a new one."""

    type: Literal["create_session", "enter"] = "enter"
    """`create_session` is the shipped game client's word: as a connection's first frame it chooses that dialect."""
    zone_id: Identifier = Field(validation_alias=AliasChoices("zone_id", "zone"))
    peer_id: Identifier | None = None


class Leave(FrameIn):
    """Leave the present session; the connection stays."""

    type: Literal["leave"] = "leave"


class Signal(FrameIn):
    """What the three signals share."""

    to: str = Field(validation_alias=AliasChoices("to", "target_peer_id", "target"))
    session_id: str | None = None
    """Needed from hosts, who are in several sessions."""
    ufrag: str | None = None
    """ICE's name (`a=ice-ufrag`) of the offer that an answer or a candidate belongs to."""


class Offer(Signal):
    """A WebRTC offer for another member."""

    type: Literal["offer"] = "offer"
    sdp: Opaque


class Answer(Signal):
    """A WebRTC answer for another member."""

    type: Literal["answer"] = "answer"
    sdp: Opaque


class IceCandidate(Signal):
    """A trickled ICE candidate for another member."""

    type: Literal["ice-candidate"] = "ice-candidate"
    candidate: Opaque


class Ping(FrameIn):
    """Ask for a `pong`."""

    type: Literal["ping"] = "ping"
    id: ShallowJson = None  # type: ignore[assignment]  # of any form, as ever


class IceResult(Signal):
    """How connecting to another member came out."""

    type: Literal["ice-result"] = "ice-result"
    to: Word = Field(validation_alias=AliasChoices("to", "target_peer_id", "target"))
    state: IceState
    candidate_type: Word | None = None
    elapsed_ms: Milliseconds | None = None


class Subscribe(FrameIn):
    """Hear a zone's NPCs as `npc-state`, everything first; asked again, everything again."""

    type: Literal["subscribe"] = "subscribe"
    feed: Identifier
    """The zone of a session that the peer is in or hosts; ends with that."""


class NpcEventFrame(FrameIn):
    """From a host: something happened to an NPC of a zone it hosts; the AI world is told."""

    type: Literal["npc-event"] = "npc-event"
    zone_id: Identifier
    npc_id: Identifier
    event: Text
    data: SmallJson = None
    session_id: str | None = None
    """Needed where it hosts several sessions of the zone."""


class ProbeAnswer(FrameIn):
    """From a host that accepts probes: the answer to a `probe-offer`."""

    type: Literal["probe-answer"] = "probe-answer"
    probe_id: Identifier
    sdp: Opaque


class FrameOut(Message):
    """What every frame from the gateway may carry."""

    model_config = ConfigDict(json_schema_extra=says_its_type)

    traceparent: str | None = None


class Answering(FrameOut):
    """What answers a frame."""

    id: str | None = None
    """Of that frame, if it had one."""


class IceServer(Message):
    """A STUN or TURN server, as RTCPeerConnection takes it."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class SessionJoined(Answering):
    """You are in; sent before the others hear of you."""

    type: Literal["session-joined"] = "session-joined"
    session_id: str
    peers: tuple[str, ...]
    """Earlier members, never yourself."""
    host_id: str | None = None
    host_peer_id: str | None = None
    """Whom to send the offer to."""
    epoch: int | None = None
    zone_id: str | None = None
    """Of a session; an ad-hoc room has none."""
    standby: Standby | None = None
    """The next host, should this one be lost: it may be offered to ahead of that."""
    ice_servers: tuple[IceServer, ...] = ()


class SessionLeft(Answering):
    """You are out."""

    type: Literal["session-left"] = "session-left"
    session_id: str
    reason: str | None = None
    """`left` by your own frame or over REST, `moved` to another session, or what else was said."""


class PeerJoined(FrameOut):
    """Another member came."""

    type: Literal["peer-joined"] = "peer-joined"
    peer_id: str
    session_id: str | None = None
    """Set for hosts, who are in several sessions."""


class PeerLeft(FrameOut):
    """Another member went."""

    type: Literal["peer-left"] = "peer-left"
    peer_id: str
    reason: str
    """`disconnected`, `replaced` and `restarting` tell of a socket, whose peer may be back on another; all else of one
    who has left."""
    session_id: str | None = None


class SignalOut(FrameOut):
    """What the three delivered signals share."""

    sender: str = Field(alias="from")
    timestamp: AwareDatetime
    session_id: str | None = None
    """Set to and from a host."""
    ufrag: str | None = None
    """Of the offer that an answer or a candidate belongs to, if its sender named it."""


class OfferOut(SignalOut):
    """A member's offer."""

    type: Literal["offer"] = "offer"
    sdp: Opaque


class AnswerOut(SignalOut):
    """A member's answer."""

    type: Literal["answer"] = "answer"
    sdp: Opaque


class IceCandidateOut(SignalOut):
    """A member's candidate."""

    type: Literal["ice-candidate"] = "ice-candidate"
    candidate: Opaque


class ErrorFrame(Answering):
    """A frame could not be used; the connection stays unless a close follows."""

    type: Literal["error"] = "error"
    message: str
    code: Code
    in_reply_to: str | None = None
    """The `type` of the frame in question."""


class Pong(FrameOut):
    """Answer to `ping`."""

    type: Literal["pong"] = "pong"
    id: JsonValue = None


class SessionAssigned(FrameOut):
    """To a host: it hosts this session now."""

    type: Literal["session-assigned"] = "session-assigned"
    session_id: str
    zone_id: str
    epoch: int
    players: tuple[str, ...]
    """Who has a seat by now; of each that comes later a `peer-joined` tells."""


class SessionReleased(FrameOut):
    """To a host: it hosts this session no longer."""

    type: Literal["session-released"] = "session-released"
    session_id: str
    reason: str


class SessionEnded(FrameOut):
    """To players: the session is over."""

    type: Literal["session-ended"] = "session-ended"
    session_id: str
    reason: str


class HostMigrated(FrameOut):
    """To players: another host serves the session; offer to it.

    Where the move was planned (`ordered`, `host_draining`) the host before serves its players for a few seconds more:
    a client that keeps that channel until the new one is open misses nothing.
    """

    type: Literal["host-migrated"] = "host-migrated"
    session_id: str
    host_id: str
    host_peer_id: str
    epoch: int
    reason: str | None = None
    """Why it left the host before: of those, `ordered` and `host_draining` say that it is there yet."""
    ice_servers: tuple[IceServer, ...] = ()
    """In place of those that the session was joined with: the credentials of a relay may have expired since."""


class SessionStandby(FrameOut):
    """To players and the host: another host stands by for the session from now on, or none."""

    type: Literal["session-standby"] = "session-standby"
    session_id: str
    epoch: int
    standby: Standby | None = None


class StandbyAssigned(FrameOut):
    """To a host: it stands by for this session, whose players may offer to it; it hosts it by `session-assigned`."""

    type: Literal["standby-assigned"] = "standby-assigned"
    session_id: str
    zone_id: str
    epoch: int
    """Of the present host; a checkpoint may be asked for, not stored."""
    players: tuple[str, ...]
    """Who has a seat by now."""


class StandbyReleased(FrameOut):
    """To a host: it stands by for this session no longer, and does not host it either."""

    type: Literal["standby-released"] = "standby-released"
    session_id: str
    reason: str


class IceServersRenewed(FrameOut):
    """To players: for connections from now on, in place of those told before, whose credentials end soon."""

    type: Literal["ice-servers"] = "ice-servers"
    session_id: str
    ice_servers: tuple[IceServer, ...]


class SessionFallback(FrameOut):
    """To players: no host serves the session; play on the central server until `host-migrated`."""

    type: Literal["session-fallback"] = "session-fallback"
    session_id: str
    reason: str
    """host_lost, latency, packet_loss or unconnected."""
    endpoint: str | None = None
    """host:port or URL of the central server; absent where the zone names none and the client knows its own."""


class ProbeOffer(FrameOut):
    """To a host that accepts probes: somebody wants to measure the way to it; answered with `probe-answer`."""

    type: Literal["probe-offer"] = "probe-offer"
    probe_id: Identifier
    sdp: Opaque
    ice_servers: tuple[IceServer, ...] = ()


class Reconnect(FrameOut):
    """This gateway is going away; come back, to any gateway, after this long."""

    type: Literal["reconnect"] = "reconnect"
    after_ms: int


IN = (
    Join,
    EnterZoneFrame,
    Leave,
    Offer,
    Answer,
    IceCandidate,
    Ping,
    IceResult,
    Subscribe,
    NpcEventFrame,
    ProbeAnswer,
)
OUT = (
    SessionJoined,
    SessionLeft,
    PeerJoined,
    PeerLeft,
    OfferOut,
    AnswerOut,
    IceCandidateOut,
    ErrorFrame,
    Pong,
    SessionAssigned,
    SessionReleased,
    SessionEnded,
    HostMigrated,
    SessionStandby,
    StandbyAssigned,
    StandbyReleased,
    IceServersRenewed,
    SessionFallback,
    NpcFeed,
    ProbeOffer,
    Reconnect,
)
