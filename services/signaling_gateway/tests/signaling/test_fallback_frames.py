"""What sockets are told when a session loses its host and gets another: in order, once, and nothing that is over."""

import asyncio

import pytest
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import Peer, dial, joined, leaving
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(params=["one gateway", "two gateways"])
def elsewhere(request, here: str, there: str) -> str:
    return here if request.param == "one gateway" else there


@pytest.fixture
def first(owners: Owners, number: int) -> str:
    """The host that the session has at first; its peer is called the same."""
    owners.add_host(f"first-{number}")
    return f"first-{number}"


@pytest.fixture
def second(owners: Owners, number: int) -> str:
    owners.add_host(f"second-{number}")
    return f"second-{number}"


@pytest.fixture
def session(owners: Owners, first: str, number: int) -> str:
    return owners.add_session(number, first)


async def passed(owners: Owners, session: str, *peers: Peer) -> None:
    """All facts so far have come to these: a player without a socket that joins after them is the next thing heard."""
    await owners.seat(session, "walker")
    for peer in peers:
        assert (await peer.hear("peer-joined"))["peer_id"] == "walker"
    await owners.free(session, "walker")
    for peer in peers:
        assert (await peer.hear("peer-left"))["peer_id"] == "walker"


async def test_players_hear_where_to_play_and_then_who_hosts_them(
    here, elsewhere, owners, first, second, session, name
):
    old, new = await dial(here, first), await dial(here, second)
    await old.hear("session-assigned")
    ann = await joined(elsewhere, name("ann"), session)
    await old.hear("peer-joined")
    async with leaving(old, new, ann):
        await owners.fall_back(session, "latency")
        assert await ann.hear() == {
            "type": "session-fallback",
            "session_id": session,
            "reason": "latency",
            "endpoint": "central:6900",
        }
        assert await old.hear() == {"type": "session-released", "session_id": session, "reason": "latency"}
        await passed(owners, session, ann)

        await owners.migrate(session, second, "latency")
        assert await ann.hear() == {
            "type": "host-migrated",
            "session_id": session,
            "host_id": second,
            "host_peer_id": second,
            "epoch": 2,
            "reason": "latency",
            "ice_servers": [{"urls": ["stun:stun.example.org:3478"]}],
        }
        assert await new.hear() == {
            "type": "session-assigned",
            "session_id": session,
            "zone_id": "prontera",
            "epoch": 2,
            "players": [name("ann")],
        }
        await passed(owners, session, ann, new)
        await old.hears_nothing_more()
        await reached(ann, new, second)
        await new.say("answer", to=name("ann"), sdp="v=0", session_id=session)
        assert (await ann.hear("answer"))["from"] == second


async def test_players_hear_who_hosts_them_next_and_nothing_while_that_is_looked_for(
    here, elsewhere, owners, first, second, session, name
):
    old, new = await dial(here, first), await dial(here, second)
    await old.hear("session-assigned")
    ann = await joined(elsewhere, name("ann"), session)
    await old.hear("peer-joined")
    async with leaving(old, new, ann):
        await owners.leave_host(session)
        assert (await old.hear("session-released"))["reason"] == "host_lost"
        await passed(owners, session, ann)
        await ann.say("offer", to=first, sdp="v=0")
        assert (await ann.hear("error"))["code"] == "peer_not_found"
        late = await dial(elsewhere, name("late"), session)
        assert "host_id" not in await late.hear("session-joined")

        async with leaving(late):
            await ann.hear("peer-joined")
            await owners.migrate(session, second)
            for player in (ann, late):
                told = await player.hear("host-migrated")
                assert (told["host_id"], told["epoch"]) == (second, 2)
            assert (await new.hear("session-assigned"))["epoch"] == 2


async def test_all_players_of_a_gateway_find_the_next_host_at_once(
    here, elsewhere, owners, first, second, session, name
):
    new = await dial(elsewhere, second)
    players = [await joined(here, name(f"player-{number}"), session) for number in range(5)]
    async with leaving(new, *players):
        await owners.leave_host(session)
        await owners.migrate(session, second)
        for player in players:
            await player.hear_until("host-migrated")
        for player in players:
            await player.say("offer", to=second, sdp="v=0")
        offers = [await new.hear_until("offer") for _ in players]
        assert {offer["from"] for offer in offers} == {player.name for player in players}


async def test_players_hear_where_to_play_where_no_host_was_found(here, owners, first, session, name):
    old = await dial(here, first)
    await old.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    async with leaving(old, ann):
        await owners.leave_host(session)
        await passed(owners, session, ann)
        await owners.fall_back(session)
        assert (await ann.hear("session-fallback"))["endpoint"] == "central:6900"


async def reached(player: Peer, host: Peer, host_id: str) -> None:
    """An offer to the session's host arrives, if not at once then when its gateway is known."""

    async def arrives() -> bool:
        await player.say("offer", to=host_id, sdp="v=0")
        await player.say("ping")
        return (await player.hear())["type"] == "pong"

    await eventually(arrives)
    assert (await host.hear("offer"))["from"] == player.name


async def test_the_host_that_was_may_speak_for_the_session_no_more(here, owners, first, second, session, name):
    old = await dial(here, first)
    await old.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    await old.hear("peer-joined")
    async with leaving(old, ann):
        await owners.fall_back(session)
        await old.hear("session-released")
        await ann.hear("session-fallback")
        for refused in (
            {"kind": "npc-event", "zone_id": "prontera", "npc_id": "poring", "event": "hit", "session_id": session},
            {"kind": "answer", "to": name("ann"), "sdp": "v=0", "session_id": session},
            {"kind": "join", "session_id": session},
        ):
            await old.say(**refused)
            assert (await old.hear("error"))["code"] == "forbidden"
        await ann.hears_nothing_more()


async def test_who_joins_meanwhile_is_told_at_once(here, elsewhere, owners, first, second, session, name):
    ann = await joined(here, name("ann"), session)
    async with leaving(ann):
        await owners.fall_back(session, "latency")
        await ann.hear("session-fallback")
        bob = await dial(elsewhere, name("bob"), session)
        async with leaving(bob):
            frame = await bob.hear("session-joined")
            assert (frame["epoch"], "host_id" in frame, "host_peer_id" in frame) == (1, False, False)
            assert (await bob.hear("session-fallback"))["endpoint"] == "central:6900"
            assert (await ann.hear("peer-joined"))["peer_id"] == name("bob")
            await passed(owners, session, ann, bob)
            carl = await joined(here, name("carl"), session)
            async with leaving(carl):
                assert (await carl.hear("session-fallback"))["reason"] == "latency"  # known where ann is
                for player in (ann, bob):
                    await player.hear("peer-joined")
                await owners.migrate(session, second)
                for player in (ann, bob, carl):
                    assert (await player.hear("host-migrated"))["host_id"] == second
                await passed(owners, session, ann, bob, carl)


async def test_a_zone_that_names_no_server_says_so(here, owners, session, name):
    ann = await joined(here, name("ann"), session)
    async with leaving(ann):
        await owners.fall_back(session, endpoint=None)
        frame = await ann.hear("session-fallback")
        assert frame.get("endpoint") is None
        await owners.end(session, "empty")
        assert await ann.hear() == {"type": "session-ended", "session_id": session, "reason": "empty"}


async def test_a_host_that_comes_back_hosts_the_next_epoch(here, owners, first, session, name):
    host = await dial(here, first)
    await host.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    await host.hear("peer-joined")
    async with leaving(host, ann):
        await owners.fall_back(session)
        await host.hear("session-released")
        await ann.hear("session-fallback")
        again = await dial(here, first)
        async with leaving(again):
            await again.hears_nothing_more()
            await owners.migrate(session, first)
            assert (await again.hear("session-assigned"))["epoch"] == 2
            assert (await ann.hear("host-migrated"))["epoch"] == 2


async def test_a_session_that_goes_straight_to_another_host_leaves_the_first(
    here, elsewhere, owners, first, second, session, name
):
    old, new = await dial(here, first), await dial(elsewhere, second)
    await old.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    await old.hear("peer-joined")
    async with leaving(old, new, ann):
        await owners.migrate(session, second, None)
        assert (await old.hear("session-released"))["session_id"] == session
        assert (await new.hear("session-assigned"))["epoch"] == 2
        assert (await ann.hear("host-migrated"))["host_id"] == second
        await reached(ann, new, second)
        await old.hears_nothing_more()
        await old.say("npc-event", zone_id="prontera", npc_id="poring", event="hit", session_id=session)
        assert (await old.hear("error"))["code"] == "forbidden"


async def test_the_answer_of_a_join_may_outrun_the_fact_of_the_move(here, owners, first, second, session, name):
    old, new = await dial(here, first), await dial(here, second)
    await old.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    await old.hear("peer-joined")
    async with leaving(old, new, ann):
        owners.serve(session, second)
        bob = await dial(here, name("bob"), session)
        async with leaving(bob):
            assert (await bob.hear("session-joined"))["host_id"] == second
            assert (await new.hear("session-assigned"))["epoch"] == 2
            assert (await old.hear("session-released"))["session_id"] == session
            await bob.say("offer", to=second, sdp="v=0")
            await new.hear_until("offer")
            await old.hears_nothing_more()

            await owners.tell(session, "migrated")
            await ann.hear_until("host-migrated")
            await passed(owners, session, ann, bob)
            await old.hears_nothing_more()


async def test_who_is_seated_while_the_host_is_lost_learns_where_to_play(here, owners, session, name):
    ann = await joined(here, name("ann"), session)
    bob = await dial(here, name("bob"))
    async with leaving(ann, bob):
        answers = owners.after_seating = asyncio.Event()
        try:
            await bob.say("join", session_id=session)
            await eventually(lambda: name("bob") in owners.sessions[session].connected_players)
            await owners.fall_back(session)
            await ann.hear("session-fallback")
        finally:
            answers.set()
            owners.after_seating = None
        assert "host_id" not in await bob.hear("session-joined")
        assert (await bob.hear("session-fallback"))["endpoint"] == "central:6900"
        assert (await ann.hear("peer-joined"))["peer_id"] == name("bob")
        await passed(owners, session, ann, bob)


@pytest.mark.parametrize("what", ["activated", "fell-back", "migrated"])
async def test_what_was_before_changes_nothing(here, owners, first, second, session, name, what):
    old, new = await dial(here, first), await dial(here, second)
    await old.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    await old.hear("peer-joined")
    async with leaving(old, new, ann):
        stood = {"activated": owners.sessions[session]}
        await owners.fall_back(session)
        stood["fell-back"] = owners.sessions[session]
        await owners.migrate(session, second)
        stood["migrated"] = owners.sessions[session]
        await ann.hear("session-fallback")
        await ann.hear("host-migrated")
        await old.hear("session-released")
        await new.hear("session-assigned")

        await owners.tell(session, what, stood[what])
        await passed(owners, session, ann, new)
        await old.hears_nothing_more()


async def test_in_fallback_too_what_was_before_changes_nothing(here, owners, first, session, name):
    host = await dial(here, first)
    await host.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    await host.hear("peer-joined")
    async with leaving(host, ann):
        stood = owners.sessions[session]
        await owners.fall_back(session)
        await ann.hear("session-fallback")
        await host.hear("session-released")
        await owners.tell(session, "activated", stood)
        await passed(owners, session, ann)
        await host.hears_nothing_more()
