"""`p2p demo` on a suite that asks who calls: the page that it prints plays, and nobody else's does."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from contracts.access import (
    CREATE_KEY,
    KICK,
    LIST_KEYS,
    REVOKE_KEY,
    CreateKey,
    Kick,
    ListKeys,
    RevokeKey,
    Role,
    TokenAnswer,
)
from embedded.plan import Mode
from embedded.secrets import operator_credentials
from playwright.async_api import expect
from sdk import GameServer, RefusedError, ServerKey, TokenDesk
from testkit.eventually import eventually
from testkit.suites import RunningSuite, running_suite

from tests.browser.demo_page import DemoPage
from tests.browser.demo_program import running_demo


@pytest.fixture(scope="module")
def enforced() -> Iterator[RunningSuite]:
    with running_suite({"signaling_gateway": 2}, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def operator(enforced: RunningSuite) -> AsyncIterator[GameServer]:
    """On its NATS."""
    async with GameServer(enforced.nats, credentials=operator_credentials(enforced.data_dir)) as operator:
        yield operator


async def test_the_page_plays_while_npcs_move_and_the_key_ends_with_the_demo(
    enforced: RunningSuite, page: DemoPage, operator: GameServer
) -> None:
    async with running_demo(enforced) as demo:
        assert urlsplit(demo.link).query == "zone=prontera"
        await page.page.goto(demo.link)
        await expect(page.page.locator("body[data-ready]")).to_be_visible()
        await page.connect()
        name = parse_qs(urlsplit(demo.link).fragment)["name"][0]
        await page.hears(f"Welcome, {name}.")
        await expect(page.npc("demo-cat")).to_be_visible()
        before = await page.place_of("demo-cat")

        async def moved() -> bool:
            return await page.place_of("demo-cat") != before

        await eventually(moved, within=15)
    keys = (await operator.ask(LIST_KEYS, ListKeys())).items
    assert [(key.name, key.revoked_at is None) for key in keys] == [("p2p demo", False)]


async def test_a_page_without_a_token_is_told_where_to_get_one(enforced: RunningSuite, page: DemoPage) -> None:
    await page.open(enforced.gateways[0])
    await page.fails("Signaling failed", "not_allowed")
    await expect(page.page.locator("#failure-hint")).to_contain_text("the link that “p2p demo” prints")


class Backend:
    """A game's: has a key, and tokens made for its players."""

    def __init__(self, suite: RunningSuite, operator: GameServer) -> None:
        self._suite = suite
        self._operator = operator
        self.key_ids: list[str] = []

    async def pair(self, player_id: str) -> TokenAnswer:
        made = await self._operator.ask(CREATE_KEY, CreateKey(role=Role.SERVER))
        self.key_ids.append(made.key_id)
        async with aiohttp.ClientSession() as http:
            desk = TokenDesk(http, self._suite.gateways[0], ServerKey(made.key))
            pair = await eventually(lambda: _once_known(desk, player_id))
            assert pair is not None
            return pair

    async def revoke(self) -> None:
        await self._operator.ask(REVOKE_KEY, RevokeKey(key_id=self.key_ids[-1]))


async def _once_known(desk: TokenDesk, player_id: str) -> TokenAnswer | None:
    try:
        return await desk.for_player(player_id)
    except RefusedError:
        return None


@pytest.fixture
async def backend(enforced: RunningSuite, operator: GameServer, page: DemoPage) -> Backend:
    """Which the page may call for a token; `heard` on the page has what its client says of signaling."""
    backend = Backend(enforced, operator)

    async def fetch() -> str:
        return (await backend.pair("anna")).token

    await page.page.expose_function("fetchToken", fetch)
    await page.page.goto(f"{enforced.gateways[0]}/demo/")
    await page.page.evaluate(CLIENT)
    return backend


CLIENT = """async () => {
  const { P2PClient } = await import("/sdk/p2p.js");
  window.heard = [];
  window.client = new P2PClient();
  client.on("signaling", ({ state }) => heard.push(state));
  client.on("failed", ({ code, message }) => heard.push(`${code}: ${message}`));
}"""
CONNECT = 'async (token) => client.connect(location.origin, { peerId: "anna", token: token ?? window.fetchToken })'


async def heard(page: DemoPage, word: str, times: int = 1) -> None:
    said = "([word, times]) => heard.filter((said) => said.includes(word)).length === times"
    await page.page.wait_for_function(said, arg=[word, times])


async def test_a_page_whose_token_is_revoked_comes_back_with_another(page: DemoPage, backend: Backend) -> None:
    await page.page.evaluate(CONNECT)
    await backend.revoke()
    await heard(page, "lost")
    await heard(page, "connected", 2)
    assert len(backend.key_ids) == 2


async def test_a_pair_that_is_over_is_renewed_each_token_once(page: DemoPage, backend: Backend) -> None:
    pair = (await backend.pair("anna")).model_dump(mode="json") | {"expires_in": 0}
    refreshed = []
    page.page.on("request", lambda request: refreshed.append(request.post_data) if "/refresh" in request.url else None)
    await page.page.evaluate("(pair) => (window.pair = pair)", pair)
    for _ in range(2):
        await page.page.evaluate('() => client.connect(location.origin, { peerId: "anna", token: window.pair })')
    await heard(page, "connected", 2)
    assert refreshed == ["{}"]


async def test_a_pair_whose_token_nobody_takes_is_renewed_by_its_refresh_token(
    page: DemoPage, backend: Backend
) -> None:
    pair = (await backend.pair("anna")).model_dump(mode="json") | {"token": "a.b.c"}
    await page.page.evaluate(CONNECT, pair)
    await heard(page, "connected", 2)


async def test_a_token_that_nobody_takes_is_named_as_such(page: DemoPage, backend: Backend) -> None:
    await page.page.evaluate(f"({CONNECT})('a.b.c')")
    await heard(page, "not_allowed: Invalid or expired authentication token")


async def test_who_is_kicked_stays_out(page: DemoPage, backend: Backend, operator: GameServer) -> None:
    await page.page.evaluate(CONNECT, (await backend.pair("anna")).model_dump(mode="json"))
    await operator.ask(KICK, Kick(peer_id="anna"))
    await heard(page, "not_allowed: Invalid or expired authentication token")
