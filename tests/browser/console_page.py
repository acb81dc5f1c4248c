"""The console as an operator uses it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, expect


class ConsolePage:
    """Waits for what an operator would wait for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        """Of its scripts, and of its own policy."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self._hear(said.type, said.text))

    def _hear(self, kind: str, text: str) -> None:
        # What does not load is the browser's to tell, of a gateway that is away; everything else is ours.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    async def open(self, gateway: str, view: str = "") -> None:
        await self.page.goto(f"{gateway}/#{view}")
        await self.is_live()

    async def is_live(self) -> None:
        await self.sees('body[data-link="live"][data-ready]')

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    async def sees(self, selector: str, words: str | None = None) -> Locator:
        """Wait until it is there, with these words."""
        found = self.page.locator(selector).first
        await expect(found).to_be_visible()
        if words is not None:
            await expect(found).to_contain_text(words)
        return found

    async def sees_not(self, selector: str) -> None:
        await expect(self.page.locator(selector)).to_be_hidden()

    def row(self, key: str) -> Locator:
        return self.page.locator("#table tbody tr").and_(self.page.locator(f"[data-key={quoted(key)}]"))

    async def has_row(self, key: str, words: str = "") -> Locator:
        await expect(self.row(key)).to_contain_text(words)
        return self.row(key)

    async def open_row(self, key: str) -> None:
        await self.row(key).get_by_role("button").first.click()
        await self.sees("#details[open]")

    async def choose(self, view: str) -> None:
        await self.page.click(f"#tab-{view}")

    async def focused(self) -> Mapping[str, Any]:
        """Of the element that has the focus: what the keyboard acts on."""
        found: Mapping[str, Any] = await self.page.evaluate(
            "(({ id, tagName, dataset, textContent }) => ({ id, tag: tagName, ...dataset, text: textContent }))"
            "(document.activeElement)"
        )
        return found

    async def serious_findings(self) -> list[str]:
        """What axe-core holds against the page as it stands."""
        found = await Axe().run(self.page)
        return [
            f"{violation['id']}: {node['html']}"
            for violation in found.response["violations"]
            if violation["impact"] in {"serious", "critical"}
            for node in violation["nodes"]
        ]


def quoted(text: str) -> str:
    """As a string in a CSS selector."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@asynccontextmanager
async def console_in(browser: Browser, **context: Any) -> AsyncIterator[ConsolePage]:
    """Open in a window of its own; an error in its scripts, or something that its policy forbids, fails the test."""
    window = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
    console = ConsolePage(await window.new_page())
    try:
        yield console
    finally:
        await window.close()
    assert console.errors == []
