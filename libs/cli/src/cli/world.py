"""The demo's world: how much was said in a session and where its players stand, kept for whoever hosts it next."""

import asyncio
import json
import logging
import math
import zlib
from collections.abc import Callable

from contracts.frames import SessionAssigned
from contracts.subjects import Message
from pydantic import Field, ValidationError
from sdk import HostAgent, NotAssignedError, P2pError, StaleEpochError

log = logging.getLogger(__name__)

TOLD_EVERY_S = 0.1
"""As a game tells its players; a page sees from it for how long nobody told."""

KEPT_EVERY_S = 1.0
"""At most: what changed in the last second before a host is gone may be gone too."""

MIDDLE = (154.0, 178.0)
"""Of the village, in tiles."""

REACH_TILES = 20.0
"""From the middle: further nobody walks."""

MOST_PLACES = 200
"""Of players who come and go; who has been away the longest is forgotten first."""

Place = tuple[float, float]


class World(Message):
    """One session's."""

    spoken: int = Field(default=0, ge=0)
    """Lines, by players, since the session began."""
    places: dict[str, Place] = Field(default_factory=dict)
    """In tiles, by player; also of those who are away."""


def read_world(checkpoint: bytes | None) -> World:
    """Give what the host before kept; an empty world where nothing was, or nothing that we can read."""
    try:
        return World.model_validate_json(checkpoint) if checkpoint else World()
    except ValidationError as error:
        log.warning("the checkpoint of the host before is not of this demo: %s", error)
        return World()


class Worlds:
    """Those of the sessions that one host serves: loaded when it is assigned, told ten times a second, kept."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._assigned: asyncio.Queue[SessionAssigned] = asyncio.Queue()
        self._worlds: dict[str, World] = {}
        self._epochs: dict[str, int] = {}
        self._spoken_early: dict[str, int] = {}
        """Lines said before the world was loaded."""
        self._kept: dict[str, World] = {}

    def assigned(self, session: SessionAssigned) -> None:
        """Take a session on; one that we have already in this epoch stays as it is."""
        if self._epochs.get(session.session_id, 0) != session.epoch:
            self.released(session.session_id)
            self._epochs[session.session_id] = session.epoch
            self._assigned.put_nowait(session)

    def released(self, session_id: str) -> None:
        for of_session in (self._worlds, self._epochs, self._spoken_early, self._kept):
            of_session.pop(session_id, None)

    def spoke(self, session_id: str) -> None:
        if world := self._worlds.get(session_id):
            self._worlds[session_id] = world.model_copy(update={"spoken": world.spoken + 1})
        else:
            self._spoken_early[session_id] = self._spoken_early.get(session_id, 0) + 1

    def walk(self, session_id: str, player_id: str, to: Place) -> None:
        """Have a player stand there, or as far in that direction as the village reaches."""
        if world := self._worlds.get(session_id):
            self._place(session_id, world, player_id, _within_reach(to))

    async def run(self, agent: HostAgent) -> None:
        """Load, tell and keep, for as long as this runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load_all(agent, group))
            group.create_task(self._tell_all(agent))
            group.create_task(self._keep_all(agent))

    async def _load_all(self, agent: HostAgent, group: asyncio.TaskGroup) -> None:
        while True:
            group.create_task(self._load(agent, await self._assigned.get()))

    async def _load(self, agent: HostAgent, session: SessionAssigned) -> None:
        try:
            world = read_world(await agent.load(session.session_id))
        except P2pError as error:
            self._say(f"the state of {session.session_id} could not be loaded, it begins anew: {error}")
            world = World()
        if self._epochs.get(session.session_id, 0) != session.epoch:
            return  # released meanwhile
        spoken = world.spoken + self._spoken_early.pop(session.session_id, 0)
        self._kept[session.session_id] = world
        self._worlds[session.session_id] = world.model_copy(update={"spoken": spoken})
        if world.places:
            self._say(f"its state came along: {world.spoken} lines said, {len(world.places)} players' places")

    async def _tell_all(self, agent: HostAgent) -> None:
        while True:
            for session_id in [*self._worlds]:
                await self._tell(agent, session_id)
            await asyncio.sleep(TOLD_EVERY_S)

    async def _tell(self, agent: HostAgent, session_id: str) -> None:
        players = {channel.player_id for channel in agent.channels(session_id)}
        for player_id in sorted(players - self._worlds[session_id].places.keys()):
            self._place(session_id, self._worlds[session_id], player_id, _first_place(player_id))
        world = self._worlds[session_id]
        here = {player_id: world.places[player_id] for player_id in players}
        told = {"from": self._name, "world": {"spoken": world.spoken, "places": here}}
        await agent.broadcast(json.dumps(told), session_id)

    async def _keep_all(self, agent: HostAgent) -> None:
        while True:
            await asyncio.sleep(KEPT_EVERY_S)
            for session_id, world in [*self._worlds.items()]:
                if world != self._kept.get(session_id):
                    await self._keep(agent, session_id, world)

    async def _keep(self, agent: HostAgent, session_id: str, world: World) -> None:
        try:
            await agent.save(session_id, world.model_dump_json().encode())
        except (StaleEpochError, NotAssignedError):
            return  # another host has it by now
        except P2pError as error:
            self._say(f"the state of {session_id} could not be kept: {error}")
            return
        if session_id in self._kept:
            self._kept[session_id] = world

    def _place(self, session_id: str, world: World, player_id: str, place: Place) -> None:
        others = {known: where for known, where in world.places.items() if known != player_id}
        while len(others) >= MOST_PLACES:
            others.pop(next(iter(others)))
        self._worlds[session_id] = world.model_copy(update={"places": {**others, player_id: place}})


def _first_place(player_id: str) -> Place:
    """Somewhere about the middle, the same for the same player."""
    angle = math.tau * (zlib.crc32(player_id.encode()) % 360) / 360
    return round(MIDDLE[0] + 6 * math.cos(angle), 1), round(MIDDLE[1] + 6 * math.sin(angle), 1)


def _within_reach(place: Place) -> Place:
    away = math.dist(place, MIDDLE)
    share = min(1.0, REACH_TILES / away) if away else 1.0
    x, y = (middle + (at - middle) * share for at, middle in zip(place, MIDDLE, strict=True))
    return round(x, 1), round(y, 1)
