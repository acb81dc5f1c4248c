"""Use case: one scheduler leads, and another takes over when it falls silent.

Every scheduler calls `keep` some times in the length of a lease; what each call comes to is decided in `lease`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, Self

import structlog
from chassis.ids import new_event_id
from chassis.refusals import UnavailableError
from pydantic import BaseModel, ConfigDict, ValidationError

from scheduler.bucket import ABSENT, Entry, MovedError
from scheduler.lease import Hold, Record, Sight, may_take, seen

log = structlog.stdlib.get_logger()

KEY = "lease"


def since_boot() -> float:
    """Give seconds that no one can set, and that pass while the machine sleeps or the process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Keys(Protocol):
    """Where the lease is kept."""

    async def get(self, key: str) -> Entry | None: ...

    async def put(self, key: str, value: bytes, *, after: int) -> int: ...


class _Stored(BaseModel):
    """The lease's record, in JSON."""

    model_config = ConfigDict(frozen=True)

    holder: str | None
    process: str
    term: int | None
    """None in the write that took the lease: its revision is the term, and not known before."""


class Leadership:
    """This process's part in leading."""

    def __init__(self, bucket: Keys, instance: str, lease: timedelta, now: Callable[[], float] = since_boot) -> None:
        self._bucket = bucket
        self._instance = instance
        self._process = new_event_id()
        self._lease = lease
        self._now = now
        self._sight: Sight | None = None
        self._hold: Hold | None = None
        self._away = False

    @property
    def term(self) -> int | None:
        """The fence to act under, right now; None when this process may not act as the leader."""
        hold = self._hold
        return hold.term if hold is not None and hold.valid(self._lease, self._now()) else None

    @property
    def known(self) -> Record | None:
        """The record of whoever leads, as far as this process can tell; None when nobody seems to."""
        sight = self._sight
        if sight is None or sight.record.holder is None or sight.expired(self._lease, self._now()):
            return None
        return sight.record

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._give_up()

    async def keep(self) -> None:
        """Renew the lease, take it, or see that another has it."""
        if self._hold is not None and self._hold.fresh(self._lease, self._now()):
            return
        asked_at = self._now()
        try:
            await self._keep(asked_at)
        except UnavailableError as error:
            self._log_away(error)
        else:
            self._away = False

    async def _keep(self, asked_at: float) -> None:
        entry = await self._bucket.get(KEY)
        if entry is None:
            await self._take(asked_at, ABSENT)
            return
        record = _decoded(entry)
        self._sight = seen(self._sight, record, self._now())
        if record.process == self._process:
            await self._renew(asked_at, record)
        elif may_take(self._sight, self._lease, self._now()):
            await self._take(asked_at, record.revision)
        else:
            self._lose(record)

    async def _take(self, asked_at: float, after: int) -> None:
        revision = await self._write(None, after)
        if revision is not None:
            self._hold = Hold(revision, asked_at)
            self._sight = Sight(self._record(revision, revision), asked_at)
            log.info("lease.taken", term=revision)

    async def _renew(self, asked_at: float, record: Record) -> None:
        revision = await self._write(record.term, record.revision)
        if revision is not None:
            self._hold = Hold(record.term, asked_at)
            self._sight = Sight(self._record(revision, record.term), asked_at)

    async def _write(self, term: int | None, after: int) -> int | None:
        try:
            return await self._bucket.put(KEY, self._encoded(self._instance, term), after=after)
        except MovedError:
            return None  # somebody was quicker; the next look tells who

    def _lose(self, record: Record) -> None:
        if self._hold is not None:
            log.warning("lease.lost", to=record.holder, term=record.term)
        self._hold = None

    async def _give_up(self) -> None:
        """Let another lead at once, instead of after the lease."""
        sight, hold = self._sight, self._hold
        self._hold = None
        if sight is None or hold is None:
            return
        try:
            await self._bucket.put(KEY, self._encoded(None, hold.term), after=sight.record.revision)
        except (MovedError, UnavailableError) as error:
            log.info("lease.not_given_up", reason=str(error))
        else:
            log.info("lease.given_up", term=hold.term)

    def _record(self, revision: int, term: int) -> Record:
        return Record(revision, self._instance, self._process, term)

    def _encoded(self, holder: str | None, term: int | None) -> bytes:
        return _Stored(holder=holder, process=self._process, term=term).model_dump_json().encode()

    def _log_away(self, error: UnavailableError) -> None:
        if not self._away:
            log.warning("lease.out_of_reach", reason=str(error))
        self._away = True


def _decoded(entry: Entry) -> Record:
    try:
        stored = _Stored.model_validate_json(entry.value)
    except ValidationError:  # written by hand; nobody holds that
        stored = _Stored(holder=None, process="", term=None)
    return Record(entry.revision, stored.holder, stored.process, stored.term or entry.revision)
