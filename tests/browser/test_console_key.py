"""The console where everybody is asked who they are: a shell, until it is given an operator's key."""

from collections.abc import AsyncIterator, Iterator

import pytest
from embedded.plan import Mode
from playwright.async_api import Browser, expect
from testkit.clients import http_client
from testkit.suites import RunningSuite, running_suite

from tests.browser.console_page import ConsolePage, console_in
from tests.journeys.test_enforced import key_of


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    with running_suite(mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def console(browser: Browser) -> AsyncIterator[ConsolePage]:
    async with console_in(browser) as opened:
        yield opened


async def enter(console: ConsolePage, key: str) -> None:
    await console.page.fill("#key-input", key)
    await console.page.keyboard.press("Enter")


async def test_it_is_a_shell_until_it_has_an_operators_key(suite, console):
    operator, server = [(await key_of(suite, role))["X-API-Key"] for role in ("operator", "server")]
    await console.page.goto(suite.gateways[0])
    await console.sees("#key[open]", "key stays in this tab")
    assert await console.serious_findings() == []
    await expect(console.find("#table tbody tr")).to_have_count(0)
    await console.page.keyboard.press("Escape")
    await console.sees("#key[open]")

    await enter(console, "no-such-key")
    await console.sees("#key-refused", "not known")
    await enter(console, server)
    await console.sees("#key-refused", "A server may not do this.")
    await enter(console, operator)
    await console.is_live()
    await console.sees("#empty", "No host here")
    await console.choose("zones")
    await console.has_row("prontera", "enabled")

    # Kept in the tab, and nowhere else.
    await console.page.reload()
    await console.is_live()
    assert operator not in console.page.url
    assert await console.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    await console.page.click("#forget-key")
    await console.sees("#key[open]")
    assert await console.page.evaluate("sessionStorage.length") == 0


async def test_a_key_that_is_revoked_opens_nothing_any_more(suite, console):
    operator = await key_of(suite, "operator")
    async with http_client(base_url=suite.gateways[0], headers=operator) as api:
        made = (await api.post("/api/v1/auth/keys", json={"role": "operator"})).json()
        await console.page.goto(suite.gateways[0])
        await enter(console, made["key"])
        await console.is_live()
        assert (await api.delete(f"/api/v1/auth/keys/{made['key_id']}")).status_code < 300
    await expect(console.find("#key[open]")).to_be_visible()
    await console.sees("#key-refused", "revoked")
