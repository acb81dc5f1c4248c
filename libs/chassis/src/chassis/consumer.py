"""What becomes of the messages of one consumer: handled in order, then acknowledged, tried again, or given up on."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Generic, TypeVar

import structlog
from contracts.refusals import Code
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import Header
from pydantic import TypeAdapter, ValidationError

from chassis import tracing
from chassis.bus import Bus
from chassis.dead_letters import UnusableError, dead_letter
from chassis.metrics import EVENT_SECONDS, EVENTS_CONSUMED
from chassis.refusals import ServiceError
from chassis.semantics import CONSUMER_GROUP, MESSAGE_ID, kind_of, spoken_of

log = structlog.stdlib.get_logger()

M = TypeVar("M")

RETRY_AFTER_S = (0.1, 0.5, 2.0, 5.0, 10.0)
"""After the last of these it is a defect, of the message or ours, and waits among the dead letters for a person."""

WHILE_AWAY_S = 2.0
"""Between tries while what the handler needs is away; those don't lead to the dead letters."""

_AWAY = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})


@dataclass(frozen=True, slots=True)
class Delivery:
    """The circumstances of a message: a handler that takes it as a second argument is told."""

    subject: str
    headers: Mapping[str, str]
    attempt: int
    sequence: int


Handler = Callable[[M], Awaitable[None]] | Callable[[M, Delivery], Awaitable[None]]


class Consumer(Generic[M]):
    """What is done with the messages of one consumer."""

    def __init__(
        self,
        bus: Bus,
        stream: str,
        name: str,
        *,
        adapter: TypeAdapter[M],
        handler: Handler[M],
        retry_after_s: Sequence[float],
    ) -> None:
        self.name = name
        self._bus = bus
        self._stream = stream
        self._adapter = adapter
        self._retry_after_s = retry_after_s
        self._handler: Callable[..., Awaitable[None]] = handler
        self._told = len(signature(handler).parameters) > 1
        self._observe = EVENT_SECONDS.labels(name).observe

    async def take(self, messages: list[Msg]) -> None:
        """Handle a batch: the messages of one aggregate in order, aggregates side by side."""
        aggregates: dict[str, list[Msg]] = {}
        for msg in messages:
            aggregates.setdefault(msg.subject.rpartition(".")[0], []).append(msg)
        await asyncio.gather(*(self._in_order(of_one) for of_one in aggregates.values()))

    async def _in_order(self, messages: list[Msg]) -> None:
        for index, msg in enumerate(messages):
            again_after_s = await self._one(msg)
            if again_after_s is not None:
                for held_up in messages[index:]:  # what comes after it waits with it
                    await held_up.nak(again_after_s)
                return
            await msg.ack()

    async def _one(self, msg: Msg) -> float | None:
        """Handle one message; None when it is done with, else the seconds after which to try again."""
        headers = msg.headers or {}
        began_at = time.perf_counter()
        with tracing.continued(
            headers.get(tracing.TRACEPARENT), f"consume {kind_of(msg.subject)}", tracing.SpanKind.CONSUMER, linked=True
        ) as span:
            again_after_s = await self._told_of(msg, headers, span)
        self._observe(time.perf_counter() - began_at, tracing.exemplar(span))
        return again_after_s

    async def _told_of(self, msg: Msg, headers: Mapping[str, str], span: tracing.Span) -> float | None:
        if span.is_recording():
            message_id = headers.get(Header.MSG_ID.value, "")
            span.set_attributes({CONSUMER_GROUP: self.name, MESSAGE_ID: message_id, **spoken_of(msg.subject)})
        try:
            message = self._adapter.validate_json(msg.data)
        except ValidationError as error:
            return await self._give_up(msg, str(error))
        try:
            await self._handle(message, msg, headers)
        except Exception as error:  # noqa: BLE001 -- logged where its fate is decided
            tracing.mark(span, error)
            return await self._missed(msg, error)
        EVENTS_CONSUMED.labels(self.name, "done").inc()
        return None

    async def _handle(self, message: M, msg: Msg, headers: Mapping[str, str]) -> None:
        if self._told:
            about = msg.metadata
            delivery = Delivery(msg.subject, headers, about.num_delivered, about.sequence.stream)
            await self._handler(message, delivery)
        else:
            await self._handler(message)

    async def _missed(self, msg: Msg, error: Exception) -> float | None:
        """Decide what becomes of a message that was not handled."""
        if isinstance(error, UnusableError):
            return await self._give_up(msg, str(error))
        if isinstance(error, ServiceError) and error.refusal.code in _AWAY:
            return self._again(msg, WHILE_AWAY_S, error)
        if not isinstance(error, ServiceError):
            log.error("event.failed", consumer=self.name, subject=msg.subject, exc_info=error)
        attempt = msg.metadata.num_delivered
        if attempt > len(self._retry_after_s):
            return await self._give_up(msg, f"{type(error).__name__}: {error}")
        return self._again(msg, self._retry_after_s[attempt - 1], error)

    def _again(self, msg: Msg, after_s: float, error: Exception) -> float:
        EVENTS_CONSUMED.labels(self.name, "again").inc()
        log.warning(
            "event.again",
            consumer=self.name,
            subject=msg.subject,
            after_s=after_s,
            error=f"{type(error).__name__}: {error}",
        )
        return after_s

    async def _give_up(self, msg: Msg, reason: str) -> float | None:
        about = msg.metadata
        try:
            await dead_letter(
                self._bus,
                f"{self._stream}.{self.name}",
                msg.subject,
                msg.data,
                reason,
                message_id=f"{self._stream}:{about.sequence.stream}:{self.name}",
            )
        except (ServiceError, NatsError) as error:
            return self._again(msg, WHILE_AWAY_S, error)
        EVENTS_CONSUMED.labels(self.name, "given up").inc()
        return None
