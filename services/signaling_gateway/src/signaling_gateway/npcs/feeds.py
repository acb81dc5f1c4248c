"""The NPCs of zones, to the sockets that asked for them: one subscription a zone, whoever listens.

Messages pass as the bytes they came as. Who may hear a zone is looked at for each message: who left hears no more.
"""

from dataclasses import dataclass, field

import orjson
import structlog
from chassis.bus import Bus
from contracts.npcs import FEED_WANTED, NPC_EVENT, NPC_FEED, FeedWanted, NpcEvent
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from prometheus_client import Counter, Gauge

from signaling_gateway.npcs.fold import Fold
from signaling_gateway.peers.connections import Connection
from signaling_gateway.peers.conversation import plays_in

log = structlog.stdlib.get_logger()

DELIVERED = Counter("p2p_npc_feed_delivered", "Messages of the NPC feed written to sockets.")
FOLLOWED = Gauge("p2p_npc_feed_zones_followed", "Zones whose feed a socket here has asked for.")


@dataclass
class ZoneFeed:
    """A zone that somebody here listens to."""

    subscription: Subscription | None = None
    fold: Fold = field(default_factory=Fold)
    sockets: set[Connection] = field(default_factory=set)


class Feeds:
    """Who listens to which zone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._zones: dict[str, ZoneFeed] = {}

    async def subscribe(self, connection: Connection, zone_id: str) -> None:
        """Have the socket hear the zone: everything at once, or as soon as it is known."""
        feed = self._zones.get(zone_id)
        if feed is not None:
            feed.sockets.add(connection)
            _say_whole(connection, feed)
            return
        feed = self._zones[zone_id] = ZoneFeed(sockets={connection})
        FOLLOWED.set(len(self._zones))
        subscription = await self._bus.subscribe(NPC_FEED.of(zone_id=zone_id), self._heard)
        if self._zones.get(zone_id) is feed:
            feed.subscription = subscription
            await self._ask(zone_id, None)
        else:  # all who asked went while it was made
            await subscription.unsubscribe()

    async def tell(self, event: NpcEvent) -> None:
        """Bring what a host says of an NPC to the AI world."""
        subject = NPC_EVENT.of(zone_id=event.zone_id, npc_id=event.npc_id)
        await self._bus.publish(subject, event.model_dump_json(exclude_none=True).encode())

    async def look_after(self) -> None:
        """Ask again for what is wanted, and let go of zones that nobody may hear any more."""
        for zone_id, feed in list(self._zones.items()):
            feed.sockets = {socket for socket in feed.sockets if _may_hear(socket, zone_id)}
            if not feed.sockets:
                await self._let_go(zone_id)
            elif feed.fold.wants_full:
                await self._ask(zone_id, feed.fold.seq)

    async def begin_anew(self) -> None:
        """What NATS told while it was away is not known."""
        for feed in self._zones.values():
            feed.fold.forget()
        for zone_id in list(self._zones):
            await self._ask(zone_id, None)

    async def _heard(self, msg: Msg) -> None:
        zone_id = NPC_FEED.parse(msg.subject)["zone_id"]
        feed = self._zones.get(zone_id)
        if feed is None:
            return
        wanted = feed.fold.wants_full
        try:
            is_next = feed.fold.hear(msg.data)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            log.warning("feed.unreadable", zone_id=zone_id, error=str(error))
            return
        if is_next:
            for socket in list(feed.sockets):
                if _may_hear(socket, zone_id):
                    socket.wire.write(msg.data)
                    DELIVERED.inc()
                else:
                    feed.sockets.discard(socket)
        elif feed.fold.wants_full and not wanted:
            await self._ask(zone_id, feed.fold.seq)

    async def _ask(self, zone_id: str, after: int | None) -> None:
        await self._bus.publish(FEED_WANTED.of(zone_id=zone_id), FeedWanted(seq=after).model_dump_json().encode())

    async def _let_go(self, zone_id: str) -> None:
        feed = self._zones.pop(zone_id)
        FOLLOWED.set(len(self._zones))
        if feed.subscription is not None:
            await feed.subscription.unsubscribe()


def _may_hear(connection: Connection, zone_id: str) -> bool:
    return connection.wire.open and plays_in(connection.standing, zone_id)


def _say_whole(connection: Connection, feed: ZoneFeed) -> None:
    for message in feed.fold.whole():
        connection.wire.write(message)
