"""Hosts to probe, behind a gateway that a few lines of NATS play: the SDK's own, and some that mean no good."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from chassis.bus import Bus
from contracts.frames import ProbeAnswer, ProbeOffer
from contracts.probes import PROBE_ANSWER, PROBE_OFFER
from nats.aio.msg import Msg
from sdk.probe import Probes

Serve = Callable[[ProbeOffer], Awaitable[None]]


@asynccontextmanager
async def on_socket(bus: Bus, peer_id: str, serve: Serve) -> AsyncIterator[None]:
    """Have `serve` hear the offers to a peer for the length of the block."""
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []

        async def hear(msg: Msg) -> None:
            tasks.append(group.create_task(_whole(serve, ProbeOffer.model_validate_json(msg.data))))

        subscription = await bus.subscribe(PROBE_OFFER.of(peer_id=peer_id), hear)
        try:
            yield
        finally:
            await subscription.unsubscribe()
            for task in tasks:
                task.cancel()


async def _whole(serve: Serve, offer: ProbeOffer) -> None:
    await serve(offer)


def answering(bus: Bus) -> Callable[[ProbeAnswer], Awaitable[None]]:
    async def send(answer: ProbeAnswer) -> None:
        await bus.publish(PROBE_ANSWER.of(probe_id=answer.probe_id), answer.model_dump_json().encode())

    return send


def good_host(bus: Bus, *, may_upload: bool = True) -> Serve:
    """What a host agent of the SDK does with an offer."""

    async def no_servers() -> tuple[()]:
        return ()

    return Probes(answering(bus), no_servers, lambda: may_upload).answer


def says(bus: Bus, body: bytes) -> Serve:
    """A host that answers with this, whatever it is."""

    async def serve(offer: ProbeOffer) -> None:
        await bus.publish(PROBE_ANSWER.of(probe_id=offer.probe_id), body)

    return serve


def says_sdp(bus: Bus, change: Callable[[str], object]) -> Serve:
    """A host whose answer would be right, had it not been changed."""
    return strange_host(bus, lambda _peer, _channel: None, change)


def strange_host(
    bus: Bus,
    opened: Callable[[RTCPeerConnection, RTCDataChannel], None],
    change: Callable[[str], object] = lambda sdp: {"type": "answer", "sdp": sdp},
) -> Serve:
    """A host that connects, and does with each channel what the test says."""

    async def serve(offer: ProbeOffer) -> None:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.on("datachannel", lambda channel: opened(peer, channel))
        assert isinstance(offer.sdp, dict)
        try:
            await peer.setRemoteDescription(RTCSessionDescription(str(offer.sdp["sdp"]), "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            sdp = change(peer.localDescription.sdp)
            await answering(bus)(ProbeAnswer(probe_id=offer.probe_id, sdp=sdp))
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(peer.close())

    return serve


def echo(channel: RTCDataChannel, message: str | bytes) -> None:
    with suppress(ValueError):
        channel.send(json.dumps({"pong": json.loads(message)["ping"]}))
