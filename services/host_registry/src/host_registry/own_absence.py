"""Since when this process has heard without a break: nobody is lost for our own absence."""

from collections.abc import Callable
from datetime import datetime, timedelta

from chassis.clock import Clock

from host_registry.eligibility import NEVER

STALLED_AFTER = timedelta(seconds=5)
"""A 1 s round that comes this late found the process stopped or starved: beats may lie unread before it."""


class OwnAbsence:
    """Deadlines count from the last beat, or from the end of the last time that we could not have heard one."""

    def __init__(self, clock: Clock, bus_connected: Callable[[], bool]) -> None:
        self._clock = clock
        self._bus_connected = bus_connected
        self._checked_at = clock.now()
        self.since = self._checked_at

    def interrupted(self) -> None:
        """Something we need to hear was away until now."""
        self.since = self._clock.now()

    def check(self) -> bool:
        """Whether we hear now; called every round, it notices both a lost connection and a round that came late."""
        now = self._clock.now()
        stalled = now - self._checked_at > STALLED_AFTER
        self._checked_at = now
        if stalled or not self._bus_connected():
            self.interrupted()
        return self._bus_connected()

    def stale_before(self, silence: timedelta) -> datetime:
        """Last beats from before this are older than `silence`, by no fault of ours; never, soon after an absence."""
        limit = self._clock.now() - silence
        return limit if self.since <= limit else NEVER
