"""Messages of one JetStream consumer, pulled ahead; a consumer that vanished is made anew, without spinning.

nats-py's own `fetch` asks twice for each batch, and against a consumer that is gone it returns at once for ever.
"""

import asyncio
import json
from collections import deque
from contextlib import suppress
from datetime import datetime

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js import JetStreamManager
from nats.js.api import ConsumerConfig, DeliverPolicy, Header, StreamInfo
from nats.js.errors import APIError, NotFoundError

from chassis.bus import Bus
from chassis.streams import declare_streams

log = structlog.stdlib.get_logger()

EXPIRES_S = 30.0
HEARTBEAT_S = 5.0
SILENT_AFTER_S = 12.0
"""Two heartbeats and some: then the server has forgotten our pull."""

HEAL_FIRST_S = 0.1
HEAL_LONGEST_S = 2.0


class Pull:
    """The messages of one consumer, from `start` to `unsubscribe`, by one who fetches."""

    def __init__(self, bus: Bus, stream: str, config: ConsumerConfig, batch: int, gather_s: float = 0.0) -> None:
        self._bus = bus
        self._stream = stream
        self._name = config.name or config.durable_name or bus.client.new_inbox().rpartition(".")[2]
        self._config = config
        self._batch = batch
        self._gather_s = gather_s
        self._arrived: deque[Msg] = deque()
        self._handed_out: list[Msg] = []
        self._news = asyncio.Event()
        self._asked_for = 0
        self._gone = False
        self._heard_to: int | None = None
        """In the stream: what follows is still to be heard, also by a consumer made anew."""
        self._made_at: datetime | None = None
        """When the stream was, in which we made our consumer; None while others had made it before."""
        self._inbox = bus.client.new_inbox()
        self._subscription: Subscription | None = None
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{self._name}"
        self._request = json.dumps(
            {"batch": batch, "expires": int(EXPIRES_S * 1e9), "idle_heartbeat": int(HEARTBEAT_S * 1e9)}
        ).encode()

    async def start(self) -> None:
        self._subscription = await self._bus.subscribe_raw(self._inbox, self._receive)
        self._bus.on_reconnect(self._reconnected)
        await self._heal()

    async def fetch(self) -> list[Msg]:
        """Wait for messages and give all that are there, at most a batch."""
        while not self._arrived:
            self._news.clear()  # before looking at anything, so that news from now on is not missed
            if self._gone:
                await self._heal()
            if self._asked_for <= 0:
                await self._ask()
            await self._wait()
        if self._gather_s and len(self._arrived) < self._batch:
            await asyncio.sleep(self._gather_s)  # the server sends one by one; whoever works in batches wants company
        self._handed_out = [self._arrived.popleft() for _ in range(min(self._batch, len(self._arrived)))]
        self._heard_to = self._handed_out[-1].metadata.sequence.stream
        return self._handed_out.copy()

    async def hold(self) -> None:
        """Tell the server that what came is in hand still, so that nobody else is given it."""
        with suppress(NatsError):  # without a connection it comes again
            for msg in (*self._handed_out, *self._arrived):
                if not msg.is_acked:
                    await msg.in_progress()

    async def unsubscribe(self) -> None:
        """Stop; what came and nobody handled goes back, for another process to have it at once."""
        with suppress(NatsError):  # without a connection the server finds out by itself, after `ack_wait`
            if self._subscription is not None:
                await self._subscription.drain()  # type: ignore[no-untyped-call]
            for msg in (*self._handed_out, *self._arrived):
                if not msg.is_acked:
                    await msg.nak()

    async def _receive(self, msg: Msg) -> None:
        status = msg.headers.get(Header.STATUS) if msg.headers else None
        if status is None or msg.reply.startswith("$JS.ACK"):
            self._asked_for -= 1
            self._arrived.append(msg)
        elif status != "100":  # 100 is a heartbeat; everything else ends the pull
            self._asked_for = 0
            description = (msg.headers or {}).get(Header.DESCRIPTION, "")
            self._gone = self._gone or status == "503" or "Deleted" in description
        self._news.set()

    async def _ask(self) -> None:
        if self._bus.connected:  # else the reconnect wakes us
            self._asked_for = self._batch
            await self._bus.client.publish(self._next, self._request, self._inbox)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(SILENT_AFTER_S):
                await self._news.wait()
        except TimeoutError:
            self._asked_for = 0
            self._gone = self._bus.connected  # look whether it is still there

    async def _reconnected(self) -> None:
        self._asked_for = 0
        self._news.set()

    async def _heal(self) -> None:
        """Make sure that the consumer exists, however long that takes."""
        pause_s = HEAL_FIRST_S
        while True:
            try:
                await self._ensure_consumer()
            except (NatsError, APIError, OSError) as error:
                log.warning("consumer.unreachable", stream=self._stream, consumer=self._name, error=str(error))
            else:
                self._gone = False
                return
            await asyncio.sleep(pause_s)
            pause_s = min(HEAL_LONGEST_S, pause_s * 2)

    async def _ensure_consumer(self) -> None:
        manager = self._bus.client.jsm()
        try:
            present = (await manager.consumer_info(self._stream, self._name)).config
        except NotFoundError:
            await self._create_consumer(manager)
            return
        if present.filter_subject != self._config.filter_subject or present.ack_wait != self._config.ack_wait:
            wanted = present.evolve(filter_subject=self._config.filter_subject, ack_wait=self._config.ack_wait)
            await manager.add_consumer(self._stream, wanted)
            log.info("consumer.updated", stream=self._stream, consumer=self._name)

    async def _create_consumer(self, manager: JetStreamManager) -> None:
        stream = await self._stream_there(manager)
        if self._heard_to is not None and self._is_another(stream):
            self._heard_to = 0  # all of it is new
        self._made_at = stream.created
        await manager.add_consumer(self._stream, self._from_where_we_were())
        if self._heard_to is None and self._config.deliver_policy is DeliverPolicy.NEW:
            self._heard_to = stream.state.last_seq
        log.info("consumer.created", stream=self._stream, consumer=self._name)

    async def _stream_there(self, manager: JetStreamManager) -> StreamInfo:
        try:
            return await manager.stream_info(self._stream)
        except NotFoundError:
            await declare_streams(self._bus)
            return await manager.stream_info(self._stream)

    def _is_another(self, stream: StreamInfo) -> bool:
        """Whether it has the name of the one that was heard, and nothing else of it."""
        if self._made_at is not None:
            return stream.created != self._made_at
        return self._heard_to is not None and self._heard_to > stream.state.last_seq

    def _from_where_we_were(self) -> ConsumerConfig:
        if self._heard_to is None:
            return self._config
        return self._config.evolve(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self._heard_to + 1)
