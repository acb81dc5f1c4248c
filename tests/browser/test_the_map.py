"""The demo page's map: NPCs walk between what is told of them, and a zone without a host says so."""

import json

import pytest
from contracts.hosts import RegisterHost
from playwright.async_api import expect
from sdk import HostAgent
from testkit.eventually import eventually

from libs.sdk.tests.test_agent_traces import TRACEPARENT

GUARD = {"npc_id": "guard", "name": "Guard", "npc_class": "soldier", "x": 10.0, "y": 10.0}
SMITH = {"npc_id": "smith", "name": "Smith", "npc_class": "smith", "x": 30.0, "y": 20.0}


async def echo(channel, message):
    await channel.send(message)


@pytest.fixture
async def host(stand_in):
    machine = RegisterHost(host_id="host-1", player_id="p", player_name="P")
    async with HostAgent(stand_in.url, machine, on_message=echo) as agent:
        await stand_in.assign("session-1", "prontera", "host-1")
        await eventually(lambda: agent.sessions)
        yield agent


@pytest.fixture
async def npcs(stand_in, page, host):
    """The page in the zone, with a guard and a smith on its map."""
    await page.open(stand_in.url)
    await page.connect()
    await stand_in.tell_npcs("host-1", "prontera", 1, GUARD, SMITH, full=True, environment={"weather": "rain"})
    await expect(page.npc("guard")).to_be_visible()


async def test_npcs_stand_where_they_were_told_to_be(stand_in, page, npcs):
    guard, smith = await page.place_of("guard"), await page.place_of("smith")
    assert guard[0] < smith[0]
    assert guard[1] > smith[1]
    await expect(page.page.locator("#told")).to_have_text("live · 2 NPCs")
    await expect(page.page.locator("#sky")).to_contain_text("rain")


async def test_an_npc_walks_to_where_it_was_told_to_be(stand_in, page, npcs):
    before = await page.place_of("guard")
    await stand_in.tell_npcs("host-1", "prontera", 2, {**GUARD, "x": 28.0})
    on_the_way = await page.places_of("guard", until_right_of=before[0] + 100)
    assert len({x for x, _ in on_the_way}) > 5


async def test_who_is_removed_goes(stand_in, page, npcs):
    await stand_in.tell_npcs("host-1", "prontera", 2, removed=["smith"])
    await expect(page.npc("smith")).to_have_count(0)
    await expect(page.npc("guard")).to_have_count(1)


async def test_a_name_shows_under_the_pointer(stand_in, page, npcs):
    label = page.npc("smith").locator("span")
    await expect(label).to_have_css("opacity", "0")
    await page.npc("smith").hover()
    await expect(label).to_have_css("opacity", "1")
    await expect(label).to_contain_text("Smith")


async def test_an_urgent_change_shows_itself_and_its_trace(stand_in, page, npcs):
    alert = {**GUARD, "status": "alert"}
    await stand_in.tell_npcs("host-1", "prontera", 2, alert, traceparent=TRACEPARENT)
    await expect(page.page.locator("#map")).to_have_attribute("data-traceparent", TRACEPARENT)
    await expect(page.npc("guard")).to_contain_text("alert")
    await expect(page.npc("guard").locator("span")).to_have_css("opacity", "0")
    await page.npc("guard").hover()
    await expect(page.npc("guard").locator("span")).to_have_css("opacity", "1")


async def test_a_silent_ai_world_is_said(stand_in, page, npcs):
    await stand_in.tell_npcs("host-1", "prontera", 2, stale=True)
    await expect(page.page.locator("#told")).to_contain_text("silent")
    await stand_in.tell_npcs("host-1", "prontera", 3, GUARD)
    await expect(page.page.locator("#told")).to_contain_text("live")


async def test_a_click_on_an_npc_is_told_to_the_host(stand_in, page, npcs):
    await page.npc("smith").click()
    await page.hears('{"poke":"smith"}')


async def test_players_without_a_host_are_told_where_to_play_and_return(stand_in, page, npcs):
    session = {"session_id": "session-1"}
    await stand_in.send(
        "anna", {"type": "session-fallback", **session, "reason": "host_lost", "endpoint": "central:6900"}
    )
    await expect(page.page.locator("#fallback")).to_contain_text("central:6900")
    await page.sees("channel", "")
    await expect(page.page.locator("#go")).to_have_text("Leave")
    again = RegisterHost(host_id="host-2", player_id="q", player_name="Q")
    async with HostAgent(stand_in.url, again, on_message=echo):
        stand_in.sessions["session-1"].host_id = "host-2"
        migrated = {"type": "host-migrated", **session, "host_id": "host-2", "host_peer_id": "host-2", "epoch": 2}
        await stand_in.send("anna", migrated)
        await page.sees("channel", "done")
        await expect(page.page.locator("#host")).to_have_text("host-2")
        await expect(page.page.locator("#fallback")).to_be_hidden()
        assert stand_in.frames_from("anna", "offer")[-1]["to"] == "host-2"
        await page.say("here again")
        await page.hears("here again")


async def test_a_signaling_gap_during_fallback_changes_nothing(stand_in, page, npcs):
    told = {"type": "session-fallback", "session_id": "session-1", "reason": "latency", "endpoint": None}
    await stand_in.send("anna", told)
    await expect(page.page.locator("#fallback")).to_contain_text("too slow")
    offers = len(stand_in.frames_from("anna", "offer"))
    await stand_in.close("anna", 1012)
    await stand_in.until(lambda: stand_in.frames_from("anna", "join"))
    await page.sees("signaling", "done")
    await expect(page.page.locator("#fallback")).to_be_visible()
    assert len(stand_in.frames_from("anna", "offer")) == offers


async def test_a_migration_of_an_older_epoch_is_left_out(stand_in, page, npcs):
    old = {"type": "host-migrated", "session_id": "session-1", "host_id": "x", "host_peer_id": "x", "epoch": 1}
    await stand_in.send("anna", old)
    await page.say("still here")
    await page.hears("still here")
    assert len(stand_in.frames_from("anna", "offer")) == 1


async def test_a_number_that_is_missing_on_the_channel_is_made_good(stand_in, page, npcs, host):
    (player,) = host._players.values()
    ghost = {"npc_id": "ghost", "x": 1, "y": 1}
    torn = {"type": "npc-state", "zone_id": "prontera", "seq": 7, "full": False, "npcs": [ghost], "removed": []}
    player.feed.pass_on("no feed at all")
    player.feed.pass_on(json.dumps(torn))
    # The page understands this one only if it asked for everything, and got it.
    await stand_in.tell_npcs("host-1", "prontera", 2, {**SMITH, "status": "hammering"})
    await expect(page.npc("smith")).to_contain_text("hammering")
    await expect(page.npc("ghost")).to_have_count(0)


async def test_a_session_on_the_central_server_is_entered_without_a_host(stand_in, page):
    await stand_in.assign("session-1", "prontera", "")
    await page.open(stand_in.url)
    await page.enter()
    await stand_in.until(lambda: stand_in.frames_from("anna", "enter"))
    told = {"type": "session-fallback", "session_id": "session-1", "reason": "host_lost", "endpoint": None}
    await stand_in.send("anna", told)
    await expect(page.page.locator("#fallback")).to_be_visible()
    assert stand_in.frames_from("anna", "offer") == []
    await expect(page.page.locator("#failure")).to_be_hidden()


async def test_a_room_without_a_host_is_said_to_have_none(stand_in, page):
    await stand_in.assign("session-1", "prontera", "")
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.enter()
    await page.sees("placement", "done")
    await page.page.clock.run_for(3_000)
    await page.fails("No seat", "no host to connect to")
