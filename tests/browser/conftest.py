"""Headless Chromium as a player, and hosts in the test's own process; all WebRTC stays on this machine."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aioice.ice
import httpx
import pytest
from playwright.async_api import Browser, async_playwright, expect
from testkit.clients import persistent_client
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

from libs.sdk.tests.stand_in import StandIn, running_stand_in
from tests.browser.demo_page import DemoPage

WEB = Path(__file__).parents[2] / "services" / "signaling_gateway" / "src" / "signaling_gateway" / "web"

PATIENCE_MS = patient(20_000)
"""How long a page is waited for, whatever for: another process, a lease, a return."""

FLAGS = (
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # a name in place of an address takes a second to resolve
    "--allow-loopback-in-peer-connection",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(autouse=True)
def webrtc_stays_here(monkeypatch):
    """aioice leaves 127.0.0.1 out and binds every other interface; a test's packets stay on this machine."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture(scope="package")
def suite() -> Iterator[RunningSuite]:
    """The whole suite, with two gateways."""
    with running_suite({"signaling_gateway": 2}) as running:
        yield running


@pytest.fixture
async def api(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    """A client that gives a busy machine time, as the page does."""
    async with persistent_client(suite.gateways[0]) as client:
        yield client


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """A coordinator whose failings a test may choose, serving the same page."""
    async with running_stand_in(WEB) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    # Chromium without the window around it: starts and draws at half the cost.
    chromium = shutil.which("chromium-headless-shell")
    assert chromium, "these tests drive Debian's Chromium: apt-get install chromium-headless-shell"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=2 * PATIENCE_MS)
        launched.on("context", lambda context: context.set_default_timeout(PATIENCE_MS))
        expect.set_options(timeout=PATIENCE_MS)
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[DemoPage]:
    """The demo page in a window of its own; an error in its script fails the test."""
    context = await browser.new_context()
    demo = DemoPage(await context.new_page())
    try:
        yield demo
    finally:
        await context.close()
    assert demo.errors == []
