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

from zone_manager.placement import NOTHING_PENDING, Pending

REMEMBERED_S = 0.5
"""A count is used within milliseconds of its making; one in use for longer is just a little less well informed."""


@dataclass(eq=False)
class _Request:
    host_id: str
    seats: int
    answered_at: float = inf


class PendingBook:
    """What a count may have missed."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._of_host: dict[str, list[_Request]] = {}
        self._answered: deque[_Request] = deque()

    @contextmanager
    def asking(self, host_id: str, seats: int) -> Iterator[None]:
        """Note that seats are asked for, for as long as they are, and a little longer."""
        request = _Request(host_id, seats)
        self._of_host.setdefault(host_id, []).append(request)
        try:
            yield
        finally:
            request.answered_at = self.now()
            self._answered.append(request)
            self._forget_until(request.answered_at - REMEMBERED_S)

    def unseen(self, host_id: str, counted_at: float) -> Pending:
        """Add up what a count begun at `counted_at` may have missed."""
        requests = self._of_host.get(host_id)
        if requests is None:
            return NOTHING_PENDING
        missed = [request.seats for request in requests if request.answered_at >= counted_at]
        return Pending(slots=len(missed), seats=sum(missed))

    def _forget_until(self, moment: float) -> None:
        while self._answered and self._answered[0].answered_at < moment:
            request = self._answered.popleft()
            left = self._of_host[request.host_id]
            left.remove(request)
            if not left:
                del self._of_host[request.host_id]
