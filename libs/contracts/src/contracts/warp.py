"""The dialect of the shipped game client on the signaling WebSocket: its two messages, and the five it understands.

The gateway translates between these and those of the other dialect, socket by socket. A connection whose first message
is a `create_session` speaks it. What is not known is left out, never null.
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from contracts.identifiers import Identifier
from contracts.subjects import Message, says_its_type


class WarpFrame(Message):
    """What all of them have: the word that tells them apart."""

    model_config = ConfigDict(json_schema_extra=says_its_type)


class WarpCreateSession(WarpFrame):
    """Enter the zone's session: one with room, or a new one. The first message of a connection."""

    type: Literal["create_session"] = "create_session"
    peer_id: Identifier
    zone: Identifier
    capabilities: dict[str, JsonValue] | None = None
    """What the client can do; of no account so far."""


class WarpIceCandidate(WarpFrame):
    """A trickled ICE candidate for another member."""

    type: Literal["ice_candidate"] = "ice_candidate"
    target_peer_id: str
    candidate: JsonValue


class WarpSessionCreated(WarpFrame):
    """The client is in."""

    type: Literal["session_created"] = "session_created"
    session_id: str
    host_id: str | None = None
    zone: str | None = None
    peers: tuple[str, ...]
    """Who was there before."""


class WarpPeerJoined(WarpFrame):
    """Another member came."""

    type: Literal["peer_joined"] = "peer_joined"
    peer_id: str


class WarpPeerLeft(WarpFrame):
    """Another member went."""

    type: Literal["peer_left"] = "peer_left"
    peer_id: str


class WarpIceCandidateOut(WarpFrame):
    """A member's candidate, always as text."""

    type: Literal["ice_candidate"] = "ice_candidate"
    sender: str = Field(alias="from")
    peer_id: str
    """The same as `from`."""
    candidate: str


class WarpError(WarpFrame):
    """A message could not be used; the connection stays."""

    type: Literal["error"] = "error"
    message: str


IN = (WarpCreateSession, WarpIceCandidate)
OUT = (WarpSessionCreated, WarpPeerJoined, WarpPeerLeft, WarpIceCandidateOut, WarpError)
