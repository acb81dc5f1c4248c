"""Which instances of which services there are, and what they have done, by what they say to `$SRV.STATS`."""

import time
from typing import Any

import orjson
import structlog
from chassis.bus import Bus
from contracts.subjects import Message
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import AwareDatetime, BaseModel, ValidationError

log = structlog.stdlib.get_logger()

STATS = "$SRV.STATS"

ASK_EVERY_S = 2.0

FORGET_AFTER_S = 120.0
"""An instance that is gone is shown as such for as long as somebody might wonder where it is."""


class InstanceSeen(Message):
    """One process, as it told of itself; the counts are since its start."""

    service: str
    instance: str
    version: str
    started: AwareDatetime
    requests: int
    errors: int
    seconds: float
    """Spent on the requests."""
    silent_s: float
    """Since it last answered; it is asked every 2 s."""


class _Endpoint(BaseModel):
    num_requests: int
    num_errors: int
    processing_time: int


class _Stats(BaseModel):
    name: str
    id: str
    version: str
    started: AwareDatetime
    endpoints: tuple[_Endpoint, ...]


class Instances:
    """Asks while somebody watches."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._inbox = bus.client.new_inbox()
        self._subscription: Subscription | None = None
        self._asked_at = 0.0
        self._heard: dict[tuple[str, str], tuple[_Stats, float]] = {}

    async def ask(self) -> None:
        """Ask all to tell of themselves, unless that was done just now."""
        if time.monotonic() - self._asked_at < ASK_EVERY_S:
            return
        if self._subscription is None:
            self._subscription = await self._bus.subscribe(self._inbox, self._hear)
        self._asked_at = time.monotonic()
        await self._bus.publish(STATS, reply=self._inbox)

    def seen(self) -> list[dict[str, Any]]:
        """Everybody, by name."""
        now = time.monotonic()
        self._heard = {who: heard for who, heard in self._heard.items() if now - heard[1] < FORGET_AFTER_S}
        return [_told(stats, now - at) for _, (stats, at) in sorted(self._heard.items())]

    async def _hear(self, msg: Msg) -> None:
        if not msg.data:  # nobody is there
            return
        try:
            stats = _Stats.model_validate(orjson.loads(msg.data))
        except (orjson.JSONDecodeError, ValidationError) as error:
            log.info("console.stats_unreadable", error=str(error))
            return
        self._heard[stats.name, stats.id] = (stats, time.monotonic())


def _told(stats: _Stats, silent_s: float) -> dict[str, Any]:
    return {
        "service": stats.name,
        "instance": stats.id,
        "version": stats.version,
        "started": stats.started,
        "requests": sum(endpoint.num_requests for endpoint in stats.endpoints),
        "errors": sum(endpoint.num_errors for endpoint in stats.endpoints),
        "seconds": sum(endpoint.processing_time for endpoint in stats.endpoints) / 1e9,
        "silent_s": round(silent_s, 1),
    }
