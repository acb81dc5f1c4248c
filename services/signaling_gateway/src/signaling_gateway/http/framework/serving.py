"""One exchange: read the request whole, have it answered in time, send the answer; 500 is for our own defects alone."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from chassis.refusals import DeadlineExceededError, InvalidError, ServiceError, UnavailableError
from chassis.requests import ANSWERED_UNTIL
from starlette.types import Receive, Scope, Send

from signaling_gateway.access.permissions import Permission
from signaling_gateway.http.framework.asking import ASK_WITHIN
from signaling_gateway.http.framework.exchange import Answer, Answering, Request
from signaling_gateway.http.framework.gate import ADMISSION, GATE, headers_of
from signaling_gateway.http.framework.refusing import INTERNAL, refused
from signaling_gateway.http.framework.strangers import SAFE

log = structlog.stdlib.get_logger()

BODY_BYTES = 1024 * 1024
"""Sixty times the largest body that can be valid; NATS carries no more."""

DISCARDED_BYTES = 32 * 1024 * 1024
DISCARDED_WITHIN_S = 2.0
"""How much of a body that is too large is read into nothing before the answer."""

ANSWERED_WITHIN_S = 3.8
"""Whatever happens; the rest of the 4 s is the way."""

_CLOSE = ((b"connection", b"close"),)


class BodyTooLargeError(InvalidError):
    """Answered with 413 rather than 422, and the connection is closed: the rest of the body is not wanted."""


class ClientGoneError(Exception):
    """Nobody is left to answer to."""


class InHand:
    """How many bytes of large bodies the process has in its memory; those that are slow to come count by what came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0

    @contextmanager
    def holding(self) -> Iterator["Held"]:
        """Count what one body brings until it is done with."""
        held = Held(self)
        try:
            yield held
        finally:
            self._bytes -= held.bytes

    def take(self, size: int) -> None:
        if self._bytes + size > self._most:
            raise UnavailableError("Too much is being sent here at the moment; try again.", retry_after_s=1)
        self._bytes += size


class Held:
    """What one body has brought."""

    def __init__(self, in_hand: InHand) -> None:
        self._in_hand = in_hand
        self.bytes = 0

    def add(self, size: int) -> None:
        """Have so many bytes more; UnavailableError where the process has no room for them."""
        self._in_hand.take(size)
        self.bytes += size


@dataclass(frozen=True, slots=True)
class Large:
    """What a route takes whose body is larger than JSON ever is."""

    most_bytes: int
    within_s: float
    """How long it may be on its way; the answer's time begins when it is there."""
    in_hand: InHand


async def serve(
    answering: Answering,
    kind: str,
    permission: Permission,
    scope: Scope,
    receive: Receive,
    send: Send,
    large: Large | None = None,
) -> None:
    """Answer one request whose path is known, if they who ask may; `path_params` in the scope holds its identifiers."""
    try:
        if large is None:
            answer = await _answered(answering, kind, permission, scope, receive, None, None)
        else:
            with large.in_hand.holding() as held:
                answer = await _answered(answering, kind, permission, scope, receive, large, held)
    except ClientGoneError:
        return
    await send_answer(send, answer, with_body=scope["method"] != "HEAD")


async def _answered(
    answering: Answering,
    kind: str,
    permission: Permission,
    scope: Scope,
    receive: Receive,
    large: Large | None,
    held: Held | None,
) -> Answer:
    ANSWERED_UNTIL.set(time.time() + ASK_WITHIN.total_seconds())
    try:
        async with asyncio.timeout(ANSWERED_WITHIN_S) as limit:
            scope[ADMISSION] = await scope[GATE].admit(scope, kind, permission, scope["path_params"])
            if large is None or held is None:
                request = _read(scope, await _body(scope, receive))
            else:
                _allow(limit, large.within_s)
                request = _read(scope, await _body(scope, receive, large.most_bytes, held))
                _allow(limit, ANSWERED_WITHIN_S)
                ANSWERED_UNTIL.set(time.time() + ASK_WITHIN.total_seconds())
            answer = await answering(request)
    except TimeoutError:
        late = DeadlineExceededError("The answer took too long; whether the work was done is not known.")
        return refused(late.refusal, headers=_CLOSE)
    except BodyTooLargeError as error:
        return refused(error.refusal, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, headers=_CLOSE)
    except ServiceError as error:
        return refused(error.refusal, headers=headers_of(error))
    except ClientGoneError:
        raise
    except Exception:
        log.exception("http.failed", method=scope["method"], path=scope["path"])
        return refused(INTERNAL)
    if answer.status < HTTPStatus.BAD_REQUEST:
        scope[ADMISSION].done(scope["path_params"])
        if scope["method"] not in SAFE:
            scope[GATE].wrote()
    return answer


def _allow(limit: asyncio.Timeout, seconds: float) -> None:
    limit.reschedule(asyncio.get_running_loop().time() + seconds)


def _read(scope: Scope, body: bytes) -> Request:
    return Request(
        path=scope["raw_path"].decode("ascii"),
        params=scope["path_params"],
        query=scope["query_string"],
        headers=dict(scope["headers"]),
        body=body,
        admission=scope[ADMISSION],
    )


async def _body(scope: Scope, receive: Receive, most: int = BODY_BYTES, held: Held | None = None) -> bytes:
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > most:
        if b"expect" not in headers:  # one who asks first has not sent it yet
            await _discard(receive, more=True)
        raise _too_large(most)
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        piece: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size > most:
            await _discard(receive, more=more)
            raise _too_large(most)
        if held is not None:
            held.add(len(piece))
        pieces.append(piece)
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return b"".join(pieces)


async def _discard(receive: Receive, *, more: bool) -> None:
    # To close while the client still writes makes its kernel drop the answer; a patient moment lets most read it.
    left = DISCARDED_BYTES
    try:
        async with asyncio.timeout(DISCARDED_WITHIN_S):
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return


def _too_large(most: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body must not exceed {most} bytes.")


async def send_answer(send: Send, answer: Answer, *, with_body: bool = True) -> None:
    """Put an answer on the wire."""
    await _send(send, "http", answer, with_body=with_body)


async def send_instead(send: Send, answer: Answer) -> None:
    """Answer who wanted a WebSocket with HTTP."""
    await _send(send, "websocket.http", answer, with_body=True)


async def _send(send: Send, kind: str, answer: Answer, *, with_body: bool) -> None:
    headers = [*answer.headers]
    if answer.status != HTTPStatus.NO_CONTENT:
        headers.append((b"content-type", answer.content_type))
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": f"{kind}.response.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": answer.body if with_body else b""})
