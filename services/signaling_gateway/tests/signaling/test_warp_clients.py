"""The shipped game client at a gateway: its late upgrade, its session, its neighbours, and its stay in a drain."""

import time
from typing import Any

import pytest
from signaling_gateway.peers.warp import USER_AGENT
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import create, dial, joined, leaving, warp
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def zone(owners: Owners, number: int, name) -> str:
    """A zone with a session whose host has no socket."""
    owners.add_host(f"host-{number}")
    owners.add_session(number, f"host-{number}", zone_id=name("zone"))
    return name("zone")


def created(number: int, zone: str, *peers: str, host: str | None = None) -> dict[str, Any]:
    return {
        "type": "session_created",
        "session_id": f"session-{number:016x}",
        "host_id": host or f"host-{number}",
        "zone": zone,
        "peers": list(peers),
    }


async def test_its_upgrade_is_late_enough_for_it_to_hear_what_follows(here):
    began = time.monotonic()
    peer = await dial(here, user_agent_header=USER_AGENT.decode())
    async with leaving(peer):
        assert time.monotonic() - began > 0.1


async def test_it_gets_its_session_and_hears_who_comes_and_goes_in_its_words(here, there, zone, number, name):
    game = await warp(here, name("150001"), zone)
    async with leaving(game):
        assert await game.hear() == created(number, zone)
        ann = await joined(there, name("ann"), f"session-{number:016x}")
        assert await game.hear() == {"type": "peer_joined", "peer_id": name("ann")}
        other = await warp(there, name("150002"), zone)
        assert await other.hear() == created(number, zone, name("150001"), name("ann"))
        for peer, kind in ((game, "peer_joined"), (ann, "peer-joined")):
            assert await peer.hear() == {"type": kind, "peer_id": name("150002")}
        await other.close()
        assert await game.hear() == {"type": "peer_left", "peer_id": name("150002")}
        assert (await ann.hear())["type"] == "peer-left"
        await ann.close()
        assert await game.hear() == {"type": "peer_left", "peer_id": name("ann")}


async def test_who_comes_after_it_is_gone_is_not_told_of_it_while_its_seat_is_still_to_be_freed(
    here, there, zone, number, name, owners
):
    game = await warp(here, name("150001"), zone)
    assert await game.hear() == created(number, zone)
    await game.close()
    await eventually(lambda: owners.announced("disconnected", name("150001")))
    assert name("150001") in owners.sessions[f"session-{number:016x}"].connected_players
    ann = await dial(there, name("ann"), f"session-{number:016x}")
    async with leaving(ann):
        assert (await ann.hear("session-joined"))["peers"] == []


async def test_a_second_create_session_is_a_move(here, there, zone, number, name, owners):
    owners.add_session(number + 10**6, f"host-{number}", zone_id=name("elsewhere"))
    stays = await warp(here, name("150001"), zone)
    goes = await warp(there, name("150002"), zone)
    async with leaving(stays, goes):
        await stays.hear("session_created")
        await goes.hear("session_created")
        await stays.hear("peer_joined")
        await create(goes, name("elsewhere"))
        assert await goes.hear() == created(number + 10**6, name("elsewhere"), host=f"host-{number}")
        assert await stays.hear() == {"type": "peer_left", "peer_id": name("150002")}


async def test_of_signals_candidates_alone_reach_it_and_its_own_reach_others(here, there, zone, number, name):
    game = await warp(here, name("150001"), zone)
    ann = await joined(there, name("ann"), f"session-{number:016x}")
    async with leaving(game, ann):
        await game.hear("session_created")
        await game.hear("peer_joined")
        await ann.say("offer", to=name("150001"), sdp="v=0")
        await ann.say("ice-candidate", to=name("150001"), candidate={"candidate": "candidate:1", "sdpMid": "0"})
        heard = await game.hear("ice_candidate")
        assert (heard["from"], heard["candidate"]) == (name("ann"), "candidate:1")
        await game.say("ice_candidate", target_peer_id=name("ann"), candidate="candidate:2")
        heard = await ann.hear("ice-candidate")
        assert (heard["from"], heard["candidate"]) == (name("150001"), "candidate:2")


async def test_what_it_cannot_have_is_said_in_text_and_it_stays(here, zone, name):
    game = await dial(here, user_agent_header=USER_AGENT.decode())
    game.name = name("150001")
    async with leaving(game):
        await game.say("create_session", zone=zone)
        assert await game.hear() == {"type": "error", "message": "peer_id required"}
        await game.say_raw("not JSON")
        assert await game.hear() == {"type": "error", "message": "Invalid JSON"}
        await game.say("hello")
        assert await game.hear() == {"type": "error", "message": "Unknown message type: hello"}
        await create(game, zone)
        await game.hear("session_created")


async def test_the_first_message_and_nothing_else_tells_the_dialect(here, zone, name):
    page = await dial(here, user_agent_header=USER_AGENT.decode())
    game = await dial(here)
    async with leaving(page, game):
        await page.say("enter", zone_id=zone, peer_id=name("ann"))
        await page.hear("session-joined")
        await page.say("create_session", zone=zone)
        await page.hear("session-joined")
        game.name = name("150001")
        await create(game, zone)
        await game.hear("session_created")


async def test_the_end_of_its_session_is_nothing_it_could_understand(here, zone, number, name, owners):
    game = await warp(here, name("150001"), zone)
    async with leaving(game):
        await game.hear("session_created")
        owners.add_session(number + 2 * 10**6, f"host-{number}", zone_id=name("elsewhere"))
        ann = await joined(here, name("ann"), f"session-{number:016x}")
        async with leaving(ann):
            await game.hear("peer_joined")
            await owners.end(f"session-{number:016x}")
            await ann.hear("session-ended")
            await create(game, name("elsewhere"))
            await game.hear("session_created")


async def test_it_is_no_host_whatever_its_name(here, name, number, owners):
    owners.add_host(f"host-{number}", peer_id=name("150001"))
    session = owners.add_session(number, f"host-{number}", zone_id=name("zone"))
    game = await warp(here, name("150001"), name("zone"))
    async with leaving(game):
        await game.hear("session_created")
        await owners.tell_registered(f"host-{number}")
        ann = await joined(here, name("ann"), session)  # brings the host's socket its session, where it is one
        async with leaving(ann):
            assert await game.hear() == {"type": "peer_joined", "peer_id": name("ann")}
    [gone] = await eventually(lambda: owners.announced("disconnected", name("150001")))
    assert {fact.host_id for fact in (*owners.announced("connected", name("150001")), gone)} == {None}


async def test_its_seat_is_not_kept_for_it(here, zone, name, owners, number):
    game = await warp(here, name("150001"), zone)
    await game.hear("session_created")
    ann = await joined(here, name("ann"), f"session-{number:016x}")
    await game.close()
    await ann.close()
    [gone] = await eventually(lambda: owners.announced("disconnected", name("150001")))
    assert (gone.session_id, gone.keeps_seat) == (f"session-{number:016x}", False)
    [gone] = await eventually(lambda: owners.announced("disconnected", name("ann")))
    assert gone.keeps_seat
