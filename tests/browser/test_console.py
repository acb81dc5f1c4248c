"""The console in a browser, on a running suite: what it shows, opens, loses and finds again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contracts.npcs import NpcState
from embedded.ports import free_port
from embedded.probes import http_ready
from playwright.async_api import Browser, expect
from sdk import AiServer
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite, running_suite

from tests.browser.console_page import ConsolePage, console_in

MACHINE = {"player_id": "p", "player_name": "Ada", "cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000}

OWNERS = ("signaling_gateway", "session_manager", "zone_manager", "host_registry")

JAEGER = "https://jaeger.example/ui"

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "'\"><script>alert(1)<\\script>",
    "מארח עברי",
    "🐉" * 16,
    "x" * 128,
    "{{constructor}} &amp; ${a}",
)


@pytest.fixture(scope="module")
def span_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The store of spans that `p2p up` starts."""
    port = free_port()
    environment = {**os.environ, "TRACES_PORT": str(port), "TRACES_FILE": str(spans_in(tmp_path_factory))}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "traces"], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def spans_in(directories: pytest.TempPathFactory) -> Path:
    return directories.mktemp("traces") / "traces.db"


@pytest.fixture(scope="module")
def suite(span_store: str) -> Iterator[RunningSuite]:
    """Two gateways, whose spans go to that store."""
    asyncio.run(eventually(lambda: http_ready(span_store), within=10, of="the store of spans"))
    environment = {"OTLP_ENDPOINT": span_store, "TRACES_URL": span_store, "JAEGER_URL": JAEGER}
    with running_suite({"signaling_gateway": 2}, environment) as running:
        yield running


@pytest.fixture
async def console(browser: Browser) -> AsyncIterator[ConsolePage]:
    async with console_in(browser) as opened:
        yield opened


@pytest.fixture
async def elsewhere(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the other gateway."""
    async with http_client(base_url=suite.gateways[1]) as client:
        yield client


async def register(api: httpx.AsyncClient, host_id: str, **changes: Any) -> None:
    response = await api.post("/api/v1/hosts/register", json={**MACHINE, "host_id": host_id, **changes})
    assert response.status_code == 201, response.text


async def zone_of_its_own(api: httpx.AsyncClient, zone_id: str) -> None:
    """A zone that only hosts of a region named after it may serve."""
    zone = {"zone_id": zone_id, "zone_name": zone_id, "zone_display_name": zone_id, "map_name": zone_id}
    response = await api.post("/api/v1/zones/", json=zone | {"regions": [zone_id], "npc_feed_interval_s": 0.5})
    assert response.status_code == 201, response.text


async def played(api: httpx.AsyncClient, zone_id: str, *players: str) -> str:
    """A session in that zone with these players; gives its id."""
    await zone_of_its_own(api, zone_id)
    await register(api, f"host-of-{zone_id}", region=zone_id)
    for player in players:
        entered = await api.post("/api/v1/sessions/join", json={"zone_id": zone_id, "peer_id": player})
        assert entered.status_code == 200, entered.text
    session_id: str = entered.json()["session_id"]
    return session_id


async def test_a_host_registered_elsewhere_appears(suite, console, elsewhere):
    await console.open(suite.gateways[0])
    await register(elsewhere, "newcomer", region="eu-west")

    row = await console.has_row("newcomer", "online")
    await expect(row).to_contain_text("Ada")
    await expect(row).to_contain_text("eu-west")
    await console.sees('#events [data-what="registered"][data-thing="newcomer"]', "newcomer registered")
    await console.sees('[data-figure="hosts"] b')


async def test_its_state_is_followed(suite, console, api):
    await register(api, "follow-me", region="followed")
    await console.open(suite.gateways[0], "hosts?region=followed")
    await console.has_row("follow-me", "online")
    await api.post("/api/v1/hosts/follow-me/drain")
    await console.has_row("follow-me", "draining")
    await api.delete("/api/v1/hosts/follow-me")
    await expect(console.row("follow-me")).to_have_count(0)


async def test_a_host_opens_with_the_parts_of_its_score(suite, console, api):
    await register(api, "weighed", region="weighed")
    await api.post("/api/v1/hosts/weighed/heartbeat", json={"latency_ms": 50, "packet_loss_percent": 1})
    await console.open(suite.gateways[0], "hosts?region=weighed")
    await console.open_row("weighed")

    await console.sees(".score", "claimed")
    parts = [float(text) for text in await console.find(".parts b").all_inner_texts()]
    assert len(parts) == 6
    assert f"{sum(parts):.1f}" == await console.find(".score b").inner_text()
    await console.sees('.parts [data-score="latency"]', "25.0 of 30")


async def test_a_session_opens_with_its_players_history_and_trace(suite, console, elsewhere):
    session_id = await played(elsewhere, "chapel", "ann", "bob")
    await console.open(suite.gateways[0], "sessions?zone_id=chapel")
    await console.has_row(session_id, "ann, bob")
    await console.open_row(session_id)

    await console.sees(".chips", "ann")
    await console.sees('#history [data-event="created"]', "ann")
    await console.sees('#history [data-event="joined"]', "bob")
    for service in OWNERS:
        await console.sees(f'.waterfall [data-service="{service}"]')
    await console.sees('.waterfall [data-span="POST /api/v1/sessions/join"]', "ms")
    await console.sees('.waterfall [data-span="p2p.zones.place"]', "ms")
    link = await console.sees("#trace a", "Jaeger")
    history = (await elsewhere.get(f"/api/v1/sessions/{session_id}/events")).json()
    assert await link.get_attribute("href") == f"{JAEGER}/trace/{history[0]['trace_id']}"


async def test_an_open_session_tells_what_becomes_of_it(suite, console, api):
    session_id = await played(api, "crypt", "cid")
    await console.open(suite.gateways[0], "sessions?zone_id=crypt")
    await console.open_row(session_id)
    await console.sees(".chips", "cid")
    await api.post("/api/v1/sessions/join", json={"zone_id": "crypt", "peer_id": "dan"})
    await console.sees(".chips >> text=dan")
    await api.post(f"/api/v1/sessions/{session_id}/end")
    await console.sees('#history [data-event="ended"]')
    await console.sees("#details .facts", "ended")


async def test_the_npcs_of_a_zone_are_on_its_map(suite, console, api):
    await played(api, "meadow", "eve")
    await console.open(suite.gateways[0], "zones")
    await console.open_row("meadow")
    async with AiServer(suite.nats) as server:
        await server.publish("meadow", NpcState(npc_id="cow", name="Cow", x=3, y=4))
        await console.sees("#npc-note", "1 NPCs")
        before = await console.find('circle[data-npc="cow"]').bounding_box()
        await server.publish("meadow", NpcState(npc_id="dog", name="<b>Dog</b>", x=60, y=4))
        await expect(console.find('circle[data-npc="dog"] title')).to_have_text("<b>Dog</b>")
    assert before is not None


async def test_every_process_is_listed_and_one_that_dies_is_missed(suite, console):
    await console.open(suite.gateways[0], "services")
    for instance in suite.instances:
        await console.sees(f"#table tbody tr:has-text('{instance}')", "answers")
    async with suite.outage("prober-1"):
        await console.sees('#health [data-part="prober"][data-tone="bad"]')
        await console.sees("#table tbody tr:has-text('prober-1')", "silent")
    await console.sees('#health [data-part="prober"][data-tone="good"]')


async def test_names_of_any_kind_are_text(suite, console, api):
    for number, name in enumerate(HOSTILE):
        await register(
            api, name, player_name="\u202eevil\u202c " + name[:40], peer_id=f"hostile-{number}", region="hostile"
        )
    await console.open(suite.gateways[0], "hosts?region=hostile")
    for name in HOSTILE:
        row = await console.has_row(name)
        assert await row.locator("bdi").first.text_content() == name
        box = await row.bounding_box()
        assert box is not None
        assert box["height"] < 60
    assert await console.page.evaluate("document.querySelectorAll('#table img, #table script').length") == 0
    await fits(console)
    await console.open_row(HOSTILE[0])
    await console.sees("#details-title", HOSTILE[0])
    await console.sees(".parts")
    await fits(console)


async def fits(console: ConsolePage) -> None:
    """Nothing is wider than the window."""
    assert await console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_many_hosts_are_paged_and_found(suite, console, api):
    for number in range(55):
        await register(api, f"many-{number:02d}", region="many")
    await console.open(suite.gateways[0], "hosts?region=many")
    await expect(console.find("#table tbody tr")).to_have_count(50)
    await console.page.click("#next")
    await expect(console.find("#rows")).to_have_text("51 to 55")
    await expect(console.find("#table tbody tr")).to_have_count(5)
    await console.page.click("#back")
    await expect(console.find("#rows")).to_have_text("1 to 50")
    await console.page.fill("#filters .find", "many-54")
    await console.page.keyboard.press("Enter")
    await console.sees("#details-title", "many-54")


async def test_a_filter_that_nothing_fits_says_so(suite, console):
    await console.open(suite.gateways[0], "hosts?region=nowhere-at-all")
    await console.sees("#empty", "No host here")


async def test_it_says_that_the_connection_is_lost_and_finds_it_again(suite, console, elsewhere):
    await console.open(suite.gateways[0])
    await console.sees("#table tbody tr")
    async with suite.outage("signaling_gateway-1"):
        await console.sees("#lost", "Connection lost")
        await register(elsewhere, "meanwhile", region="meanwhile")
    await console.is_live()
    await console.sees_not("#lost")
    await console.page.fill('#filters [name="region"]', "meanwhile")
    await console.has_row("meanwhile", "online")


async def test_it_says_that_postgresql_is_away(suite, console, api):
    await register(api, "before-the-outage", region="outage")
    await console.open(suite.gateways[0], "hosts?region=outage")
    await console.has_row("before-the-outage")
    async with suite.outage("postgres"):
        await console.sees('#health [data-part="postgres"][data-tone="bad"]')
        await console.sees("#unknown", "not known")
        await expect(console.row("before-the-outage")).to_be_visible()
    await console.sees('#health [data-part="postgres"][data-tone="good"]')
    await console.sees_not("#unknown")


async def test_it_says_that_nats_is_away(suite, console):
    await console.open(suite.gateways[0])
    async with suite.outage("nats"):
        await console.sees('#health [data-part="nats"][data-tone="bad"]')
    await console.sees('#health [data-part="nats"][data-tone="good"]')


async def test_all_of_it_is_reached_by_the_keyboard(suite, console, api):
    session_id = await played(api, "library", "fay")
    await console.open(suite.gateways[0])
    press = console.page.keyboard.press
    await press("Tab")
    assert (await console.focused())["text"] == "Skip to the list"
    await press("Enter")
    assert (await console.focused())["id"] == "list"
    await press("Tab")
    assert (await console.focused())["id"] == "tab-hosts"
    await press("ArrowRight")
    assert (await console.focused())["id"] == "tab-sessions"
    await console.has_row(session_id)
    while (await console.focused()).get("id") != session_id:
        await press("Tab")
    await press("Enter")
    await console.sees("#details[open]")
    assert (await console.focused())["id"] == "details-title"
    await console.sees(".waterfall")
    await press("Escape")
    await console.sees_not("#details")
    assert (await console.focused())["id"] == session_id


async def test_what_happens_can_be_held_and_filtered(suite, console, api):
    await console.open(suite.gateways[0])
    await console.page.click("#pause")
    await register(api, "held")
    await console.sees("#pause", "Resume (")
    await expect(console.find('#events [data-thing="held"]')).to_have_count(0)
    await console.page.click("#pause")
    await console.sees('#events [data-thing="held"]')
    await console.page.uncheck("#owners >> text=hosts")
    await console.sees_not('#events [data-thing="held"] >> nth=0')


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_it_is_accessible(suite, browser, api, scheme, width):
    session_id = await played(api, f"hall-{scheme}-{width}", "gus")
    async with console_in(browser, color_scheme=scheme, viewport={"width": width, "height": 844}) as console:
        for view in ("hosts", "zones", "services", "sessions"):
            await console.open(suite.gateways[0], view)
            await console.sees("#table tbody tr")
            assert await console.serious_findings() == []
            await fits(console)
        await console.open_row(session_id)
        await console.sees(".waterfall")
        assert await console.serious_findings() == []
        await fits(console)


async def test_nothing_but_its_own_files_runs_in_it(suite, console):
    opened = await console.page.goto(suite.gateways[0])
    assert opened is not None
    policy = opened.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    ran = await console.page.evaluate(
        """() => {
          try { document.body.innerHTML += "<img src=x onerror='ran = 1'>"; } catch (error) { return error.name; }
          return "written";
        }"""
    )
    assert ran == "TypeError"
    console.errors.clear()  # the browser's word on what was just tried
