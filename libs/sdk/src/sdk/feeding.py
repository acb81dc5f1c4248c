"""The NPCs on their way through a host: asked for at the gateway, folded, and passed on to the players of the zone.

One zone's messages in the order they come; zones and players side by side.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType

from contracts.frames import SessionAssigned, Subscribe
from contracts.npcs import NpcFeed, NpcRecord
from opentelemetry.trace import SpanKind, set_span_in_context

from sdk.errors import UnreachableError
from sdk.feed import ZoneFeed
from sdk.player import Player
from sdk.tracing import TRACER, context_of, traceparent_of

ASK_AGAIN_S = 5.0
"""A gateway that was asked has an answer within the feed's interval, or has trouble of its own."""


class Feeding:
    """The feeds of the zones that this host serves; `run` asks for what is missing."""

    def __init__(
        self, subscribe: Callable[[Subscribe], Awaitable[None]], players: Callable[[], Iterable[Player]]
    ) -> None:
        self._subscribe = subscribe
        self._players = players
        self._zones: dict[str, str] = {}
        self._feeds: dict[str, ZoneFeed] = {}
        self._to_ask: set[str] = set()
        self._something_to_ask = asyncio.Event()

    def npcs(self, zone_id: str) -> Mapping[str, NpcRecord]:
        feed = self._feeds.get(zone_id)
        return feed.npcs if feed else MappingProxyType({})

    def session_of(self, zone_id: str) -> str | None:
        """Give a session of the zone that is hosted here, the eldest of several."""
        return next((session_id for session_id, zone in self._zones.items() if zone == zone_id), None)

    def assigned(self, session: SessionAssigned) -> None:
        """Hear the zone; again after each reconnect, for whichever gateway it is now knows nothing of us."""
        self._zones[session.session_id] = session.zone_id
        feed = self._feeds.setdefault(session.zone_id, ZoneFeed(session.zone_id))
        feed.wanting = True
        self._ask_for(session.zone_id)
        for player in self._players():
            if player.session_id == session.session_id:
                self.follow(player)

    def released(self, session_id: str) -> None:
        """Forget the zone with its last session."""
        zone_id = self._zones.pop(session_id, None)
        if zone_id is not None and zone_id not in self._zones.values():
            del self._feeds[zone_id]
            self._to_ask.discard(zone_id)

    def follow(self, player: Player) -> None:
        """Have a player who opened a channel for it hear the feed of the player's zone."""
        feed = self._feeds.get(self._zones.get(player.session_id, ""))
        if feed and player.feed:
            player.feed.follow(feed)

    def hear(self, message: NpcFeed) -> None:
        feed = self._feeds.get(message.zone_id)
        if feed is None:
            return
        knew = not feed.wanting
        if feed.hear(message):
            self._pass_on(message)
        elif knew and feed.wanting:
            self._ask_for(message.zone_id)

    async def run(self) -> None:
        """Ask for each zone that wants a full message, and again as long as none comes."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_AGAIN_S):
                    await self._something_to_ask.wait()
            self._something_to_ask.clear()
            zones = self._to_ask or {zone_id for zone_id, feed in self._feeds.items() if feed.wanting}
            self._to_ask = set()
            for zone_id in zones:
                with suppress(UnreachableError):
                    await self._subscribe(Subscribe(feed=zone_id))

    def _ask_for(self, zone_id: str) -> None:
        self._to_ask.add(zone_id)
        self._something_to_ask.set()

    def _pass_on(self, message: NpcFeed) -> None:
        if message.traceparent is None:
            self._send(message)
            return
        about = {"p2p.zone_id": message.zone_id}
        context = context_of(message.traceparent)
        with TRACER.start_as_current_span("pass npc-state on", context, SpanKind.CONSUMER, about) as span:
            traceparent = traceparent_of(set_span_in_context(span), message.traceparent)
            self._send(message.model_copy(update={"traceparent": traceparent}))

    def _send(self, message: NpcFeed) -> None:
        """Encode once, however many hear it."""
        text = message.model_dump_json(exclude_none=True)
        for player in self._players():
            if player.feed and self._zones.get(player.session_id) == message.zone_id:
                player.feed.pass_on(text)
