"""Beats as they come over NATS: the last of each host is kept raw until the tick, then all are decoded and written."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, Protocol

import structlog
from chassis import tracing
from chassis.clock import Clock
from chassis.own_absence import OwnAbsence
from chassis.refusals import UnavailableError
from contracts.hosts import HEARTBEAT, Heartbeat
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from prometheus_client import Counter
from pydantic import ValidationError

from host_registry.dead_beats import LETTERS_A_WHILE, UNUSABLE, DeadBeat
from host_registry.store.beats import Beat, Kept

log = structlog.stdlib.get_logger()

MOST_HOSTS = 250_000
"""In one tick; more names than any fleet has are made up, and memory is not theirs to fill."""

MOST_BYTES = 4096
"""A beat with every field has 150 bytes."""

AT_ONCE = 10_000
"""Hosts in one statement, which takes 0.15 s; the locks of a whole fleet at once would hold others up for longer."""

DECODED_AT_ONCE = 500
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


class Raw(NamedTuple):
    """A beat as it came, and when."""

    body: bytes
    at: datetime


class UnusableBeatError(Exception):
    """This beat says nothing; the message is why."""


class BeatIntake:
    """Hears beats and keeps them by the tick."""

    def __init__(self, keeper: Keeper, unusable: Unusable, own_absence: OwnAbsence, clock: Clock) -> None:
        self._keeper = keeper
        self._unusable = unusable
        self._own_absence = own_absence
        self._now = clock.now
        self._last: dict[str, Raw] = {}
        self._dead: list[DeadBeat] = []
        self._heard = 0

    async def hear(self, msg: Msg) -> None:
        """Take one beat; nothing more happens here, because 25,000 a second come this way."""
        self._heard += 1
        if len(msg.data) > MOST_BYTES or len(self._last) >= MOST_HOSTS:
            self._turn_away(msg)
        else:
            self._last[msg.subject] = Raw(msg.data, self._now())
        if msg.headers is not None:
            with tracing.continued(msg.headers.get(tracing.TRACEPARENT), "receive p2p.heartbeat", CONSUMER):
                pass  # its sender sees that it arrived; the write is everybody's

    async def keep(self) -> None:
        """Decode and write what was heard since the last tick; in an outage it stays for the next."""
        HEARD.inc(self._heard)
        self._heard = 0
        dead, self._dead = self._dead, []
        due = len(self._last)
        while due > 0:
            part = {subject: self._last.pop(subject) for subject in list(islice(self._last, AT_ONCE))}
            due -= len(part)
            dead += await self._kept(part)
        await self._unusable.put(dead)

    async def stop(self, subscription: Subscription) -> None:
        """Take no more, and write what has come."""
        try:
            await subscription.drain()  # type: ignore[no-untyped-call]
            await self.keep()
        except (NatsError, UnavailableError) as error:
            log.warning("beats.not_kept", hosts=len(self._last), error=str(error))

    async def _kept(self, part: Mapping[str, Raw]) -> list[DeadBeat]:
        """Write these and give those that can't be used."""
        try:
            beats, dead = await _decoded(part)
            kept = await self._keeper.keep(list(beats.values())) if beats else None
        except (UnavailableError, asyncio.CancelledError):  # a drain cuts a tick off, and has one more itself
            self._last = {**part, **self._last}
            self._own_absence.interrupted()
            raise
        if kept is not None and kept.strays:
            strays = set(kept.strays)
            unknown = (subject for subject, beat in beats.items() if beat.host_id in strays)
            dead += [DeadBeat(subject, part[subject].body, "unknown_host") for subject in unknown]
        return dead

    def _turn_away(self, msg: Msg) -> None:
        reason = "too_large" if len(msg.data) > MOST_BYTES else "too_many_hosts"
        if len(self._dead) < LETTERS_A_WHILE:
            self._dead.append(DeadBeat(msg.subject, msg.data[:MOST_BYTES], reason))
        else:
            UNUSABLE.labels(reason).inc()


async def _decoded(part: Mapping[str, Raw]) -> tuple[dict[str, Beat], list[DeadBeat]]:
    beats: dict[str, Beat] = {}
    dead: list[DeadBeat] = []
    for index, (subject, raw) in enumerate(part.items(), start=1):
        try:
            beats[subject] = decode(subject, raw.body, raw.at)
        except UnusableBeatError as error:
            dead.append(DeadBeat(subject, raw.body, str(error)))
        if index % DECODED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return beats, dead


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
