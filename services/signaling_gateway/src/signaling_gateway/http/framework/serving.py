"""One exchange: read the request whole, have it answered in time, send the answer; 500 is for our own defects alone."""

import asyncio
import time
from http import HTTPStatus

import structlog
from chassis.refusals import DeadlineExceededError, InvalidError, ServiceError
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


async def serve(
    answering: Answering, kind: str, permission: Permission, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer one request whose path is known, if they who ask may; `path_params` in the scope holds its identifiers."""
    try:
        answer = await _answered(answering, kind, permission, scope, receive)
    except ClientGoneError:
        return
    await send_answer(send, answer, with_body=scope["method"] != "HEAD")


async def _answered(answering: Answering, kind: str, permission: Permission, scope: Scope, receive: Receive) -> Answer:
    ANSWERED_UNTIL.set(time.time() + ASK_WITHIN.total_seconds())
    try:
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            scope[ADMISSION] = await scope[GATE].admit(scope, kind, permission, scope["path_params"])
            answer = await answering(await _read(scope, receive))
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


async def _read(scope: Scope, receive: Receive) -> Request:
    headers = dict(scope["headers"])
    return Request(
        path=scope["raw_path"].decode("ascii"),
        params=scope["path_params"],
        query=scope["query_string"],
        headers=headers,
        body=await _body(headers, receive),
        admission=scope[ADMISSION],
    )


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > BODY_BYTES:
        if b"expect" not in headers:  # one who asks first has not sent it yet
            await _discard(receive, more=True)
        raise _too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            await _discard(receive, more=message.get("more_body", False))
            raise _too_large()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return body


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


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"The body must not exceed {BODY_BYTES} bytes.")


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
