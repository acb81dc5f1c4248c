"""The NPCs of a zone reach the sockets that asked for them, whole and in order, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from signaling_gateway.npcs.feeds import Feeds
from signaling_gateway.peers.connections import Connection
from signaling_gateway.peers.conversation import Place, Standing
from signaling_gateway.peers.uvicorn_socket import Wire
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import Peer, dial, joined, leaving
from services.signaling_gateway.tests.signaling.gateways import process
from services.signaling_gateway.tests.signaling.leader import Leader, leading
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORING = {"npc_id": "poring", "x": 1, "y": 1}
LUNATIC = {"npc_id": "lunatic", "x": 2, "y": 2}

ODD = ["gef_fild07", "1@tower", "a zone. with* >dots%20", "Städtchen-日本"]


def at(npc: dict[str, Any], x: int) -> dict[str, Any]:
    return {**npc, "x": x}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def leader(servers: TestServers) -> AsyncIterator[Leader]:
    async with leading(servers.nats.url) as leader:
        yield leader


@pytest.fixture(params=["one gateway", "two gateways"])
def elsewhere(request, here: str, there: str) -> str:
    return here if request.param == "one gateway" else there


@pytest.fixture
def zone(number: int) -> str:
    return f"zone-{number}"


@pytest.fixture
def host_id(owners: Owners, number: int) -> str:
    owners.add_host(f"host-{number}")
    return f"host-{number}"


@pytest.fixture
def session(owners: Owners, host_id: str, zone: str, number: int) -> str:
    return owners.add_session(number, host_id, zone_id=zone)


async def subscribed(peer: Peer, zone: str) -> Peer:
    """The peer once its wish has been taken."""
    await peer.say("subscribe", feed=zone)
    await peer.say("ping", id="subscribed")
    while (frame := await peer.hear())["type"] != "pong":
        assert frame["type"] not in {"error", "npc-state"}
    return peer


async def told(peer: Peer) -> dict[str, Any]:
    return await peer.hear_until("npc-state")


async def test_hosts_and_players_hear_everything_and_then_what_changes(
    here, elsewhere, owners, leader, session, host_id, zone, name
):
    host, ann = await dial(here, host_id), await joined(elsewhere, name("ann"), session)
    await host.hear("session-assigned")
    async with leaving(host, ann):
        for peer in (host, ann):
            await subscribed(peer, zone)
        await eventually(lambda: zone in leader.asked)
        await leader.tell(zone, PORING)  # who knows nothing cannot make anything of it
        said = [
            await leader.tell_all(zone, PORING, environment={"weather": "rain"}),
            await leader.tell(zone, LUNATIC),
            await leader.tell(zone, at(PORING, 5), stale=True),
        ]
        for peer in (host, ann):
            assert [await told(peer) for _ in said] == said

        bob = await joined(here, name("bob"), session)
        async with leaving(bob):
            await bob.say("subscribe", feed=zone)
            everything = await told(bob)
            assert everything == {
                **said[-1],
                "full": True,
                "npcs": [at(PORING, 5), LUNATIC],
                "environment": {"weather": "rain"},
            }
            last = await leader.tell(zone, removed=["poring"])
            for peer in (host, ann, bob):
                assert await told(peer) == last


@pytest.mark.parametrize("zone", ODD)
async def test_zones_and_npcs_are_called_what_they_are_called(here, leader, session, host_id, zone):
    host = await dial(here, host_id)
    await host.hear("session-assigned")
    async with leaving(host):
        leader.answer(zone, {"npc_id": zone})
        await host.say("subscribe", feed=zone)
        assert (await told(host))["npcs"] == [{"npc_id": zone}]
        await host.say("npc-event", zone_id=zone, npc_id=zone, event="hit", data={"by": zone})
        event = await eventually(lambda: [event for event in leader.events if event.zone_id == zone])
        assert event[0].model_dump() == {
            "zone_id": zone,
            "npc_id": zone,
            "event": "hit",
            "data": {"by": zone},
            "session_id": session,
            "host_id": host_id,
        }


async def test_what_was_missed_is_told_again_as_a_whole(here, there, leader, session, zone, name):
    ann, bob = await joined(here, name("ann"), session), await joined(there, name("bob"), session)
    async with leaving(ann, bob):
        leader.answer(zone, PORING)
        for peer in (ann, bob):
            await peer.say("subscribe", feed=zone)
            assert (await told(peer))["npcs"] == [PORING]
        leader.answer(zone, at(PORING, 7), LUNATIC)
        leader.skip(zone)
        await leader.tell(zone, LUNATIC)
        for peer in (ann, bob):
            while (frame := await told(peer))["npcs"] != [at(PORING, 7), LUNATIC]:
                assert frame["npcs"] == [PORING]  # once for each gateway that asks
            assert frame["full"]


async def test_who_leaves_hears_no_more_and_a_zone_that_nobody_hears_is_let_go(here, leader, session, zone, name):
    ann, bob = await joined(here, name("ann"), session), await joined(here, name("bob"), session)
    async with leaving(ann, bob):
        leader.answer(zone, PORING)
        for peer in (ann, bob):
            await peer.say("subscribe", feed=zone)
            await told(peer)
        await ann.say("leave")
        await ann.hear_until("session-left")
        last = await leader.tell(zone, LUNATIC)
        assert await told(bob) == last
        await ann.hears_nothing_more()
        assert await leader.is_heard(zone)
        await bob.close()
        await eventually(lambda: _is_let_go(leader, zone), within=10)
        await ann.hears_nothing_more()


async def _is_let_go(leader: Leader, zone: str) -> bool:
    return not await leader.is_heard(zone)


async def test_a_gateway_counts_the_zones_it_follows(servers, leader, session, zone, name):
    async with process(servers) as (alone, _), http_client(base_url=alone) as client:
        ann = await joined(alone, name("ann"), session)

        async def follows(zones: int) -> bool:
            return f"p2p_npc_feed_zones_followed {zones}.0" in (await client.get("/metrics")).text

        async with leaving(ann):
            assert await follows(0)
            await subscribed(ann, zone)
            assert await follows(1)
        await eventually(lambda: follows(0))
        assert not await leader.is_heard(zone)


async def test_a_host_hears_a_zone_while_it_hosts_it(here, owners, leader, session, host_id, zone, name):
    host, ann = await dial(here, host_id), await joined(here, name("ann"), session)
    await host.hear("session-assigned")
    async with leaving(host, ann):
        leader.answer(zone, PORING)
        for peer in (host, ann):
            await peer.say("subscribe", feed=zone)
            await told(peer)
        await owners.fall_back(session)
        await host.hear_until("session-released")
        last = await leader.tell(zone, LUNATIC)
        assert await told(ann) == last
        await host.hears_nothing_more()
        await host.say("subscribe", feed=zone)
        assert (await host.hear("error"))["code"] == "forbidden"

        await owners.migrate(session, host_id)
        await host.hear("session-assigned")
        await host.say("subscribe", feed=zone)
        assert {npc["npc_id"] for npc in (await told(host))["npcs"]} == {"poring", "lunatic"}


NOT_FOR_YOU = [
    ("subscribe", {"feed": "elsewhere"}, "forbidden", "Not in a session of zone elsewhere: enter one first"),
    ("subscribe", {}, "invalid", "feed required"),
    ("npc-event", {"zone_id": "elsewhere", "npc_id": "p", "event": "e"}, "forbidden", "Hosts no session of zone"),
    ("npc-event", {"npc_id": "日" * 128, "event": "e"}, "invalid", "npc_id: must not exceed 192 bytes"),
    ("npc-event", {"npc_id": "a/b", "event": "e"}, "invalid", "npc_id"),
    ("npc-event", {"npc_id": "p", "event": "e", "data": "x" * 20_000}, "invalid", "data"),
    ("npc-event", {"npc_id": "p", "event": "e", "session_id": "other"}, "forbidden", "Hosts no session of zone"),
]


@pytest.mark.parametrize("kind, fields, code, words", NOT_FOR_YOU)
async def test_a_host_that_asks_for_what_is_not_its_hears_why_not(
    here, leader, session, host_id, zone, kind, fields, code, words
):
    host = await dial(here, host_id)
    await host.hear("session-assigned")
    async with leaving(host):
        asked = fields if kind == "subscribe" else {"zone_id": zone, **fields}
        await host.say(kind, **asked)
        error = await host.hear("error")
        assert (error["code"], error["in_reply_to"]) == (code, kind)
        assert words in error["message"]
        await host.hears_nothing_more()
        assert not [event for event in leader.events if event.zone_id == zone]


async def test_a_player_speaks_for_no_npc_and_a_stranger_hears_none(here, leader, session, zone, name):
    ann, eve = await joined(here, name("ann"), session), await dial(here, name("eve"))
    async with leaving(ann, eve):
        await ann.say("npc-event", zone_id=zone, npc_id="poring", event="hit")
        assert (await ann.hear("error"))["code"] == "forbidden"
        await eve.say("subscribe", feed=zone)
        assert (await eve.hear("error"))["code"] == "forbidden"
        assert not await leader.is_heard(zone)


async def test_a_host_of_two_sessions_of_a_zone_says_which_one(here, owners, leader, session, host_id, zone, number):
    second = owners.add_session(number + 10**7, host_id, zone_id=zone)
    host = await dial(here, host_id)
    for _ in range(2):
        await host.hear("session-assigned")
    async with leaving(host):
        await host.say("npc-event", zone_id=zone, npc_id="poring", event="hit")
        assert (await host.hear("error"))["message"] == "session_id required"
        await host.say("npc-event", zone_id=zone, npc_id="poring", event="hit", session_id=second)
        events = await eventually(lambda: [event for event in leader.events if event.zone_id == zone])
        assert [event.session_id for event in events] == [second]


async def test_a_flood_costs_the_slow_reader_its_socket_and_nobody_else(here, leader, session, zone, name):
    ann, slow = await joined(here, name("ann"), session), await joined(here, name("slow"), session)
    async with leaving(ann, slow):
        leader.answer(zone, PORING)
        for peer in (slow, ann):
            await peer.say("subscribe", feed=zone)
            await told(peer)
        crowd = [{"npc_id": f"npc-{index}", "name": "n" * 1000} for index in range(45)]
        for _ in range(400):
            last = await leader.tell(zone, *crowd)
            assert (await told(ann))["seq"] == last["seq"]
        assert await slow.close_code() == 1013


async def test_after_nats_was_away_everything_is_told_again(servers, here, there, leader, session, zone, name):
    ann, bob = await joined(here, name("ann"), session), await joined(there, name("bob"), session)
    async with leaving(ann, bob):
        leader.answer(zone, PORING)
        for peer in (ann, bob):
            await peer.say("subscribe", feed=zone)
            await told(peer)
        leader.answer(zone, LUNATIC)
        try:
            await servers.nats.restart()
        finally:
            servers.nats.ensure_running()
        for peer in (ann, bob):
            while (frame := await told(peer))["npcs"] != [LUNATIC]:
                assert frame["npcs"] == [PORING]
            assert frame["full"]


class HeardHere:
    """A socket's wire, as far as the feed knows it."""

    def __init__(self) -> None:
        self.open = True
        self.frames: list[dict[str, Any]] = []

    def write(self, frame: bytes) -> None:
        self.frames.append(orjson.loads(frame))


def socket_in(zone: str) -> tuple[Connection, HeardHere]:
    """A player's connection in a session of the zone, and what it hears."""
    wire = HeardHere()
    connection = Connection(cast(Wire, wire))
    connection.standing = Standing("ann", place=Place("session-1", is_session=True, host_id="h", epoch=1, zone_id=zone))
    return connection, wire


@pytest_asyncio.fixture(loop_scope="module")
async def feeds(servers: TestServers) -> AsyncIterator[Feeds]:
    """What a gateway does of it, without its clock."""
    async with connect_bus(servers.nats.url, "gateway") as bus:
        yield Feeds(bus)


async def asked_so_far(feeds: Feeds, leader: Leader, zone: str) -> int:
    """How often the zone was asked for, when all that is on its way has come."""
    last = f"after-{zone}-{len(leader.asked)}"
    await feeds.subscribe(socket_in(last)[0], last)
    await eventually(lambda: last in leader.asked)
    return leader.asked.count(zone)


async def test_a_hundred_who_come_at_once_cost_one_question(feeds, leader, zone):
    sockets = [socket_in(zone) for _ in range(100)]
    await asyncio.gather(*(feeds.subscribe(connection, zone) for connection, _ in sockets))
    assert await asked_so_far(feeds, leader, zone) == 1
    said = await leader.tell_all(zone, PORING)
    await eventually(lambda: all(wire.frames == [said] for _, wire in sockets))


async def test_a_gap_is_asked_about_once_and_again_as_long_as_nobody_answers(feeds, leader, zone):
    connection, wire = socket_in(zone)
    await feeds.subscribe(connection, zone)
    first = await leader.tell_all(zone, PORING)
    await eventually(lambda: wire.frames)
    leader.skip(zone)
    for x in range(3):
        await leader.tell(zone, at(PORING, x))
    await eventually(lambda: leader.asked.count(zone) == 2)
    assert await asked_so_far(feeds, leader, zone) == 2
    late, late_wire = socket_in(zone)
    await feeds.subscribe(late, zone)
    await feeds.look_after()
    assert await asked_so_far(feeds, leader, zone) == 3

    last = await leader.tell_all(zone, LUNATIC)
    await eventually(lambda: wire.frames == [first, last])
    assert late_wire.frames == [last]
    await feeds.look_after()
    assert await asked_so_far(feeds, leader, zone) == 3


async def test_nonsense_on_the_feed_reaches_nobody_and_harms_nothing(feeds, leader, zone):
    connection, wire = socket_in(zone)
    await feeds.subscribe(connection, zone)
    said = [await leader.tell_all(zone, PORING)]
    for body in (b"", b"npcs", b"[]", b'{"seq":1002,"full":true,"npcs":[{}],"removed":[]}', b"\xff"):
        await leader.say_nonsense(zone, body)
    said.append(await leader.tell(zone, LUNATIC))
    await eventually(lambda: wire.frames == said)


async def test_a_deposed_leader_reaches_nobody(feeds, leader, zone):
    connection, wire = socket_in(zone)
    await feeds.subscribe(connection, zone)
    said = [await leader.tell_all(zone, PORING, seq=2**21)]
    await leader.tell_all(zone, LUNATIC, seq=2**20)
    await leader.tell(zone, LUNATIC, seq=2**20 + 1)
    said.append(await leader.tell(zone, LUNATIC, seq=2**21 + 1))
    await eventually(lambda: wire.frames == said)
    assert await asked_so_far(feeds, leader, zone) == 1


async def test_after_an_outage_lower_numbers_are_believed(feeds, leader, zone):
    connection, wire = socket_in(zone)
    await feeds.subscribe(connection, zone)
    said = [await leader.tell_all(zone, PORING, seq=2**21)]
    await eventually(lambda: wire.frames == said)
    await feeds.begin_anew()
    await eventually(lambda: leader.asked.count(zone) == 2)
    said.append(await leader.tell_all(zone, LUNATIC, seq=1))
    await eventually(lambda: wire.frames == said)


async def test_nobody_here_means_no_subscription(feeds, leader, zone):
    connection, wire = socket_in(zone)
    await feeds.subscribe(connection, zone)
    assert await leader.is_heard(zone)
    wire.open = False
    await feeds.look_after()
    await eventually(lambda: _is_let_go(leader, zone))

    again, heard = socket_in(zone)
    await feeds.subscribe(again, zone)
    said = await leader.tell_all(zone, PORING)
    await eventually(lambda: heard.frames == [said])


async def test_who_goes_while_the_subscription_is_made_leaves_none_behind(feeds, leader, zone):
    connection, wire = socket_in(zone)
    subscribing = asyncio.create_task(feeds.subscribe(connection, zone))
    await asyncio.sleep(0)  # it has begun, and waits for NATS
    wire.open = False
    await feeds.look_after()
    await subscribing
    await eventually(lambda: _is_let_go(leader, zone))
