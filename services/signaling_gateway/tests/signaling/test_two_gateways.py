"""Peers meet wherever their sockets are: each scene within one gateway and across two."""

import asyncio

import pytest
from redis.asyncio import Redis
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(params=["one gateway", "two gateways"])
def elsewhere(request, here: str, there: str) -> str:
    return here if request.param == "one gateway" else there


async def test_peers_of_a_room_hear_of_one_another_and_signal(here, elsewhere, room, name):
    ann, bob = name("ann"), name("bob")
    first = await joined(here, ann, room)
    second = await dial(elsewhere, bob, room)
    async with leaving(first, second):
        assert (await second.hear("session-joined"))["peers"] == [ann]
        assert await first.hear() == {"type": "peer-joined", "peer_id": bob}

        await second.say("offer", to=ann, sdp={"type": "offer", "sdp": "v=0"})
        offer = await first.hear("offer")
        assert (offer["from"], offer["sdp"]) == (bob, {"type": "offer", "sdp": "v=0"})
        assert "timestamp" in offer
        await first.say("answer", target_peer_id=bob, sdp="v=0")
        assert (await second.hear("answer"))["sdp"] == "v=0"
        await first.say("ice-candidate", target=bob, candidate=None)
        assert (await second.hear("ice-candidate"))["candidate"] is None


async def test_a_peer_that_goes_is_missed_at_once(here, elsewhere, room, name):
    first = await joined(here, name("ann"), room)
    second = await joined(elsewhere, name("bob"), room)
    async with leaving(first):
        await first.hear("peer-joined")
        await second.close()
        assert await first.hear() == {"type": "peer-left", "peer_id": name("bob"), "reason": "disconnected"}


async def test_leaving_a_room_keeps_the_socket(here, elsewhere, room, name):
    first = await joined(here, name("ann"), room)
    second = await joined(elsewhere, name("bob"), room)
    async with leaving(first, second):
        await first.hear("peer-joined")
        await second.say("leave")
        assert await second.hear() == {"type": "session-left", "session_id": room, "reason": "left"}
        assert await first.hear() == {"type": "peer-left", "peer_id": name("bob"), "reason": "left"}
        await second.say("leave")
        assert (await second.hear("error"))["code"] == "wrong_state"


async def test_joining_another_room_leaves_the_first(here, elsewhere, room, name):
    first = await joined(here, name("ann"), room)
    second = await joined(elsewhere, name("bob"), room)
    async with leaving(first, second):
        await first.hear("peer-joined")
        await second.say("join", session_id=f"{room}-2")
        assert (await second.hear("session-joined"))["session_id"] == f"{room}-2"
        assert await first.hear() == {"type": "peer-left", "peer_id": name("bob"), "reason": "moved"}
        await second.say("offer", to=name("ann"), sdp="v=0")
        assert (await second.hear("error"))["message"] == f"Failed to deliver offer to {name('ann')}"
        await first.hears_nothing_more()


async def test_a_signal_to_a_peer_of_another_room_is_refused(here, elsewhere, room, name):
    first = await joined(here, name("ann"), room)
    stranger = await joined(elsewhere, name("eve"), f"{room}-2")
    async with leaving(first, stranger):
        for kind, field in (("offer", "sdp"), ("answer", "sdp"), ("ice-candidate", "candidate")):
            await stranger.say(kind, to=name("ann"), session_id=room, **{field: "x"})
            error = await stranger.hear("error")
            assert error["message"] == f"Failed to deliver {kind} to {name('ann')}"
            assert error["in_reply_to"] == kind
        await first.hears_nothing_more()


async def test_the_newest_socket_of_a_peer_wins_and_the_older_is_told(here, elsewhere, room, name):
    other = await joined(here, name("bob"), room)
    older = await joined(here, name("ann"), room)
    async with leaving(other):
        await other.hear("peer-joined")
        newer = await joined(elsewhere, name("ann"), room)
        async with leaving(newer):
            assert await older.close_code() == 4001
            await other.say("offer", to=name("ann"), sdp="after")
            assert (await newer.hear("offer"))["sdp"] == "after"
            await newer.say("answer", to=name("bob"), sdp="still in")
            # Nobody was told that ann went or came: she was there all the time.
            assert (await other.hear("answer"))["sdp"] == "still in"
        assert await other.hear() == {"type": "peer-left", "peer_id": name("ann"), "reason": "disconnected"}


async def test_a_newer_socket_that_joins_nothing_takes_its_peer_out_of_the_room(here, elsewhere, room, name):
    other = await joined(here, name("bob"), room)
    older = await joined(here, name("ann"), room)
    newer = await dial(elsewhere, name("ann"))
    async with leaving(other, newer):
        assert await older.close_code() == 4001
        await other.hear("peer-joined")
        assert await other.hear() == {"type": "peer-left", "peer_id": name("ann"), "reason": "replaced"}
        await newer.say("join", session_id=room)
        assert (await newer.hear("session-joined"))["peers"] == [name("bob")]
        await other.hear("peer-joined")


async def test_ten_sockets_of_one_peer_at_once_leave_one(here, there, room, name):
    watcher = await joined(here, name("watcher"), room)
    async with leaving(watcher):
        sockets = [await dial((here, there)[index % 2], name("ann"), room) for index in range(10)]
        ends = [asyncio.create_task(socket.close_code()) for socket in sockets]
        await eventually(lambda: sum(end.done() for end in ends) == 9)
        [newest] = [socket for socket, end in zip(sockets, ends, strict=True) if not end.done()]
        assert {end.result() for end in ends if end.done()} == {4001}
        await newest.say("offer", to=name("watcher"), sdp="the one")
        assert (await watcher.hear_until("offer"))["sdp"] == "the one"
        await watcher.say("answer", to=name("ann"), sdp="you are it")
        await newest.close()
        assert await ends[sockets.index(newest)] == 1000


async def test_announcements_of_the_older_socket_come_before_the_newer_ones_name(here, there, name, owners: Owners):
    older = await dial(here, name("ann"))
    newer = await dial(there, name("ann"))
    async with leaving(newer):
        assert await older.close_code() == 4001
        await eventually(lambda: owners.announced("disconnected", name("ann")))
        [gone] = owners.announced("disconnected", name("ann"))
        first, second = owners.announced("connected", name("ann"))
        assert first.connection_id == gone.connection_id < second.connection_id


async def test_a_room_takes_a_thousand_and_no_more(here, room, name, servers):
    gateway = "gw-elsewhere"
    async with Redis.from_url(servers.redis.url, decode_responses=True) as redis:
        await redis.set(f"gateway:{gateway}", "{}", ex=60)
        await redis.hset(f"room:{room}", mapping={f"p:peer-{index}": f"0{index} {gateway}" for index in range(999)})
        last = await dial(here, name("last"), room)
        async with leaving(last):
            assert len((await last.hear("session-joined"))["peers"]) == 999
            late = await dial(here, name("late"), room)
            async with leaving(late):
                error = await late.hear("error")
                assert (error["code"], error["message"]) == ("session_full", f"Room {room} is full")
        await redis.delete(f"gateway:{gateway}")
