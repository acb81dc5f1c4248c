"""Who may lead, and until when: pure.

The lease is one record that is changed only by whoever knows its present revision. Whether its holder lives is judged
by each on its own monotonic clock, from when it first saw that revision: no two clocks are ever compared. A holder
counts from before it asked for its renewal, the others from after they saw it, so the holder's lease ends first.
"""

from dataclasses import dataclass
from datetime import timedelta

SAFETY = 1 / 6
"""The part of the lease, at its end, in which its holder no longer acts: what it sent may still be on its way."""

RENEWALS = 3
"""How often a lease is renewed in its time: one renewal may fail and be made good."""

LOOKS = 12
"""How often the others look in a lease's time: a quarter of a second, for one of three."""


@dataclass(frozen=True)
class Record:
    """The lease as it is stored."""

    revision: int
    holder: str | None
    """The instance that has it, for people; None: the last holder has given it up."""
    process: str
    """Which process that is; two of the same instance name must not both take it for theirs."""
    term: int
    """The revision with which its holder took it; goes on every tick as its fence."""


@dataclass(frozen=True)
class Sight:
    """A record, and when one first saw it with this revision."""

    record: Record
    since: float

    def expired(self, lease: timedelta, now: float) -> bool:
        """Whether its holder has let it lie for longer than it is valid."""
        return now - self.since >= lease.total_seconds()


@dataclass(frozen=True)
class Hold:
    """The lease in one's own hands."""

    term: int
    asked_at: float
    """When the renewal was asked for that was granted last."""

    def valid(self, lease: timedelta, now: float) -> bool:
        """Whether one may act as the leader."""
        return now - self.asked_at < lease.total_seconds() * (1 - SAFETY)

    def fresh(self, lease: timedelta, now: float) -> bool:
        """Whether it need not be renewed yet."""
        return now - self.asked_at < lease.total_seconds() / RENEWALS


def look_every(lease: timedelta) -> timedelta:
    """How often to look at the lease, or to renew it."""
    return lease / LOOKS


def seen(before: Sight | None, record: Record, now: float) -> Sight:
    """Keep the time at which this revision was first seen."""
    return before if before is not None and before.record.revision == record.revision else Sight(record, now)


def may_take(sight: Sight, lease: timedelta, now: float) -> bool:
    """Whether the lease is there for the taking: given up, or left to lie."""
    return sight.record.holder is None or sight.expired(lease, now)
