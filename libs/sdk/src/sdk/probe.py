"""What a prober measures with: its pings echoed, and on demand as many bytes as the line takes.

A few probes at a time, each for some seconds; while players are connected nothing but echoes, for the bytes would be
at their cost.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from aiortc import RTCDataChannel, RTCPeerConnection
from contracts.frames import IceServer, ProbeAnswer, ProbeOffer
from contracts.hosts import RegisterHost
from contracts.probes import MAX_UPLOAD_BYTES, PING_CHANNEL, UPLOAD_CHANNEL
from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind

from sdk.closing import Closing
from sdk.descriptions import answer_like, configuration, offer_of
from sdk.errors import ConnectionFailedError, P2pError
from sdk.tracing import TRACER, context_of, traceparent_of

log = logging.getLogger(__name__)

AT_ONCE = 2
"""One, and one that begins while the one before has not ended; the coordinator wants no more."""

SERVED_FOR_S = 15.0
"""Twenty pings and the bytes take some seconds, finding a path some more."""

MAX_PINGS = 100
MAX_CHANNELS = 4
"""A prober opens two, and pings some twenty times."""

MAX_CANDIDATES = 50
"""Of one offer; each is a packet that this machine sends somewhere."""

MAX_ASKED = 256
"""Characters of a message; `{"ping": n}` has some thirty."""

CHUNK_BYTES = 16 * 1024
AHEAD_BYTES = 64 * 1024
"""What may wait to leave: enough for the line never to be idle."""

NOT_NOW = json.dumps({"upload": 0})


def accepting_probes(host: RegisterHost) -> RegisterHost:
    """Say that a host accepts probes, unless it has said whether it does."""
    return host if "accepts_probes" in host.model_fields_set else host.model_copy(update={"accepts_probes": True})


class Probes:
    """Answers the offers of probers."""

    def __init__(
        self,
        send: Callable[[ProbeAnswer], Awaitable[None]],
        ice_servers: Callable[[], Awaitable[Sequence[IceServer]]],
        may_upload: Callable[[], bool],
    ) -> None:
        self._send = send
        self._ice_servers = ice_servers
        self._may_upload = may_upload
        self._under_way = 0

    async def answer(self, offer: ProbeOffer) -> None:
        """Serve one probe to its end; whatever is wrong with it is logged and ends it, and nobody else."""
        if self._under_way >= AT_ONCE:
            log.info("a probe was left unanswered: %d are under way", AT_ONCE)
            return
        self._under_way += 1
        try:
            async with asyncio.timeout(SERVED_FOR_S):
                await self._serve(offer)
        except TimeoutError:
            log.info("a probe was ended after %.0f s", SERVED_FOR_S)
        except P2pError as error:
            log.info("a probe came to nothing: %s", error)
        except Exception:
            # The outermost edge: an offer is a stranger's text, and aiortc has an exception for every way to be wrong.
            log.warning("the offer of a prober cannot be used", exc_info=True)
        finally:
            self._under_way -= 1

    async def _serve(self, offer: ProbeOffer) -> None:
        # As for players, so that the same way is measured; what the offer names where we know of none.
        servers = await self._ice_servers() or offer.ice_servers
        peer = RTCPeerConnection(configuration(servers))
        probe = _Probe(peer, self._may_upload)
        try:
            with TRACER.start_as_current_span("answer probe", context_of(offer.traceparent), SpanKind.CONSUMER):
                await self._send(await _answer(peer, offer))
            await probe.ended
        finally:
            # Whoever is cancelled meanwhile, and never for ever: only so many probes are served at once.
            await Closing(peer).finish()


async def _answer(peer: RTCPeerConnection, offer: ProbeOffer) -> ProbeAnswer:
    description = offer_of(offer.sdp)
    if description.sdp.count("\r\nm=") != 1 or description.sdp.count("\r\na=candidate:") > MAX_CANDIDATES:
        raise ConnectionFailedError("the offer is for more than data, or names too many addresses")
    await peer.setRemoteDescription(description)
    if peer.sctp is None:
        raise ConnectionFailedError("the offer asks for no data channel")
    await peer.setLocalDescription(await peer.createAnswer())
    return ProbeAnswer(
        probe_id=offer.probe_id,
        sdp=answer_like(offer.sdp, peer.localDescription),
        traceparent=traceparent_of(get_current(), offer.traceparent),
    )


class _Probe:
    """What its channels ask for, until `ended`."""

    def __init__(self, peer: RTCPeerConnection, may_upload: Callable[[], bool]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._peer = peer
        self._may_upload = may_upload
        self._channels = 0
        self._pings = 0
        self._uploads = False
        peer.on("datachannel", self._opened)
        peer.on("connectionstatechange", self._state_changed)

    def _opened(self, channel: RTCDataChannel) -> None:
        self._channels += 1
        if self._channels > MAX_CHANNELS:
            self._end()
        elif channel.label == PING_CHANNEL:
            channel.on("message", lambda message: self._pinged(channel, message))
        elif channel.label == UPLOAD_CHANNEL:
            channel.on("message", lambda message: self._asked_to_upload(channel, message))

    def _pinged(self, channel: RTCDataChannel, message: str | bytes) -> None:
        self._pings += 1
        if self._pings > MAX_PINGS:
            self._end()
        elif (number := _number(message, "ping")) is not None and channel.readyState == "open":
            channel.send(json.dumps({"pong": number}))

    def _asked_to_upload(self, channel: RTCDataChannel, message: str | bytes) -> None:
        wanted = _number(message, "upload")
        if wanted is None or self._uploads or channel.readyState != "open":
            return
        self._uploads = True
        if self._may_upload():
            _Upload(channel, min(wanted, MAX_UPLOAD_BYTES)).go_on()
        else:
            channel.send(NOT_NOW)

    def _state_changed(self) -> None:
        if self._peer.connectionState in {"failed", "closed"}:
            self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class _Upload:
    """So many bytes, of which only `AHEAD_BYTES` wait in memory."""

    def __init__(self, channel: RTCDataChannel, count: int) -> None:
        self._channel = channel
        self._left = count
        channel.bufferedAmountLowThreshold = AHEAD_BYTES // 2
        channel.on("bufferedamountlow", self.go_on)

    def go_on(self) -> None:
        while self._left > 0 and self._channel.readyState == "open" and self._channel.bufferedAmount < AHEAD_BYTES:
            count = min(CHUNK_BYTES, self._left)
            self._left -= count
            self._channel.send(os.urandom(count))  # nothing on the way can make it smaller


def _number(message: str | bytes, name: str) -> int | None:
    """Read `{name: n}`; None for everything else."""
    if not isinstance(message, str) or len(message) > MAX_ASKED:
        return None
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):  # nested beyond what Python reads
        return None
    number = fields.get(name) if isinstance(fields, dict) else None
    return number if isinstance(number, int) else None
