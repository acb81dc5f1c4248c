"""What is told to other gateways, in the order it was said; what cannot be told now is found by them in Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from chassis.bus import Bus
from chassis.refusals import UnavailableError
from contracts.gateway import REPLACED, ROOM, Replaced, RoomPresence
from contracts.subjects import Message

log = structlog.stdlib.get_logger()

MAX_WAITING = 100_000
"""While nats-py's own buffer takes no more; a gateway that says more in an outage is told to look in Redis."""


class Neighbours:
    """Made by `telling`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._words: asyncio.Queue[tuple[str, Message]] = asyncio.Queue(MAX_WAITING)

    def tell(self, gateway_id: str, news: RoomPresence) -> None:
        """Somebody came or went here."""
        self._say(ROOM.of(gateway_id=gateway_id), news)

    def replaced(self, gateway_id: str, word: Replaced) -> None:
        """A peer's newer connection is here."""
        self._say(REPLACED.of(gateway_id=gateway_id), word)

    async def run(self) -> None:
        while True:
            subject, word = await self._words.get()
            try:
                await self._bus.publish(subject, word.model_dump_json().encode())
            except UnavailableError:
                log.info("neighbours.not_told", subject=subject)
            finally:
                self._words.task_done()

    async def told(self) -> None:
        """Wait until everything is out."""
        await self._words.join()

    def _say(self, subject: str, word: Message) -> None:
        try:
            self._words.put_nowait((subject, word))
        except asyncio.QueueFull:
            log.warning("neighbours.too_much_to_tell", subject=subject)


@asynccontextmanager
async def telling(bus: Bus) -> AsyncIterator[Neighbours]:
    """Tell beside the block; at its end what was said still goes out."""
    neighbours = Neighbours(bus)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(neighbours.run(), name="neighbours")
        try:
            yield neighbours
            await neighbours.told()
        finally:
            running.cancel()
