"""Probes over real WebRTC: of the SDK's hosts, and of hosts that are silent, strange or hostile."""

import asyncio
from contextlib import AsyncExitStack
from math import inf

import pytest
from aiortc import RTCDataChannel
from chassis.bus import Bus
from contracts.frames import ProbeAnswer
from contracts.probes import MAX_UPLOAD_BYTES, PING_CHANNEL, UPLOAD_CHANNEL, ProbeDue
from prober import exchange, measuring, probe
from prober.errors import NotProbedError, NotReachedError
from prober.exchange import Exchange
from prober.measuring import Miss
from prober.probe import WebRtc, stun_servers
from testkit.patience import patient
from testkit.servers import TestServer

from services.prober.tests.hosts import echo, good_host, on_socket, says, says_sdp, strange_host

DUE = ProbeDue(host_id="host-1", peer_id="host 1", upload=False)
WITH_UPLOAD = DUE.model_copy(update={"upload": True})


@pytest.fixture
def way(bus: Bus) -> WebRtc:
    return WebRtc(Exchange(bus, ()), (), ())


@pytest.fixture
def impatient(monkeypatch):
    """The deadlines, short: what waits for them here waits in vain anyway."""
    monkeypatch.setattr(exchange, "ANSWERED_WITHIN_S", patient(0.3))
    monkeypatch.setattr(probe, "CONNECTED_WITHIN_S", patient(1))
    monkeypatch.setattr(probe, "PING_EVERY_S", 0.01)
    monkeypatch.setattr(probe, "LOST_AFTER_S", patient(0.3))
    monkeypatch.setattr(probe, "UPLOADED_WITHIN_S", patient(0.5))


async def missed(way, serve, bus, due=DUE):
    async with on_socket(bus, "host 1", serve):
        with pytest.raises(NotReachedError) as refused:
            await way.measure(due)
    return refused.value.miss


async def test_a_host_of_the_sdk_is_measured(way, bus):
    async with on_socket(bus, "host 1", good_host(bus)):
        found, upload = await way.measure(DUE)
    assert 0 < found.round_trip_ms < patient(1000)
    assert found.jitter_ms is not None
    assert found.packet_loss_percent == 0
    assert upload is None


async def test_its_upload_is_measured_where_it_is_due(way, bus, monkeypatch):
    # Host and prober share this process: it is what limits the upload, and that is not the question here.
    monkeypatch.setattr(measuring, "BUSY_SHARE", inf)
    monkeypatch.setattr(measuring, "IN_FLIGHT_BYTES", inf)
    monkeypatch.setattr(probe, "UPLOAD_BYTES", 20 * MAX_UPLOAD_BYTES)
    async with on_socket(bus, "host 1", good_host(bus)):
        _, upload = await way.measure(WITH_UPLOAD)
    assert upload is not None
    assert upload > 0


async def test_a_host_that_may_not_upload_now_is_measured_without(way, bus):
    async with on_socket(bus, "host 1", good_host(bus, may_upload=False)):
        found, upload = await way.measure(WITH_UPLOAD)
    assert (found.packet_loss_percent, upload) == (0, None)


async def test_hosts_are_measured_side_by_side(way, bus):
    names = ["host 1", "host 2", "host 3"]
    async with AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(on_socket(bus, name, good_host(bus)))
        measured = await asyncio.gather(*(way.measure(DUE.model_copy(update={"peer_id": name})) for name in names))
    assert [found.packet_loss_percent for found, _ in measured] == [0, 0, 0]


@pytest.mark.usefixtures("impatient")
async def test_a_host_that_does_not_answer_is_missed(way, bus):
    async def ignore(offer):
        pass

    assert await missed(way, ignore, bus) is Miss.UNANSWERED


@pytest.mark.usefixtures("impatient")
async def test_a_host_whose_name_fits_no_subject_is_missed(way):
    with pytest.raises(NotReachedError):
        await way.measure(DUE.model_copy(update={"peer_id": "\N{GRINNING FACE}" * 128}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        ProbeAnswer(probe_id="p", sdp=None).model_dump_json().encode(),
        ProbeAnswer(probe_id="p", sdp={"sdp": 7}).model_dump_json().encode(),
        ProbeAnswer(probe_id="p", sdp="").model_dump_json().encode(),
        ProbeAnswer(probe_id="p", sdp="v=0 nonsense").model_dump_json().encode(),
        ProbeAnswer(probe_id="p", sdp="v=0\r\n" * 10_000).model_dump_json().encode(),
        ProbeAnswer(probe_id="p", sdp="v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 50).model_dump_json().encode(),
    ],
)
async def test_an_answer_that_is_none_is_a_miss(way, bus, body):
    assert await missed(way, says(bus, body), bus) is Miss.UNUSABLE


FLOOD_BYTES = 8 * 1024 * 1024
"""More than a fast host sends while nobody looks."""

NOWHERE = "a=candidate:1 1 udp 1 {} 9 typ host\r\n"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "change",
    [
        lambda sdp: "".join(line for line in sdp.splitlines(keepends=True) if "a=candidate" not in line),
        lambda sdp: sdp + NOWHERE.format("somewhere.local") * 5,
        lambda sdp: sdp + NOWHERE.format("host.example") + NOWHERE.format("0.0.0.0") + "a=candidate:\r\n",
    ],
)
async def test_an_answer_that_leads_nowhere_is_a_miss(way, bus, change):
    def without_way(sdp):
        return change("".join(line for line in sdp.splitlines(keepends=True) if "a=candidate" not in line))

    # A host that is never told our addresses cannot come to us either.
    assert await missed(way, deaf(bus, without_way), bus) is Miss.UNCONNECTED


def deaf(bus, change):
    """A host that answers, and takes no part in what follows."""
    serve = says_sdp(bus, change)

    async def answer_without_our_addresses(offer):
        sdp = "".join(line for line in offer.sdp["sdp"].splitlines(keepends=True) if "a=candidate" not in line)
        await serve(offer.model_copy(update={"sdp": {"type": "offer", "sdp": sdp}}))

    return answer_without_our_addresses


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reply", [None, "", "{", '{"pong": 1}', '{"pong": "1"}', "[" * 250, "x" * 900, b"\x00"])
async def test_a_host_that_echoes_no_ping_is_missed(way, bus, reply):
    def opened(_, channel):
        if reply is not None:
            channel.on("message", lambda _: channel.send(reply))

    assert await missed(way, strange_host(bus, opened), bus) is Miss.MUTE


@pytest.mark.usefixtures("impatient")
async def test_pings_that_are_not_echoed_are_losses(way, bus):
    heard = []

    def opened(_, channel: RTCDataChannel):
        def ping(message):
            heard.append(message)
            if len(heard) % 4:
                echo(channel, message)

        channel.on("message", ping)

    async with on_socket(bus, "host 1", strange_host(bus, opened)):
        found, _ = await way.measure(DUE)
    assert found.packet_loss_percent == 25


async def test_a_channel_closed_midway_is_a_miss(way, bus):
    def opened(_, channel):
        heard = []

        def ping(message):
            heard.append(message)
            echo(channel, message)
            if len(heard) == 5:
                channel.close()

        channel.on("message", ping)

    assert await missed(way, strange_host(bus, opened), bus) is Miss.CLOSED


@pytest.mark.parametrize("label", [PING_CHANNEL, UPLOAD_CHANNEL])
@pytest.mark.parametrize(("size", "times"), [(64 * 1024, 1600), (20, 50_000)])
async def test_a_host_that_floods_is_left_after_a_few_bytes(way, bus, monkeypatch, label, size, times):
    monkeypatch.setattr(probe, "CONNECTED_WITHIN_S", patient(60))  # it shares this process, and keeps it busy
    flooding: list[RTCDataChannel] = []

    def opened(_, channel):
        if channel.label == label:
            flooding.append(channel)
            for _ in range(times):
                channel.send(bytes(size))
        else:
            channel.on("message", lambda message: echo(channel, message))

    assert await missed(way, strange_host(bus, opened), bus, WITH_UPLOAD) is Miss.FLOODED
    (channel,) = flooding
    assert size * times - channel.bufferedAmount < FLOOD_BYTES


@pytest.mark.usefixtures("impatient")
async def test_an_upload_that_does_not_come_is_left_out(way, bus):
    def opened(_, channel):
        if channel.label == PING_CHANNEL:
            channel.on("message", lambda message: echo(channel, message))

    async with on_socket(bus, "host 1", strange_host(bus, opened)):
        found, upload = await way.measure(WITH_UPLOAD)
    assert (found.packet_loss_percent, upload) == (0, None)


@pytest.mark.parametrize(
    ("instead", "size"),
    [(lambda pings: [pings.send(bytes(64 * 1024)) for _ in range(1600)], 1600 * 64 * 1024), (RTCDataChannel.close, 0)],
)
async def test_a_host_that_was_measured_is_reached_whatever_it_does_instead_of_uploading(way, bus, instead, size):
    channels: dict[str, RTCDataChannel] = {}

    def opened(_, channel):
        channels[channel.label] = channel
        if channel.label == PING_CHANNEL:
            channel.on("message", lambda message: echo(channel, message))
        else:
            channel.on("message", lambda _: instead(channels[PING_CHANNEL]))

    async with on_socket(bus, "host 1", strange_host(bus, opened)):
        found, upload = await way.measure(WITH_UPLOAD)
    assert (found.packet_loss_percent, upload) == (0, None)
    assert size - channels[PING_CHANNEL].bufferedAmount < FLOOD_BYTES


async def test_without_an_address_of_our_own_nothing_is_said_of_the_host(way, bus, monkeypatch):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [])
    async with on_socket(bus, "host 1", good_host(bus)):
        with pytest.raises(NotProbedError):
            await way.measure(DUE)


@pytest.mark.usefixtures("impatient")
async def test_while_nats_is_away_nothing_is_said_of_the_host(way, nats_server: TestServer):
    await nats_server.stop()
    with pytest.raises(NotProbedError):
        await way.measure(DUE)


@pytest.mark.usefixtures("impatient")
async def test_the_host_is_told_which_stun_servers_to_use(bus):
    told = []

    async def keep(offer):
        told.append([server.urls for server in offer.ice_servers])

    exchanging = Exchange(bus, stun_servers(("stun.example:3478", "stun:other.example")))
    async with on_socket(bus, "host 1", keep):
        with pytest.raises(NotReachedError):
            await exchanging.answer_to("host 1", "v=0")
    assert told == [[("stun:stun.example:3478", "stun:other.example")]]
