"""The facts we publish: each until JetStream has it, so that no seat is kept or lost for a missed word."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from chassis import tracing
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.ids import new_event_id
from chassis.jetstream import publish
from chassis.refusals import ServiceError
from contracts.frames import IceResult
from contracts.gateway import (
    ICE_REPORTED,
    PEER_CONNECTED,
    PEER_DISCONNECTED,
    PEER_ENTERED,
    SESSIONS_ACTIVE,
    IceOutcome,
    PeerPresence,
    SessionsActive,
)
from contracts.subjects import Fact
from nats.errors import Error as NatsError

from signaling_gateway.peers.connections import Connection

log = structlog.stdlib.get_logger()

MAX_WAITING = 100_000
"""Facts kept through an outage of NATS: some minutes of a busy gateway's, 100 MB at most."""

AGAIN_AFTER_S = 0.5

AT_ONCE = 64
"""Facts on their way at a time. They may overtake one another; consumers go by connection and revision."""

SESSIONS_A_FACT = 5_000
"""25 bytes each, far below what NATS carries."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    subject: str
    event_id: str
    body: bytes
    headers: dict[str, str]


class Announcer:
    """One queue, one publisher; made by `announcing`."""

    def __init__(self, bus: Bus, gateway_id: str, clock: Clock) -> None:
        self._bus = bus
        self._gateway_id = gateway_id
        self._clock = clock
        self._revision = 0
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._dropped = 0

    def connected(self, connection: Connection) -> None:
        self._queue(PEER_CONNECTED.of(gateway_id=self._gateway_id), self._presence(connection, None))

    def entered(self, connection: Connection, session_id: str) -> None:
        self._queue(PEER_ENTERED.of(gateway_id=self._gateway_id), self._presence(connection, session_id))

    def disconnected(self, connection: Connection, session_id: str | None) -> None:
        presence = self._presence(connection, session_id, connection.left_because)
        self._queue(PEER_DISCONNECTED.of(gateway_id=self._gateway_id), presence)

    def ice_reported(self, session_id: str, peer_id: str, result: IceResult) -> None:
        fact = IceOutcome(
            **self._head(),
            gateway_id=self._gateway_id,
            session_id=session_id,
            peer_id=peer_id,
            to=result.to,
            state=result.state,
            candidate_type=result.candidate_type,
            elapsed_ms=result.elapsed_ms,
        )
        self._queue(ICE_REPORTED.of(gateway_id=self._gateway_id), fact)

    async def sessions_active(self, session_ids: list[str]) -> None:
        """Say at once, or not at all: what was active before an outage is of no use after it."""
        for start in range(0, max(1, len(session_ids)), SESSIONS_A_FACT):
            part = tuple(session_ids[start : start + SESSIONS_A_FACT])
            fact = SessionsActive(**self._head(), gateway_id=self._gateway_id, session_ids=part)
            subject = SESSIONS_ACTIVE.of(gateway_id=self._gateway_id)
            await publish(self._bus, subject, fact.model_dump_json().encode(), message_id=fact.event_id)

    async def flushed(self, within: timedelta) -> None:
        """Wait until everything is out, or the time is up."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._empty.wait()
        except TimeoutError:
            log.warning("announcer.not_flushed", waiting=len(self._waiting))

    async def run(self) -> None:
        """Publish what waits, for ever."""
        while True:
            self._news.clear()
            while self._waiting:
                await self._publish_some()
            self._empty.set()
            await self._news.wait()

    async def _publish_some(self) -> None:
        """Publish the oldest side by side; those that failed are the oldest again."""
        some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        published = await asyncio.gather(*map(self._published, some))
        failed = [waiting for waiting, done in zip(some, published, strict=True) if not done]
        if failed:
            self._waiting.extendleft(reversed(failed))
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _published(self, waiting: _Waiting) -> bool:
        try:
            await publish(
                self._bus, waiting.subject, waiting.body, message_id=waiting.event_id, headers=waiting.headers
            )
        except (ServiceError, NatsError) as error:
            log.info("announcer.waits", error=str(error), waiting=len(self._waiting))
            return False
        return True

    def _presence(self, connection: Connection, session_id: str | None, reason: str | None = None) -> PeerPresence:
        return PeerPresence(
            **self._head(),
            gateway_id=self._gateway_id,
            connection_id=connection.connection_id,
            peer_id=connection.peer_id,
            session_id=session_id,
            host_id=connection.standing.host_id,
            reason=reason,
            keeps_seat=not connection.speaks_warp,
        )

    def _head(self) -> dict[str, object]:
        self._revision += 1
        return {"event_id": new_event_id(), "occurred_at": self._clock.now(), "revision": self._revision}

    def _queue(self, subject: str, fact: Fact) -> None:
        headers: dict[str, str] = {}
        tracing.inject(headers)
        self._waiting.append(_Waiting(subject, fact.event_id, fact.model_dump_json().encode(), headers))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._dropped += 1
            if self._dropped % 1000 == 1:
                log.error("announcer.dropped", dropped=self._dropped)
        self._empty.clear()
        self._news.set()


@asynccontextmanager
async def announcing(bus: Bus, gateway_id: str, clock: Clock) -> AsyncIterator[Announcer]:
    """Publish beside the block; at its end what is left goes out, if NATS is there."""
    announcer = Announcer(bus, gateway_id, clock)
    async with asyncio.TaskGroup() as group:
        publishing = group.create_task(announcer.run(), name="announcer")
        try:
            yield announcer
        finally:
            await announcer.flushed(timedelta(seconds=2))
            publishing.cancel()
