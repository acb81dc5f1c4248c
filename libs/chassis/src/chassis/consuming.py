"""One consumer at work: one batch at a time, and what is at hand is finished before it ends."""

import asyncio
from typing import Any

import structlog

from chassis.consumer import Consumer
from chassis.pull import Pull

log = structlog.stdlib.get_logger()

FINISH_S = 10.0
"""For the batch at hand. Whatever takes longer is handed back, and another process may have it."""

AFTER_A_DEFECT_S = 1.0
"""A defect that comes at once again must not keep the processor busy."""

CANCEL_AGAIN_S = 0.5

HOLD_EVERY_S = 2.0
"""A third of what the server waits: two may be late."""


class Consuming:
    """From `start` to `stop`."""

    def __init__(self, pull: Pull, consumer: Consumer[Any]) -> None:
        self._pull = pull
        self._consumer = consumer
        self._at_hand = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._holding: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the consumer is there: what is published from now on is heard."""
        await self._pull.start()
        self._work = asyncio.create_task(self._consume(), name=f"consumer {self._consumer.name}")
        self._holding = asyncio.create_task(self._hold(), name=f"holding for {self._consumer.name}")

    async def stop(self) -> None:
        """Finish the batch at hand and begin no other; what nobody handled goes back at once."""
        try:
            async with asyncio.timeout(FINISH_S), self._at_hand:
                await self._end()
        except TimeoutError:
            log.warning("consumer.finished_late", consumer=self._consumer.name)
            await self._end()
        if self._holding is not None:
            self._holding.cancel()
        await self._pull.unsubscribe()

    async def _end(self) -> None:
        while self._work is not None and not self._work.done():
            self._work.cancel()  # again: before Python 3.12 `asyncio.wait_for` may forget one over a result
            await asyncio.wait({self._work}, timeout=CANCEL_AGAIN_S)

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(HOLD_EVERY_S)
            await self._pull.hold()

    async def _consume(self) -> None:
        while True:
            try:
                messages = await self._pull.fetch()
                async with self._at_hand:
                    await self._consumer.take(messages)
            except Exception:  # what was not acknowledged comes again
                log.exception("consumer.failed", consumer=self._consumer.name)
                await asyncio.sleep(AFTER_A_DEFECT_S)
