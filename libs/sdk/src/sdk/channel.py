"""A data channel to one player: messages out with back-pressure, messages in, in order, one at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from sdk.errors import ChannelClosedError
from sdk.round_trips import RoundTrips

log = logging.getLogger(__name__)

HIGH_WATER_BYTES = 1024 * 1024
"""What may wait to leave before `send` waits: about a second of a player's good line."""

MAX_WAITING = 1024
"""Messages that may wait for a slow callback; one more and the channel is closed, for data may not be lost silently."""


class PlayerChannel:
    """What `on_message` is given beside the message; also found by `HostAgent.channels`."""

    def __init__(self, channel: RTCDataChannel, session_id: str, player_id: str, round_trips: RoundTrips) -> None:
        self.session_id = session_id
        self.player_id = player_id
        self.bytes_moved = 0
        """Payload bytes in both directions, ever."""
        self._channel = channel
        self._round_trips = round_trips
        self._incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue(MAX_WAITING + 1)
        self._room = asyncio.Event()
        self._room.set()
        channel.bufferedAmountLowThreshold = HIGH_WATER_BYTES // 2
        channel.on("message", self._heard)
        channel.on("bufferedamountlow", self._room.set)
        channel.on("close", self._closed)

    @property
    def label(self) -> str:
        """The name that the player gave the channel."""
        return self._channel.label

    @property
    def open(self) -> bool:
        return self._channel.readyState == "open"

    @property
    def round_trip(self) -> timedelta | None:
        """Measured over this player's connection, smoothed; None until its first ping came back."""
        smoothed_ms = self._round_trips.smoothed_ms
        return None if smoothed_ms is None else timedelta(milliseconds=smoothed_ms)

    async def send(self, message: str | bytes) -> None:
        """Send one message of at most 64 KiB, text or bytes; waits while the line is full.

        Raises ChannelClosedError when the channel is closed, or is closed meanwhile.
        """
        while self.open and self._channel.bufferedAmount > HIGH_WATER_BYTES:
            self._room.clear()
            await self._room.wait()
        try:
            self._channel.send(message)
        except InvalidStateError:
            raise ChannelClosedError(self.player_id) from None
        self.bytes_moved += len(message)

    async def flush(self) -> None:
        """Wait until everything sent has left, or the channel is closed."""
        self._channel.bufferedAmountLowThreshold = 0
        while self.open and self._channel.bufferedAmount:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Close the channel; a player without any other is disconnected."""
        self._channel.close()

    async def serve(self, on_message: Callable[["PlayerChannel", str | bytes], Awaitable[None]]) -> None:
        """Give the messages to the callback until the channel is closed; an error in it costs that message alone."""
        while (message := await self._incoming.get()) is not None:
            try:
                await on_message(self, message)
            except ChannelClosedError:
                return
            except Exception:
                # The outermost edge: what a game's own code does must not end the host for everybody.
                log.exception("on_message failed for player %s", self.player_id)

    def _heard(self, message: str | bytes) -> None:
        if self._incoming.qsize() >= MAX_WAITING:
            log.warning("player %s sends faster than on_message works; closing the channel", self.player_id)
            self.close()
            return
        self.bytes_moved += len(message)
        self._incoming.put_nowait(message)

    def _closed(self) -> None:
        self._room.set()
        self._incoming.put_nowait(None)
