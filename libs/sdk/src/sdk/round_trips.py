"""What pings to one player came to lately: round trip and loss."""

from collections import OrderedDict, deque

WINDOW = 30
"""Pings that count: one minute at one every two seconds, so that a passing hiccup passes from the figures too."""

LOST_AFTER_S = 3.0
"""Well past any round trip that a game is playable with."""

WEIGHT = 0.125
"""Of the newest sample in the smoothed round trip, as TCP weighs its own (RFC 6298)."""


class RoundTrips:
    """Pings sent and answered; times are seconds of one monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, float] = OrderedDict()
        self._answered: deque[bool] = deque(maxlen=WINDOW)
        self._smoothed_ms: float | None = None
        self._next = 1

    @property
    def smoothed_ms(self) -> float | None:
        """Smoothed round trip in milliseconds; None before the first answer."""
        return self._smoothed_ms

    @property
    def loss_percent(self) -> float | None:
        """Share of pings without an answer, of those whose fate is known; None while there are none."""
        if not self._answered:
            return None
        return 100 * self._answered.count(False) / len(self._answered)

    def sent(self, now: float) -> int:
        """Count a ping that goes out and give its number; pings that waited too long become losses."""
        while self._waiting and now - next(iter(self._waiting.values())) > LOST_AFTER_S:
            self._waiting.popitem(last=False)
            self._answered.append(False)
        number = self._next
        self._next += 1
        self._waiting[number] = now
        return number

    def answered(self, number: int, now: float) -> None:
        """Count an answer; one to a ping that is not waiting (late, repeated, invented) is ignored."""
        sent_at = self._waiting.pop(number, None)
        if sent_at is None:
            return
        self._answered.append(True)
        sample = (now - sent_at) * 1000
        before = self._smoothed_ms
        self._smoothed_ms = sample if before is None else (1 - WEIGHT) * before + WEIGHT * sample
