"""Answering requests: many at once up to a bound, each refused in type, and none dropped on the way out."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import signature
from types import TracebackType
from typing import Self

import structlog
from contracts.refusals import Refusal
from contracts.subjects import Rpc
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from pydantic import ValidationError

from chassis import tracing
from chassis.bus import Bus
from chassis.discovery import Discovery
from chassis.endpoint import NO_INBOXES, Endpoint
from chassis.metrics import REQUEST_REFUSALS, REQUESTS_AT_WORK, REQUESTS_LATE, REQUESTS_WAITING
from chassis.refusals import HTTP_STATUS, InternalError, ServiceError, malformed
from chassis.requests import ANSWERED_UNTIL, ERROR, ERROR_CODE, Answer, Asked, Question, deadline_in
from chassis.semantics import of_request
from chassis.tracing import SpanKind

log = structlog.stdlib.get_logger()

Handler = Callable[[Question], Awaitable[Answer | bytes]] | Callable[[Question, Asked], Awaitable[Answer | bytes]]

SERVER = SpanKind.SERVER

DRAIN_S = 10.0
"""Longer than any deadline of a request: whatever is still running then has nobody waiting for it."""


class NotOursError(Exception):
    """Raised by a handler of what every instance is asked, when it is for another to answer."""


class Responder:
    """Answers for one service, as one of its queue group, from `async with` until that ends."""

    def __init__(self, bus: Bus, service: str, version: str, *, instance: str, limit: int = 256) -> None:
        self._bus = bus
        self._queue = service
        self._limit = limit
        self._endpoints: list[Endpoint] = []
        self._subscriptions: list[Subscription] = []
        self._in_flight: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._discovery = Discovery(bus, service, version, instance, self._endpoints)

    def answer(self, rpc: Rpc[Question, Answer], handler: Handler[Question, Answer]) -> None:
        """Have `handler` answer `rpc`: it takes the question (and the circumstances, if it has a second parameter).

        Where all are asked, all handlers but one are silent, by NotOursError.
        """
        told = len(signature(handler).parameters) > 1
        self._endpoints.append(Endpoint(rpc, handler, told, "" if rpc.asks_all else self._queue))

    async def __aenter__(self) -> Self:
        for endpoint in self._endpoints:
            self._subscriptions.append(
                await self._bus.subscribe_raw(endpoint.rpc.subject, self._receiver(endpoint), queue=endpoint.queue)
            )
        await self._discovery.start()
        await self._bus.settle()
        REQUESTS_AT_WORK.set_function(lambda: len(self._in_flight))
        REQUESTS_WAITING.set_function(lambda: sum(waiting.pending_msgs for waiting in self._subscriptions))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take no more requests, then finish all that arrived."""
        await self._discovery.stop()
        try:
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*map(self._unsubscribe, self._subscriptions))
                while self._in_flight:
                    await asyncio.wait(self._in_flight)
        except TimeoutError:
            log.warning("responder.drained_late", unfinished=len(self._in_flight))
            for task in self._in_flight:
                task.cancel()

    async def _unsubscribe(self, subscription: Subscription) -> None:
        try:
            await subscription.drain()  # type: ignore[no-untyped-call]  # unsubscribe, a round trip for what is on its way, then every callback
        except NatsError as error:  # without a connection nothing more arrives
            log.info("responder.unsubscribed_offline", reason=str(error))

    def _receiver(self, endpoint: Endpoint) -> Callable[[Msg], Awaitable[None]]:
        async def receive(msg: Msg) -> None:
            if msg.reply.startswith(NO_INBOXES):
                log.warning("request.wants_no_answer", subject=endpoint.rpc.subject, reply=msg.reply)
                return
            # While all places are taken, requests wait here and in the subscription, not as tasks.
            while len(self._in_flight) >= self._limit:
                self._room.clear()
                await self._room.wait()
            task = asyncio.create_task(self._serve(endpoint, msg))
            self._in_flight.add(task)
            task.add_done_callback(self._finished)

        return receive

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._room.set()

    async def _serve(self, endpoint: Endpoint, msg: Msg) -> None:
        headers = msg.headers or {}
        until = deadline_in(headers)
        if until is not None:
            if until < time.time():
                REQUESTS_LATE.labels(endpoint.rpc.subject).inc()
                return
            ANSWERED_UNTIL.set(until)
        began_at = time.perf_counter()
        try:
            subject = endpoint.rpc.subject
            traceparent = headers.get(tracing.TRACEPARENT)
            with tracing.continued(traceparent, subject, SERVER, of_request(subject, SERVER)) as span:
                answer = await self._ask(endpoint, msg.data, headers)
                await self._reply(msg.reply, answer, None)
        except NotOursError:
            return
        except ServiceError as error:
            await self._refuse(endpoint, msg.reply, error.refusal)
        elapsed = time.perf_counter() - began_at
        endpoint.requests += 1
        endpoint.seconds += elapsed
        endpoint.observe(elapsed, tracing.exemplar(span))

    async def _ask(self, endpoint: Endpoint, body: bytes, headers: dict[str, str]) -> bytes:
        try:
            question = endpoint.rpc.question.__pydantic_validator__.validate_json(body or b"{}")
        except ValidationError as error:
            raise malformed(error) from None
        try:
            if endpoint.told:
                answer = await endpoint.handler(question, Asked.from_headers(endpoint.rpc.subject, headers))
            else:
                answer = await endpoint.handler(question)
            return answer if isinstance(answer, bytes) else answer.__pydantic_serializer__.to_json(answer)
        except (ServiceError, NotOursError):
            raise
        except Exception as error:
            endpoint.last_error = type(error).__name__
            log.exception("request.failed", subject=endpoint.rpc.subject)
            raise InternalError("Something went wrong on our side.") from error

    async def _refuse(self, endpoint: Endpoint, reply: str, refusal: Refusal) -> None:
        endpoint.errors += 1
        REQUEST_REFUSALS.labels(endpoint.rpc.subject, refusal.code).inc()
        headers = {ERROR: refusal.code.value, ERROR_CODE: str(HTTP_STATUS[refusal.code].value)}
        await self._reply(reply, refusal.__pydantic_serializer__.to_json(refusal), headers)

    async def _reply(self, subject: str, payload: bytes, headers: dict[str, str] | None) -> None:
        if not subject:  # somebody published without wanting an answer
            return
        try:
            await self._bus.client.publish(subject, payload, headers=headers)
        except MaxPayloadError as error:
            log.exception("request.answer_too_large", bytes=len(payload))
            raise InternalError("The answer is too large.") from error
        except NatsError as error:  # whoever asked has lost the connection as well, or will ask again
            log.warning("request.answer_lost", error=str(error))
