"""The time that all instances share: PostgreSQL's, kept between looks by a clock that nobody can set.

What one instance writes another judges by: a machine whose clock jumps an hour would end everybody's sessions as idle.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

log = structlog.stdlib.get_logger()

MOST_STEP = timedelta(minutes=1)
"""Clocks that are kept in step differ by milliseconds; one that is further off has jumped, and is not followed."""


def since_boot() -> float:
    """Give seconds that no one can set, and that pass while the machine sleeps or the process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class TellsTime(Protocol):
    """PostgreSQL."""

    async def fetchval(self, name: str, sql: str, /) -> Any: ...


class SharedClock:
    """chassis' `Clock`; made by `read`, renewed by `look`."""

    def __init__(self, database: TellsTime, since_boot: Callable[[], float], at: datetime) -> None:
        self._database = database
        self._since_boot = since_boot
        self._zero = at - timedelta(seconds=since_boot())

    @classmethod
    async def read(cls, database: TellsTime, since_boot: Callable[[], float] = since_boot) -> "SharedClock":
        return cls(database, since_boot, await _told_by(database))

    def now(self) -> datetime:
        return self._zero + timedelta(seconds=self._since_boot())

    async def look(self) -> None:
        """Keep in step with PostgreSQL, unless its clock has jumped: then the time since the start is what counts."""
        off = await _told_by(self._database) - self.now()
        if abs(off) <= MOST_STEP:
            self._zero += off
        else:
            log.warning("clock.jumped", by_s=off.total_seconds())


async def _told_by(database: TellsTime) -> datetime:
    at: datetime = await database.fetchval("clock.read", "SELECT clock_timestamp()")
    return at
