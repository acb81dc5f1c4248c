"""The scheduler that leads, as the tests want it: it tells what it is told to, and remembers who asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from chassis.bus import Bus, connect_bus
from chassis.refusals import DeadlineExceededError, UnavailableError
from contracts.npcs import FEED_WANTED, NPC_EVENT, NPC_FEED, NpcEvent
from nats.aio.msg import Msg
from testkit.patience import patient

SOON_S = 0.2
"""That nobody listens NATS says at once."""


class Leader:
    """Numbers begin where a leader's would."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._seq: dict[str, int] = {}
        self._worlds: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        """Zones of which everything was wanted, in order."""
        self.events: list[NpcEvent] = []

    async def tell(self, zone_id: str, *npcs: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Publish the next message of a zone, or the one that `fields` make of it; give it back."""
        seq = fields.get("seq", self._seq.get(zone_id, 1000) + 1)
        told = {"type": "npc-state", "zone_id": zone_id, "seq": seq, "ts": "2026-01-01T00:00:00Z", "full": False}
        told |= {"npcs": list(npcs), "removed": [], "stale": False, **fields}
        self._seq[zone_id] = seq
        await self._bus.publish(NPC_FEED.of(zone_id=zone_id), orjson.dumps(told))
        return told

    async def tell_all(self, zone_id: str, *npcs: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return await self.tell(zone_id, *npcs, full=True, **fields)

    def skip(self, zone_id: str) -> None:
        """Have a message go missing."""
        self._seq[zone_id] += 1

    def answer(self, zone_id: str, *npcs: dict[str, Any]) -> None:
        """From now on tell everything to whoever asks, this."""
        self._worlds[zone_id] = list(npcs)

    async def say_nonsense(self, zone_id: str, body: bytes) -> None:
        await self._bus.publish(NPC_FEED.of(zone_id=zone_id), body)

    async def is_heard(self, zone_id: str) -> bool:
        """Whether anybody is subscribed to the zone, as NATS sees it."""
        try:
            await self._bus.request(NPC_FEED.of(zone_id=zone_id), b"", timeout_s=patient(SOON_S))
        except UnavailableError:
            return False
        except DeadlineExceededError:
            return True
        raise AssertionError("nobody answers a feed")

    async def wanted(self, msg: Msg) -> None:
        zone_id = FEED_WANTED.parse(msg.subject)["zone_id"]
        self.asked.append(zone_id)
        if zone_id in self._worlds:
            await self.tell_all(zone_id, *self._worlds[zone_id])

    async def heard(self, msg: Msg) -> None:
        self.events.append(NpcEvent.model_validate_json(msg.data))


@asynccontextmanager
async def leading(nats_url: str) -> AsyncIterator[Leader]:
    """Lead until the block ends."""
    async with connect_bus(nats_url, "leader") as bus:
        leader = Leader(bus)
        await bus.subscribe(FEED_WANTED.wildcard, leader.wanted)
        await bus.subscribe(NPC_EVENT.wildcard, leader.heard)
        yield leader
