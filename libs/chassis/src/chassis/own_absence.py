"""When this process could not hear (NATS away, process stopped), so that nobody is given up for that."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chassis.clock import Clock

STALLED_AFTER = timedelta(seconds=5)
"""A 1 s round that comes this late found the process stopped or starved: signs of life may lie unread before it."""

NEVER = datetime.min.replace(tzinfo=UTC)


class OwnAbsence:
    """Remembers when the last absence ended: deadlines count from the last sign of life, or from then."""

    def __init__(self, clock: Clock, bus_connected: Callable[[], bool]) -> None:
        self._clock = clock
        self._bus_connected = bus_connected
        self._checked_at = clock.now()
        self._in_doubt = False
        self.since = self._checked_at
        """Since when all has been heard without a break."""

    def interrupted(self) -> None:
        """Count from now: what is needed to hear, or to keep what is heard, was away until now."""
        self.since = self._clock.now()

    def doubt(self) -> None:
        """Count from the next `check`: what is needed may still be away."""
        self._in_doubt = True

    def check(self) -> bool:
        """Say whether we hear now; to be called every second, as it takes a late call for an absence."""
        now = self._clock.now()
        stalled = now - self._checked_at > STALLED_AFTER
        self._checked_at = now
        connected = self._bus_connected()
        if stalled or self._in_doubt or not connected:
            self.interrupted()
        self._in_doubt = False
        return connected

    def stale_before(self, silence: timedelta) -> datetime:
        """Give the time such that whoever was last heard before it was silent for `silence` or longer, not we absent.

        Within `silence` of an absence there is none yet: `NEVER`.
        """
        limit = self._clock.now() - silence
        return limit if self.since <= limit else NEVER
