"""Closing a WebRTC connection: once, to its end whoever is cancelled meanwhile, and never for ever."""

import asyncio
import logging
from typing import Protocol

log = logging.getLogger(__name__)

CLOSE_WITHIN_S = 5.0
"""A goodbye over DTLS and SCTP takes milliseconds where both ends live, and nobody waits for it where one is gone."""


class Closable(Protocol):
    async def close(self) -> None: ...


class Closing:
    """The end of one connection; made beside it.

    aiortc's `close()` that is cancelled midway never resolves the future that every later `close()` awaits. So it runs
    as a task that nobody cancels before its deadline.
    """

    def __init__(self, peer: Closable) -> None:
        self._peer = peer
        self._task: asyncio.Task[None] | None = None

    async def finish(self) -> None:
        """Close, or wait for the closing that has begun, for `CLOSE_WITHIN_S` at most.

        A cancellation that comes meanwhile is raised when it is over.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._close(), name="close peer connection")
        cancelled: asyncio.CancelledError | None = None
        while not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        await self._task

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._peer.close()
        except TimeoutError:
            log.warning("a connection could not be closed within %s s, and is left as it is", CLOSE_WITHIN_S)
