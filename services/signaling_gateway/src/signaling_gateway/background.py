"""Work that a message causes and nobody waits for; one that fails is logged and ends nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import structlog

log = structlog.stdlib.get_logger()


class Background:
    """Made by `in_background`."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks

    def send(self, work: Awaitable[object]) -> None:
        self._tasks.create_task(_guarded(work))


async def _guarded(work: Awaitable[object]) -> None:
    try:
        await work
    except Exception:
        log.exception("background.failed")


@asynccontextmanager
async def in_background() -> AsyncIterator[Background]:
    """Run them beside the block; its end waits for those under way."""
    async with asyncio.TaskGroup() as tasks:
        yield Background(tasks)
