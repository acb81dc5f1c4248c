"""The data channel on which one player hears of the NPCs; a player too slow for every change gets the latest state."""

import json

from aiortc import RTCDataChannel

from sdk.feed import ZoneFeed

LABEL = "p2p-feed"

ROOM_BYTES = 256 * 1024
"""What may wait to leave before changes are skipped: seconds of a poor line, hundreds of a zone's intervals."""

ROOM_AGAIN_BYTES = 64 * 1024


class FeedChannel:
    """Everything when it opens, then each message as it comes; never more in memory than `ROOM_BYTES` and one whole."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self.bytes_moved = 0
        """Payload bytes, ever."""
        self._channel = channel
        self._feed: ZoneFeed | None = None
        self._behind = False
        channel.bufferedAmountLowThreshold = ROOM_AGAIN_BYTES
        channel.on("bufferedamountlow", self._catch_up)
        channel.on("message", self._heard)

    def follow(self, feed: ZoneFeed) -> None:
        """Begin with everything that is known of the zone."""
        self._feed = feed
        self._send_whole()

    def pass_on(self, text: str) -> None:
        """Send what the feed just took in, or have the player get everything once there is room again."""
        if self._behind or self._channel.bufferedAmount > ROOM_BYTES:
            self._behind = True
        else:
            self._send(text)

    def _send_whole(self) -> None:
        if self._channel.bufferedAmount > ROOM_AGAIN_BYTES:
            self._behind = True
            return
        self._behind = False
        for text in self._feed.whole() if self._feed else ():
            self._send(text)

    def _catch_up(self) -> None:
        if self._behind:
            self._send_whole()

    def _send(self, text: str) -> None:
        if self._channel.readyState == "open":
            self._channel.send(text)
            self.bytes_moved += len(text)

    def _heard(self, message: str | bytes) -> None:
        """A player who misses a number asks for everything; nothing else is understood here."""
        try:
            asked = json.loads(message)
        except (ValueError, RecursionError):  # nested beyond what Python reads
            return
        if isinstance(asked, dict) and asked.get("wanted") is True:
            self._send_whole()
