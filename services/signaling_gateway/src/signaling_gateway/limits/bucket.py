"""The token bucket: so many at once, then so many in a time; in whole nanoseconds, so that sums are exact.

It is kept as one number, when it will be full again, which is all there is to know of it (GCRA, as ATM networks had
it): nothing has to be filled by a clock, and one that is full may be forgotten.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

NANOSECONDS = 1_000_000_000

BLOCKS = 10
"""Parts in which an allowance is shared out among gateways."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What somebody may take."""

    interval: int
    """Nanoseconds until there is one more."""
    burst: int
    """The most that there are at once."""

    @classmethod
    def of(cls, number: int, span: timedelta, burst: int | None = None) -> Self:
        """So many in a span, and at once as many, unless `burst` says another number."""
        nanoseconds = int(span.total_seconds() * NANOSECONDS)
        return cls(-(-nanoseconds // number), number if burst is None else burst)

    @property
    def fills_in(self) -> int:
        """Nanoseconds from empty to full."""
        return self.interval * self.burst

    @property
    def block(self) -> int:
        """What one gateway takes of it at most before others hear of it."""
        return max(1, self.burst // BLOCKS)


class Bucket:
    """What is left of one allowance; times are nanoseconds of one clock that does not go back."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0

    def take(self, allowance: Allowance, now: int, wanted: int = 1) -> int:
        """Take as many as are wanted, or as there are; how many that was."""
        full_at = max(self._full_at, now)
        given = min(wanted, (allowance.fills_in - (full_at - now)) // allowance.interval)
        if given < 1:
            return 0
        self._full_at = full_at + given * allowance.interval
        return given

    def give_back(self, allowance: Allowance) -> None:
        """One that was taken was not used."""
        self._full_at -= allowance.interval

    def wait(self, allowance: Allowance, now: int) -> int:
        """Nanoseconds until there is one; 0 if there is."""
        return max(0, self._full_at + allowance.interval - allowance.fills_in - now)
