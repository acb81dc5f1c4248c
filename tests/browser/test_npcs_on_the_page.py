"""What AI servers say of NPCs is seen on the demo page's map: through scheduler, gateway, host and data channel."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import nats
import pytest
from cli.chat import Chat
from cli.entrance import Entrance
from cli.npcs import live_in
from contracts.hosts import RegisterHost
from contracts.jobs import LIST_JOBS
from contracts.npcs import Environment, NpcState
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from playwright.async_api import expect
from sdk import AiServer, HostAgent, OnClose, ai_server, feeding
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite
from testkit.tasks import end

from tests.browser.demo_page import DemoPage
from tests.browser.trace import Trace

ENVIRONMENT = {
    "SCHEDULER_SESSION_HEALTH_EVERY_S": "0.5",
    "SESSION_MANAGER_RETURN_AFTER_S": "1",  # a minute is for players, not for tests
}

INTERVAL_S = 0.5
"""Of the zones here, so that a test sees many."""

SOON_S = 20.0
"""For what takes a lease, a return or a busy machine."""


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite of two gateways and two schedulers, one of which leads."""
    with running_suite({"signaling_gateway": 2, "scheduler": 2}, ENVIRONMENT) as running:
        yield running


async def offer_zone(api: httpx.AsyncClient, zone_id: str) -> None:
    """A zone that only hosts of a region named after it may serve."""
    zone = {
        "zone_id": zone_id,
        "zone_name": zone_id,
        "zone_display_name": zone_id.title(),
        "map_name": zone_id,
        "regions": [zone_id],
        "npc_feed_interval_s": INTERVAL_S,
        "fallback_endpoint": "central.example:6900",
    }
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201


@asynccontextmanager
async def chatting_host(suite: RunningSuite, zone_id: str, host_id: str) -> AsyncIterator[HostAgent]:
    """The demo's host, on the second gateway: whoever plays is on the first."""
    chat = Chat(host_id, lambda _: None)
    machine = RegisterHost(
        host_id=host_id,
        player_id=host_id,
        player_name=host_id,
        region=zone_id,
        cpu_cores=8,
        memory_mb=16384,
        network_speed_mbps=1000,
    )
    agent = HostAgent(
        suite.gateways[1], machine, on_message=chat.on_message, on_event=chat.on_event, on_close=OnClose.UNREGISTER
    )
    async with agent:
        telling = asyncio.create_task(chat.tell(agent))
        yield agent
        await end(telling)


@asynccontextmanager
async def playing(
    suite: RunningSuite, api: httpx.AsyncClient, page: DemoPage, zone_id: str
) -> AsyncIterator[HostAgent]:
    """The page's player in the zone, connected to its host."""
    await offer_zone(api, zone_id)
    async with chatting_host(suite, zone_id, f"host-{zone_id}") as agent:
        await page.open(suite.gateways[0], zone=zone_id)
        await page.connect()
        yield agent


@asynccontextmanager
async def walking(suite: RunningSuite, zone_id: str) -> AsyncIterator[AiServer]:
    """An AI server whose guard walks to and fro beside a smith who stands."""
    async with AiServer(suite.nats) as server:
        await server.set_environment(zone_id, Environment(weather="rain", time_of_day="dusk"))
        await server.publish(zone_id, NpcState(npc_id="smith", name="Smith", x=0, y=0))

        async def walk() -> None:
            for step in count():
                await server.publish(zone_id, NpcState(npc_id="guard", name="Guard", x=5 + 10 * (step % 2), y=5))
                await asyncio.sleep(INTERVAL_S)

        walk_task = asyncio.create_task(walk())
        yield server
        await end(walk_task)


async def moves(page: DemoPage, npc_id: str, by: float = 20) -> None:
    """Wait until it is drawn elsewhere than now."""
    before, _ = await page.place_of(npc_id)

    async def elsewhere() -> bool:
        return abs((await page.place_of(npc_id))[0] - before) > by

    await eventually(elsewhere, within=SOON_S, of=f"{npc_id} walking")


@pytest.fixture
def traced(suite: RunningSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What AI servers and hosts in this process do is exported to where the suite's spans go."""
    provider = TracerProvider(resource=Resource({"service.name": "programs"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{suite.spans.url}/v1/traces")))
    for module in (ai_server, feeding):
        monkeypatch.setattr(module, "TRACER", provider.get_tracer("p2p.sdk"))
    yield
    provider.shutdown()


async def test_npcs_of_an_ai_server_walk_on_the_map(suite, api, page):
    async with playing(suite, api, page, "market") as agent, walking(suite, "market"):
        await expect(page.npc("guard")).to_be_visible()
        await moves(page, "guard")
        await expect(page.page.locator("#sky")).to_contain_text("rain · dusk")
        assert {*agent.npcs("market")} == {"guard", "smith"}


async def test_plain_nats_is_an_ai_server_too(suite, api, page):
    async with playing(suite, api, page, "harbour"), await nats.connect(suite.nats) as client:

        async def say(x):
            state = {"npc_id": "fisher", "name": "Old Fisher", "x": x, "y": 2, "agent_id": "secret"}
            await client.publish("p2p.npc.harbour.fisher", json.dumps(state).encode())

        await client.publish("p2p.npc.harbour.pier", b'{"npc_id": "pier", "x": 0, "y": 0}')
        await say(5)
        await expect(page.npc("fisher")).to_be_visible()
        await say(20)
        await moves(page, "fisher")


async def test_they_keep_walking_when_the_leading_scheduler_is_killed(suite, api, page):
    async with playing(suite, api, page, "tower"), walking(suite, "tower"):
        await expect(page.npc("guard")).to_be_visible()
        await suite.kill(await leading(suite))
        await moves(page, "guard")
        await moves(page, "guard")


async def leading(suite: RunningSuite) -> str:
    async with await nats.connect(suite.nats) as client:

        async def leader() -> Any:
            return json.loads((await client.request(LIST_JOBS.subject, b"{}", timeout=patient(5))).data)["leader"]

        name: str = await eventually(leader, within=SOON_S)
    return name


async def test_an_urgent_change_is_one_trace_from_publish_to_page(suite, api, page, traced):
    async with playing(suite, api, page, "alley"), AiServer(suite.nats) as server:
        await server.publish("alley", NpcState(npc_id="thief", x=1, y=1))
        await expect(page.npc("thief")).to_be_visible()
        await server.publish("alley", NpcState(npc_id="thief", x=2, y=2, status="running", urgent=True))
        on_the_map = page.page.locator("#map[data-traceparent]")
        await expect(on_the_map).to_be_visible()
        await expect(page.npc("thief")).to_contain_text("running")
        _, trace_id, last_span, _ = (await on_the_map.get_attribute("data-traceparent") or "").split("-")

        def whole():
            trace = Trace(suite.spans.spans_of(trace_id))
            assert trace.chain("publish npc", "pass npc-state on")
            assert {span.service for span in trace.spans} >= {"programs", "scheduler"}
            assert [span.name for span in trace.spans if span.span_id == last_span] == ["pass npc-state on"]
            # Whole: nobody's parent is missing, but for the root's, who has none.
            assert trace.absent_parents == {""}
            return True

        await eventually(whole, within=SOON_S, of="the whole trace")


async def test_a_periodic_change_links_to_the_publishes_it_carries(suite, api, page, traced):
    async with playing(suite, api, page, "garden"), AiServer(suite.nats) as server:
        await server.publish("garden", NpcState(npc_id="rose", x=1, y=1), NpcState(npc_id="bee", x=2, y=2))
        await expect(page.npc("bee")).to_be_visible()
        await server.publish("garden", NpcState(npc_id="rose", x=3, y=1), NpcState(npc_id="bee", x=4, y=2))

        def linked():
            published = [span for span in suite.spans.spans if span.attributes.get("p2p.zone_id") == "garden"]
            latest = {(span.trace_id, span.span_id) for span in published if span.name == "publish npc"}
            composed = [span for span in suite.spans.spans if span.service == "scheduler"]
            return any(len(latest & {*span.links}) == 2 for span in composed)

        await eventually(linked, within=SOON_S, of="a span linked to both publishes")


async def test_who_is_clicked_on_the_map_reacts_at_once(suite, api, page):
    async with playing(suite, api, page, "village"):
        living = asyncio.create_task(live_in("village", Entrance(suite.nats, None), lambda _: None))
        cat = page.npc("demo-cat")
        await expect(cat).to_be_visible()
        await cat.click(force=True)  # it walks: nobody waits until it stands still
        await expect(cat).to_contain_text("startled")
        await end(living)


async def test_players_of_a_lost_host_are_on_the_central_server_until_one_is_back(suite, api, page):
    async with playing(suite, api, page, "refuge"), walking(suite, "refuge"):
        await expect(page.npc("guard")).to_be_visible()
        await api.delete("/api/v1/hosts/host-refuge")
        await expect(page.page.locator("#fallback")).to_contain_text("central.example:6900")
        async with chatting_host(suite, "refuge", "second-refuge"):
            await expect(page.page.locator("#fallback")).to_be_hidden()
            await page.sees("channel", "done")
            await expect(page.page.locator("#host")).to_have_text("second-refuge")
            await moves(page, "guard")
