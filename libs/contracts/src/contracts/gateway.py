"""What signaling_gateway announces, and how gateways hand signals to one another."""

from enum import StrEnum

from pydantic import AwareDatetime

from contracts.identifiers import Identifier
from contracts.subjects import Fact, Message, Nothing, Subject
from contracts.values import Milliseconds


class PeerPresence(Fact):
    """A socket opened, closed, or changed its session; `revision` counts the gateway's announcements."""

    gateway_id: str
    connection_id: str
    """UUIDv7: the newer connection of a peer has the greater one."""
    peer_id: str
    session_id: str | None
    """The session or room it is in (entered) or was in (left); none for a host or before the first join."""
    host_id: str | None = None
    """Set when the socket is a registered host's."""
    reason: str | None = None
    keeps_seat: bool = True
    """Whether the seat waits for the peer to come back; the WARP client gives up for good."""


class IceState(StrEnum):
    """How connecting to another peer came out, as WebRTC calls it."""

    CONNECTED = "connected"
    FAILED = "failed"
    DISCONNECTED = "disconnected"


class IceOutcome(Fact):
    """A peer's report of one connection attempt: the end of a join."""

    gateway_id: str
    session_id: str
    peer_id: str
    to: str
    state: IceState
    candidate_type: str | None = None
    """host, srflx, prflx or relay."""
    elapsed_ms: Milliseconds | None = None


class SessionsActive(Fact):
    """Sessions with a sign of life since the last announcement: a member's signal, a member's or the host's socket."""

    gateway_id: str
    session_ids: tuple[str, ...]


class Replaced(Message):
    """A newer connection of a peer took over; the one named here is to be closed with 4001."""

    peer_id: Identifier
    connection_id: str
    """The connection that lives; every other of this peer is older."""


class RoomPresence(Message):
    """A peer came to or went from a room or session, for the sockets of other gateways."""

    room: str
    peer_id: str
    gateway_id: str
    """Who says so."""
    connection_id: str
    """Of the peer's connections the newest counts: what is said of an older one is void."""
    host: bool = False
    """The peer is there as the session's host."""
    present: bool
    reason: str | None = None
    occurred_at: AwareDatetime


class Frame(Message):
    """A frame for one socket, as bytes ready to send; subject and reply subject say who and whence."""


DELIVER = Subject("p2p.gateway.{gateway_id}.deliver.{peer_id}.{session_id}", Frame)
"""The body goes to the peer's socket as it is, if that socket is in this session or hosts it."""
BOUNCE = Subject("p2p.gateway.{gateway_id}.bounce.{socket}.{type}.{peer_id}.{answers_to}", Frame)
"""Reply subject of DELIVER: a message on it (NATS's own "no responders" too) says that nobody got the frame.

`socket` is its sender's, by the number that it has at its gateway; `answers_to` is `i` and the frame's `id`, or `-`.
"""
REPLACED = Subject("p2p.gateway.{gateway_id}.replaced", Replaced)
ROOM = Subject("p2p.gateway.{gateway_id}.room", RoomPresence)
"""`gateway_id` here is the gateway that is told."""
ALIVE = Subject("p2p.gateway.{gateway_id}.alive", Nothing)
"""A request that every living gateway answers: nobody there, and what it told of its peers is void."""

PEER_CONNECTED = Subject("p2p.events.gateway.{gateway_id}.connected", PeerPresence)
PEER_ENTERED = Subject("p2p.events.gateway.{gateway_id}.entered", PeerPresence)
PEER_DISCONNECTED = Subject("p2p.events.gateway.{gateway_id}.disconnected", PeerPresence)
ICE_REPORTED = Subject("p2p.events.gateway.{gateway_id}.ice", IceOutcome)
SESSIONS_ACTIVE = Subject("p2p.events.gateway.{gateway_id}.active", SessionsActive)
