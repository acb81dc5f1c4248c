"""A bucket and a stream in memory, and time that passes only when a test says so."""

import types
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta

from contracts.jobs import JobDue
from scheduler.bucket import ABSENT, Entry, MovedError
from scheduler.calendar import Tick

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Give whoever steps the coroutine the chance to leave it lying here."""
    yield


class VirtualTime:
    """One clock for all: seconds since boot and wall clock in one."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


class BucketInMemory:
    """Keys with one revision counter, as NATS has it; `pause` before and after the server's part."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.revision = 0

    async def get(self, key: str) -> Entry | None:
        await pause()
        found = self.entries.get(key)
        await pause()
        return found

    async def put(self, key: str, value: bytes, *, after: int) -> int:
        await pause()
        present = self.entries.get(key)
        if (present.revision if present else ABSENT) != after:
            await pause()
            raise MovedError(key)
        self.revision += 1
        self.entries[key] = Entry(value, self.revision)
        revision = self.revision
        await pause()
        return revision


class StreamInMemory:
    """Keeps what it is told, once per message id within the duplicate window."""

    WINDOW_S = 120.0

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._known: dict[str, float] = {}
        self.stored: list[JobDue] = []

    async def job_due(self, tick: Tick, fence: int) -> JobDue:
        await pause()
        due = JobDue(job=tick.job, due_at=tick.due_at, fence=fence, manual=tick.manual)
        stored_at = self._known.get(tick.message_id)
        if stored_at is None or self._seconds() - stored_at > self.WINDOW_S:
            self._known[tick.message_id] = self._seconds()
            self.stored.append(due)
        await pause()
        return due
