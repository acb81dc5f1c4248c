"""How many frames one socket may send; kept by the gateway that holds it, at next to no cost for each frame."""

from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto

from signaling_gateway.limits.bucket import NANOSECONDS, Allowance, Bucket

CHUNK = 20
"""Frames for which the clock is looked at once."""

TOLD = Allowance.of(1, timedelta(seconds=1))
"""How often a socket is told that its frames are dropped: what is said to a flood must be none."""

BORNE_S = 10
"""So many seconds' worth of frames are dropped before a socket is closed: a client that catches up after a stall sends
no more than that, and one that is broken or hostile sends it soon."""

FORGIVEN_IN = 10
"""A frame that was dropped is forgiven in so many times what one is allowed in: a tenth too much is borne for ever."""


class Excess(Enum):
    """What becomes of a frame that is one too many."""

    DROP = auto()
    TELL = auto()
    """Drop it, and say so."""
    CLOSE = auto()


class Flow:
    """One socket's frames.

    They are taken from a bucket a chunk at a time, and the bucket holds a chunk less than the burst: so never more than
    the burst and the rate pass in any time, and the clock is looked at once in `CHUNK` frames.
    """

    __slots__ = ("_allowance", "_borne", "_bucket", "_chunk", "_clock", "_dropped", "_left", "_told")

    def __init__(self, allowance: Allowance, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._chunk = self._left = min(CHUNK, allowance.burst // 2)
        self._allowance = Allowance(allowance.interval, allowance.burst - self._chunk)
        self._bucket = Bucket()
        self._borne = Allowance(allowance.interval * FORGIVEN_IN, BORNE_S * NANOSECONDS // allowance.interval)
        self._dropped = Bucket()
        self._told = Bucket()

    def passes(self) -> bool:
        """Whether a frame may pass."""
        if not self._left:
            self._left = self._bucket.take(self._allowance, self._clock(), self._chunk)
            if not self._left:
                return False
        self._left -= 1
        return True

    def exceeded(self) -> Excess:
        """Count a frame that may not."""
        now = self._clock()
        if not self._dropped.take(self._borne, now):
            return Excess.CLOSE
        return Excess.TELL if self._told.take(TOLD, now) else Excess.DROP
