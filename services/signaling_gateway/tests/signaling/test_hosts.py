"""Sockets of hosts: members of all sessions they host, without a seat, told which those are."""

import pytest
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def host_id(owners: Owners, number: int) -> str:
    owners.add_host(f"host-{number}", peer_id=f"peer-of-host-{number}")
    return f"host-{number}"


@pytest.fixture
def host_peer(host_id: str) -> str:
    return f"peer-of-{host_id}"


@pytest.fixture
def session(owners: Owners, host_id: str, number: int) -> str:
    return owners.add_session(number, host_id)


@pytest.fixture(params=["one gateway", "two gateways"])
def elsewhere(request, here: str, there: str) -> str:
    return here if request.param == "one gateway" else there


async def test_a_host_that_connects_is_told_of_every_session_it_hosts(
    here, host_id, host_peer, session, owners, number
):
    second = owners.add_session(number + 10**7, host_id)
    host = await dial(here, host_peer)
    async with leaving(host):
        assigned = [await host.hear("session-assigned") for _ in range(2)]
        assert {frame["session_id"] for frame in assigned} == {session, second}
        assert assigned[0] | {"session_id": "any"} == {
            "type": "session-assigned",
            "session_id": "any",
            "zone_id": "prontera",
            "epoch": 1,
            "players": [],
        }
        announced = await eventually(lambda: owners.announced("connected", host_peer))
        assert announced[-1].host_id == host_id


async def test_player_and_host_signal_each_other_by_either_of_its_names(
    here, elsewhere, host_id, host_peer, session, name, owners
):
    host = await dial(here, host_peer)
    await host.hear("session-assigned")
    ann = await dial(elsewhere, name("ann"), session)
    async with leaving(host, ann):
        frame = await ann.hear("session-joined")
        assert (frame["host_id"], frame["host_peer_id"], frame["peers"]) == (host_id, host_peer, [])
        assert await host.hear() == {"type": "peer-joined", "peer_id": name("ann"), "session_id": session}
        for called in (host_id, host_peer):
            await ann.say("offer", to=called, sdp="v=0")
            offer = await host.hear("offer")
            assert (offer["from"], offer["session_id"]) == (name("ann"), session)
        await host.say("answer", to=name("ann"), sdp="v=0", session_id=session)
        answer = await ann.hear("answer")
        assert (answer["from"], answer["session_id"]) == (host_peer, session)
        assert host_peer not in owners.joined_with_socket

        await ann.close()
        left = {"type": "peer-left", "peer_id": name("ann"), "session_id": session, "reason": "disconnected"}
        assert await host.hear() == left


async def test_an_offer_that_comes_before_the_session_is_known_waits_for_it(
    here, elsewhere, host_peer, name, owners, number, host_id
):
    host = await dial(here, host_peer)
    async with leaving(host):
        await host.hears_nothing_more()
        session = owners.add_session(number, host_id)  # its fact is still on its way
        ann = await joined(elsewhere, name("ann"), session)
        async with leaving(ann):
            for index in range(3):
                await ann.say("ice-candidate", to=host_peer, candidate=str(index))
            await host.hear("session-assigned")
            heard = [await host.hear() for _ in range(3)]
            got = [frame["candidate"] for frame in heard if frame["type"] == "ice-candidate"]
            if len(got) < 3:
                got.append((await host.hear("ice-candidate"))["candidate"])
            assert got == ["0", "1", "2"]
            await owners.tell(session, "created")
            await host.hears_nothing_more()


async def test_the_fact_of_a_new_session_is_told_to_its_host(here, host_peer, host_id, owners, number):
    host = await dial(here, host_peer)
    async with leaving(host):
        await host.hears_nothing_more()
        session = owners.add_session(number, host_id)
        await owners.tell(session, "created")
        assert (await host.hear("session-assigned"))["session_id"] == session
        await owners.seat(session, "walker")
        assert await host.hear() == {"type": "peer-joined", "peer_id": "walker", "session_id": session}
        await owners.end(session, "timeout")
        assert await host.hear() == {"type": "session-released", "session_id": session, "reason": "timeout"}
        await host.say("offer", to="walker", sdp="v=0", session_id=session)
        assert (await host.hear("error"))["code"] == "forbidden"


async def test_a_host_shows_its_session_when_it_names_it_and_no_other(here, host_peer, session, name, owners, number):
    owners.add_host(f"{number}-other")
    foreign = owners.add_session(number + 10**7, f"{number}-other")
    ann = await joined(here, name("ann"), session)
    host = await dial(here, host_peer, session)
    async with leaving(ann, host):
        assert (await host.hear("session-assigned"))["players"] == [name("ann")]
        shown = await host.hear("session-joined")
        assert (shown["session_id"], shown["peers"]) == (session, [name("ann")])
        await ann.hears_nothing_more()
        await host.say("join", session_id=foreign)
        assert (await host.hear("error"))["code"] == "forbidden"
        assert owners.sessions[session].connected_players == (name("ann"),)


async def test_a_socket_whose_peer_is_registered_later_becomes_its_hosts(here, name, owners, number):
    socket = await dial(here, name("machine"))
    async with leaving(socket):
        await socket.hears_nothing_more()
        owners.add_host(f"host-{number}", peer_id=name("machine"))
        session = owners.add_session(number, f"host-{number}")
        await owners.tell_registered(f"host-{number}")
        assert (await socket.hear("session-assigned"))["session_id"] == session
        announced = await eventually(lambda: owners.announced("connected", name("machine"))[1:])
        assert announced[0].host_id == f"host-{number}"


async def test_a_deletion_that_is_heard_late_takes_nothing_from_the_next_host_of_the_name(
    here, host_peer, host_id, owners
):
    host = await dial(here, host_peer)
    async with leaving(host):
        await eventually(lambda: owners.announced("connected", host_peer))
        await owners.tell_deleted(host_id)
        again = await eventually(lambda: owners.announced("connected", host_peer)[1:])
        assert again[0].host_id == host_id


async def test_a_host_that_comes_back_is_told_again_and_its_older_socket_closed(
    here, elsewhere, host_peer, session, name
):
    older = await dial(here, host_peer)
    await older.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    newer = await dial(elsewhere, host_peer)
    async with leaving(ann, newer):
        assert (await newer.hear("session-assigned"))["players"] == [name("ann")]
        assert await older.close_code() == 4001
        await ann.say("offer", to=host_peer, sdp="to the newer")
        assert (await newer.hear_until("offer"))["sdp"] == "to the newer"


async def test_a_signal_to_a_host_without_a_socket_comes_back(here, there, host_peer, host_id, session, name):
    ann = await joined(there, name("ann"), session)
    async with leaving(ann):
        await ann.say("offer", to=host_id, sdp="v=0")
        assert (await ann.hear("error"))["message"] == f"Failed to deliver offer to {host_id}"
        host = await dial(here, host_peer)
        await host.hear("session-assigned")

        async def reaches() -> bool:
            await ann.say("offer", to=host_id, sdp="v=0")
            await ann.say("ping")
            return (await ann.hear())["type"] == "pong"

        await eventually(reaches)
        await host.close()

        async def comes_back() -> bool:
            return not await reaches() and (await ann.hear())["type"] == "pong"

        await eventually(comes_back)


async def test_a_host_in_two_sessions_must_say_which(here, host_peer, host_id, session, name, owners, number):
    owners.add_session(number + 10**7, host_id)
    host = await dial(here, host_peer)
    for _ in range(2):
        await host.hear("session-assigned")
    ann = await joined(here, name("ann"), session)
    async with leaving(host, ann):
        await host.hear("peer-joined")
        await host.say("offer", to=name("ann"), sdp="v=0")
        assert (await host.hear("error"))["message"] == "session_id required"
        await host.say("offer", to=name("ann"), sdp="v=0", session_id=session)
        await ann.hear("offer")


async def test_host_and_player_cannot_signal_past_their_session(
    here, elsewhere, host_peer, session, name, owners, number
):
    host = await dial(here, host_peer)
    await host.hear("session-assigned")
    eve = await joined(elsewhere, name("eve"), name("room"))
    async with leaving(host, eve):
        await eve.say("offer", to=host_peer, sdp="v=0", session_id=session)
        assert (await eve.hear("error"))["message"] == f"Failed to deliver offer to {host_peer}"
        await host.say("offer", to=name("eve"), sdp="v=0", session_id=session)
        assert (await host.hear("error"))["message"] == f"Failed to deliver offer to {name('eve')}"
        await eve.hears_nothing_more()
