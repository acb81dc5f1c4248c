"""uvicorn's WebSocket, with what ASGI lacks: writing without waiting, and hanging up on one who doesn't read.

An application may only `await send(…)`, which waits for a stalled reader; one writer task and one queue a socket
would be the way around it. The transport has a queue already, and knows how full it is.
"""

from typing import Any

from contracts.closing import CloseCode
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

WIRE = "p2p.wire"
"""The ASGI extension under which the application finds its `Wire`."""

MAX_BUFFERED_BYTES = 1024 * 1024
"""What may wait for a slow reader: some seconds of a large room's traffic, and a phone's short dead spot."""

MAX_MESSAGE_BYTES = 1024 * 1024
"""Larger messages close the connection with 1009 before they are read."""

PING_EVERY_S = 20.0
PONG_WITHIN_S = 40.0
"""Two pings' time: home lines lose one."""

ABNORMAL = 1006
"""Never sent: what the application hears of a connection that broke."""

LINGER_S = 5.0
"""How long a closing connection may take to say goodbye, or to read what was on its way."""


class Wire(WebSocketsSansIOProtocol):
    """One connection; closes within `LINGER_S` whatever the other side does or doesn't."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # else the upgrade was refused
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[WIRE] = self

    @property
    def open(self) -> bool:
        return self.handshake_complete and not self.close_sent and not self.transport.is_closing()

    def write(self, frame: bytes) -> None:
        """Send a text frame; a reader who lets `MAX_BUFFERED_BYTES` pile up is hung up on with 1013."""
        if not self.open:
            return
        self.transport.write(_head(len(frame)) + frame)
        if self.transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            self.hang_up(CloseCode.TRY_LATER, "too slow")

    def hang_up(self, code: CloseCode, reason: str) -> None:
        """Close; what has been written before still goes out, if the other side reads it soon."""
        if not self.open:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._linger()

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._linger()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._linger()

    def handle_parser_exception(self) -> None:
        # uvicorn closes at once, and the kernel answers what was still on its way with a reset that overtakes the
        # close frame. So: say why, end our half, and read the rest into nothing.
        if self.close_sent:
            return
        code = self.conn.close_sent.code if self.conn.close_sent is not None else ABNORMAL
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger()

    def _linger(self) -> None:
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)


def _head(length: int) -> bytes:
    """The head of an unmasked text frame of this length, whole and final (RFC 6455, section 5.2).

    Written out because `websockets` makes an object of each frame it sends, which costs as much as reading one.
    """
    if length <= 125:  # noqa: PLR2004 -- the RFC's own numbers
        return bytes((0x81, length))
    if length <= 0xFFFF:  # noqa: PLR2004
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


UVICORN_OPTIONS: dict[str, Any] = {
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_ping_interval": PING_EVERY_S,
    "ws_ping_timeout": PONG_WITHIN_S,
    "ws_per_message_deflate": False,
}
"""How uvicorn is to serve WebSockets; compression would cost each idle socket 50 KB and each message 30 us."""
