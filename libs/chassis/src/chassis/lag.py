"""How far behind its consumers a service is, as JetStream itself counts: right also for one that hangs or is gone."""

from collections.abc import Iterable
from datetime import timedelta
from math import nan
from typing import NamedTuple

from nats.errors import Error as NatsError

from chassis.bus import Bus
from chassis.metrics import EVENTS_WAITING

LOOK_EVERY = timedelta(seconds=5)
"""Oftener than Prometheus looks; a process has at most a dozen consumers, and each look is a request."""


class Followed(NamedTuple):
    """A consumer: what we call it, and what JetStream does, which for one of this process alone is longer."""

    title: str
    stream: str
    consumer: str


class Lag:
    """Looks at all consumers of a process."""

    def __init__(self, bus: Bus, followed: Iterable[Followed]) -> None:
        self._bus = bus
        self._followed = tuple(followed)

    async def look(self) -> None:
        """Tell what waits in JetStream, or was handed out and is not acknowledged; nothing while it is away."""
        for title, stream, consumer in self._followed:
            EVENTS_WAITING.labels(title).set(await self._waiting(stream, consumer))

    async def _waiting(self, stream: str, consumer: str) -> float:
        if not self._bus.connected:
            return nan
        try:
            about = await self._bus.client.jsm().consumer_info(stream, consumer)
        except NatsError:  # JetStream elects a leader, or the consumer is about to be made anew
            return nan
        return (about.num_pending or 0) + (about.num_ack_pending or 0)
