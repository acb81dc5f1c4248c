"""The requests that an AI service may be asked, kept in the key-value bucket: they outlive leaders and restarts."""

from collections.abc import Callable

from prometheus_client import Gauge

from scheduler.ai_service.budget import USED_WITHIN_S, counting, read, written
from scheduler.bucket import ABSENT, MovedError
from scheduler.leadership import Keys, since_boot

KEY = "ai_service.requests"

LEFT = Gauge("p2p_ai_service_requests_left", "Requests that the AI service may be asked now, as this process knows.")


class Allowance:
    """Each request is a conditional write: two leaders together reserve no more than one."""

    def __init__(self, bucket: Keys, limit: int, now: Callable[[], float] = since_boot) -> None:
        self._bucket = bucket
        self._limit = limit
        self._now = now
        self._reserved: tuple[float, ...] = ()
        self._revision: int | None = None
        """None: what we know may be old."""

    async def reserve(self) -> float | None:
        """Reserve one request; gives until when it must be under way, by this process's clock, or None: not now."""
        if self._revision is None:
            await self._look()
        reserving = self._now()
        reserved = counting(self._reserved, reserving)
        LEFT.set(max(0, self._limit - len(reserved)))
        if len(reserved) >= self._limit or self._revision is None:
            return None
        after, self._revision = self._revision, None
        self._reserved = (*reserved, reserving)  # though the answer be lost, it may have been written
        try:
            self._revision = await self._bucket.put(KEY, written(self._reserved, reserving), after=after)
        except MovedError:
            return None
        return reserving + USED_WITHIN_S

    async def _look(self) -> None:
        entry = await self._bucket.get(KEY)
        if entry is not None:  # else it was never there or deleted by hand, and what we know ourselves is all there is
            self._reserved = read(entry.value, self._now(), self._limit)
        self._revision = entry.revision if entry else ABSENT
