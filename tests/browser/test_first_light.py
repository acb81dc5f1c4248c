"""A player in a browser reaches a host through the whole suite, and one trace tells of it."""

import asyncio
import json
import re

import pytest
from contracts.hosts import RegisterHost
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from playwright.async_api import expect
from sdk import HostAgent, OnClose
from sdk import player as player_module
from testkit.clients import http_client
from testkit.eventually import eventually

from tests.browser.trace import Trace

HOST = RegisterHost(
    host_id="host-1",
    player_id="player-1",
    player_name="One",
    cpu_cores=8,
    memory_mb=16384,
    network_speed_mbps=1000,
)

A_SESSION_IS_MADE = "publish p2p.events.sessions.created"

ON_ONE_GATEWAY_AND_ON_TWO = pytest.mark.parametrize("gateway_of_host", [0, 1], ids=["one gateway", "two gateways"])


@pytest.fixture
def traced_host(suite, monkeypatch):
    """What hosts in this process do is exported to where the suite's spans go."""
    provider = TracerProvider(resource=Resource({"service.name": "host"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{suite.spans.url}/v1/traces")))
    monkeypatch.setattr(player_module, "TRACER", provider.get_tracer("p2p.sdk"))
    yield
    provider.shutdown()


def host_on(suite, gateway, on_message):
    return HostAgent(suite.gateways[gateway], HOST, on_message=on_message, on_close=OnClose.UNREGISTER)


@ON_ONE_GATEWAY_AND_ON_TWO
async def test_player_and_host_exchange_messages_over_a_data_channel(suite, page, gateway_of_host):
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def answer(channel, message):
        heard.put_nowait((channel.player_id, json.loads(message)["text"]))
        await channel.send(message)
        await channel.send("the host is here")

    async with host_on(suite, gateway_of_host, answer) as host:
        await page.open(suite.gateways[0])
        await page.connect()
        message = await page.say("is anybody there?")
        assert await heard.get() == ("anna", "is anybody there?")
        await page.hears("the host is here")
        await expect(message).not_to_have_class("sending")
        (channel,) = host.channels()
        assert [channel.session_id] == [*host.sessions] == [await page.text_of("session")]
        await eventually(lambda: channel.round_trip)
        await expect(page.page.locator("#trip")).to_have_text(re.compile(r"[0-9.]+"))

        async def measured():
            async with http_client(base_url=suite.gateways[0]) as api:
                session = (await api.get(f"/api/v1/sessions/{channel.session_id}")).json()
                return session["average_latency_ms"] is not None and session["average_packet_loss_percent"] is not None

        await eventually(measured)


@ON_ONE_GATEWAY_AND_ON_TWO
async def test_one_trace_tells_of_the_join_from_the_browser_to_its_last_consequence(
    suite, page, traced_host, gateway_of_host
):
    async def echo(channel, message):
        await channel.send(message)

    async with host_on(suite, gateway_of_host, echo):
        await page.open(suite.gateways[0])
        await page.connect()
        trace_id = await page.text_of("trace")

        def whole():
            trace = Trace(suite.spans.spans_of(trace_id))
            assert trace.heard_frames >= {"ws enter", "ws offer", "ws answer", "ws ice-candidate", "ws ice-result"}
            placed = ("ws enter", "p2p.sessions.enter", "p2p.zones.place")
            assert trace.chain(*placed, "p2p.hosts.find", "SELECT hosts.able")
            assert trace.chain(*placed, "p2p.hosts.reserve", "slots.reserve")
            assert trace.services_with_database_spans >= {"session_manager", "zone_manager", "host_registry"}
            # The new session's event, out of the outbox, at everybody whom it concerns.
            assert trace.consumers_of(A_SESSION_IS_MADE) >= {"signaling_gateway", "zone_manager", "host_registry"}
            # Written with whatever came at the same time, under the first of it.
            assert trace.chain("ws enter", "publish p2p.events.sessions.", "consume p2p.events.sessions.", "slots.hear")
            # The socket's presence, back at session_manager.
            assert trace.chain("ws enter", "consume p2p.events.gateway.entered", "seats.entered")
            # To the host's own machine and back.
            assert trace.chain("ws offer", "answer offer", "open data channel")
            assert trace.chain("answer offer", "ws answer")
            # Whole: every span's parent is there, but for the one that the browser began with.
            assert len(trace.absent_parents) == 1
            return True

        await eventually(whole, within=20, of="the whole trace")
