"""One answer for everybody who asks within a short time, made once however many ask at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

from chassis.single_flight import SingleFlight

Value = TypeVar("Value")

MADE_EVERY_S = 0.05
"""Though it is outdated again and again."""


class Cached(Generic[Value]):
    """Holds what `make` gave for as long as it is fresh; those who come while it is made wait for the same.

    Who asks after `outdate` is not given what was made before it.
    """

    def __init__(self, make: Callable[[], Awaitable[Value]], fresh_for: timedelta) -> None:
        self._make = make
        self._fresh_for = fresh_for.total_seconds()
        self._made_at = -self._fresh_for
        self._value: Value | None = None
        self._making = SingleFlight(self._renew)
        self._outdated = 0
        """How often; and how often before the present value was begun."""
        self._made_after = 0

    def outdate(self) -> None:
        """Something has changed that it tells of."""
        self._outdated += 1

    async def get(self) -> Value:
        outdated = self._outdated
        fresh = time.monotonic() - self._made_at < self._fresh_for
        if self._value is not None and fresh and self._made_after >= outdated:
            return self._value
        while True:
            value = await self._making.join(None)
            if self._made_after >= outdated:
                return value

    async def _renew(self, _key: None, _askers: int) -> Value:
        await asyncio.sleep(self._made_at + MADE_EVERY_S - time.monotonic())
        outdated = self._outdated
        self._value = await self._make()
        self._made_after = outdated
        self._made_at = time.monotonic()
        return self._value
