"""A gateway that is told to stop sends its sockets away, and loses nobody a seat."""

import asyncio

import websockets
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import create, dial, joined, leaving, warp
from services.signaling_gateway.tests.signaling.gateways import gateway
from services.signaling_gateway.tests.signaling.owners import owning


async def test_sockets_are_asked_to_come_back_and_do_so_into_their_seats(servers, nats_server, redis_server):
    async with owning(servers.nats.url) as owners, gateway(servers) as other:
        owners.add_host("host-1")
        session = owners.add_session(1, "host-1")
        async with gateway(servers) as leaving_one:
            bob = await joined(other, "bob", session)
            ann = await joined(leaving_one, "ann", session)
            idle = await dial(leaving_one)
            await bob.hear("peer-joined")
        async with leaving(bob):
            for socket in (ann, idle):
                assert 0 <= (await socket.hear("reconnect"))["after_ms"] < 3000
                assert await socket.close_code() == 1012
            assert (await bob.hear("peer-left"))["reason"] == "restarting"
            [gone] = await eventually(lambda: owners.announced("disconnected", "ann"))
            assert gone.session_id == session
            assert owners.sessions[session].connected_players == ("bob", "ann")
            back = await joined(other, "ann", session)
            async with leaving(back):
                assert (await bob.hear("peer-joined"))["peer_id"] == "ann"


async def test_nothing_of_a_stopped_gateway_is_left_in_redis(servers, nats_server, redis_server, redis):
    async with gateway(servers) as url:
        await joined(url, "ann", "lobby")
        assert await redis.exists("peer:ann", "room:lobby") == 2
    assert await redis.keys("*") == []


async def test_a_gateway_that_drains_takes_no_new_sockets(servers, nats_server, redis_server):
    async with gateway(servers) as url:
        ann = await dial(url, "ann")
        closing = asyncio.create_task(ann.close_code())
        await asyncio.sleep(0)
    assert await closing == 1012
    try:
        await dial(url, "bob")
    except (websockets.InvalidStatus, OSError):
        return
    raise AssertionError("it took a socket after its end")


async def test_a_game_client_that_would_not_come_back_stays_and_is_served_meanwhile(servers, nats_server, redis_server):
    async def carry_on() -> None:
        await ann.hear_until("reconnect")
        assert await ann.close_code() == 1012
        assert await game.hear() == {"type": "peer_left", "peer_id": "ann"}
        await create(game, "geffen")
        assert (await game.hear("session_created"))["zone"] == "geffen"
        await game.close()

    async with owning(servers.nats.url) as owners:
        owners.add_host("host-1")
        session = owners.add_session(1, "host-1", zone_id="prontera")
        owners.add_session(2, "host-1", zone_id="geffen")
        async with gateway(servers) as url:
            game = await warp(url, "150001", "prontera")
            await game.hear("session_created")
            ann = await joined(url, "ann", session)
            await game.hear("peer_joined")
            carrying_on = asyncio.create_task(carry_on())
        await carrying_on


async def test_a_game_client_goes_when_the_time_is_up(servers, nats_server, redis_server, monkeypatch):
    monkeypatch.setenv("DRAIN_SECONDS", "5.5")
    async with owning(servers.nats.url) as owners:
        owners.add_host("host-1")
        owners.add_session(1, "host-1", zone_id="prontera")
        async with gateway(servers) as url:
            game = await warp(url, "150001", "prontera")
            await game.hear("session_created")
            closing = asyncio.create_task(game.close_code())
        assert await closing == 1012
