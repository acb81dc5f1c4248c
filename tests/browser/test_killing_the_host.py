"""The game goes on when the host is killed: with a page and eight players in it, its state goes along, twice."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from playwright.async_api import expect
from testkit.eventually import eventually
from testkit.patience import within
from testkit.suites import RunningSuite

from libs.sdk.tests.aiortc_player import AiortcPlayer, aiortc_player
from tests.browser.demo_page import DemoPage
from tests.browser.demo_program import running_demo

ZONE = {"zone_id": "carried", "zone_name": "Z", "zone_display_name": "Carried", "map_name": "z", "max_players": 20}


@asynccontextmanager
async def eight_players(suite: RunningSuite) -> AsyncIterator[list[AiortcPlayer]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(aiortc_player(suite.gateways[number % 2], f"carried-{number}"))
            for number in range(8)
        ]


async def hears(player: AiortcPlayer, text: str) -> None:
    """Read what its host tells until somebody says this."""
    async with within(20):
        while json.loads(await player.heard.get()).get("text") != text:
            pass


async def carrier(api: httpx.AsyncClient, session_id: str) -> tuple[str, int]:
    """Who hosts the session, and in which epoch."""
    session = (await api.get(f"/api/v1/sessions/{session_id}")).json()
    return session["host_id"], session["epoch"]


@pytest.mark.time_limit(120)
async def test_nine_players_play_on_with_all_that_was_when_their_host_is_killed(
    suite: RunningSuite, api: httpx.AsyncClient, page: DemoPage
) -> None:
    assert (await api.post("/api/v1/zones", json=ZONE)).status_code == 201
    async with running_demo(suite, "--zone", "carried", "--kill-host", "--kill-after", "4") as demo:
        await page.page.goto(demo.link)
        await expect(page.page.locator("#hosts li")).to_have_count(3)
        await page.connect()
        await page.say("kept in mind")
        await page.page.locator("#map").focus()
        me = page.page.locator(".npc.me")
        await expect(me).to_be_visible()
        await page.page.keyboard.press("ArrowUp")
        session_id = await page.text_of("session")
        first, _ = await carrier(api, session_id)
        await expect(page.page.locator('#hosts [data-state="carries"]')).to_contain_text(first)

        await demo.says(f"killed {first}")
        name = await page.page.locator("#name").input_value()
        await demo.says(f"{name} plays on with")

        took_over = page.page.locator("#took-over")
        await expect(took_over).to_contain_text("1 of 1 line said")
        await expect(took_over).to_contain_text("as before")
        await expect(took_over).to_contain_text("5 NPCs")
        second, epoch = await carrier(api, session_id)
        assert (second != first, epoch) == (True, 2)
        await expect(page.page.locator('#hosts [data-state="gone"]')).to_contain_text(first)

        await demo.says(f"{first} is back")
        late = await api.put(f"/api/v1/sessions/{session_id}/checkpoint?epoch=1&sequence=99", content=b"{}")
        assert (late.status_code, late.json()["code"]) == (409, "stale_epoch")

        async with eight_players(suite) as players:
            for player in players:
                (await player.enter("carried")).send("hello")
                assert player.joined["session_id"] == session_id
                await hears(player, "hello")

            async def kept() -> bool:
                checkpoint = await api.get(f"/api/v1/sessions/{session_id}/checkpoint")
                return bool(checkpoint.json()["spoken"] == 9)

            await eventually(kept, within=20, of="what was said, kept")
            os.kill(demo.pids[second], signal.SIGKILL)

            for channel in await asyncio.gather(*(player.follow() for player in players)):
                channel.send("still here")
            for player in players:
                await hears(player, "still here")
        await expect(took_over).to_contain_text("9 of 9 lines said")
        await page.sees("channel", "done")
        if picture := os.environ.get("PICTURE"):
            await page.page.screenshot(path=picture, full_page=True)
        third, epoch = await carrier(api, session_id)
        assert (third == second, epoch) == (False, 3)
        await expect(page.page.locator('#hosts [data-state="carries"]')).to_contain_text(third)
