"""When this process could not hear beats (NATS away, process stopped), so that no host is given up for that."""

from collections.abc import Callable
from datetime import datetime, timedelta

from chassis.clock import Clock

from host_registry.eligibility import NEVER

STALLED_AFTER = timedelta(seconds=5)
"""A 1 s round that comes this late found the process stopped or starved: beats may lie unread before it."""


class OwnAbsence:
    """Remembers when the last absence ended: deadlines count from the last beat, or from then."""

    def __init__(self, clock: Clock, bus_connected: Callable[[], bool]) -> None:
        self._clock = clock
        self._bus_connected = bus_connected
        self._checked_at = clock.now()
        self.since = self._checked_at
        """Since when beats have been heard without a break."""

    def interrupted(self) -> None:
        """Count from now: what is needed to hear or to keep beats was away until now."""
        self.since = self._clock.now()

    def check(self) -> bool:
        """Say whether beats can be heard now; to be called every second, as it takes a late call for an absence."""
        now = self._clock.now()
        stalled = now - self._checked_at > STALLED_AFTER
        self._checked_at = now
        if stalled or not self._bus_connected():
            self.interrupted()
        return self._bus_connected()

    def stale_before(self, silence: timedelta) -> datetime:
        """Give the time such that a host whose last beat is older was silent for `silence` or longer, not we absent.

        Within `silence` of an absence there is none yet: `NEVER`.
        """
        limit = self._clock.now() - silence
        return limit if self.since <= limit else NEVER
