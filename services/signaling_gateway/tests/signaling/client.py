"""A peer of the tests: a real WebSocket client that reads frames one by one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlencode

import websockets
from signaling_gateway.peers.warp import USER_AGENT
from testkit.clients import connect
from testkit.patience import within
from websockets.asyncio.client import ClientConnection

HEARS_WITHIN_S = 15.0
"""Frames take milliseconds; a machine that does much else takes longer."""


class Peer:
    """One connection; `hear` takes frames in the order they came."""

    def __init__(self, socket: ClientConnection, name: str | None) -> None:
        self.socket = socket
        self.name = name

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say_raw(self, frame: str | bytes) -> None:
        await self.socket.send(frame)

    async def hear(self, kind: str | None = None) -> dict[str, Any]:
        """The next frame, which must be of this kind if one is given."""
        async with within(HEARS_WITHIN_S):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        assert kind in {None, frame["type"]}, f"{self.name} wanted {kind} and heard {frame}"
        return frame

    async def hear_until(self, kind: str) -> dict[str, Any]:
        """The next frame of this kind, past all others."""
        while True:
            frame = await self.hear()
            if frame["type"] == kind:
                return frame

    async def hears_nothing_more(self) -> None:
        """Whatever was on its way has come: an answer to a ping is the next thing heard."""
        await self.say("ping", id="nothing more")
        frame = await self.hear()
        assert frame == {"type": "pong", "id": "nothing more"}, frame

    async def close_code(self) -> int | None:
        """The code that the other side closed with, past all frames."""
        try:
            async with within(HEARS_WITHIN_S * 2):
                while True:
                    await self.socket.recv()
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None

    async def close(self) -> None:
        await self.socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()


async def dial(gateway: str, name: str | None = None, session: str | None = None, **options: Any) -> Peer:
    """Connect; `gateway` is a base URL such as http://127.0.0.1:8001."""
    asked = {key: value for key, value in (("peer_id", name), ("session_id", session)) if value is not None}
    query = f"?{urlencode(asked)}" if asked else ""
    url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws{query}"
    return Peer(await connect(url, compression=None, max_size=None, **options), name)


async def joined(gateway: str, name: str, session: str, **options: Any) -> Peer:
    """Connect into a session, and hear that one is in."""
    peer = await dial(gateway, name, session, **options)
    frame = await peer.hear("session-joined")
    assert frame["session_id"] == session
    return peer


async def warp(gateway: str, name: str, zone: str) -> Peer:
    """Connect as the shipped game client does, which has said its one message then."""
    peer = await dial(gateway, user_agent_header=USER_AGENT.decode())
    peer.name = name
    await create(peer, zone)
    return peer


async def create(peer: Peer, zone: str) -> None:
    """Say that message."""
    capabilities = {"webrtc": True, "encryption": True, "compression": False}
    await peer.say("create_session", peer_id=peer.name, zone=zone, capabilities=capabilities)


@asynccontextmanager
async def leaving(*peers: Peer) -> AsyncIterator[None]:
    """Close them all at the end."""
    try:
        yield
    finally:
        await asyncio.gather(*(peer.close() for peer in peers))
