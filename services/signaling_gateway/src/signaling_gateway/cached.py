"""One answer for everybody who asks within a short time, made once however many ask at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """Holds what `make` gave for as long as it is fresh; those who come while it is made wait for the same."""

    def __init__(self, make: Callable[[], Awaitable[Value]], fresh_for: timedelta) -> None:
        self._make = make
        self._fresh_for = fresh_for.total_seconds()
        self._made_at = -self._fresh_for
        self._value: Value | None = None
        self._making: asyncio.Task[Value] | None = None

    async def get(self) -> Value:
        if self._value is not None and time.monotonic() - self._made_at < self._fresh_for:
            return self._value
        if self._making is None:
            self._making = asyncio.create_task(self._renew())
        # One who gives up waiting does not take it from the others.
        return await asyncio.shield(self._making)

    async def _renew(self) -> Value:
        try:
            self._value = await self._make()
            self._made_at = time.monotonic()
            return self._value
        finally:
            self._making = None
