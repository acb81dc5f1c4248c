"""The NPCs of zones that somebody watches: followed as a socket would, without a seat in any session."""

from collections.abc import Collection

import orjson
import structlog
from chassis.bus import Bus
from contracts.npcs import FEED_WANTED, NPC_FEED, FeedWanted
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from signaling_gateway.npcs.fold import Fold

log = structlog.stdlib.get_logger()


class Npcs:
    """One subscription for each zone, however many watch it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._zones: dict[str, tuple[Subscription, Fold]] = {}
        self._told: dict[str, bytes] = {}

    def of(self, zone_id: str) -> bytes:
        """All that is known, as a JSON array of messages of the feed; the very same object until there is news."""
        if zone_id not in self._told and (followed := self._zones.get(zone_id)) and (whole := followed[1].whole()):
            self._told[zone_id] = b"[%s]" % b",".join(whole)
        return self._told.get(zone_id, b"")

    async def follow(self, zones: Collection[str]) -> None:
        """Follow these and no others."""
        for zone_id in self._zones.keys() - zones:
            subscription, _ = self._zones.pop(zone_id)
            self._told.pop(zone_id, None)
            await subscription.unsubscribe()
        for zone_id in set(zones) - self._zones.keys():
            subscription = await self._bus.subscribe(NPC_FEED.of(zone_id=zone_id), self._hear)
            self._zones[zone_id] = (subscription, Fold())
            await self._ask(zone_id, None)

    async def begin_anew(self) -> None:
        """What NATS told while it was away is not known."""
        for zone_id, (_, fold) in list(self._zones.items()):
            fold.forget()
            await self._ask(zone_id, None)

    async def _hear(self, msg: Msg) -> None:
        zone_id = NPC_FEED.parse(msg.subject)["zone_id"]
        if zone_id not in self._zones:
            return
        fold = self._zones[zone_id][1]
        wanted = fold.wants_full
        try:
            is_next = fold.hear(msg.data)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            log.warning("console.feed_unreadable", zone_id=zone_id, error=str(error))
            return
        if is_next:
            self._told.pop(zone_id, None)
        elif fold.wants_full and not wanted:
            await self._ask(zone_id, fold.seq)

    async def _ask(self, zone_id: str, after: int | None) -> None:
        await self._bus.publish(FEED_WANTED.of(zone_id=zone_id), FeedWanted(seq=after).model_dump_json().encode())
