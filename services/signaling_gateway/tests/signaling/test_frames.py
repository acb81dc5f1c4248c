"""One socket and what it says: errors in known words, and a connection that lives."""

import contextlib
import json

import pytest
import websockets
from testkit.clients import connect, http_client

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = ["", "{", "[1,2]", "null", "17", '"text"', b"\x00\x01", b"{}", "x" * 70_000, "[" * 5000]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
async def test_what_is_no_frame_is_answered_and_the_socket_lives(here, name, bad):
    peer = await dial(here, name("ann"))
    async with leaving(peer):
        await peer.say_raw(bad)
        error = await peer.hear("error")
        assert error["code"] == "invalid"
        await peer.hears_nothing_more()


async def test_ten_bad_frames_in_a_row_end_the_connection(here, name):
    peer = await dial(here, name("ann"))
    for _ in range(9):
        await peer.say_raw("[]")
    await peer.say("ping")
    for bad in ("[]", b"x", "nonsense") * 3:
        await peer.say_raw(bad)
    await peer.say("ping", id="still here")
    assert (await peer.hear_until("pong")) == {"type": "pong"}
    assert (await peer.hear_until("pong"))["id"] == "still here"
    for _ in range(10):
        await peer.say_raw("[]")
    assert await peer.close_code() == 1003


async def test_a_message_over_a_mebibyte_ends_the_connection_and_says_why(here, name):
    peer = await dial(here, name("ann"))
    with contextlib.suppress(websockets.ConnectionClosed):  # it may close while we still send
        await peer.say_raw("x" * 8_000_000)
    assert await peer.close_code() == 1009


async def test_an_unknown_type_is_named_and_answered(here, name):
    peer = await dial(here, name("ann"))
    async with leaving(peer):
        for kind in ("relay", "checkpoint", "resume", "host-migrated"):
            await peer.say(kind, to="bob", data="x")
            error = await peer.hear("error")
            assert error["message"] == f"Unknown message type: {kind}"
            assert error["in_reply_to"] == kind


async def test_a_nameless_socket_is_named_by_its_first_join(here, room, name):
    peer = await dial(here)
    async with leaving(peer):
        await peer.say("join", session_id=room)
        assert (await peer.hear("error"))["message"] == "peer_id required"
        await peer.say("join", session_id=room, peer_id=name("ann"))
        assert (await peer.hear("session-joined"))["peers"] == []
        await peer.say("join", session_id=room, peer_id=name("bob"))
        assert (await peer.hear("error"))["code"] == "forbidden"


async def test_both_paths_and_a_trailing_slash_open_the_same_socket(here, name):
    for path in ("/api/v1/signaling/ws", "/api/signaling/ws", "/api/v1/signaling/ws/", "/api/signaling/ws/"):
        async with connect(f"{here.replace('http', 'ws', 1)}{path}?peer_id={name('ann')}") as socket:
            await socket.send('{"type":"ping"}')
            assert json.loads(await socket.recv()) == {"type": "pong"}


async def test_a_token_is_checked_though_none_is_needed(here, name):
    url = f"{here.replace('http', 'ws', 1)}/api/v1/signaling/ws?peer_id={name('ann')}"
    async with http_client(base_url=here) as client:
        made = await client.post("/api/v1/auth/token", json={"player_id": name("ann")})
        others = await client.post("/api/v1/auth/token", json={"player_id": name("bob")})
    async with connect(f"{url}&token={made.json()['token']}") as socket:
        await socket.send('{"type":"ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}
    for token, message in (
        ("anything", "Invalid or expired authentication token"),
        (others.json()["token"], "The token is another peer's."),
    ):
        async with connect(f"{url}&token={token}") as socket:
            assert json.loads(await socket.recv())["message"] == message
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("illegal", ["a/b", " a", "..", "x" * 129, "é" * 100, "a\nb"])
async def test_a_name_that_cannot_be_one_is_not_allowed(here, illegal):
    peer = await dial(here, illegal)
    assert (await peer.hear("error"))["code"] == "invalid"
    assert await peer.close_code() == 1008


async def test_a_query_that_is_no_text_is_not_allowed(here):
    async with connect(f"{here.replace('http', 'ws', 1)}/api/v1/signaling/ws?peer_id=%ff") as socket:
        assert json.loads(await socket.recv())["message"] == "The query is malformed"
        await socket.wait_closed()
        assert socket.close_code == 1008


async def test_a_session_in_the_url_needs_a_name_beside_it(here, room, name):
    peer = await dial(here, None, room)
    async with leaving(peer):
        assert (await peer.hear("error"))["message"] == "peer_id required"
        await peer.say("join", session_id=room, peer_id=name("ann"))
        await peer.hear("session-joined")


@pytest.mark.parametrize("odd", ["1@tower", "Sir Galahad", "a.b.>", "*", "ナイト", "50%"])
async def test_names_that_are_odd_in_a_subject_meet_across_gateways(here, there, room, odd):
    first = await joined(here, odd, f"{room} {odd}")
    second = await joined(there, f"{odd}2", f"{room} {odd}")
    async with leaving(first, second):
        await first.hear("peer-joined")
        await second.say("offer", to=odd, sdp="v=0")
        assert (await first.hear("offer"))["from"] == f"{odd}2"
        await first.say("answer", to=f"{odd}2", sdp="v=0")
        assert (await second.hear("answer"))["from"] == odd


async def test_a_page_of_another_origin_may_not_open_a_socket(here, name):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await dial(here, name("ann"), origin="https://evil.example.org")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("mine", [True, False])
async def test_our_own_page_and_those_that_may_call_us_open_one(here, name, mine):
    origin = here if mine else "https://game.example.org"
    peer = await dial(here, name("ann"), origin=origin)
    async with leaving(peer):
        await peer.hears_nothing_more()


async def test_joining_tells_the_ice_servers(here, room, name):
    peer = await dial(here, name("ann"), room)
    async with leaving(peer):
        assert (await peer.hear("session-joined"))["ice_servers"] == [{"urls": ["stun:stun.example.org:3478"]}]


async def test_a_traceparent_is_accepted_on_every_frame_and_must_be_text(here, room, name):
    peer = await dial(here, name("ann"))
    async with leaving(peer):
        traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        await peer.say("join", session_id=room, traceparent=traceparent)
        await peer.hear("session-joined")
        await peer.say("ping", traceparent="nonsense")
        await peer.hear("pong")
        await peer.say("offer", to="bob", sdp="v=0", traceparent=5)
        assert (await peer.hear("error"))["code"] == "invalid"
        await peer.say("join", session_id=room, traceparent=5)
        assert (await peer.hear("error"))["code"] == "invalid"
