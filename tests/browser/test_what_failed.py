"""Whatever goes wrong between a player and a host, the page names it, and comes back where that makes sense."""

from datetime import UTC, datetime, timedelta

import aiohttp
import aioice.ice
import pytest
from contracts.hosts import RegisterHost
from playwright.async_api import expect
from sdk import HostAgent
from testkit.eventually import eventually


async def echo(channel, message):
    await channel.send(message)


@pytest.fixture
async def host(stand_in):
    """A host that echoes."""
    async with HostAgent(
        stand_in.url, RegisterHost(host_id="host-1", player_id="p", player_name="P"), on_message=echo
    ) as agent:
        yield agent


async def test_no_host_for_the_zone(stand_in, page):
    await page.open(stand_in.url)
    await page.enter()
    await page.fails("No seat", "No host can take the zone now. (no_host_free)")
    await page.sees("placement", "failed")


async def test_a_gateway_that_is_away(stand_in, page):
    await page.page.clock.install()
    await page.open(stand_in.url)
    stand_in.refuse_sockets_with = 503
    await page.enter()
    await page.sees("signaling", "active", "again in")
    await page.page.clock.run_for(11_000)
    await page.fails("Signaling failed", "cannot be reached")


async def test_a_host_that_is_not_connected_to_signaling(stand_in, page, host):
    await stand_in.assign("session-1", "prontera", "nobody")
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.enter()
    for attempt in range(2, 6):
        await page.hears("Failed to deliver offer to nobody")
        await page.page.clock.run_for(3_000)
        await stand_in.until(lambda wanted=attempt: len(stand_in.frames_from("anna", "offer")) >= wanted)
    await page.fails("The host cannot be reached", "Failed to deliver offer to nobody")


@pytest.fixture
async def silent_host(stand_in):
    """One that has a signaling socket and nothing else, and the zone's session."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{stand_in.url}/api/v1/signaling/ws?peer_id=silent"):
        await stand_in.until(lambda: "silent" in stand_in.sockets)
        yield await stand_in.assign("session-1", "prontera", "silent")


async def test_a_host_that_does_not_answer(stand_in, page, silent_host):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.enter()
    await page.sees("answer", "active", "offer sent")
    for attempt in range(1, 6):
        await stand_in.until(lambda wanted=attempt: len(stand_in.frames_from("anna", "offer")) >= wanted)
        await page.page.clock.run_for(16_000)
    await page.fails("The host did not answer", "(no_answer)")


async def test_no_path_between_the_two(stand_in, page, host, monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.enter()
    await page.sees("ice", "active")
    await page.page.clock.run_for(16_000)
    await page.fails("No path to the host", "(ice_failed)")
    await stand_in.until(lambda: stand_in.frames_from("anna", "ice-result"))
    assert stand_in.frames_from("anna", "ice-result")[-1]["state"] == "failed"
    assert stand_in.frames_from("anna", "leave")


async def test_another_window_with_the_same_name(stand_in, page, host):
    await page.open(stand_in.url)
    await page.connect()
    await stand_in.close("anna", 4001)
    await page.fails("Signaling failed", "Another window took over")


async def test_signaling_comes_back_and_the_channel_never_went(stand_in, page, host):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.connect()
    await page.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))  # it is back too soon to be read
    await stand_in.close("anna", 1012, b"restarting")
    await page.sees("signaling", "active", "restarting")
    await page.page.clock.resume()
    await page.sees("signaling", "done")
    assert len(stand_in.frames_from("anna", "join")) == 1
    await page.sees("channel", "done")
    await page.say("still here")
    await page.hears("still here")
    assert len(stand_in.frames_from("anna", "offer")) == 1


async def test_a_gateway_that_asks_for_a_move_is_left_when_it_said(stand_in, page, host):
    await page.open(stand_in.url)
    await page.connect()
    before = stand_in.sockets["anna"]
    await stand_in.send("anna", {"type": "reconnect", "after_ms": 30})
    await stand_in.until(lambda: stand_in.sockets.get("anna") not in {None, before})
    await page.sees("signaling", "done")


async def test_a_gateway_that_closes_after_asking_for_a_move_is_dialled_once_when_it_said(stand_in, page, host):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.connect()
    await stand_in.send("anna", {"type": "reconnect", "after_ms": 60_000})
    await stand_in.close("anna", 1012)
    await page.sees("signaling", "active", "again in")
    await page.page.clock.run_for(61_000)
    await page.sees("signaling", "done")
    assert stand_in.dialled.count("anna") == 2


async def test_a_channel_that_the_host_closes_is_made_again(stand_in, page, host):
    await page.open(stand_in.url)
    await page.connect()
    host.channels()[0].close()
    await page.hears("The host closed the data channel.")
    await page.sees("channel", "done")
    await eventually(host.channels)
    await page.say("again")
    await page.hears("again")


async def test_a_session_that_ends_is_over_in_words(stand_in, page, host):
    await page.open(stand_in.url)
    await page.connect()
    ended = {"type": "session-ended", "session_id": next(iter(stand_in.sessions)), "reason": "host_lost"}
    await stand_in.send("anna", ended)
    await page.hears("The session is over: its host is gone.")
    await expect(page.page.locator("#go")).to_have_text("Enter")


async def test_leaving_gives_the_seat_up_and_closes_the_channel(stand_in, page, host):
    await page.open(stand_in.url)
    await page.connect()
    await page.page.keyboard.press("Escape")
    await stand_in.until(lambda: stand_in.frames_from("anna", "leave") and "anna" not in stand_in.sockets)
    await eventually(lambda: not host.channels())
