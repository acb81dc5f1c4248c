"""The demo host's game: what a player says everybody in the session hears; players walk about and poke NPCs."""

import asyncio
import json
from collections.abc import Callable

from contracts.frames import SessionAssigned, SessionReleased, StandbyAssigned, StandbyReleased
from sdk import (
    AgentEvent,
    BeatFailed,
    BeatStored,
    HostAgent,
    P2pError,
    PlayerArriving,
    PlayerChannel,
    PlayerConnected,
    PlayerFailed,
    PlayerGone,
    Registered,
    SignalingConnected,
    SignalingLost,
)

from cli.world import Place, Worlds

MOST_POKES = 20
"""That wait to be told; who clicks faster is not heard."""


FAR = 1e6
"""Tiles; a place beyond is none."""


class Chat:
    """Lines in from players, lines out to all of their session, and what happens in words.

    What is to outlive this host is in the sessions' worlds.
    """

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._worlds = Worlds(name, say)
        self._lines: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue()
        self._pokes: asyncio.Queue[tuple[PlayerChannel, str]] = asyncio.Queue(MOST_POKES)

    async def tell(self, agent: HostAgent) -> None:
        """Send what was said and done, for as long as this runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_lines(agent))
            group.create_task(self._tell_pokes(agent))
            group.create_task(self._worlds.run(agent))

    async def _tell_lines(self, agent: HostAgent) -> None:
        while True:
            session_id, line = await self._lines.get()
            await agent.broadcast(json.dumps(line), session_id)

    async def _tell_pokes(self, agent: HostAgent) -> None:
        while True:
            channel, npc_id = await self._pokes.get()
            session = agent.sessions.get(channel.session_id)
            try:
                if session:
                    await agent.npc_event(
                        session.zone_id, npc_id, "poked", {"by": channel.player_id}, channel.session_id
                    )
            except (P2pError, ValueError) as error:
                self._say(f"{npc_id!r} could not be poked: {error}")

    async def on_message(self, channel: PlayerChannel, message: str | bytes) -> None:
        said = _json(message)
        if npc_id := _poked(said):
            if not self._pokes.full():
                self._pokes.put_nowait((channel, npc_id))
            return
        if place := _walked(said):
            self._worlds.walk(channel.session_id, channel.player_id, place)
            return
        line = _line(said, message)
        self._worlds.spoke(channel.session_id)
        self._say(f"{channel.player_id}: {line['text']}")
        # Whoever the page says it is, the connection knows better.
        self._lines.put_nowait((channel.session_id, {**line, "from": channel.player_id}))

    def on_event(self, event: AgentEvent) -> None:
        if words := _words(event):
            self._say(words)
        match event:
            case SessionAssigned():
                self._worlds.assigned(event)
            case SessionReleased():
                self._worlds.released(event.session_id)
            case PlayerConnected():
                self._tell_session(event.session_id, f"Welcome, {event.player_id}.")
            case PlayerGone():
                self._tell_session(event.session_id, f"{event.player_id} is gone.")

    def _tell_session(self, session_id: str, text: str) -> None:
        self._lines.put_nowait((session_id, {"from": self._name, "text": text}))


def _json(message: str | bytes) -> object:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):  # nested beyond what Python reads
        return None


def _poked(said: object) -> str | None:
    """Read which NPC was clicked on the page's map, if that is what it says."""
    npc_id = said.get("poke") if isinstance(said, dict) else None
    return npc_id if isinstance(npc_id, str) else None


def _walked(said: object) -> Place | None:
    """Read where on the page's map was clicked, if that is what it says."""
    match said:
        case {"walk": [int() | float() as x, int() | float() as y]} if abs(x) < FAR and abs(y) < FAR:
            return float(x), float(y)
    return None


def _line(said: object, message: str | bytes) -> dict[str, object]:
    """Read what the demo page sends; anything else is a line as it stands."""
    if isinstance(said, dict) and isinstance(said.get("text"), str):
        return {"text": said["text"], "id": said.get("id")}
    return {"text": message if isinstance(message, str) else f"{len(message)} bytes"}


def _words(event: AgentEvent) -> str | None:  # noqa: C901, PLR0911, PLR0912 -- one line for each thing that can happen
    match event:
        case Registered():
            return f"registered as {event.host.host_id}, score {event.host.quality_score:.1f} of 100"
        case SignalingConnected():
            return "signaling connected: players can reach this host"
        case SignalingLost():
            return f"signaling lost: {event.reason}; again in {event.retry_in.total_seconds():.1f} s"
        case BeatFailed():
            return f"the beat was not stored: {event.reason}"
        case SessionAssigned():
            return f"we host {event.zone_id} now ({event.session_id})"
        case SessionReleased():
            return f"we host {event.session_id} no longer: {event.reason}"
        case StandbyAssigned():
            return f"we stand by for {event.zone_id} ({event.session_id})"
        case StandbyReleased():
            return f"we stand by for {event.session_id} no longer: {event.reason}"
        case PlayerArriving():
            return f"{event.player_id} offers a connection"
        case PlayerConnected():
            return f"{event.player_id} is connected, {event.elapsed.total_seconds() * 1000:.0f} ms after the offer"
        case PlayerFailed():
            return f"{event.player_id} could not be connected: {event.reason}"
        case PlayerGone():
            return f"{event.player_id} is gone: {event.reason}"
        case BeatStored():
            return None
