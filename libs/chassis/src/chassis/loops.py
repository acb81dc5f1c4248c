"""Periodic work: one bad round is logged and counted, and the next one comes all the same."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog

from chassis.metrics import LOOP_LAST_SUCCESS, LOOP_ROUNDS

log = structlog.stdlib.get_logger()

LATE_AFTER_ROUNDS = 5
"""A loop without a good round for this many intervals makes its process unready."""

LEAST_PATIENCE_S = 10.0
"""A 1 s loop isn't late because PostgreSQL restarted."""


class Loop:
    """One piece of work and how often; rounds never overlap and missed ones are not made up for."""

    def __init__(self, name: str, interval: timedelta, work: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self._interval = interval.total_seconds()
        self._work = work
        self._succeeded_at = time.monotonic()

    @property
    def on_time(self) -> bool:
        """Whether the last good round is recent enough for the process to call itself ready."""
        patience = max(LEAST_PATIENCE_S, LATE_AFTER_ROUNDS * self._interval)
        return time.monotonic() - self._succeeded_at < patience

    async def run(self, stop: asyncio.Event) -> None:
        """Run rounds until `stop`, the first at once, each a whole number of intervals after it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            await self.round()
            missed = max(0, int((loop.time() - due) / self._interval))
            due += (missed + 1) * self._interval
            await _until(stop, due - loop.time())

    async def round(self) -> None:
        """Work once; whatever goes wrong ends with this round."""
        try:
            await self._work()
        except Exception:
            LOOP_ROUNDS.labels(self.name, "failed").inc()
            log.exception("loop.round_failed", loop=self.name)
        else:
            self._succeeded_at = time.monotonic()
            LOOP_ROUNDS.labels(self.name, "succeeded").inc()
            LOOP_LAST_SUCCESS.labels(self.name).set_to_current_time()


async def _until(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@asynccontextmanager
async def running(*loops: Loop) -> AsyncIterator[None]:
    """Run the loops beside the block; at its end rounds under way are finished and no other begins."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop.run(stop), name=f"loop {loop.name}")
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def every(interval: timedelta, work: Callable[[], Awaitable[object]], name: str) -> AsyncIterator[Loop]:
    """Run `work` every `interval` beside the block."""
    loop = Loop(name, interval, work)
    async with running(loop):
        yield loop
