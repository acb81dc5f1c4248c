"""The connection to NATS: it comes back by itself, and nothing that happens to it ends the process."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from itertools import count
from pathlib import Path
from typing import Any

import structlog
from contracts.credentials import inbox_prefix
from nats.aio.client import DEFAULT_INBOX_PREFIX, PING_PROTO, Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError
from nats.js.api import Header

from chassis import tracing
from chassis.credentials import Complaints, read_user
from chassis.metrics import BUS_CONNECTED, BUS_DISCONNECTS, BUS_DROPPED
from chassis.refusals import DeadlineExceededError, UnavailableError
from chassis.semantics import kind_of

log = structlog.stdlib.get_logger()

Callback = Callable[[Msg], Awaitable[None]]

RECONNECT_FIRST_S = 0.05
"""nats-server opens its port 10 ms after its start; a restart should be noticed by nobody."""

RECONNECT_GROWTH = 1.5
RECONNECT_LONGEST_S = 1.0
"""While the server is away for long, about a try a second is cheap and soon enough."""

RECONNECT_PATIENCE_S = 0.5
"""A request made while disconnected waits this long before it is refused: a restart takes 0.3 to 0.6 s."""

PING_EVERY_S = 10
"""A peer that vanished without a word (cable, power) is noticed after two pings without an answer."""

BUFFER_BYTES = 8 * 1024 * 1024
"""What may be published while disconnected before publishing is refused: some seconds of beats."""

PENDING_MESSAGES = 65_536
PENDING_BYTES = 64 * 1024 * 1024
"""What may wait for a slow callback before messages are dropped, with a warning."""

TELL_OF_DROPS_EVERY_S = 1.0
"""A flood that makes us drop messages must not become a flood of log lines; the metric counts them all."""

FLUSH_WITHIN_S = 2

NO_RESPONDERS = "503"


class _Client(Client):
    """nats-py, with two things mended that would cost us messages or the process, and one that costs time."""

    async def _process_err(self, err_msg: str) -> None:
        """Reconnect after an error the server sends (slow consumer, too many connections); nats-py closes for good."""
        if "permissions violation" in err_msg.lower():
            await super()._process_err(err_msg)
        else:
            await self._process_op_err(NatsError(f"nats: {err_msg}"))

    async def _send_ping(self, future: "asyncio.Future[bool] | None" = None) -> None:
        """Send PING behind what is buffered; nats-py sends it ahead, so its `flush` and `drain` wait for nothing.

        With it ahead, a drain's UNSUB may follow the PONG, and what the server sends in between is lost.
        """
        self._pongs.append(future or asyncio.Future())
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Read headers in a fifth of nats-py's time, which was a sixth of answering a request."""
        headers = {}
        for line in raw.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if colon and name.isascii():
                headers[name.decode()] = value.strip().decode("utf-8", "replace")
        return headers


class Bus:
    """One connection, shared by everything in the process; made by `connect_bus`."""

    def __init__(self) -> None:
        self.client: Client = _Client()
        """nats-py's, for JetStream and key-value buckets."""
        self.replicas = 1
        """On how many servers what we make in JetStream is kept."""
        self._on_reconnect: list[Callable[[], Awaitable[None]]] = []
        self._up = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._tokens = count()
        self._inbox = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._drops_told_at = float("-inf")
        self._complaints = Complaints()

    @property
    def connected(self) -> bool:
        """Whether the server is there at this moment."""
        return self.client.is_connected

    def on_reconnect(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have `callback` run after every reconnect; subscriptions need none, they come back by themselves."""
        self._on_reconnect.append(callback)

    async def publish(
        self, subject: str, payload: bytes = b"", *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Publish, at most once, with the trace context; UnavailableError once the buffer of an outage is full."""
        carried = dict(headers) if headers else {}
        if not tracing.recording():
            tracing.inject(carried)
            await self.send(subject, payload, reply, carried or None)
            return
        with tracing.span(f"publish {kind_of(subject)}", tracing.SpanKind.PRODUCER):
            tracing.inject(carried)
            await self.send(subject, payload, reply, carried)

    async def send(self, subject: str, payload: bytes, reply: str, headers: dict[str, str] | None) -> None:
        """Publish as it is, without trace context."""
        try:
            await self.client.publish(subject, payload, reply, headers)
        except NatsError as error:
            if self.client.is_connected:
                raise
            raise UnavailableError("The message bus is away.") from error

    async def subscribe(
        self, subject: str, callback: Callback, *, queue: str = "", pending: int = PENDING_MESSAGES
    ) -> Subscription:
        """Hear `subject`, one message at a time in order; an error in `callback` is logged and costs that message."""
        span_name = f"receive {kind_of(subject)}"

        async def heard(msg: Msg) -> None:
            traceparent = msg.headers.get(tracing.TRACEPARENT) if msg.headers else None
            try:
                with tracing.continued(traceparent, span_name, tracing.SpanKind.CONSUMER):
                    await callback(msg)
            except Exception:
                log.exception("bus.message_failed", subject=msg.subject)

        subscription = await self.subscribe_raw(subject, heard, queue=queue, pending=pending)
        await self.settle()
        return subscription

    async def subscribe_raw(
        self, subject: str, callback: Callback, *, queue: str = "", pending: int = PENDING_MESSAGES
    ) -> Subscription:
        """Hear `subject` without trace context, guard or `settle`: for callers that bring their own."""
        # In a context of its own: the subscription outlives whatever message caused it, and must not carry its trace.
        subscribing = self.client.subscribe(
            subject, queue, callback, pending_msgs_limit=pending, pending_bytes_limit=PENDING_BYTES
        )
        return await asyncio.create_task(subscribing, context=Context())

    async def settle(self) -> None:
        """Wait until the server has taken all that was sent so far; without a connection, that is its reconnect's."""
        if self.client.is_connected:
            try:
                await self.client.flush(timeout=FLUSH_WITHIN_S)
            except NatsError as error:
                log.warning("bus.not_flushed", error=str(error))

    async def request(
        self, subject: str, payload: bytes, *, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Ask and wait for one reply; UnavailableError when nobody is there, DeadlineExceededError when none came."""
        if not self.client.is_connected:
            self._up.clear()  # nats-py calls back about the loss some time after it knows of it
            await self._wait_until_up(min(timeout_s, RECONNECT_PATIENCE_S))
        loop = asyncio.get_running_loop()
        token = str(next(self._tokens))
        future: asyncio.Future[Msg] = loop.create_future()
        self._waiting[token] = future
        timer = loop.call_later(timeout_s, _expire, future)
        try:
            await self.send(subject, payload, self._inbox + token, headers)
            reply = await future
        except TimeoutError:
            raise DeadlineExceededError(f"No answer from {subject} within {timeout_s:.1f} s.") from None
        finally:
            timer.cancel()
            del self._waiting[token]
        if not reply.data and reply.headers and reply.headers.get(Header.STATUS) == NO_RESPONDERS:
            raise UnavailableError(f"Nobody answers {subject} at the moment.")
        return reply

    async def _wait_until_up(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError:
            raise UnavailableError("The message bus is away.") from None

    async def _replied(self, msg: Msg) -> None:
        future = self._waiting.get(msg.subject[len(self._inbox) :])
        if future is not None and not future.done():
            future.set_result(msg)

    async def open(self, url: str, name: str, credentials: Path | None = None) -> None:
        """Connect to one of the servers in `url` (comma-separated); waits for as long as none lets us in."""
        await self.client.connect(
            url.split(","),
            name=name,
            user_credentials=credentials,
            inbox_prefix=inbox_prefix(read_user(credentials)) if credentials else DEFAULT_INBOX_PREFIX,
            error_cb=self._failed,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            reconnect_to_server_handler=_soon,
            connect_timeout=2,
            ping_interval=PING_EVERY_S,
            max_outstanding_pings=2,
            pending_size=BUFFER_BYTES,
        )
        self._inbox = self.client.new_inbox() + "."
        self._complaints.let_in()
        self._up.set()
        await self.subscribe_raw(self._inbox + "*", self._replied)
        log.info("bus.connected", server=self._server)

    async def close(self) -> None:
        """Send what is still to be sent, and go."""
        await self.settle()
        try:
            await self.client.close()
        except OSError as error:  # what was buffered in an outage goes with us
            log.warning("bus.closed_offline", error=str(error))

    @property
    def _server(self) -> str | None:
        return self.client.connected_url.netloc.rpartition("@")[2] if self.client.connected_url else None

    async def _disconnected(self) -> None:
        self._up.clear()
        if not self.client.is_closed:
            BUS_DISCONNECTS.inc()
            log.warning("bus.disconnected")

    async def _reconnected(self) -> None:
        self._complaints.let_in()
        self._up.set()
        log.info("bus.reconnected", server=self._server)
        for callback in self._on_reconnect:
            task = asyncio.create_task(_guarded(callback))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _failed(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            BUS_DROPPED.inc()
            if time.monotonic() < self._drops_told_at + TELL_OF_DROPS_EVERY_S:
                return
            self._drops_told_at = time.monotonic()
        if self._complaints.hear(error):
            return
        if not self.client.is_reconnecting:  # of tries to reconnect one line is enough: that of the disconnect
            log.warning("bus.error", error=str(error) or type(error).__name__)


def _expire(future: asyncio.Future[Msg]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


async def _guarded(callback: Callable[[], Awaitable[None]]) -> None:
    try:
        await callback()
    except Exception:
        log.exception("bus.reconnect_callback_failed")


def _soon(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    """Choose the server tried least, after a pause that grows, with jitter so that processes do not come as one."""
    server = min(servers, key=lambda known: known.reconnects)
    longest = min(RECONNECT_LONGEST_S, RECONNECT_FIRST_S * RECONNECT_GROWTH ** min(server.reconnects, 10))
    return server, random.uniform(longest / 2, longest)  # noqa: S311 -- spreads load, guards nothing


@asynccontextmanager
async def connect_bus(url: str, name: str, credentials: Path | None = None, *, replicas: int = 1) -> AsyncIterator[Bus]:
    """Connect to NATS, waiting for as long as it is away, and hold the connection until the block ends.

    `credentials`: a file, for a NATS that lets in only its users. `replicas`: of what we make in JetStream.
    """
    bus = Bus()
    bus.replicas = replicas
    await bus.open(url, name, credentials)
    BUS_CONNECTED.set_function(lambda: bus.connected)
    try:
        yield bus
    finally:
        await bus.close()
