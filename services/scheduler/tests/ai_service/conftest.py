"""A scheduler's adapters on real servers, and everything that they say."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from chassis.bus import Bus
from contracts.npcs import ENVIRONMENT, NPC_STATE
from nats.aio.msg import Msg
from scheduler.leadership import since_boot
from scheduler.npc_feed.played import PlayedZone


class Leading:
    """Leads under whatever term a test says."""

    def __init__(self) -> None:
        self.term: int | None = 7


class Played:
    """Zones in memory, each on the map of its name unless it says otherwise."""

    def __init__(self, **maps: str | None) -> None:
        self.maps = maps

    async def now(self) -> dict[str, PlayedZone]:
        return {zone_id: PlayedZone(zone_id, map_name, None) for zone_id, map_name in self.maps.items()}


class Time:
    """The machine's, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return since_boot() + self.ahead


@dataclass
class Said:
    """What came on NATS."""

    everything: list[Msg] = field(default_factory=list)

    def states(self, npc_id: str) -> list[dict[str, Any]]:
        """What was said of an NPC, with the zone in which it was."""
        return [
            json.loads(msg.data) | {"in": NPC_STATE.parse(msg.subject)["zone_id"]}
            for msg in self.everything
            if msg.subject.startswith("p2p.npc.") and NPC_STATE.parse(msg.subject)["npc_id"] == npc_id
        ]

    def environments(self) -> list[dict[str, Any]]:
        prefix = ENVIRONMENT.wildcard.removesuffix("*")
        return [json.loads(msg.data) for msg in self.everything if msg.subject.startswith(prefix)]

    def mentions(self, text: str) -> list[str]:
        """Subjects of the messages, of whatever kind, that hold a text anywhere."""
        return [
            msg.subject
            for msg in self.everything
            if text.encode() in msg.data or text in msg.subject or text in str(msg.headers)
        ]


@pytest.fixture
async def said(bus: Bus) -> AsyncIterator[Said]:
    said = Said()

    async def hear(msg: Msg) -> None:
        said.everything.append(msg)

    subscription = await bus.client.subscribe(">", cb=hear)
    await bus.settle()
    yield said
    await subscription.unsubscribe()


@pytest.fixture
def leading() -> Leading:
    return Leading()


@pytest.fixture
def time() -> Time:
    return Time()
