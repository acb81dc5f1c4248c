"""How many refusals are put on record one by one: a flood of them must not become a flood of records."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.access import AuditAction

FIRST = 5
"""Of one kind by one somebody in a window: enough to see what they were trying."""

MOST_NAMES = 50
"""Names told of in a window; they are the flooder's to choose."""

WINDOW = timedelta(seconds=10)


@dataclass
class RefusalTally:
    """One window after another."""

    began_at: datetime
    _told: Counter[tuple[AuditAction, str]] = field(default_factory=Counter)
    _untold: Counter[AuditAction] = field(default_factory=Counter)

    def tells(self, action: AuditAction, name: str) -> bool:
        """Whether this one is told by itself; else it is counted."""
        key = (action, name)
        if self._told[key] < FIRST and (key in self._told or len(self._told) < MOST_NAMES):
            self._told[key] += 1
            return True
        self._untold[action] += 1
        return False

    def close(self, now: datetime) -> dict[AuditAction, int]:
        """When the window is over: what was only counted in it."""
        if now < self.began_at + WINDOW:
            return {}
        counted = dict(self._untold)
        self.began_at = now
        self._told.clear()
        self._untold.clear()
        return counted
