"""How long an AI service that fails is left alone: pure.

A few failures in a row open the breaker; then one question after its health, after a pause that doubles each time it
fails. While nobody answers, what was asked may still lie before a service that hangs, and is counted when it wakes up:
the pauses keep that to some requests an hour.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

OPENS_AFTER = 3
"""One lost answer is nothing, and three cost ten seconds at most."""

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 120.0
LONGEST_WISH_S = 600.0
"""A service may wish for a longer pause (`Retry-After`), up to this."""


class Stand(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    TRYING = "trying"
    """The pause is over: one question after its health decides."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row, and until when nobody asks."""

    failures: int = 0
    until: float = float("-inf")
    healthy: bool = False
    """It says so itself; whether it is, the next answer tells."""

    def stand(self, now: float) -> Stand:
        if now < self.until:
            return Stand.OPEN
        return Stand.CLOSED if self.failures < OPENS_AFTER or self.healthy else Stand.TRYING

    def says_healthy(self) -> "Breaker":
        return replace(self, healthy=True)

    def failed(self, now: float, retry_after: float = 0.0) -> "Breaker":
        failures = self.failures + 1
        pause = 0.0
        if failures >= OPENS_AFTER:
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - OPENS_AFTER, 10))
        return Breaker(failures, now + max(pause, min(retry_after, LONGEST_WISH_S)))
