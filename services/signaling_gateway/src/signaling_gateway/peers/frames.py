"""Between text on a socket and frames: the models of `contracts.frames` for the rare ones, a short cut for signals.

A relayed signal is most of what a gateway reads; building and dumping a model for each costs a third of the rate.
The short cut accepts and refuses exactly what the models do, which a test holds it to.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from chassis.refusals import ServiceError
from contracts.frames import (
    MAX_ID_BYTES,
    EnterZoneFrame,
    FrameOut,
    IceResult,
    Join,
    Leave,
    NpcEventFrame,
    Ping,
    ProbeAnswer,
    Subscribe,
)
from contracts.refusals import Code
from contracts.values import is_nested_too_deeply
from pydantic import ValidationError

MAX_FRAME_BYTES = 64 * 1024
"""An SDP with many candidates is 8 KiB; a frame above this is a mistake."""

SHOWN_TYPE = 64
"""Of an unknown type this much is named in the answer."""

CONTENT = {"offer": "sdp", "answer": "sdp", "ice-candidate": "candidate"}
"""The signals, and what each of them carries."""

_TO = ("to", "target_peer_id", "target")

_MODELS: dict[str, tuple[type["ColdFrame"], str]] = {
    "join": (Join, "session_id required"),
    "enter": (EnterZoneFrame, "zone_id required"),
    "create_session": (EnterZoneFrame, "zone_id required"),
    "leave": (Leave, "leave takes nothing"),
    "ping": (Ping, "ping takes an id alone"),
    "ice-result": (IceResult, "to and state required"),
    "subscribe": (Subscribe, "feed required"),
    "npc-event": (NpcEventFrame, "zone_id, npc_id and event required"),
    "probe-answer": (ProbeAnswer, "probe_id and sdp required"),
}

KINDS = frozenset({*CONTENT, *_MODELS})
"""Every kind of frame that is read."""

ColdFrame = Join | EnterZoneFrame | Leave | Ping | IceResult | Subscribe | NpcEventFrame | ProbeAnswer


@dataclass(frozen=True, slots=True)
class Signal:
    """An offer, an answer or a candidate on its way in; its content is passed on unread."""

    type: str
    to: str
    session_id: str | None
    content: Any
    traceparent: str | None
    ufrag: str | None = None
    id: str | None = None


Heard = Signal | ColdFrame


class UnreadableError(Exception):
    """What came is no JSON object in a text frame; ten in a row end the connection."""


class FrameRefusedError(ServiceError):
    """A frame that says nothing which can be done; its sender is told and the connection lives."""

    code = Code.INVALID

    def __init__(self, detail: str, *, in_reply_to: str | None = None) -> None:
        super().__init__(detail)
        self.in_reply_to = in_reply_to
        """The frame's type, as far as it has one."""
        self.id: str | None = None
        """The frame's, where it says one."""


def read(text: str) -> Heard:
    """Read one frame; UnreadableError or FrameRefusedError when it is none."""
    if len(text) > MAX_FRAME_BYTES or (len(text) * 4 > MAX_FRAME_BYTES and len(text.encode()) > MAX_FRAME_BYTES):
        raise UnreadableError(f"A frame has at most {MAX_FRAME_BYTES // 1024} KiB")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableError("Invalid JSON") from error
    if type(frame) is not dict:
        raise UnreadableError("A frame is one JSON object")
    try:
        return _frame(frame)
    except FrameRefusedError as error:
        error.id = frame.get("id") if _is_id(frame.get("id")) else None
        raise


def _frame(frame: dict[str, Any]) -> Heard:
    kind = frame.get("type")
    if type(kind) is str:
        if kind in CONTENT:
            return _signal(kind, frame)
        if kind in _MODELS:
            return _modelled(kind, frame)
    raise FrameRefusedError(f"Unknown message type: {_shown(kind)}", in_reply_to=_shown(kind))


def _is_id(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_ID_BYTES and len(value.encode()) <= MAX_ID_BYTES


def _signal(kind: str, frame: dict[str, Any]) -> Signal:
    to = next((frame[name] for name in _TO if name in frame), None)
    content = CONTENT[kind]
    if type(to) is not str or content not in frame:
        raise FrameRefusedError(f"to and {content} required", in_reply_to=kind)
    session_id = frame.get("session_id")
    traceparent = frame.get("traceparent")
    if (session_id is not None and type(session_id) is not str) or (
        traceparent is not None and type(traceparent) is not str
    ):
        raise FrameRefusedError("session_id and traceparent are strings", in_reply_to=kind)
    ufrag, frame_id = frame.get("ufrag"), frame.get("id")
    if (ufrag is not None and type(ufrag) is not str) or (frame_id is not None and not _is_id(frame_id)):
        raise FrameRefusedError(f"ufrag and id are strings, of id {MAX_ID_BYTES} bytes at most", in_reply_to=kind)
    carried = frame[content]
    if type(carried) is not str and is_nested_too_deeply(carried):
        raise FrameRefusedError(f"{content} is nested too deeply", in_reply_to=kind)
    return Signal(kind, to, session_id, carried, traceparent, ufrag, frame_id)


def _modelled(kind: str, frame: dict[str, Any]) -> ColdFrame:
    model, required = _MODELS[kind]
    try:
        return model.model_validate(frame)
    except ValidationError as error:
        raise FrameRefusedError(_reason(error, required), in_reply_to=kind) from error


def _reason(error: ValidationError, required: str) -> str:
    """Say which field is missing in the words that clients know, or what is wrong with the one that is there."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = str(found["loc"][0]) if found["loc"] else ""
    if field in {"peer_id", "traceparent", "candidate_type", "elapsed_ms", "id"} or found["type"] == "value_error":
        return f"{field}: {found['msg'].removeprefix('Value error, ')}"
    return required


def _shown(kind: Any) -> str:
    return "…" if is_nested_too_deeply(kind) else str(kind)[:SHOWN_TYPE]


def signal_out(
    kind: str,
    sender: str,
    content: Any,
    *,
    session_id: str | None = None,
    traceparent: str | None = None,
    ufrag: str | None = None,
) -> bytes:
    """Write a signal as its receiver gets it."""
    frame = {"type": kind, "from": sender, CONTENT[kind]: content, "timestamp": datetime.now(UTC)}
    if session_id is not None:
        frame["session_id"] = session_id
    if traceparent is not None:
        frame["traceparent"] = traceparent
    if ufrag is not None:
        frame["ufrag"] = ufrag
    return orjson.dumps(frame)


def written(frame: FrameOut) -> bytes:
    """Write a frame; what is not known is left out rather than null, as the WARP client reads strings only."""
    return frame.model_dump_json(by_alias=True, exclude_none=True).encode()
