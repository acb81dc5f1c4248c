"""Keeps one program running: what dies is started again, at once the first time, then after a growing pause."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from embedded.errors import EmbeddedError, EndedEarlyError
from embedded.process import SUPERVISOR, Observer, Process

PROVEN_AFTER_S = 10.0
"""Who has run this long has not died of its start, and is started again at once."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
"""A service that can't start costs a second of processor time at every try."""


class Keeper:
    def __init__(self, name: str, start: Callable[[], Awaitable[Process]], observer: Observer) -> None:
        self.name = name
        self._start = start
        self._observer = observer
        self._process: Process | None = None

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.alive

    async def bring_up(self) -> None:
        """Start it for the first time and return when it is ready; one early end is forgiven."""
        try:
            self._process = await self._start()
        except EndedEarlyError as error:
            self._observer.wrote(SUPERVISOR, f"{error}; trying once more")
            self._process = await self._start()

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        pauses = _pauses()
        while self._process is not None:
            since = time.monotonic()
            how = await self._process.ended()
            if time.monotonic() - since >= PROVEN_AFTER_S:
                pauses = _pauses()
            await self._revive(how, pauses)

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()

    async def _revive(self, how: str, pauses: Iterator[float]) -> None:
        while True:
            pause = next(pauses)
            when = f"in {pause:g} s" if pause else "at once"
            self._observer.wrote(SUPERVISOR, f"{self.name} {how}; started again {when}")
            await asyncio.sleep(pause)
            try:
                self._process = await self._start()
            except (EmbeddedError, OSError) as error:
                how = f"could not be started ({error})"
            else:
                self._observer.wrote(SUPERVISOR, f"{self.name} is ready again")
                return


def _pauses() -> Iterator[float]:
    yield 0
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_S)
