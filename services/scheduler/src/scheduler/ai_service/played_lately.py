"""The played zones, as they were a second ago at most: the adapters ask many times a second."""

from collections.abc import Callable, Mapping

from chassis.refusals import UnavailableError

from scheduler.npc_feed.feed import LOOK_EVERY_S, Played
from scheduler.npc_feed.played import PlayedZone


class PlayedLately:
    """While PostgreSQL is away, those known last."""

    def __init__(self, played: Played, now: Callable[[], float]) -> None:
        self._played = played
        self._now = now
        self._looked_at = float("-inf")
        self._zones: Mapping[str, PlayedZone] = {}

    async def now(self) -> Mapping[str, PlayedZone]:
        if self._now() - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = self._now()
            try:
                self._zones = await self._played.now()
            except UnavailableError:
                return self._zones  # the feed, which asks the same, says so
        return self._zones
