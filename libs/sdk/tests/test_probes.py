"""A host agent that is probed, over real WebRTC, by probers good and bad."""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
from aiortc import RTCPeerConnection
from contracts.hosts import RegisterHost
from contracts.probes import MAX_UPLOAD_BYTES
from sdk import HostAgent, closing, probe
from sdk.probe import AT_ONCE, MAX_CANDIDATES, MAX_CHANNELS, MAX_PINGS
from testkit.eventually import eventually
from testkit.patience import within

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.aiortc_prober import aiortc_prober

HOST = RegisterHost(host_id="host-1", player_id="player-1", player_name="One", cpu_cores=4)


async def echo(channel, message):
    await channel.send(message)


def agent_for(stand_in, host=HOST):
    return HostAgent(stand_in.url, host, on_message=echo)


async def received(prober):
    """The bytes of an upload, until nothing is missing."""
    got = 0
    while got < MAX_UPLOAD_BYTES:
        message = await prober.hear()
        assert isinstance(message, bytes)
        got += len(message)
    return got


async def test_a_host_says_that_it_accepts_probes_and_echoes_their_pings(stand_in):
    async with agent_for(stand_in), aiortc_prober(stand_in, "host-1") as prober:
        assert stand_in.hosts["host-1"]["accepts_probes"] is True
        await prober.connect()
        assert await prober.echoed(1)
        assert await prober.echoed(2**40)


async def test_a_host_that_does_not_want_to_be_probed_answers_none(stand_in):
    unwilling = HOST.model_copy(update={"accepts_probes": False})
    async with agent_for(stand_in, unwilling), aiortc_prober(stand_in, "host-1") as prober:
        assert stand_in.hosts["host-1"]["accepts_probes"] is False
        await prober.offer()
        async with aiortc_player(stand_in.url, "anna") as anna:
            await anna.enter("prontera")  # the frames after it are heard
        assert prober.answers == []


@pytest.mark.parametrize("wanted", [MAX_UPLOAD_BYTES, 100 * MAX_UPLOAD_BYTES])
async def test_a_host_sends_as_much_as_is_asked_for_within_its_bound_and_once(stand_in, wanted):
    async with agent_for(stand_in), aiortc_prober(stand_in, "host-1") as prober:
        await prober.connect()
        for _ in range(3):
            prober.ask(prober.uploads, upload=wanted)
        assert await received(prober) == MAX_UPLOAD_BYTES
        assert await prober.echoed(7)


async def test_a_host_with_players_sends_nothing_but_echoes(stand_in):
    async with (
        agent_for(stand_in),
        aiortc_player(stand_in.url, "anna") as anna,
        aiortc_prober(stand_in, "host-1") as prober,
    ):
        channel = await anna.enter("prontera")
        await prober.connect()
        prober.ask(prober.uploads, upload=MAX_UPLOAD_BYTES)
        assert await prober.hear() == '{"upload": 0}'
        assert await prober.echoed(1)
        channel.send("hello")
        assert await anna.heard.get() == "hello"


@pytest.mark.parametrize("asked", ["", "{", "[1]", "{}", '{"ping": "1"}', '{"ping": 1.5}', "{" * 300, b"\x00" * 9000])
async def test_what_is_no_ping_is_not_answered_and_the_next_ping_is(stand_in, asked):
    async with agent_for(stand_in), aiortc_prober(stand_in, "host-1") as prober:
        await prober.connect()
        prober.pings.send(asked)
        prober.uploads.send(asked)
        prober.ask(prober.uploads, upload=-5)
        assert await prober.echoed(1)


async def test_a_prober_that_floods_is_left(stand_in):
    async with agent_for(stand_in) as agent, aiortc_prober(stand_in, "host-1") as prober:
        await prober.connect()
        for number in range(MAX_PINGS + 1):
            prober.ask(prober.uploads if number % 2 else prober.pings, ping=number)
            prober.ask(prober.pings, ping=number)
        await prober.ended.wait()
        assert agent.channels() == []


async def test_a_prober_that_opens_many_channels_is_left(stand_in):
    async with agent_for(stand_in), aiortc_prober(stand_in, "host-1") as prober:
        await prober.connect()
        for number in range(MAX_CHANNELS):
            prober.channel(f"channel {number}")
        await prober.ended.wait()


DATA = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
ADDRESS = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"


@pytest.mark.parametrize(
    "sdp",
    [
        "v=0 nonsense",
        {"sdp": 7},
        ["offer"],
        "",
        "v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 500,
        DATA,
        DATA + ADDRESS * (MAX_CANDIDATES + 1),
    ],
)
async def test_an_offer_that_makes_no_sense_is_not_answered_and_the_next_is(stand_in, sdp, caplog):
    caplog.set_level(logging.INFO, "sdk.probe")
    async with agent_for(stand_in), aiortc_prober(stand_in, "host-1") as prober:
        for _ in range(AT_ONCE):
            await stand_in.send("host-1", {"type": "probe-offer", "probe_id": "bad", "sdp": sdp})
        await eventually(lambda: len(caplog.records) == AT_ONCE, of="both probes' end")
        await prober.connect()
        assert await prober.echoed(1)
        assert {frame["probe_id"] for frame in stand_in.frames_from("host-1", "probe-answer")} == {prober.probe_id}


async def test_a_host_serves_a_few_probes_at_a_time(stand_in):
    async with agent_for(stand_in), AsyncExitStack() as stack:
        first = [await stack.enter_async_context(aiortc_prober(stand_in, "host-1")) for _ in range(AT_ONCE)]
        for prober in first:
            await prober.connect()
        late = await stack.enter_async_context(aiortc_prober(stand_in, "host-1"))
        await late.offer()
        assert await first[0].echoed(1)
        await first[0].peer.close()

        async def answered():
            await late.offer_again()
            return bool(late.answers)

        assert late.answers == []
        await eventually(answered)


async def test_connections_that_never_close_take_no_probe_s_place(stand_in, monkeypatch, caplog):
    async def never(_):
        await asyncio.Event().wait()

    caplog.set_level(logging.INFO, "sdk.probe")
    monkeypatch.setattr(closing, "CLOSE_WITHIN_S", 0.01)
    monkeypatch.setattr(probe, "SERVED_FOR_S", 3600)
    async with agent_for(stand_in), aiortc_prober(stand_in, "host-1") as prober:
        with monkeypatch.context() as patched:
            patched.setattr(RTCPeerConnection, "close", never)
            for _ in range(AT_ONCE):
                await stand_in.send("host-1", {"type": "probe-offer", "probe_id": "bad", "sdp": DATA})
            await eventually(lambda: [r.name for r in caplog.records].count("sdk.probe") == AT_ONCE)
        await prober.connect()
        assert await prober.echoed(1)


async def test_a_probe_ends_with_the_agent(stand_in):
    async with aiortc_prober(stand_in, "host-1") as prober:
        async with agent_for(stand_in):
            await prober.connect()
        async with within(10):
            await prober.ended.wait()
