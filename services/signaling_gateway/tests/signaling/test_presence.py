"""What gateways know of one another through Redis: true while its gateway lives, and never the older over the newer."""

import pytest
from chassis.redis import open_redis
from chassis.refusals import UnavailableError
from signaling_gateway.cluster import presence as module
from signaling_gateway.cluster.presence import HOST, PLAYER, Mark, Presence, RoomFullError


@pytest.fixture
async def gateways(redis_url):
    async with open_redis(redis_url) as client:
        one, two = Presence(client, "gw-1"), Presence(client, "gw-2")
        await one.beat("{}")
        await two.beat("{}")
        yield one, two


async def test_the_newer_connection_of_a_peer_holds_it_whoever_asks_last(gateways):
    one, two = gateways
    assert await one.claim("ann", one.mark("0001")) is None
    assert await two.claim("ann", two.mark("0002")) == Mark("0001", "gw-1")
    assert await one.claim("ann", one.mark("0001")) == Mark("0002", "gw-2")
    assert await one.where("ann") == Mark("0002", "gw-2")


async def test_an_older_connections_cleanup_leaves_the_newer_alone(gateways):
    one, two = gateways
    await one.claim("ann", one.mark("0001"))
    await one.enter("lobby", PLAYER + "ann", one.mark("0001"), limited=True)
    await two.claim("ann", two.mark("0002"))
    await two.enter("lobby", PLAYER + "ann", two.mark("0002"), limited=True)
    late = await one.enter("lobby", PLAYER + "ann", one.mark("0001"), limited=True)
    assert late.players == {"ann": Mark("0002", "gw-2")}
    await one.leave("lobby", PLAYER + "ann", one.mark("0001"), seat_kept=True)
    await one.release("ann", one.mark("0001"))
    assert await one.where("ann") == Mark("0002", "gw-2")
    assert (await one.look("lobby")).players == {"ann": Mark("0002", "gw-2")}


async def test_a_room_lists_players_in_the_order_they_came_then_hosts_and_the_empty_seats(gateways):
    one, two = gateways
    for gateway, name, connection in ((one, "bob", "0002"), (two, "ann", "0001"), (two, "carl", "0003")):
        await gateway.enter("lobby", PLAYER + name, gateway.mark(connection), limited=False)
    await two.leave("lobby", PLAYER + "carl", two.mark("0003"), seat_kept=True)
    listing = await one.enter("lobby", HOST + "h1", one.mark("0009"), limited=False)
    assert list(listing.players) == ["ann", "bob"]
    assert listing.hosts == {"h1": Mark("0009", "gw-1")}
    assert listing.gone == {"carl"}
    assert listing.gateways == {"gw-1", "gw-2"}


async def test_what_a_dead_gateway_told_is_void_at_once_when_it_is_buried(gateways):
    one, two = gateways
    await two.claim("ann", two.mark("0001"))
    await two.enter("lobby", PLAYER + "ann", two.mark("0001"), limited=False)
    assert (await one.look("lobby")).players
    await one.bury("gw-2")
    assert await one.where("ann") is None
    assert not (await one.look("lobby")).players


async def test_a_gateway_that_stops_beating_is_void_after_its_time(gateways, redis):
    one, two = gateways
    await two.claim("ann", two.mark("0001"))
    assert 0 < await redis.pttl("gateway:gw-2") <= module.GATEWAY_LIVES.total_seconds() * 1000
    await redis.delete("gateway:gw-2")  # its time is up
    await one.beat("{}")
    assert await one.where("ann") is None


async def test_a_full_room_makes_place_for_the_living(gateways, redis, monkeypatch):
    one, two = gateways
    monkeypatch.setattr(module, "ROOM_LIMIT", 2)
    await one.enter("lobby", PLAYER + "ann", one.mark("0001"), limited=True)
    await two.enter("lobby", PLAYER + "bob", two.mark("0002"), limited=True)
    with pytest.raises(RoomFullError, match="full"):
        await one.enter("lobby", PLAYER + "carl", one.mark("0003"), limited=True)
    await one.enter("lobby", PLAYER + "ann", one.mark("0004"), limited=True)  # who is in may come again
    await one.bury("gw-2")
    listing = await one.enter("lobby", PLAYER + "carl", one.mark("0003"), limited=True)
    assert set(listing.players) == {"ann", "carl"}


async def test_a_beat_says_when_redis_has_forgotten_us(gateways, redis):
    one, _ = gateways
    assert await one.beat("{}")
    await redis.flushall()
    assert not await one.beat("{}")
    assert await one.beat("{}")


async def test_renewing_tells_all_again_but_never_over_a_newer_connection(gateways, redis):
    one, two = gateways
    await redis.flushall()
    await two.claim("ann", two.mark("0005"))
    await one.beat("{}")
    await two.beat("{}")
    peers = [("ann", one.mark("0001")), ("bob", one.mark("0002"))]
    members = [("lobby", PLAYER + "bob", one.mark("0002")), ("s", HOST + "bob", one.mark("0002"))]
    assert await one.renew(peers, members) == [Mark("0005", "gw-2"), None]
    assert await one.where("bob") == Mark("0002", "gw-1")
    assert (await two.look("lobby")).players == {"bob": Mark("0002", "gw-1")}
    assert await redis.ttl("room:lobby") > 0


async def test_what_could_not_be_taken_back_is_taken_back_later(redis_url, redis_server, redis):
    async with open_redis(redis_url) as client:
        one = Presence(client, "gw-1")
        await one.beat("{}")
        await one.claim("ann", one.mark("0001"))
        await redis_server.stop()
        await one.release("ann", one.mark("0001"))
        with pytest.raises(UnavailableError):
            await one.claim("bob", one.mark("0002"))
        await redis_server.start()
        await redis.set("peer:ann", str(one.mark("0001")))  # whatever Redis kept of it
        assert not await one.beat("{}")
        assert await redis.get("peer:ann") is None


async def test_the_figures_of_all_living_gateways_are_told(gateways, redis):
    one, two = gateways
    await two.beat('{"connections":2}')
    await redis.sadd("gateways", "gw-dead")
    assert await one.totals() == {"gw-1": "{}", "gw-2": '{"connections":2}'}
    assert await redis.smembers("gateways") == {"gw-1", "gw-2"}
    await one.end()
    assert await two.totals() == {"gw-2": '{"connections":2}'}
