"""Beats as they come over NATS: the last of each host is kept raw until the tick, then all are decoded and written."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol

import structlog
from chassis import tracing
from chassis.clock import Clock
from chassis.refusals import UnavailableError
from contracts.hosts import HEARTBEAT, Heartbeat
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from prometheus_client import Counter
from pydantic import ValidationError

from host_registry.dead_beats import LETTERS_A_WHILE, UNUSABLE, DeadBeat
from host_registry.hearing import Hearing
from host_registry.store.beats import Beat, Kept

log = structlog.stdlib.get_logger()

MOST_HOSTS = 250_000
"""In one tick; more names than any fleet has are made up, and memory is not theirs to fill."""

MOST_BYTES = 4096
"""A beat with every field has 150 bytes."""

AT_ONCE = 500
"""Beats decoded before others get their turn: 3 ms."""

CONSUMER = tracing.SpanKind.CONSUMER

HEARD = Counter("p2p_beats_heard", "Beats heard on NATS.")


class _Told(Heartbeat):
    host_id: str | None = None
    """Not needed; where it is given it must be the subject's."""


class Keeper(Protocol):
    async def keep(self, beats: Sequence[Beat]) -> Kept: ...


class Unusable(Protocol):
    async def put(self, dead: Sequence[DeadBeat]) -> None: ...


class UnusableBeatError(Exception):
    """This beat says nothing; the message is why."""


class Heartbeats:
    """Hears beats and keeps them by the tick."""

    def __init__(self, keeper: Keeper, unusable: Unusable, hearing: Hearing, clock: Clock) -> None:
        self._keeper = keeper
        self._unusable = unusable
        self._hearing = hearing
        self._now = clock.now
        self._last: dict[str, tuple[bytes, datetime]] = {}
        self._dead: list[DeadBeat] = []
        self._heard = 0
        self._keeping = asyncio.Lock()

    async def hear(self, msg: Msg) -> None:
        """Take one beat; nothing more happens here, because 25,000 a second come this way."""
        self._heard += 1
        if len(msg.data) > MOST_BYTES or len(self._last) >= MOST_HOSTS:
            self._turn_away(msg)
        else:
            self._last[msg.subject] = (msg.data, self._now())
        if msg.headers is not None:
            with tracing.continued(msg.headers.get(tracing.TRACEPARENT), "receive p2p.heartbeat", CONSUMER):
                pass  # its sender sees that it arrived; the write is everybody's

    async def keep(self) -> None:
        """Decode and write what was heard since the last tick; in an outage it stays for the next."""
        async with self._keeping:
            taken, self._last = self._last, {}
            dead, self._dead = self._dead, []
            HEARD.inc(self._heard)
            self._heard = 0
            beats = await self._decoded(taken, dead)
            if beats:
                dead += await self._kept(beats, taken)
            await self._unusable.put(dead)

    async def stop(self, subscription: Subscription) -> None:
        """Take no more, and write what has come."""
        try:
            await subscription.drain()  # type: ignore[no-untyped-call]
            await self.keep()
        except (NatsError, UnavailableError) as error:
            log.warning("beats.not_kept", hosts=len(self._last), error=str(error))

    async def _kept(self, beats: dict[str, Beat], taken: Mapping[str, tuple[bytes, datetime]]) -> list[DeadBeat]:
        """Write the beats of these subjects; give those that no host answers to."""
        try:
            kept = await self._keeper.keep(list(beats.values()))
        except (UnavailableError, asyncio.CancelledError):  # a drain cuts a tick off, and has one more itself
            self._last = {**taken, **self._last}
            self._hearing.interrupted()
            raise
        strays = set(kept.strays)
        return [
            DeadBeat(subject, taken[subject][0], "unknown_host")
            for subject, beat in beats.items()
            if strays and beat.host_id in strays
        ]

    async def _decoded(self, taken: Mapping[str, tuple[bytes, datetime]], dead: list[DeadBeat]) -> dict[str, Beat]:
        beats: dict[str, Beat] = {}
        for index, (subject, (body, at)) in enumerate(taken.items(), start=1):
            try:
                beats[subject] = decode(subject, body, at)
            except UnusableBeatError as error:
                dead.append(DeadBeat(subject, body, str(error)))
            if index % AT_ONCE == 0:
                await asyncio.sleep(0)
        return beats

    def _turn_away(self, msg: Msg) -> None:
        reason = "too_large" if len(msg.data) > MOST_BYTES else "too_many_hosts"
        if len(self._dead) < LETTERS_A_WHILE:
            self._dead.append(DeadBeat(msg.subject, msg.data[:MOST_BYTES], reason))
        else:
            UNUSABLE.labels(reason).inc()


def decode(subject: str, body: bytes, at: datetime) -> Beat:
    """Read a beat; UnusableBeatError when its subject names no host or its body is no heartbeat of that host."""
    host_id = _host_of(subject)
    if not body:
        return Beat(host_id, at)
    try:
        told = _Told.__pydantic_validator__.validate_json(body)
    except ValidationError:
        raise UnusableBeatError("bad_body") from None
    if told.host_id is not None and told.host_id != host_id:
        raise UnusableBeatError("other_host_in_body")
    return Beat(
        host_id,
        at,
        told.latency_ms,
        told.packet_loss_percent,
        told.bandwidth_usage_mbps,
        told.current_players,
        told.current_zones,
    )


@lru_cache(maxsize=131_072)
def _host_of(subject: str) -> str:
    # The same names come every few seconds: remembering them halves the work of a tick.
    try:
        host_id = HEARTBEAT.parse(subject)["host_id"]
    except ValueError:
        raise UnusableBeatError("bad_subject") from None
    if "\0" in host_id:  # encodable, but no name: PostgreSQL would refuse the whole batch
        raise UnusableBeatError("bad_subject")
    return host_id
