"""Redis, NATS or another gateway goes away: sockets live, errors are clear, and everything comes back by itself."""

import os
from collections.abc import AsyncIterator

import pytest
from testkit.eventually import eventually
from testkit.patience import within

from services.signaling_gateway.tests.signaling.client import Peer, dial, joined, leaving
from services.signaling_gateway.tests.signaling.gateways import gateway, process
from services.signaling_gateway.tests.signaling.owners import owning

HEALS_WITHIN_S = 20.0


@pytest.fixture
async def pair(servers, nats_server, redis_server) -> AsyncIterator[tuple[str, str]]:
    async with gateway(servers) as here, gateway(servers) as there:
        yield here, there


async def reaches(sender: Peer, receiver: Peer) -> bool:
    """Whether an offer arrives; reads past whatever else the two have heard."""
    mark = os.urandom(4).hex()
    await sender.say("offer", to=receiver.name, sdp=mark)
    await sender.say("ping", id=mark)
    while (frame := await sender.hear()).get("id") != mark:
        if frame["type"] == "error":
            return False
    try:
        async with within(5):
            while (await receiver.hear()).get("sdp") != mark:
                pass
    except TimeoutError:
        return False
    return True


async def test_a_killed_gateways_peers_are_missed_and_welcome_elsewhere(servers, nats_server, redis_server, redis):
    async with gateway(servers) as here, process(servers) as (there, running):
        ann = await joined(here, "ann", "lobby")
        bob = await joined(there, "bob", "lobby")
        async with leaving(ann):
            await ann.hear("peer-joined")
            await ann.say("offer", to="bob", sdp="v=0")
            await bob.hear("offer")
            running.kill()
            await running.wait()

            await ann.say("offer", to="bob", sdp="v=0")
            assert (await ann.hear("error"))["message"] == "Failed to deliver offer to bob"
            await eventually(lambda: missed(ann, "bob"), within=HEALS_WITHIN_S)
            late = await dial(here, "dora", "lobby")
            async with leaving(late):
                assert (await late.hear("session-joined"))["peers"] == ["ann"]
                back = await joined(here, "bob", "lobby")
                async with leaving(back):
                    assert await reaches(ann, back)


async def missed(peer: Peer, other: str) -> bool:
    async with within(HEALS_WITHIN_S):
        frame = await peer.hear_until("peer-left")
    return frame["peer_id"] == other


async def test_sockets_go_on_without_redis_and_are_known_again_when_it_is_back_and_empty(pair, redis_server, redis):
    here, there = pair
    ann, bob = await joined(here, "ann", "lobby"), await joined(there, "bob", "lobby")
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        await redis_server.stop()
        assert await reaches(ann, bob)
        assert await reaches(bob, ann)
        await ann.say("offer", to="nobody", sdp="v=0")
        assert (await ann.hear("error"))["message"] == "Failed to deliver offer to nobody"
        carl = await dial(here, "carl", "lobby")
        async with leaving(carl):
            assert set((await carl.hear("session-joined"))["peers"]) == {"ann", "bob"}
            await ann.hear("peer-joined")
            gone = await joined(there, "gone", "lobby")
            await gone.close()

            await redis_server.start()
            await redis.flushall()

            async def known_again() -> bool:
                return set(await redis.hkeys("room:lobby")) == {"p:ann", "p:bob", "p:carl"}

            await eventually(known_again, within=HEALS_WITHIN_S)
            dora = await dial(there, "dora", "lobby")
            async with leaving(dora):
                assert set((await dora.hear("session-joined"))["peers"]) == {"ann", "bob", "carl"}
                assert await reaches(carl, dora)


async def test_the_newer_of_two_sockets_opened_without_redis_wins_when_it_is_back(pair, redis_server):
    here, there = pair
    await redis_server.stop()
    older = await joined(here, "ann", "lobby")
    newer = await joined(there, "ann", "lobby")
    async with leaving(newer):
        await redis_server.start()
        async with within(HEALS_WITHIN_S):
            while (code := await closing(older)) is None:
                pass
        assert code == 4001
        await newer.say("ping")
        await newer.hear_until("pong")


async def closing(peer: Peer) -> int | None:
    try:
        return await peer.close_code()
    except TimeoutError:
        return None


async def test_peers_of_one_gateway_go_on_without_nats_and_of_two_when_it_is_back(pair, nats_server, client_of):
    here, there = pair
    ann, bob, carl = [await joined(url, name, "lobby") for url, name in ((here, "ann"), (there, "bob"), (here, "carl"))]
    async with leaving(ann, bob, carl):
        assert await reaches(ann, bob)
        await nats_server.kill()

        async def noticed() -> bool:
            return not await reaches(ann, bob)

        await eventually(noticed)
        assert await reaches(ann, carl)
        await ann.say("join", session_id="session-0123456789abcdef")
        assert (await ann.hear_until("error"))["code"] == "unavailable"
        async with client_of(here) as client:
            body = {"session_id": "lobby", "peer_id": "ann", "sdp": "v=0", "to": "bob"}
            refused = await client.post("/api/v1/signaling/offer", json=body)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "1"
        await nats_server.start()
        await eventually(lambda: reaches(ann, bob), within=HEALS_WITHIN_S)
        await eventually(lambda: reaches(bob, ann), within=HEALS_WITHIN_S)
        await carl.say("ping", id="still here")
        while (await carl.hear())["type"] != "pong":
            pass


async def test_facts_and_seats_go_on_after_nats_was_away(servers, nats_server, redis_server):
    async with owning(servers.nats.url) as owners, gateway(servers) as here:
        owners.add_host("host-1")
        session = owners.add_session(1, "host-1")
        ann = await joined(here, "ann", session)
        async with leaving(ann):
            await eventually(lambda: owners.announced("entered", "ann"))
            await nats_server.stop()
            await eventually(lambda: not owners.hears)
            await nats_server.start()
            await eventually(lambda: owners.hears)
            bob = await dial(here, "bob")
            await eventually(lambda: owners.announced("connected", "bob"), within=HEALS_WITHIN_S)
            await bob.close()
            await eventually(lambda: owners.announced("disconnected", "bob"), within=HEALS_WITHIN_S)
            await owners.seat(session, "carl")
            async with within(HEALS_WITHIN_S):
                assert (await ann.hear_until("peer-joined"))["peer_id"] == "carl"


async def test_a_gateway_that_answers_nobody_bounces_at_once(servers, nats_server, redis_server, redis):
    async with gateway(servers) as here:
        await redis.set("gateway:gw-ghost", "{}", ex=60)
        await redis.hset("room:lobby", "p:ghost", "0 gw-ghost")
        ann = await dial(here, "ann", "lobby")
        async with leaving(ann):
            assert (await ann.hear("session-joined"))["peers"] == ["ghost"]
            await ann.say("offer", to="ghost", sdp="v=0")
            error = await ann.hear("error")
            assert (error["message"], error["code"]) == ("Failed to deliver offer to ghost", "peer_not_found")
            assert "id" not in error
            assert await missed(ann, "ghost")


@pytest.mark.parametrize("frame_id", ["", "7", "a.b *>\0", "é" * 32, "-"])
async def test_what_comes_back_from_another_gateway_answers_its_frame(
    frame_id, servers, nats_server, redis_server, redis
):
    # The longest names that fit: with the longest id, the subject of what comes back is at its longest.
    ann, ghost = "é" * 32, "ö" * 32
    async with gateway(servers) as here:
        await redis.set("gateway:gw-ghost", "{}", ex=60)
        await redis.hset("room:lobby", f"p:{ghost}", "0 gw-ghost")
        socket = await dial(here, ann, "lobby")
        async with leaving(socket):
            await socket.hear("session-joined")
            await socket.say("ice-candidate", to=ghost, candidate="x", id=frame_id)
            error = await socket.hear("error")
            assert (error["in_reply_to"], error["id"]) == ("ice-candidate", frame_id)
