"""One probe: a short WebRTC connection to a host, on which pings go out and, where that is due, bytes come in.

Whatever the host does, it costs no more than the deadlines and bytes below, and ends in figures or in one clear miss.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address

import aioice.ice
from aiortc import RTCConfiguration, RTCDataChannel, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from contracts.frames import IceServer
from contracts.probes import MAX_UPLOAD_BYTES, PING_CHANNEL, UPLOAD_CHANNEL, ProbeDue

from prober.errors import NotProbedError, NotReachedError
from prober.exchange import Exchange
from prober.measuring import Arrival, Figures, Miss, figures, upload_mbps

GATHERED_WITHIN_S = 8.0
"""A STUN server that is silent is given up after 5 s."""

CONNECTED_WITHIN_S = 6.0
"""From the answer to an open channel; over half the world it takes one."""

PINGS = 20
PING_EVERY_S = 0.05
"""Twenty cost 11 ms of processor time, most of a probe; over a second they also meet a short hiccup."""

LOST_AFTER_S = 2.0
"""Past any round trip that a game is playable with."""

UPLOADS_AT_ONCE = 2
"""More would share our own line and processor, and be measured slower than they are."""

TURN_WITHIN_S = 2.0
"""The host keeps its side open for 15 s; a figure left out is taken by a later probe."""

UPLOADED_WITHIN_S = 4.0
"""1 MiB at 2 Mbit/s; of a slower line as much as came."""

UNASKED_BYTES = 64 * 1024
"""Handshakes and pongs are 10 KiB; a host that sends more than this unasked is left."""

UPLOAD_BYTES = MAX_UPLOAD_BYTES * 3 // 2
"""With headers, and what is sent twice on a poor line."""

LOOK_EVERY_S = 0.1
"""How often the bytes received are looked at: in between, a flood is a few MiB."""

CLOSED_WITHIN_S = 2.0

MAX_SDP = 16 * 1024
MAX_CANDIDATES = 20
"""Of one answer; each is a packet that we send wherever it says. A machine with many networks gathers a dozen."""

MAX_PONG = 256


class WebRtc:
    """Reaches hosts, any number side by side."""

    def __init__(self, exchange: Exchange, servers: Iterable[IceServer], addresses: Sequence[str]) -> None:
        self._exchange = exchange
        # aiortc left alone would ask a public STUN server.
        self._configuration = RTCConfiguration(iceServers=[RTCIceServer(urls=list(server.urls)) for server in servers])
        self._turns = asyncio.Semaphore(UPLOADS_AT_ONCE)
        if addresses:
            # aioice takes every address but loopback's, and aiortc has no way to tell it otherwise.
            aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: list(addresses)  # noqa: ARG005 -- its keywords

    async def measure(self, due: ProbeDue) -> tuple[Figures, float | None]:
        """Give figures and Mbit/s of upload; NotReachedError or NotProbedError otherwise."""
        peer = RTCPeerConnection(self._configuration)
        try:
            return await _Probe(peer, due, self._turns).run(self._exchange)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSED_WITHIN_S):
                    # aiortc may be closing it already, and takes a cancelled wait for that as its own.
                    await asyncio.shield(peer.close())


def stun_servers(names: Sequence[str]) -> tuple[IceServer, ...]:
    """Write them as WebRTC takes them: host:port, or a stun: URL."""
    urls = tuple(name if name.startswith(("stun:", "stuns:")) else f"stun:{name}" for name in names)
    return (IceServer(urls=urls),) if urls else ()


class _OverError(Exception):
    """The connection ended before the probe did."""


class _Probe:
    """One connection, and how it is missed if it ends now."""

    def __init__(self, peer: RTCPeerConnection, due: ProbeDue, turns: asyncio.Semaphore) -> None:
        self._peer = peer
        self._due = due
        self._turns = turns
        self._miss = Miss.UNCONNECTED
        self._patience = asyncio.timeout(None)
        self._going_on = False
        self._allowed_bytes = UNASKED_BYTES
        self._opened = asyncio.Event()
        self._sent: dict[int, float] = {}
        self._trips_ms: dict[int, float | None] = {}
        self._answered = asyncio.Event()
        self._arrivals: list[Arrival] = []
        self._missing_bytes = MAX_UPLOAD_BYTES
        self._uploaded = asyncio.Event()
        self._pings = self._channel(PING_CHANNEL, maxRetransmits=0)
        self._pings.on("open", self._opened.set)
        self._pings.on("message", self._ponged)
        peer.on("connectionstatechange", self._state_changed)

    async def run(self, exchange: Exchange) -> tuple[Figures, float | None]:
        uploads = self._channel(UPLOAD_CHANNEL) if self._due.upload else None
        answer = _within_bounds(await exchange.answer_to(self._due.peer_id, await self._offer()))
        found = None
        try:
            async with self._patience:
                self._going_on = True
                self._look()
                await self._connect(answer)
                found = figures(await self._ping())
                if found is None:
                    raise NotReachedError(Miss.MUTE)
                return found, None if uploads is None else await self._upload(uploads, found.round_trip_ms)
        except (TimeoutError, _OverError):
            if found is None:
                raise NotReachedError(self._miss) from None
            return found, None  # it was reached, whatever became of its upload
        finally:
            self._going_on = False

    async def _offer(self) -> str:
        try:
            async with asyncio.timeout(GATHERED_WITHIN_S):
                await self._peer.setLocalDescription(await self._peer.createOffer())
        except (TimeoutError, OSError) as error:
            raise NotProbedError(f"no address to probe from: {error!r}") from error
        sdp: str = self._peer.localDescription.sdp
        if "a=candidate:" not in sdp:
            raise NotProbedError("no address to probe from")
        return sdp

    async def _connect(self, answer: str) -> None:
        self._expect(CONNECTED_WITHIN_S)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except Exception as error:
            # A stranger's text, and aiortc has an exception for every way to be wrong.
            raise NotReachedError(Miss.UNUSABLE) from error
        await self._opened.wait()
        self._miss = Miss.CLOSED

    async def _ping(self) -> list[float | None]:
        self._expect(PINGS * PING_EVERY_S + 2 * LOST_AFTER_S)
        for _ in range(PINGS):
            number = secrets.randbits(48)  # no host can answer before it was asked
            self._trips_ms[number] = None
            self._sent[number] = time.perf_counter()
            _send(self._pings, ping=number)
            await asyncio.sleep(PING_EVERY_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOST_AFTER_S):
                while self._sent:
                    self._answered.clear()
                    await self._answered.wait()
        return list(self._trips_ms.values())

    async def _upload(self, channel: RTCDataChannel, round_trip_ms: float) -> float | None:
        self._expect(TURN_WITHIN_S + 2 * UPLOADED_WITHIN_S)
        try:
            async with asyncio.timeout(TURN_WITHIN_S):
                await self._turns.acquire()
        except TimeoutError:
            return None
        try:
            return await self._take_upload(channel, round_trip_ms)
        finally:
            self._turns.release()

    async def _take_upload(self, channel: RTCDataChannel, round_trip_ms: float) -> float | None:
        channel.on("message", self._uploading)
        self._allowed_bytes += UPLOAD_BYTES
        began_at, computed_s = time.perf_counter(), time.process_time()
        _send(channel, upload=MAX_UPLOAD_BYTES)
        with suppress(TimeoutError):
            async with asyncio.timeout(UPLOADED_WITHIN_S):
                await self._uploaded.wait()
        busy_share = (time.process_time() - computed_s) / (time.perf_counter() - began_at)
        return upload_mbps(self._arrivals, round_trip_ms, busy_share)

    def _channel(self, label: str, *, maxRetransmits: int | None = None) -> RTCDataChannel:  # noqa: N803 -- WebRTC's
        channel = self._peer.createDataChannel(label, ordered=False, maxRetransmits=maxRetransmits)
        channel.on("close", lambda: self._end(Miss.CLOSED))
        return channel

    def _ponged(self, message: str | bytes) -> None:
        now = time.perf_counter()
        number = _pong(message)
        if number in self._sent:
            self._trips_ms[number] = (now - self._sent.pop(number)) * 1000
            self._answered.set()

    def _uploading(self, message: str | bytes) -> None:
        if isinstance(message, str) or not message:  # it says that now is not the time, or nothing
            self._uploaded.set()
        elif self._missing_bytes > 0:
            self._arrivals.append(Arrival(time.perf_counter(), len(message)))
            self._missing_bytes -= len(message)
            if self._missing_bytes <= 0:
                self._uploaded.set()

    def _state_changed(self) -> None:
        if self._peer.connectionState in {"failed", "closed"}:
            self._end(self._miss)

    def _look(self) -> None:
        """Leave a host that sends more than it was asked for."""
        if self._received_bytes() > self._allowed_bytes:
            self._end(Miss.FLOODED)
        elif self._going_on:
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _received_bytes(self) -> int:
        # Of the transport, not of messages: one that never ends is memory all the same. aiortc shows it nowhere else.
        if self._peer.sctp is None:
            return 0
        (transport,) = self._peer.sctp.transport._get_stats().values()  # noqa: SLF001
        received: int = transport.bytesReceived
        return received

    def _expect(self, within_s: float) -> None:
        """Give the next step so much time."""
        if not self._going_on:
            raise _OverError
        self._patience.reschedule(asyncio.get_running_loop().time() + within_s)

    def _end(self, miss: Miss) -> None:
        """Have `run` end now."""
        if self._going_on:
            self._going_on = False
            self._miss = miss
            self._patience.reschedule(asyncio.get_running_loop().time())


def _send(channel: RTCDataChannel, **fields: int) -> None:
    try:
        channel.send(json.dumps(fields))
    except InvalidStateError:
        raise _OverError from None


def _pong(message: str | bytes) -> int:
    """Read `{"pong": n}`; a number that was never sent for everything else."""
    if isinstance(message, str) and len(message) <= MAX_PONG:
        with suppress(ValueError, RecursionError):
            match json.loads(message):
                case {"pong": int(number)}:
                    return number
    return -1


def _within_bounds(answer: str) -> str:
    """Leave of the answer's candidates the first few that are addresses: nothing here looks names up for a host."""
    if len(answer) > MAX_SDP:
        raise NotReachedError(Miss.UNUSABLE)
    kept, candidates = [], 0
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            candidates += 1
            if candidates > MAX_CANDIDATES or not _is_address(line):
                continue
        if line != "a=end-of-candidates":  # with it aiortc gives up before the host's own checks arrive
            kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def _is_address(candidate: str) -> bool:
    fields = candidate.split(" ")
    try:
        address = ip_address(fields[4])
    except (IndexError, ValueError):
        return False
    return not (address.is_multicast or address.is_unspecified)
