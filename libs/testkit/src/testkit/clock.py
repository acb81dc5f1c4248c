"""A clock in the test's hand."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until it is moved; does for chassis' `Clock`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forward and give the new time."""
        if by < timedelta(0):
            raise ValueError("a clock does not go back")
        self._now += by
        return self._now
