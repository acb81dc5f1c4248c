"""What goes wrong again and again with a program that is not ours: said once in a while, counted by the metrics."""

from collections.abc import Callable

import structlog

log = structlog.stdlib.get_logger()

A_WHILE_S = 60.0


class Complaints:
    """Logs the first of each kind in a while."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said_at: dict[tuple[str, str], float] = {}

    def note(self, event: str, kind: str, **fields: object) -> None:
        now = self._now()
        if now - self._said_at.get((event, kind), float("-inf")) >= A_WHILE_S:
            self._said_at[event, kind] = now
            log.warning(event, kind=kind, **fields)
