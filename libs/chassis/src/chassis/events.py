"""Consuming facts from JetStream, at least once: those of one aggregate in order, aggregates side by side.

An aggregate is what a fact is about, its subject without the last token: `p2p.events.hosts.h1.moved` and
`p2p.events.hosts.h1.gone` are of the aggregate `p2p.events.hosts.h1`. `pull.py` brings the messages; `consumer.py`
decides what is acknowledged, tried again, or put among the dead letters; `consuming.py` does one after the other.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Self, TypeVar

from contracts.streams import Stream
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from pydantic import TypeAdapter

from chassis.bus import Bus
from chassis.consumer import RETRY_AFTER_S, Consumer, Delivery, Handler
from chassis.consuming import Consuming
from chassis.dead_letters import UnusableError, dead_letter
from chassis.lag import LOOK_EVERY, Followed, Lag
from chassis.loops import every
from chassis.pull import Pull

__all__ = ["Consumers", "Delivery", "UnusableError", "dead_letter"]  # all that a handler's module needs

M = TypeVar("M")

BATCH = 100
ACK_WAIT_S = 6.0
"""For this long a process that stands still keeps what it has in hand; then another has it. One that works says so."""

EPHEMERAL_FOR_S = 300.0
"""How long the server keeps the consumer of a process that went without a word."""


class Consumers:
    """The consumers of one service, from `async with` until that ends; then what is at hand is finished."""

    def __init__(
        self, bus: Bus, service: str, *, instance: str, retry_after_s: Sequence[float] = RETRY_AFTER_S
    ) -> None:
        self._bus = bus
        self._service = service
        self._instance = instance
        self._retry_after_s = retry_after_s
        self._all: list[Consuming] = []
        self._followed: list[Followed] = []
        self._running = AsyncExitStack()

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
        config = self._config(consumer.name, subject, durable=durable)
        self._followed.append(Followed(consumer.name, stream.name, config.name or ""))
        pull = Pull(self._bus, stream.name, config, BATCH, gather.total_seconds())
        self._all.append(Consuming(pull, consumer))

    def _config(self, name: str, subject: str, *, durable: bool) -> ConsumerConfig:
        if durable:
            return ConsumerConfig(
                name=name,
                durable_name=name,
                filter_subject=subject,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
            )
        return ConsumerConfig(
            name=f"{name}-{self._instance}".replace(".", "_"),
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            deliver_policy=DeliverPolicy.NEW,
            inactive_threshold=EPHEMERAL_FOR_S,
            mem_storage=True,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as running:
            running.push_async_callback(self._stop)
            for one in self._all:
                await one.start()
            lag = Lag(self._bus, self._followed)
            await running.enter_async_context(every(LOOK_EVERY, lag.look, "lag"))
            self._running = running.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    async def _stop(self) -> None:
        """All at once: none takes up more while another finishes."""
        await asyncio.gather(*(one.stop() for one in self._all))
