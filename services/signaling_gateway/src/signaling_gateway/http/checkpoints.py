"""What a host keeps of its session, as bytes: `/sessions/{session}/checkpoint`."""

import hashlib
from collections.abc import Iterable
from typing import Any

from chassis.bus import Bus
from chassis.objects import Objects
from chassis.refusals import ServiceError
from contracts.refusals import Code
from contracts.sessions import (
    GET_CHECKPOINT,
    KEEP_CHECKPOINT,
    MOST_CHECKPOINT_BYTES,
    Checkpoint,
    KeepCheckpoint,
    NameSession,
    Sequence,
    SessionRef,
)
from contracts.streams import CHECKPOINTS
from contracts.subjects import Message
from fastapi.responses import Response
from pydantic import Field

from signaling_gateway.http.framework.asking import ask
from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.openapi import OWNERS, beside_text
from signaling_gateway.http.framework.reading import Reading, malformed
from signaling_gateway.http.framework.routing import API, BINARY, BYTES, Route, refusals_at_the_door
from signaling_gateway.http.framework.serving import InHand, Large

PATH = "/sessions/{session}/checkpoint"

WITHIN_S = 60.0
"""10 MiB on a home line that sends 1.5 Mbit/s."""

MOST_IN_HAND = 16 * MOST_CHECKPOINT_BYTES
"""Of all hosts that store through this gateway at a time; most checkpoints are a hundredth of the most."""

_HEADERS = {
    "P2p-Epoch": {"description": "Of the host that stored it.", "schema": {"type": "integer"}},
    "P2p-Sequence": {"description": "The next one is greater.", "schema": {"type": "integer"}},
    "ETag": {"description": "SHA-256 of the bytes, in hex and quotes.", "schema": {"type": "string"}},
}


class PutCheckpoint(Message):
    """What a host says of the bytes that it stores."""

    session: SessionRef
    epoch: int = Field(ge=1, le=2**31 - 1, description="Of the session, as its host was told.")
    sequence: Sequence = Field(description="Greater than that of the checkpoint before.")


class CheckpointLostError(ServiceError):
    """Its bytes are no longer there: NATS lost its disk, or was restored from an older backup."""

    code = Code.CHECKPOINT_NOT_FOUND

    def __init__(self, lost: Checkpoint) -> None:
        super().__init__(
            f"The bytes of checkpoint {lost.sequence} are lost; count on from it.",
            fields={"session_id": lost.session_id, "epoch": lost.epoch, "sequence": lost.sequence},
        )


def checkpoint_routes(bus: Bus) -> list[Route]:
    """To store one, and to be given the newest."""
    objects = Objects(bus, CHECKPOINTS)
    return [_put(bus, objects), _get(bus, objects)]


def _put(bus: Bus, objects: Objects) -> Route:
    reading = Reading("PUT", PATH, PutCheckpoint, opaque=True)

    async def put(request: Request) -> Answer:
        asked = reading.read(request)
        _check_kind(request.headers.get(b"content-type"))
        wish = KeepCheckpoint(
            session=asked.session,
            epoch=asked.epoch,
            sequence=asked.sequence,
            object=await objects.put(request.body),
            size=len(request.body),
            sha256=hashlib.sha256(request.body).hexdigest(),
        )
        return Answer(await ask(bus, KEEP_CHECKPOINT, wish, request))

    return Route(
        reading.method,
        API + PATH,
        put,
        reading=reading,
        answer=Checkpoint,
        codes=(*KEEP_CHECKPOINT.refusals, *OWNERS),
        large=Large(MOST_CHECKPOINT_BYTES, WITHIN_S, InHand(MOST_IN_HAND)),
        summary="Store a session's state, for the host after this one",
        description="The body is bytes of any kind, 10 MiB at most. It takes the place of the one before once all "
        "of it is there; of an earlier epoch it is refused with `stale_epoch` and the present host.",
        tag="sessions",
    )


def _get(bus: Bus, objects: Objects) -> Route:
    reading = Reading("GET", PATH, NameSession)

    async def get(request: Request) -> Answer:
        asked = reading.read(request)
        found = await _newest(asked, request)
        if request.headers.get(b"if-none-match") == _etag(found):
            return Answer(status=304, headers=_about(found))
        content = await objects.get(found.object, found.size)
        if content is None:  # unless another has taken its place meanwhile
            found = await _newest(asked, request)
            content = await objects.get(found.object, found.size)
        if content is None or hashlib.sha256(content).hexdigest() != found.sha256:
            raise CheckpointLostError(found)
        return Answer(content, headers=_about(found), content_type=BYTES.encode())

    async def _newest(asked: NameSession, request: Request) -> Checkpoint:
        return Checkpoint.model_validate_json(await ask(bus, GET_CHECKPOINT, asked, request))

    codes = (*GET_CHECKPOINT.refusals, *OWNERS)
    return Route(
        reading.method,
        API + PATH,
        get,
        reading=reading,
        codes=codes,
        response_class=Response,
        beside=_in_bytes((*refusals_at_the_door(f"GET {API}{PATH}"), *codes)),
        summary="Give the newest whole checkpoint of a session that lives",
        tag="sessions",
    )


def _etag(found: Checkpoint) -> bytes:
    return b'"%s"' % found.sha256.encode()


def _about(found: Checkpoint) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"p2p-epoch", b"%d" % found.epoch),
        (b"p2p-sequence", b"%d" % found.sequence),
        (b"etag", _etag(found)),
    )


def _in_bytes(codes: Iterable[Code]) -> dict[int | str, dict[str, Any]]:
    unchanged = {"description": "The one that `If-None-Match` names is the newest.", "headers": _HEADERS}
    return {**beside_text(codes), 200: {"headers": _HEADERS, "content": BINARY}, 304: unchanged}


def _check_kind(content_type: bytes | None) -> None:
    if content_type is not None and content_type.partition(b";")[0].strip().lower() != BYTES.encode():
        raise malformed({"loc": ["header", "content-type"], "msg": f"Must be {BYTES}", "type": "value_error"})
