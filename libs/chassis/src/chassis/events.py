"""Consuming facts from JetStream, at least once: of one thing in order, things side by side.

A thing is all of a subject but its last token. FastStream carries the consumers; this module decides what is
acknowledged, tried again, or put among the dead letters.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Self, TypeVar

import structlog
from contracts.refusals import Code
from contracts.streams import Stream
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as JetStreamAck
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import TypeAdapter, ValidationError

from chassis import tracing
from chassis.bus import Bus
from chassis.jetstream import publish
from chassis.metrics import EVENTS_CONSUMED
from chassis.pull import Pull
from chassis.refusals import ServiceError

log = structlog.stdlib.get_logger()

M = TypeVar("M")

BATCH = 100
ACK_WAIT_S = 30.0
EPHEMERAL_FOR_S = 300.0
"""How long the server keeps the consumer of a process that went without a word."""

ATTEMPTS = 6
"""Then it is a defect of the message or of ours, and waits among the dead letters for a person."""

RETRY_AFTER_S = (0.1, 0.5, 2.0, 5.0, 10.0)
WHILE_AWAY_S = 2.0
"""Between tries while what the handler needs is away; those don't lead to the dead letters."""


class UnusableError(Exception):
    """Raised by a handler for a message that no other try will make any better."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The circumstances of a message: a handler that takes it as a second argument is told."""

    subject: str
    headers: Mapping[str, str]
    attempt: int
    sequence: int


Handler = Callable[[M], Awaitable[None]] | Callable[[M, Delivery], Awaitable[None]]


class _BusBroker(NatsBroker):
    """FastStream on the connection that the process has already, which isn't FastStream's to close."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(logger=logging.getLogger("faststream"), apply_types=False, graceful_timeout=10)
        self._bus = bus

    async def _connect(self) -> Client:
        client = self._bus.client
        self.config.connect(client)
        self.config.connection_state.connect(client, _Pulls(self._bus))
        return client

    async def stop(self, *_: object) -> None:
        self._connection = None
        await super().stop()


class _Pulls(JetStreamContext):
    """Gives FastStream our pulls."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus.client)
        self._bus = bus

    async def pull_subscribe(self, *_: object, stream: str, config: ConsumerConfig, **_options: object) -> Pull:  # type: ignore[override]
        pull = Pull(self._bus, stream, config, BATCH)
        await pull.start()
        return pull


class Consumers:
    """The consumers of one service, from `async with` until that ends; then what is at hand is finished."""

    def __init__(self, bus: Bus, service: str, *, instance: str) -> None:
        self._bus = bus
        self._service = service
        self._instance = instance
        self.broker: NatsBroker = _BusBroker(bus)
        """FastStream's broker, for its documents (AsyncAPI)."""

    def consume(
        self,
        stream: Stream,
        subject: str,
        message: type[M],
        handler: Handler[M],
        *,
        name: str,
        durable: bool = True,
    ) -> None:
        """Have `handler` take every `message` on `subject` (wildcards allowed).

        Durable: the service's instances share them, from the stream's beginning. Not durable: this process gets all,
        from now on.
        """
        consumer = _Consumer(self._bus, stream.name, f"{self._service}-{name}", message, handler)
        self.broker.subscriber(
            subject,
            stream=JStream(stream.name, declare=False),
            pull_sub=PullSub(batch_size=BATCH, timeout=EXPIRES_UNUSED_S, batch=True),
            ack_policy=AckPolicy.MANUAL,
            config=self._config(consumer.name, subject, durable=durable),
            decoder=_as_they_came,
        )(consumer.take)

    def _config(self, name: str, subject: str, *, durable: bool) -> ConsumerConfig:
        if durable:
            return ConsumerConfig(
                name=name,
                durable_name=name,
                filter_subject=subject,
                ack_policy=JetStreamAck.EXPLICIT,
                ack_wait=ACK_WAIT_S,
            )
        return ConsumerConfig(
            name=f"{name}-{self._instance}".replace(".", "_"),
            filter_subject=subject,
            ack_policy=JetStreamAck.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            deliver_policy=DeliverPolicy.NEW,
            inactive_threshold=EPHEMERAL_FOR_S,
            mem_storage=True,
        )

    async def __aenter__(self) -> Self:
        await self.broker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.stop()


EXPIRES_UNUSED_S = 30.0
"""FastStream wants a time to collect a batch in; our pulls give what is there at once."""


async def _as_they_came(message: Any) -> Any:
    return message.raw_message


class _Consumer:
    """What is done with the messages of one consumer."""

    def __init__(self, bus: Bus, stream: str, name: str, message: type[M], handler: Handler[M]) -> None:
        self.name = name
        self._bus = bus
        self._stream = stream
        self._adapter: TypeAdapter[Any] = TypeAdapter(message)
        self._handler: Callable[..., Awaitable[None]] = handler
        self._told = len(signature(handler).parameters) > 1

    async def take(self, messages: list[Msg]) -> None:
        """Handle a batch: the messages of one thing in order, things side by side."""
        things: dict[str, list[Msg]] = {}
        for msg in messages:
            things.setdefault(msg.subject.rpartition(".")[0], []).append(msg)
        await asyncio.gather(*(self._in_order(of_one) for of_one in things.values()))

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
        with tracing.continued(
            headers.get(tracing.TRACEPARENT), f"consume {self.name}", tracing.SpanKind.CONSUMER, linked=True
        ):
            try:
                await self._handle(msg, headers)
            except (ValidationError, UnusableError) as error:
                return await self._give_up(msg, str(error))
            except ServiceError as error:
                if error.refusal.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
                    return self._again(msg, WHILE_AWAY_S, error)
                return await self._failed(msg, error)
            except Exception as error:
                log.exception("event.failed", consumer=self.name, subject=msg.subject)
                return await self._failed(msg, error)
        EVENTS_CONSUMED.labels(self.name, "done").inc()
        return None

    async def _handle(self, msg: Msg, headers: Mapping[str, str]) -> None:
        message = self._adapter.validate_json(msg.data)
        if self._told:
            about = msg.metadata
            delivery = Delivery(msg.subject, headers, about.num_delivered, about.sequence.stream)
            await self._handler(message, delivery)
        else:
            await self._handler(message)

    async def _failed(self, msg: Msg, error: Exception) -> float | None:
        attempt = msg.metadata.num_delivered
        if attempt >= ATTEMPTS:
            return await self._give_up(msg, f"{type(error).__name__}: {error}")
        return self._again(msg, RETRY_AFTER_S[min(attempt, len(RETRY_AFTER_S)) - 1], error)

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


async def dead_letter(bus: Bus, source: str, subject: str, body: bytes, reason: str, *, message_id: str) -> None:
    """Keep a message that can't be used under `p2p.dlq.<source>`, with where it came from and why."""
    log.error("message.dead", source=source, subject=subject, reason=reason)
    headers = {"p2p-subject": subject, "p2p-reason": reason[:512]}
    tracing.inject(headers)
    await publish(bus, f"p2p.dlq.{source}", body, message_id=message_id, headers=headers)
