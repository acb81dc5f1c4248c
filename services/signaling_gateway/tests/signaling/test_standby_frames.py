"""What sockets are told of the host that stands by for their session, and that players reach it ahead."""

import pytest

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


async def reached(player: Peer, standby: Peer, name: str, host_id: str, session: str) -> None:
    """The player's offer comes to the standby, and its answer back."""
    await player.say("offer", to=host_id, sdp="v=0", session_id=session)
    offer = await standby.hear("offer")
    assert (offer["from"], offer["session_id"]) == (name, session)
    await standby.say("answer", to=name, sdp="v=0", session_id=session)
    answer = await player.hear("answer")
    assert (answer["from"], answer["session_id"]) == (host_id, session)


async def test_a_standby_is_named_to_all_is_reached_ahead_and_takes_over(
    here, elsewhere, owners, first, second, session, name
):
    host, standby = await dial(here, first), await dial(here, second)
    await host.hear("session-assigned")
    ann = await joined(elsewhere, name("ann"), session)
    await host.hear("peer-joined")
    async with leaving(host, standby, ann):
        await owners.stand_by(session, second)
        named = {"host_id": second, "host_peer_id": second}
        told = {"type": "session-standby", "session_id": session, "epoch": 1, "standby": named}
        assert await ann.hear() == await host.hear() == told
        assert await standby.hear() == {
            "type": "standby-assigned",
            "session_id": session,
            "zone_id": "prontera",
            "epoch": 1,
            "players": [name("ann")],
        }
        await reached(ann, standby, name("ann"), second, session)

        bob = await dial(elsewhere, name("bob"), session)
        async with leaving(bob):
            assert (await bob.hear("session-joined"))["standby"] == named
            await ann.hear("peer-joined")
            await reached(bob, standby, name("bob"), second, session)

            await owners.leave_host(session)
            assert (await host.hear_until("session-released"))["reason"] == "host_lost"
            await reached(ann, standby, name("ann"), second, session)
            await owners.migrate(session, second)
            for player in (ann, bob):
                assert (await player.hear("host-migrated"))["host_id"] == second
            assigned = await standby.hear("session-assigned")
            assert (assigned["session_id"], assigned["epoch"]) == (session, 2)
            for peer in (ann, bob, standby):
                gone = await peer.hear("session-standby")
                assert (gone["epoch"], "standby" in gone) == (2, False)
            await reached(bob, standby, name("bob"), second, session)


async def test_a_standby_that_comes_back_is_told_again(here, elsewhere, owners, first, second, session, name):
    ann = await joined(here, name("ann"), session)
    await owners.stand_by(session, second)
    await ann.hear("session-standby")
    async with leaving(ann):
        for _ in range(2):
            standby = await dial(elsewhere, second)
            assert (await standby.hear("standby-assigned"))["session_id"] == session
            await reached(ann, standby, name("ann"), second, session)
            await standby.close()


@pytest.mark.parametrize("how", ["let go", "ended"])
async def test_a_standby_that_is_needed_no_more_is_told_so(here, owners, first, second, session, name, how):
    standby, ann = await dial(here, second), await joined(here, name("ann"), session)
    async with leaving(standby, ann):
        await owners.stand_by(session, second)
        await standby.hear("standby-assigned")
        await ann.hear("session-standby")
        if how == "ended":
            await owners.end(session)
        else:
            await owners.stand_by(session, None, "host_full")
        reason = "normal" if how == "ended" else "host_full"
        assert await standby.hear() == {"type": "standby-released", "session_id": session, "reason": reason}
        await standby.say("offer", to=name("ann"), sdp="v=0", session_id=session)
        assert (await standby.hear("error"))["code"] == "forbidden"
