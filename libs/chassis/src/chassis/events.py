"""Consuming facts from JetStream, at least once: those of one aggregate in order, aggregates side by side.

An aggregate is what a fact is about, its subject without the last token: `p2p.events.hosts.h1.moved` and
`p2p.events.hosts.h1.gone` are of the aggregate `p2p.events.hosts.h1`. FastStream carries the consumers; `consumer.py`
decides what is acknowledged, tried again, or put among the dead letters.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Self, TypeVar

from contracts.streams import Stream
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as JetStreamAck
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import TypeAdapter

from chassis.bus import Bus
from chassis.consumer import RETRY_AFTER_S, Consumer, Delivery, Handler
from chassis.dead_letters import UnusableError, dead_letter
from chassis.lag import LOOK_EVERY, Followed, Lag
from chassis.loops import every
from chassis.pull import Pull

__all__ = ["Consumers", "Delivery", "UnusableError", "dead_letter"]  # all that a handler's module needs

M = TypeVar("M")

BATCH = 100
ACK_WAIT_S = 30.0
EPHEMERAL_FOR_S = 300.0
"""How long the server keeps the consumer of a process that went without a word."""

COLLECT_S = 30.0
"""FastStream wants a time to collect a batch in; our pulls give what is there at once."""


class _BusBroker(NatsBroker):
    """FastStream on the connection that the process has already, which isn't FastStream's to close."""

    def __init__(self, bus: Bus, gather_s: Mapping[str, float]) -> None:
        super().__init__(logger=logging.getLogger("chassis.faststream"), apply_types=False, graceful_timeout=10)
        self._bus = bus
        self._gather_s = gather_s

    async def _connect(self) -> Client:
        client = self._bus.client
        self.config.connect(client)
        self.config.connection_state.connect(client, _Pulls(self._bus, self._gather_s))
        return client

    async def stop(self, *_: object) -> None:
        self._connection = None
        await super().stop()


class _Pulls(JetStreamContext):
    """Gives FastStream our pulls."""

    def __init__(self, bus: Bus, gather_s: Mapping[str, float]) -> None:
        super().__init__(bus.client)
        self._bus = bus
        self._gather_s = gather_s
        """By the consumer's name."""

    async def pull_subscribe(self, *_: object, stream: str, config: ConsumerConfig, **_options: object) -> Pull:  # type: ignore[override]
        name = config.durable_name or config.name or ""
        pull = Pull(self._bus, stream, config, BATCH, self._gather_s.get(name, 0.0))
        await pull.start()
        return pull


class Consumers:
    """The consumers of one service, from `async with` until that ends; then what is at hand is finished."""

    def __init__(
        self, bus: Bus, service: str, *, instance: str, retry_after_s: Sequence[float] = RETRY_AFTER_S
    ) -> None:
        self._bus = bus
        self._service = service
        self._instance = instance
        self._retry_after_s = retry_after_s
        self._gather_s: dict[str, float] = {}
        self._followed: list[Followed] = []
        self._running = AsyncExitStack()
        self.broker: NatsBroker = _BusBroker(bus, self._gather_s)
        """FastStream's broker, for its documents (AsyncAPI)."""

    def consume(
        self,
        stream: Stream,
        subject: str,
        message: type[M] | TypeAdapter[M],
        handler: Handler[M],
        *,
        name: str,
        durable: bool = True,
        gather: timedelta = timedelta(0),
    ) -> None:
        """Have `handler` take every `message` on `subject` (wildcards allowed; a union goes as a TypeAdapter).

        Durable: the service's instances share them, from the stream's beginning. Not durable: this process gets all,
        from now on. `gather`: after a first message wait this long for more, where many together cost little more
        than one and nobody waits for the outcome.
        """
        adapter = message if isinstance(message, TypeAdapter) else TypeAdapter(message)
        consumer = Consumer(
            self._bus,
            stream.name,
            f"{self._service}-{name}",
            adapter=adapter,
            handler=handler,
            retry_after_s=self._retry_after_s,
        )
        self._gather_s[consumer.name] = gather.total_seconds()
        config = self._config(consumer.name, subject, durable=durable)
        self._followed.append(Followed(consumer.name, stream.name, config.name or ""))
        self.broker.subscriber(
            subject,
            stream=JStream(stream.name, declare=False),
            pull_sub=PullSub(batch_size=BATCH, timeout=COLLECT_S, batch=True),
            ack_policy=AckPolicy.MANUAL,
            config=config,
            decoder=_as_they_came,
            title=consumer.name,
        )(_documented(consumer, message))

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
        lag = Lag(self._bus, self._followed)
        await self._running.enter_async_context(every(LOOK_EVERY, lag.look, "lag"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()
        await self.broker.stop()


def _documented(consumer: Consumer[M], message: type[M] | TypeAdapter[M]) -> Callable[[Any], Awaitable[None]]:
    """Give FastStream a function whose annotation names the message, for its documents; what comes is raw."""

    async def take(messages: Any) -> None:
        await consumer.take(messages)

    take.__annotations__["messages"] = dict[str, Any] if isinstance(message, TypeAdapter) else message
    return take


async def _as_they_came(message: Any) -> Any:
    return message.raw_message
