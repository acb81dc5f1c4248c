"""One player's WebRTC connection, from its offer to its end; candidates are taken in the order they came."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from aiortc import RTCDataChannel, RTCPeerConnection
from contracts.frames import Answer, IceServer, OfferOut, Opaque
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from sdk.channel import PlayerChannel
from sdk.closing import Closing
from sdk.descriptions import (
    answer_like,
    candidate_of,
    configuration,
    offer_of,
    ufrag_of,
    ufrag_of_candidate,
    without_names,
)
from sdk.errors import ConnectionFailedError
from sdk.feed_channel import LABEL as FEED_LABEL
from sdk.feed_channel import FeedChannel
from sdk.round_trips import RoundTrips
from sdk.tracing import TRACER, context_of, traceparent_of

log = logging.getLogger(__name__)

PING_LABEL = "p2p-ping"
"""The channel on which both sides measure; unordered and never resent, so that a lost ping shows as lost."""

PING_EVERY_S = 2.0
"""Often enough for a figure that follows a player's line, rare enough to cost nothing."""

MAX_CANDIDATES = 100
"""Of one offer; a machine with many networks gathers a dozen."""

CONNECT_WITHIN_S = 20.0
"""Gathering may take 5 s where a STUN server is silent, checks some more; then it will not come."""

_NO_PATH = "no path between the two machines (ICE failed)"

OnMessage = Callable[[PlayerChannel, str | bytes], Awaitable[None]]


class Player:
    """A player who offered; `run` is its life."""

    def __init__(self, offer: OfferOut, on_message: OnMessage, on_feed: Callable[["Player"], None]) -> None:
        self.session_id = offer.session_id or ""
        self.player_id = offer.sender
        self.channels: list[PlayerChannel] = []
        self.feed: FeedChannel | None = None
        """There once the player opened a channel for the NPCs; `on_feed` is called then."""
        self.round_trips = RoundTrips()
        self._bytes_of_closed = 0
        self._offer = offer
        self._ufrag = ufrag_of(offer.sdp)
        self._on_message = on_message
        self._on_feed = on_feed
        self._candidates: asyncio.Queue[Opaque] = asyncio.Queue(MAX_CANDIDATES)
        self._arrived: asyncio.Queue[PlayerChannel] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._began_at = loop.time()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._pings: RTCDataChannel | None = None

    @property
    def connected(self) -> bool:
        return self._opened.done() and not self._ended.done()

    @property
    def elapsed(self) -> timedelta:
        """Since the offer came."""
        return timedelta(seconds=self._clock() - self._began_at)

    @property
    def bytes_moved(self) -> int:
        """Payload in both directions, over all channels, ever."""
        fed = self.feed.bytes_moved if self.feed else 0
        return self._bytes_of_closed + fed + sum(channel.bytes_moved for channel in self.channels)

    def hear_candidate(self, candidate: Opaque, ufrag: str | None = None) -> None:
        """Take a candidate; one of another offer than this is passed over."""
        of = ufrag or ufrag_of_candidate(candidate)
        if of is not None and self._ufrag is not None and of != self._ufrag:
            return
        if not self._candidates.full():
            self._candidates.put_nowait(candidate)

    def end(self, reason: str) -> None:
        """Have `run` come to its end."""
        if not self._ended.done():
            self._ended.set_result(reason)

    async def run(
        self,
        servers: Sequence[IceServer],
        send: Callable[[Answer], Awaitable[None]],
        on_connected: Callable[["Player"], None],
    ) -> str:
        """Answer, open, serve; give the reason of the end. ConnectionFailedError when no channel ever opened."""
        peer = RTCPeerConnection(configuration(servers))
        peer.on("datachannel", self._channel_opened)
        peer.on("connectionstatechange", lambda: self._state_changed(peer))
        closing = Closing(peer)
        try:
            opening = await self._answer(peer, send)
            async with asyncio.TaskGroup() as group:
                working = [
                    group.create_task(self._take_candidates(peer, group)),
                    group.create_task(self._take_channels(group)),
                ]
                failure = await self._failure_to_open(peer, opening)
                if failure is None:
                    on_connected(self)
                    working.append(group.create_task(self._ping()))
                    await self._ended
                for task in working:
                    task.cancel()
                await closing.finish()
        finally:
            await closing.finish()
        if failure is not None:
            raise ConnectionFailedError(failure)
        return self._ended.result()

    async def _answer(self, peer: RTCPeerConnection, send: Callable[[Answer], Awaitable[None]]) -> Span:
        offer = self._offer
        named = {"p2p.session_id": self.session_id, "p2p.player_id": self.player_id}
        with TRACER.start_as_current_span(
            "answer offer", context_of(offer.traceparent), SpanKind.CONSUMER, named
        ) as span:
            description = offer_of(offer.sdp)
            description.sdp, by_name = without_names(description.sdp)
            for candidate in by_name:
                self.hear_candidate(candidate)
            await peer.setRemoteDescription(description)
            if peer.sctp is None:
                raise ConnectionFailedError("the offer asks for no data channel")
            await peer.setLocalDescription(await peer.createAnswer())
            context = set_span_in_context(span)
            await send(
                Answer(
                    to=offer.sender,
                    session_id=offer.session_id,
                    sdp=answer_like(offer.sdp, peer.localDescription),
                    ufrag=self._ufrag,
                    traceparent=traceparent_of(context, offer.traceparent),
                )
            )
            return TRACER.start_span("open data channel", context, attributes=named)

    async def _failure_to_open(self, peer: RTCPeerConnection, span: Span) -> str | None:
        """Wait for the first channel; say why there is none, or None when there is."""
        await asyncio.wait((self._opened, self._ended), timeout=CONNECT_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        failure = None
        if not self._opened.done():
            failure = self._ended.result() if self._ended.done() else _what_is_missing(peer)
            span.set_status(Status(StatusCode.ERROR, failure))
        span.end()
        return failure

    async def _take_candidates(self, peer: RTCPeerConnection, group: asyncio.TaskGroup) -> None:
        while True:
            candidate = await self._candidates.get()
            # Side by side, because a name in place of an address (mDNS) takes a second to resolve.
            group.create_task(self._take_candidate(peer, candidate))

    async def _take_candidate(self, peer: RTCPeerConnection, candidate: Opaque) -> None:
        try:
            if read := candidate_of(candidate):
                await peer.addIceCandidate(read)
        except (ValueError, AssertionError, IndexError, OSError) as error:  # OSError: no name can be looked up here
            log.info("player %s sent a candidate that cannot be used: %s", self.player_id, error)

    async def _take_channels(self, group: asyncio.TaskGroup) -> None:
        while True:
            channel = await self._arrived.get()
            group.create_task(channel.serve(self._on_message))

    async def _ping(self) -> None:
        while True:
            if self._pings is not None and self._pings.readyState == "open":
                self._pings.send(json.dumps({"ping": self.round_trips.sent(self._clock())}))
            await asyncio.sleep(PING_EVERY_S)

    def _channel_opened(self, opened: RTCDataChannel) -> None:
        if opened.label == PING_LABEL:
            self._pings = opened
            opened.on("message", self._ping_heard)
            return
        if opened.label == FEED_LABEL:
            self._feed_opened(opened)
            return
        channel = PlayerChannel(opened, self.session_id, self.player_id, self.round_trips)
        opened.on("close", lambda: self._channel_closed(channel))
        self.channels.append(channel)
        self._arrived.put_nowait(channel)
        if not self._opened.done():
            self._opened.set_result(None)

    def _feed_opened(self, opened: RTCDataChannel) -> None:
        self._bytes_of_closed += self.feed.bytes_moved if self.feed else 0
        self.feed = FeedChannel(opened)
        self._on_feed(self)

    def _channel_closed(self, channel: PlayerChannel) -> None:
        self.channels.remove(channel)
        self._bytes_of_closed += channel.bytes_moved
        if not self.channels:
            self.end("closed the channel")

    def _ping_heard(self, message: str | bytes) -> None:
        try:
            fields = json.loads(message)
        except (ValueError, RecursionError):  # nested beyond what Python reads
            return
        match fields:
            case {"ping": int(number)} if self._pings is not None and self._pings.readyState == "open":
                self._pings.send(json.dumps({"pong": number}))
            case {"pong": int(number)}:
                self.round_trips.answered(number, self._clock())

    def _state_changed(self, peer: RTCPeerConnection) -> None:
        if peer.iceConnectionState == "failed":
            self.end("lost the connection" if self.connected else _NO_PATH)
        elif peer.connectionState in {"failed", "closed"}:
            self.end("closed the connection")


def _what_is_missing(peer: RTCPeerConnection) -> str:
    return _NO_PATH if peer.iceConnectionState in {"new", "checking"} else "the player opened no data channel"
