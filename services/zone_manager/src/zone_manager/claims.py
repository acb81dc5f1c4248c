"""What this process has asked of hosts since they were last counted.

The registry alone decides who gets a slot. But a hundred placements that look at the same count would all ask the same
best host, and most would ask in vain; so each sees what the ones before it have asked for and goes to the next host.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from zone_manager.placement import NO_CLAIMS, Claims

REMEMBERED_S = 0.5
"""A count is used within milliseconds of its making; one in use for longer is just a little less well informed."""


@dataclass(eq=False)
class _Claim:
    host_id: str
    seats: int
    answered_at: float = inf


class ClaimBook:
    """The claims that a count may have missed."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._of_host: dict[str, list[_Claim]] = {}
        self._answered: deque[_Claim] = deque()

    @contextmanager
    def claim(self, host_id: str, seats: int) -> Iterator[None]:
        """Note a claim for as long as it is being asked for, and a little longer."""
        claim = _Claim(host_id, seats)
        self._of_host.setdefault(host_id, []).append(claim)
        try:
            yield
        finally:
            claim.answered_at = self.now()
            self._answered.append(claim)
            self._forget_until(claim.answered_at - REMEMBERED_S)

    def unseen(self, host_id: str, counted_at: float) -> Claims:
        """Add up what a count begun at `counted_at` may have missed."""
        claims = self._of_host.get(host_id)
        if claims is None:
            return NO_CLAIMS
        missed = [claim.seats for claim in claims if claim.answered_at >= counted_at]
        return Claims(slots=len(missed), seats=sum(missed))

    def _forget_until(self, moment: float) -> None:
        while self._answered and self._answered[0].answered_at < moment:
            claim = self._answered.popleft()
            left = self._of_host[claim.host_id]
            left.remove(claim)
            if not left:
                del self._of_host[claim.host_id]
