"""The page of the AsyncAPI document, as whoever writes a client reads it."""

import httpx
import pytest
from playwright.async_api import Browser, expect
from testkit.suites import RunningSuite

from tests.browser.console_page import console_in

pytestmark = pytest.mark.servers


async def test_every_channel_message_and_code_is_on_the_page_and_every_link_leads_there(
    suite: RunningSuite, api: httpx.AsyncClient, browser: Browser
) -> None:
    document = (await api.get("/asyncapi.json")).json()
    async with console_in(browser) as opened:
        page = opened.page
        await page.goto(f"{suite.gateways[0]}/docs/messages")
        await opened.sees("body[data-ready]")
        there = set(await page.eval_on_selector_all("article", "all => all.map(({ id }) => id)"))
        linked = set(await page.eval_on_selector_all("a[href^='#']", "all => all.map(({ hash }) => hash.slice(1))"))
        rows = set(await page.eval_on_selector_all("article tbody tr", "all => all.map(row => row.cells[0].innerText)"))
        serious = await opened.serious_findings()

    assert there >= {f"channel-{name}" for name in document["channels"]}
    assert there >= document["components"]["schemas"].keys()
    assert linked <= there | {"document"}
    assert rows >= document["x-refusals"].keys() | document["x-close-codes"].keys() | document["x-streams"].keys()
    assert serious == []


async def test_a_message_says_where_it_passes_and_what_its_fields_are_and_shows_one(
    suite: RunningSuite, browser: Browser
) -> None:
    async with console_in(browser) as opened:
        await opened.page.goto(f"{suite.gateways[0]}/docs/messages#SessionJoined")
        joined = await opened.sees("#SessionJoined:target", "You are in; sent before the others hear of you.")
        await expect(joined.get_by_role("link", name="signaling", exact=True)).to_have_attribute(
            "href", "#channel-signaling"
        )
        await expect(joined.get_by_role("row", name="peers required list of string")).to_be_visible()
        await joined.get_by_text("Example", exact=True).click()
        await expect(joined.get_by_text('"type": "session-joined"')).to_be_visible()


async def test_words_narrow_it_to_what_has_them(suite: RunningSuite, browser: Browser) -> None:
    async with console_in(browser, viewport={"width": 400, "height": 800}) as opened:
        await opened.page.goto(f"{suite.gateways[0]}/docs/messages")
        await opened.sees("body[data-ready]")
        await opened.page.get_by_role("searchbox").fill("P2P.hosts.REGISTER registerhost")
        await opened.sees("#channel-p2p\\.hosts\\.register", "host_registry")
        await opened.sees_not("#channel-p2p\\.hosts\\.get")
        await opened.sees_not("#SessionJoined")
        await opened.page.get_by_role("searchbox").fill("no such words")
        await opened.sees("#none")


async def test_the_console_and_the_page_of_the_rest_calls_lead_there(
    suite: RunningSuite, api: httpx.AsyncClient, browser: Browser
) -> None:
    assert "[messages](/docs/messages)" in (await api.get("/openapi.json")).json()["info"]["description"]
    async with console_in(browser) as opened:
        await opened.open(suite.gateways[0])
        await opened.page.get_by_role("link", name="Messages").click()
        await opened.sees("body[data-ready] #channel-signaling")
