"""The shipped game client, byte for byte: what it sends, what it can bear, and what it loses.

Its HTTP is clear text with each header as it is, doubled ones too; its WebSocket always goes through TLS 1.2 without a
server name, verifies the chain and not the name, and knows nothing of this suite's code.
"""

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testkit.patience import within

LOSES_EVENTS_BEFORE_S = 0.1
"""An upgrade that is answered sooner finds it not listening yet: it never learns that it is connected."""

HEARS_WITHIN_S = 10.0

FIN_TEXT = 0x81
CLOSE = 0x88
PING = 0x89
PONG = 0x8A

UNDERSTOOD = {"session_created", "peer_joined", "peer_left", "ice_candidate", "error"}


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    body: Any


async def post(gateway: str, path: str, body: dict[str, Any], token: str | None = None) -> HttpAnswer:
    """One of its two calls; follows no redirect, and reads until the other side closes."""
    host, port = urlsplit(gateway).hostname, urlsplit(gateway).port
    content = json.dumps(body, separators=(",", ":"))
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: P2P-Network-Client/1.0\r\n"
        f"Content-Type: application/json\r\nContent-Type: application/json\r\n{bearer}"
        f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode()
    )
    async with within(HEARS_WITHIN_S):
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return HttpAnswer(int(head.split()[1]), json.loads(rest))


class GameClient:
    """One connection after its upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer_id: str) -> None:
        self._reader = reader
        self._writer = writer
        self.peer_id = peer_id

    async def create_session(self, zone: str) -> None:
        self._send(
            FIN_TEXT,
            f'{{"type":"create_session","peer_id":"{self.peer_id}","zone":"{zone}",'
            '"capabilities":{"webrtc":true,"encryption":true,"compression":false}}'.encode(),
        )

    async def hear(self) -> dict[str, Any]:
        """The next frame, which must be one that it bears: of a type it knows, and of strings alone."""
        async with within(HEARS_WITHIN_S):
            head, payload = await self._message()
        assert head == FIN_TEXT, f"it was closed: {payload!r}"
        frame: dict[str, Any] = json.loads(payload)
        assert frame["type"] in UNDERSTOOD, f"it was sent {frame}"
        assert "offer" not in frame, "it hangs for good"
        for name, value in frame.items():
            assert isinstance(value, str) or (name == "peers" and all(isinstance(one, str) for one in value)), frame
        return frame

    async def closed(self) -> tuple[int, str]:
        """With which code and for which reason it is closed, which is the next thing that happens to it."""
        async with within(HEARS_WITHIN_S):
            head, payload = await self._message()
        assert head == CLOSE, f"it was sent {payload!r}"
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return

    async def _message(self) -> tuple[int, bytes]:
        """The next text, or the goodbye; pings are answered on the way."""
        while True:
            head, size = await self._reader.readexactly(2)
            assert size < 0x80, "a server masks nothing"
            length = {126: 2, 127: 8}.get(size)
            if length is not None:
                size = int.from_bytes(await self._reader.readexactly(length), "big")
            payload = await self._reader.readexactly(size)
            if head in {FIN_TEXT, CLOSE}:
                return head, payload
            assert head == PING, f"it was sent {head:#x}: {payload!r}"
            self._send(PONG, payload)

    def _send(self, head: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self._writer.write(bytes([head]) + size + mask + masked)


def _tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.load_verify_locations(authority)
    return context


@asynccontextmanager
async def game_client(gateway: str, authority: Path, peer_id: str) -> AsyncIterator[GameClient]:
    """Dial the bare URL; fails where the client would, too early an upgrade among it."""
    host, port = urlsplit(gateway).hostname, urlsplit(gateway).port
    reader, writer = await asyncio.open_connection(host, port, ssl=_tls(authority), server_hostname="")
    client = GameClient(reader, writer, peer_id)
    try:
        began = time.monotonic()
        writer.write(
            f"GET /api/v1/signaling/ws HTTP/1.1\r\nHost: {host}\r\nUser-Agent: P2P-Network-Client/1.0\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        async with within(HEARS_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert time.monotonic() - began >= LOSES_EVENTS_BEFORE_S, "it lost the event that it is connected"
        yield client
    finally:
        await client.close()
