"""The documents that end in a browser, done by a reader who has one."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.browser.demo_page import DemoPage
from tests.journeys.walk import ROOT, Clone, Walk, fences, fresh_clone, walking

pytestmark = pytest.mark.servers


@pytest.fixture
def clone() -> Iterator[Clone]:
    with fresh_clone() as fresh:
        yield fresh


@pytest.fixture
def walk(clone: Clone) -> Iterator[Walk]:
    with fresh_clone() as enforced, walking(clone, enforced) as begun:
        yield begun


async def test_a_newcomer_comes_from_a_clone_to_a_data_channel(walk: Walk, page: DemoPage) -> None:
    start, demo, *looking = fences(ROOT / "docs/getting-started.md")
    await walk.go((start, demo))
    [link] = [line.split()[1] for line in walk.terminals[1].output.splitlines() if line.split()[:1] == ["open"]]
    await page.page.goto(link)
    await expect(page.page.locator("body[data-ready]")).to_be_visible()
    await page.connect()
    await page.say("hello")
    await page.hears("hello")
    await walk.go(looking)


async def test_a_web_client_as_written_has_a_channel_in_enforced_mode(
    clone: Clone, walk: Walk, browser: Browser
) -> None:
    await walk.go(fences(ROOT / "docs/writing-a-web-client.md"))
    context = await browser.new_context()
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(clone.here("http://127.0.0.1:8080"))
    for words in ("channel open after", "host says", "NPCs"):
        await expect(page.locator("#log"), "\n".join(errors)).to_contain_text(words)
    await context.close()
    assert errors == []
