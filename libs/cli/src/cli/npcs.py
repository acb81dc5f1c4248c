"""The demo's AI world: a few villagers who wander about the zone, and start when somebody pokes them."""

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from contracts.npcs import Environment, NpcState
from sdk import AiServer, UnreachableError

from cli.entrance import Entrance

STEP_EVERY_S = 2.0
"""Twice in the feed's usual interval, so that each message of it has news."""

STEP_TILES = 3.0
ROAM_TILES = 14.0
"""From home; all of them stay in sight of one another on the map."""

JUMP_TILES = 5.0
ALARMED_STEPS = 2
"""How long one who was poked stays alarmed."""

WEATHERS = ("clear", "cloudy", "rain", "fog")
TIMES = ("morning", "noon", "dusk", "night")
HOUR_STEPS = 15
"""Half a minute: whoever looks at the demo for two sees a whole day."""


@dataclass(frozen=True)
class Villager:
    npc_id: str
    name: str
    npc_class: str
    home: tuple[float, float]
    x: float
    y: float
    alarm: int = 0
    """Steps until it has calmed down."""

    def wander(self, chance: float) -> "Villager":
        """Take a step in some direction, but for home when it got far; `chance` is in [0, 1)."""
        direction = chance * math.tau
        if math.dist((self.x, self.y), self.home) > ROAM_TILES:
            direction = math.atan2(self.home[1] - self.y, self.home[0] - self.x)
        return replace(self._moved(direction, STEP_TILES), alarm=max(0, self.alarm - 1))

    def start(self, chance: float) -> "Villager":
        """Jump aside, alarmed."""
        return replace(self._moved(chance * math.tau, JUMP_TILES), alarm=ALARMED_STEPS)

    def state(self, *, urgent: bool = False) -> NpcState:
        return NpcState(
            npc_id=self.npc_id,
            name=self.name,
            npc_class=self.npc_class,
            level=10,
            x=self.x,
            y=self.y,
            status="startled" if self.alarm else "strolling",
            urgent=urgent,
        )

    def _moved(self, direction: float, tiles: float) -> "Villager":
        x, y = self.x + tiles * math.cos(direction), self.y + tiles * math.sin(direction)
        return replace(self, x=round(x, 2), y=round(y, 2))


def _villager(npc_id: str, name: str, npc_class: str, x: float, y: float) -> Villager:
    return Villager(npc_id, name, npc_class, (x, y), x, y)


VILLAGERS = (
    _villager("demo-guard", "Rolf", "guard", 150, 184),
    _villager("demo-smith", "Hilda", "smith", 166, 178),
    _villager("demo-cat", "Mira", "cat", 158, 190),
    _villager("demo-bard", "Old Jon", "bard", 144, 172),
    _villager("demo-child", "Pim", "child", 160, 168),
)


class Village:
    """The villagers of one zone, as an AI server has them walk and react."""

    def __init__(self, server: AiServer, zone_id: str, say: Callable[[str], None]) -> None:
        self._server = server
        self._zone_id = zone_id
        self._say = say
        self._villagers = {villager.npc_id: villager for villager in VILLAGERS}

    async def live(self) -> None:
        """Walk and react for as long as this runs; leave the zone at the end."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._walk())
                group.create_task(self._react())
        finally:
            await self._server.publish(
                self._zone_id, *(NpcState(npc_id=npc_id, removed=True) for npc_id in self._villagers)
            )

    async def _walk(self) -> None:
        for step in count():
            if step % HOUR_STEPS == 0:
                await self._server.set_environment(self._zone_id, _sky(step // HOUR_STEPS))
            for npc_id, villager in self._villagers.items():
                self._villagers[npc_id] = villager.wander(random.random())  # noqa: S311 -- nobody bets on it
            await self._server.publish(self._zone_id, *(villager.state() for villager in self._villagers.values()))
            await asyncio.sleep(STEP_EVERY_S)

    async def _react(self) -> None:
        async with self._server.npc_events(self._zone_id) as events:
            async for event in events:
                if villager := self._villagers.get(event.npc_id):
                    startled = self._villagers[event.npc_id] = villager.start(random.random())  # noqa: S311 -- as above
                    self._say(f"{villager.name} was {event.event} and starts")
                    await self._server.publish(self._zone_id, startled.state(urgent=True))


async def live_in(zone_id: str, entrance: Entrance, say: Callable[[str], None]) -> None:
    """Have the villagers in the zone; again from the start when NATS was away for too long."""
    async with AiServer(entrance.nats, "p2p demo", entrance.credentials) as server:
        say(f"{len(VILLAGERS)} NPCs wander about {zone_id}; click one on the page's map")
        while True:
            try:
                await Village(server, zone_id, say).live()
            except* UnreachableError as away:
                say(f"the NPCs pause: {away.exceptions[0]}")


def _sky(hour: int) -> Environment:
    return Environment(weather=WEATHERS[hour // len(TIMES) % len(WEATHERS)], time_of_day=TIMES[hour % len(TIMES)])
