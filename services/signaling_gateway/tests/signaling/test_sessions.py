"""Sessions that have seats: session_manager decides, sockets follow, in the order the contract promises."""

import asyncio

import pytest
from redis.asyncio import Redis
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def hosted(owners: Owners, number: int) -> str:
    """A session whose host has no socket."""
    owners.add_host(f"host-{number}")
    return owners.add_session(number, f"host-{number}")


async def test_entering_a_session_takes_a_seat_and_tells_host_and_epoch(here, hosted, name, owners, number):
    ann = await dial(here, name("ann"), hosted)
    async with leaving(ann):
        frame = await ann.hear("session-joined")
        assert frame["host_id"] == frame["host_peer_id"] == f"host-{number}"
        assert (frame["epoch"], frame["peers"]) == (1, [])
        assert owners.sessions[hosted].connected_players == (name("ann"),)
        assert name("ann") in owners.joined_with_socket
        [entered] = await eventually(lambda: owners.announced("entered", name("ann")))
        assert entered.session_id == hosted


async def test_a_session_is_joined_by_its_number_too(here, there, hosted, name, number):
    ann = await joined(here, name("ann"), hosted)
    bob = await dial(there, name("bob"), str(number))
    async with leaving(ann, bob):
        frame = await bob.hear("session-joined")
        assert (frame["session_id"], frame["peers"]) == (hosted, [name("ann")])


async def test_a_zone_is_entered_from_the_browser(here, name, owners, number):
    owners.add_host(f"host-{number}")
    session = owners.add_session(number, f"host-{number}", zone_id=name("zone"))
    ann = await dial(here)
    async with leaving(ann):
        await ann.say("enter", zone_id=name("zone"), peer_id=name("ann"))
        assert (await ann.hear("session-joined"))["session_id"] == session
        await ann.say("create_session", zone=name("zone"))
        assert (await ann.hear("session-joined"))["session_id"] == session


async def test_a_full_session_is_refused_and_the_socket_lives(here, name, owners, number):
    owners.add_host(f"host-{number}")
    session = owners.add_session(number, f"host-{number}", max_players=1)
    ann = await joined(here, name("ann"), session)
    bob = await dial(here, name("bob"), session)
    async with leaving(ann, bob):
        error = await bob.hear("error")
        assert (error["code"], error["in_reply_to"]) == ("session_full", "join")
        await bob.say("offer", to=name("ann"), sdp="v=0")
        assert (await bob.hear("error"))["code"] == "forbidden"
        await ann.hears_nothing_more()


async def test_a_name_like_a_session_that_none_has_is_a_room(here, there, name, number):
    nobody = f"session-{number + 10**6:016x}"
    ann = await joined(here, name("ann"), nobody)
    bob = await joined(there, name("bob"), nobody)
    async with leaving(ann, bob):
        assert (await ann.hear("peer-joined"))["peer_id"] == name("bob")


async def test_a_socket_that_closes_is_missed_at_once_and_its_seat_is_kept(here, there, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    async with leaving(ann):
        await ann.hear("peer-joined")
        await bob.close()
        assert (await ann.hear("peer-left"))["reason"] == "disconnected"
        [gone] = await eventually(lambda: owners.announced("disconnected", name("bob")))
        assert gone.session_id == hosted
        assert name("bob") in owners.sessions[hosted].connected_players

        # Whoever comes now is not told of the one who is away; coming back is coming.
        carl = await dial(here, name("carl"), hosted)
        async with leaving(carl):
            assert (await carl.hear("session-joined"))["peers"] == [name("ann")]
            await ann.hear("peer-joined")
            back = await dial(there, name("bob"), hosted)
            async with leaving(back):
                assert set((await back.hear("session-joined"))["peers"]) == {name("ann"), name("carl")}
                assert (await ann.hear("peer-joined"))["peer_id"] == name("bob")


async def test_a_fact_of_joining_that_is_late_does_not_bring_back_who_is_gone(
    servers, here, there, hosted, name, owners
):
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    eve = await joined(there, name("eve"), hosted)
    async with leaving(ann, eve), Redis.from_url(servers.redis.url) as redis:
        for peer in (ann, bob, ann):
            await peer.hear("peer-joined")
        await bob.close()
        for peer in (ann, eve):
            assert (await peer.hear("peer-left"))["peer_id"] == name("bob")

        async def is_nowhere() -> bool:
            return await redis.get(f"peer:{name('bob')}") is None

        await eventually(is_nowhere)
        await owners.tell(hosted, "joined", players_joined=(name("bob"),), by_socket=True)
        await owners.seat(hosted, name("carl"))
        for peer in (ann, eve):
            assert await peer.hear() == {"type": "peer-joined", "peer_id": name("carl")}


async def test_leaving_gives_the_seat_up(here, there, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        await bob.say("leave")
        assert (await bob.hear())["type"] == "session-left"
        assert (await ann.hear("peer-left"))["reason"] == "left"
        assert owners.sessions[hosted].connected_players == (name("ann"),)
        await ann.hears_nothing_more()  # the fact of the leave says nothing new


async def test_moving_to_another_session_leaves_the_first(here, there, hosted, name, owners, number):
    other = owners.add_session(number + 10**7, f"host-{number}")
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        await bob.say("join", session_id=other)
        assert (await bob.hear())["session_id"] == other
        assert (await ann.hear("peer-left"))["reason"] == "moved"
        assert owners.sessions[hosted].connected_players == (name("ann"),)
        await bob.hears_nothing_more()
        await bob.say("join", session_id=name("room"))
        assert (await bob.hear("session-joined"))["session_id"] == name("room")
        assert owners.sessions[other].connected_players == ()


async def test_the_joiner_is_told_before_the_others_even_when_the_fact_is_faster(here, there, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    owners.after_seating = asyncio.Event()
    async with leaving(ann):
        coming = asyncio.create_task(dial(there, name("bob"), hosted))
        await eventually(lambda: name("bob") in owners.sessions[hosted].connected_players)
        await owners.tell(hosted, "joined", players_joined=(name("bob"),))
        await owners.tell(hosted, "activated")
        bob = await coming
        async with leaving(bob):
            await ann.hears_nothing_more()
            owners.after_seating.set()
            await bob.hear("session-joined")
            assert (await ann.hear("peer-joined"))["peer_id"] == name("bob")
            await ann.hears_nothing_more()
    owners.after_seating = None


async def test_players_that_join_and_leave_over_rest_are_told_once(here, there, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        await owners.seat(hosted, name("carl"))
        for peer in (ann, bob):
            assert await peer.hear() == {"type": "peer-joined", "peer_id": name("carl")}
        dora = await dial(here, name("dora"), hosted)
        async with leaving(dora):
            assert set((await dora.hear("session-joined"))["peers"]) == {name("ann"), name("bob"), name("carl")}
            for peer in (ann, bob):
                assert await peer.hear() == {"type": "peer-joined", "peer_id": name("dora")}
            await owners.free(hosted, name("carl"))
            for peer in (ann, bob, dora):
                assert (await peer.hear("peer-left"))["peer_id"] == name("carl")
                await peer.hears_nothing_more()


async def test_a_seat_taken_away_over_rest_takes_its_socket_out(here, there, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        await owners.free(hosted, name("bob"), reason="kicked")
        assert await bob.hear() == {"type": "session-left", "session_id": hosted, "reason": "kicked"}
        assert (await ann.hear("peer-left"))["reason"] == "kicked"
        await bob.say("offer", to=name("ann"), sdp="v=0")
        assert (await bob.hear("error"))["code"] == "forbidden"


async def test_an_old_fact_of_leaving_does_not_put_out_who_came_back(here, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    async with leaving(ann):
        await owners.free(hosted, name("ann"))
        await ann.hear("session-left")
        old = owners.sessions[hosted]
        await ann.say("join", session_id=hosted)
        await ann.hear("session-joined")
        new, owners.sessions[hosted] = owners.sessions[hosted], old
        await owners.tell(hosted, "left", players_left=(name("ann"),))
        owners.sessions[hosted] = new
        await owners.seat(hosted, name("bob"))
        assert (await ann.hear())["type"] == "peer-joined"


async def test_a_session_that_ends_is_told_to_its_players_and_lets_them_go(here, there, hosted, name, owners):
    ann = await joined(here, name("ann"), hosted)
    bob = await joined(there, name("bob"), hosted)
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        await owners.end(hosted, "host_lost")
        for peer in (ann, bob):
            assert await peer.hear() == {"type": "session-ended", "session_id": hosted, "reason": "host_lost"}
            await peer.hears_nothing_more()
        await ann.say("offer", to=name("bob"), sdp="v=0")
        assert (await ann.hear("error"))["message"] == f"Failed to deliver offer to {name('bob')}"


async def test_reports_of_connecting_become_facts_and_figures(here, hosted, name, number, owners, client_of):
    ann = await joined(here, name("ann"), hosted)
    async with leaving(ann), client_of(here) as client:
        before = (await client.get("/api/v1/monitoring/dashboard")).json()["joins"]
        for state, candidate_type in (("connected", "host"), ("connected", "relay"), ("failed", None)):
            await ann.say("ice-result", to=f"host-{number}", state=state, candidate_type=candidate_type, elapsed_ms=120)
        await ann.hears_nothing_more()
        await eventually(lambda: len(owners.ice_of(name("ann"))) == 3)
        assert [fact.state for fact in owners.ice_of(name("ann"))] == ["connected", "connected", "failed"]

        async def counted():
            joins = (await client.get("/api/v1/monitoring/dashboard")).json()["joins"]
            return [joins[part] - before[part] for part in ("direct", "relayed", "failed")] == [1, 1, 1]

        await eventually(counted)


async def test_a_seat_given_over_rest_takes_an_idle_socket_in_and_one_taken_away_puts_it_out(
    here, there, hosted, name, owners
):
    ann, bob = await joined(here, name("ann"), hosted), await dial(there, name("bob"))
    async with leaving(ann, bob):
        await bob.hears_nothing_more()
        await owners.seat(hosted, name("bob"))
        frame = await bob.hear("session-joined")
        assert (frame["session_id"], frame["peers"]) == (hosted, [name("ann")])
        assert (await ann.hear("peer-joined"))["peer_id"] == name("bob")
        await bob.say("offer", to=name("ann"), sdp="v=0", ufrag="8hhY")
        assert (await ann.hear("offer"))["ufrag"] == "8hhY"
        await ann.say("answer", to=name("bob"), sdp="v=0")
        assert "ufrag" not in await bob.hear("answer")
        await owners.free(hosted, name("bob"))
        assert (await bob.hear("session-left"))["reason"] == "left"
        assert (await ann.hear("peer-left"))["reason"] == "left"
        await bob.hears_nothing_more()


async def test_a_move_over_rest_takes_the_socket_along(here, hosted, name, owners, number):
    other = owners.add_session(number + 10**6, f"host-{number}")
    ann = await joined(here, name("ann"), hosted)
    async with leaving(ann):
        await owners.seat(other, name("ann"))
        left = await ann.hear("session-left")
        assert (left["session_id"], left["reason"]) == (hosted, "moved")
        assert (await ann.hear("session-joined"))["session_id"] == other


async def test_an_answer_and_a_refusal_carry_the_id_of_the_frame_they_answer(here, hosted, name):
    ann = await dial(here, name("ann"))
    async with leaving(ann):
        for frame, answer in (
            ({"type": "enter", "zone_id": name("nowhere")}, "error"),
            ({"type": "join", "session_id": hosted}, "session-joined"),
            ({"type": "offer", "to": "nobody", "sdp": "v=0"}, "error"),
            ({"type": "offer", "to": "nobody"}, "error"),
            ({"type": "unheard of"}, "error"),
            ({"type": "leave"}, "session-left"),
            ({"type": "leave"}, "error"),
        ):
            await ann.say(**{"kind": frame.pop("type"), **frame}, id=f"é{answer}")
            assert (await ann.hear(answer))["id"] == f"é{answer}"
        for too_long in ("x" * 65, "é" * 33, 7):
            await ann.say("offer", to="nobody", sdp="v=0", id=too_long)
            assert "id" not in await ann.hear("error")
        await ann.say("leave")
        assert "id" not in await ann.hear("error")
