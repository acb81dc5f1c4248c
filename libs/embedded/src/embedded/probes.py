"""Is it ready? Asked over the wire, with nothing but a socket: a probe runs thirty times a second at start."""

import asyncio
import json
import struct
from urllib.parse import urlsplit

from embedded.ports import LOOPBACK

ANSWER_WITHIN_S = 2.0


async def http_ready(base_url: str) -> bool:
    """Whether GET /health/ready answers 200."""
    address = urlsplit(base_url)
    request = f"GET /health/ready HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
    return (await _first_line(address.hostname, address.port, request.encode())).split(b" ")[1:2] == [b"200"]


async def redis_ready(port: int, password: str | None = None) -> bool:
    # While it loads its file it answers -LOADING.
    words = f"AUTH {password}\r\n" if password else ""
    return (await _first_line(LOOPBACK, port, f"{words}PING\r\n".encode(), after=bool(password))).startswith(b"+PONG")


async def nats_greeting(port: int) -> dict[str, object] | None:
    """What a NATS server says of itself on connect; None while it is not there."""
    line = await _first_line(LOOPBACK, port, b"")
    return json.loads(line.removeprefix(b"INFO ")) if line.startswith(b"INFO ") else None


async def _first_line(host: str | None, port: int | None, request: bytes, *, after: int = 0) -> bytes:
    """The first line of the answer, or the first `after` so many; empty when there is none."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                for _ in range(after):
                    await reader.readline()
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def postgres_ready(port: int, user: str) -> bool:
    """Whether the server lets `user` in; while it recovers it lets nobody in."""
    words = b"user\0" + user.encode() + b"\0database\0postgres\0\0"
    startup = struct.pack("!ii", len(words) + 8, 196608) + words  # protocol 3.0
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(startup)
                kind = await reader.read(1)
                writer.write(b"X\0\0\0\4")  # a polite end keeps its log quiet
                return kind == b"R"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
