"""A prober made of aiortc, on the stand-in's side of the host's socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from contracts.probes import PING_CHANNEL, UPLOAD_CHANNEL
from testkit.patience import within

from libs.sdk.tests.stand_in import StandIn

_NUMBERS = count(1)


class AiortcProber:
    """One probe of one host."""

    def __init__(self, stand_in: StandIn, host_id: str) -> None:
        self._stand_in = stand_in
        self._host_id = host_id
        self.probe_id = f"probe-{next(_NUMBERS)}"
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.heard: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.peer.on("connectionstatechange", self._state_changed)
        self.pings = self.channel(PING_CHANNEL, maxRetransmits=0)
        self.uploads = self.channel(UPLOAD_CHANNEL)

    def channel(self, label: str, **more: Any) -> RTCDataChannel:
        channel = self.peer.createDataChannel(label, ordered=False, **more)
        channel.on("message", self.heard.put_nowait)
        channel.on("close", self.ended.set)
        return channel

    async def offer(self) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        await self.offer_again()

    async def offer_again(self) -> None:
        sdp = {"type": "offer", "sdp": self.peer.localDescription.sdp}
        await self._stand_in.send(self._host_id, {"type": "probe-offer", "probe_id": self.probe_id, "sdp": sdp})

    @property
    def answers(self) -> list[Any]:
        frames = self._stand_in.frames_from(self._host_id, "probe-answer")
        return [frame["sdp"] for frame in frames if frame["probe_id"] == self.probe_id]

    async def connect(self) -> None:
        opened = [asyncio.Event() for _ in (self.pings, self.uploads)]
        for channel, event in zip((self.pings, self.uploads), opened, strict=True):
            channel.on("open", event.set)
        await self.offer()
        await self._stand_in.until(lambda: self.answers)
        await self.peer.setRemoteDescription(RTCSessionDescription(**self.answers[0]))
        async with within(10):
            for event in opened:
                await event.wait()

    def ask(self, channel: RTCDataChannel, **fields: Any) -> None:
        channel.send(json.dumps(fields))

    async def hear(self) -> str | bytes:
        async with within(10):
            return await self.heard.get()

    async def echoed(self, number: int) -> bool:
        """Ping, and whether the next thing heard is its echo."""
        self.ask(self.pings, ping=number)
        return json.loads(await self.hear()) == {"pong": number}

    def _state_changed(self) -> None:
        if self.peer.connectionState in {"failed", "closed"}:
            self.ended.set()


@asynccontextmanager
async def aiortc_prober(stand_in: StandIn, host_id: str) -> AsyncIterator[AiortcProber]:
    prober = AiortcProber(stand_in, host_id)
    try:
        yield prober
    finally:
        await prober.peer.close()
