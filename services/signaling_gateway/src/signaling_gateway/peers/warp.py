"""The dialect of the shipped game client: underscores, strings only, and five things that it may be told.

The gateways speak the coordinator dialect among themselves and to everybody else; what goes to a WARP client's socket
and comes from it is translated at that socket alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from contracts.closing import CloseCode

from signaling_gateway.peers.frames import MAX_FRAME_BYTES
from signaling_gateway.peers.uvicorn_socket import Wire

USER_AGENT = b"P2P-Network-Client/1.0"

CREATES = "create_session"
"""Its one message, and its first; who begins with another speaks the coordinator dialect."""

Frame = Mapping[str, Any]


class WarpWire:
    """A connection to one such client; takes what others take, and writes what it can bear."""

    __slots__ = ("plain",)

    def __init__(self, plain: Wire) -> None:
        self.plain = plain

    @property
    def open(self) -> bool:
        return self.plain.open

    def write(self, frame: bytes) -> None:
        """Send a frame in the client's words; one that it has no words for is dropped."""
        said = to_warp(frame)
        if said is not None:
            self.plain.write(said)

    def hang_up(self, code: CloseCode, reason: str) -> None:
        self.plain.hang_up(code, reason)


def speaks_warp(first: str) -> bool:
    """Whether a connection's first message is the client's."""
    if CREATES not in first or len(first) > MAX_FRAME_BYTES:
        return False
    try:
        said = orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return type(said) is dict and said.get("type") == CREATES


def to_warp(frame: bytes) -> bytes | None:
    """Translate a frame of the coordinator dialect; None for what the client is never told."""
    said = orjson.loads(frame)
    translate = _WORDS.get(said["type"])
    return None if translate is None else orjson.dumps(translate(said))


def from_warp(text: str) -> str:
    """Translate a frame of the client; what is not its own is passed on, for the reader to refuse."""
    if _CANDIDATE not in text or len(text) > MAX_FRAME_BYTES:
        return text
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if type(said) is not dict or said.get("type") != _CANDIDATE:
        return text
    try:
        return orjson.dumps(said | {"type": "ice-candidate"}).decode()
    except orjson.JSONEncodeError:  # nested beyond what it writes
        return text


_CANDIDATE = "ice_candidate"


def _session_created(frame: Frame) -> Frame:
    # No key for what is not known: the client reads a null as a string and fails. Never an offer: it hangs for good.
    named = {"session_id": frame["session_id"], "host_id": frame.get("host_id"), "zone": frame.get("zone_id")}
    known = {key: value for key, value in named.items() if value is not None}
    return {"type": "session_created", **known, "peers": frame["peers"]}


def _peer_joined(frame: Frame) -> Frame:
    return {"type": "peer_joined", "peer_id": frame["peer_id"]}


def _peer_left(frame: Frame) -> Frame:
    return {"type": "peer_left", "peer_id": frame["peer_id"]}


def _ice_candidate(frame: Frame) -> Frame:
    candidate = frame["candidate"]
    if isinstance(candidate, dict) and isinstance(candidate.get("candidate"), str):
        candidate = candidate["candidate"]  # a browser's RTCIceCandidateInit
    elif candidate is None:
        candidate = ""  # it reads strings only; the empty one says too that no more will come
    elif not isinstance(candidate, str):
        candidate = orjson.dumps(candidate).decode()
    return {"type": _CANDIDATE, "from": frame["from"], "peer_id": frame["from"], "candidate": candidate}


def _error(frame: Frame) -> Frame:
    return {"type": "error", "message": frame["message"]}


_WORDS: Mapping[str, Callable[[Frame], Frame]] = {
    "session-joined": _session_created,
    "peer-joined": _peer_joined,
    "peer-left": _peer_left,
    "ice-candidate": _ice_candidate,
    "error": _error,
}
"""Everything that the client understands; the rest it would ignore, at best."""
