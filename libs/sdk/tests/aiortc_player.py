"""A player made of aiortc and a WebSocket: what the browser does, in this process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from testkit.patience import within
from yarl import URL

Json = dict[str, Any]


class AiortcPlayer:
    """Enters a zone, offers to its host, and talks over the channel."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.heard: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.npcs: asyncio.Queue[str] = asyncio.Queue()
        """What came on the feed's channel."""
        self._former: list[RTCPeerConnection] = []
        self.closed = asyncio.Event()
        self.in_offer = ""
        """Lines behind the offer's own."""
        self.joined: Json = {}
        self.answer: Json = {}

    async def send(self, frame: Json) -> None:
        await self._socket.send_json(frame)

    async def ask(self, frame: Json, answer: str) -> Json:
        """Send a frame and read on until one of that type comes."""
        await self.send(frame)
        return await self.hear(answer)

    async def hear(self, kind: str) -> Json:
        """Read on until a frame of this type comes."""
        async with within(10):
            while True:
                heard: Json = await self._socket.receive_json()
                if heard["type"] == kind:
                    return heard
                assert heard["type"] != "error", heard

    async def enter(self, zone_id: str, **more: str) -> RTCDataChannel:
        self.joined = await self.ask({"type": "enter", "zone_id": zone_id, **more}, "session-joined")
        return await self.connect(**more)

    async def follow(self) -> RTCDataChannel:
        """Wait until the session has another host, and connect to that one; the channel to the one before stays."""
        self.joined |= await self.hear("host-migrated")
        self._former.append(self.peer)
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        return await self.connect()

    async def connect(self, **more: str) -> RTCDataChannel:
        channel = self.peer.createDataChannel("game")
        opened = asyncio.Event()
        channel.on("open", opened.set)
        channel.on("message", self.heard.put_nowait)
        channel.on("close", self.closed.set)
        pings = self.peer.createDataChannel("p2p-ping", ordered=False, maxRetransmits=0)
        pings.on("message", lambda text: pings.send(text.replace("ping", "pong")))
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = {"type": "offer", "sdp": self.peer.localDescription.sdp + self.in_offer}
        to = {"to": self.joined["host_peer_id"], "session_id": self.joined["session_id"]}
        self.answer = await self.ask({"type": "offer", "sdp": offer, **to, **more}, "answer")
        await self.peer.setRemoteDescription(RTCSessionDescription(**self.answer["sdp"]))
        async with within(10):
            await opened.wait()
        return channel

    async def connect_ahead(self) -> RTCDataChannel:
        """Wait until a host stands by, and connect to it; the channel to the host stays."""
        standby = (await self.hear("session-standby"))["standby"]
        host, self.joined = self.joined, self.joined | {"host_peer_id": standby["host_peer_id"]}
        self._former.append(self.peer)
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            return await self.connect()
        finally:
            self.joined = host

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in (self.peer, *self._former)))

    async def open_feed(self) -> RTCDataChannel:
        """Open the channel on which the host tells of NPCs, beside one that is open."""
        channel = self.peer.createDataChannel("p2p-feed")
        opened = asyncio.Event()
        channel.on("open", opened.set)
        channel.on("message", self.npcs.put_nowait)
        async with within(10):
            await opened.wait()
        return channel


@asynccontextmanager
async def aiortc_player(
    url: str, peer_id: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[AiortcPlayer]:
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(URL(f"{url}/api/v1/signaling/ws").with_query(peer_id=peer_id)) as socket,
    ):
        player = AiortcPlayer(socket)
        try:
            yield player
        finally:
            await player.close()
