"""Probes between a prober on NATS and hosts on their sockets, over real gateways."""

import json
from collections.abc import AsyncIterator

import nats
import pytest
import pytest_asyncio
from contracts.frames import ProbeOffer
from contracts.probes import PROBE_ANSWER, PROBE_OFFER
from nats.aio.client import Client
from testkit.patience import patient
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import dial, leaving
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")

SDP = {"type": "offer", "sdp": "v=0"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prober(servers: TestServers) -> AsyncIterator[Client]:
    client = await nats.connect(servers.nats.url)
    yield client
    await client.close()


@pytest.fixture
def host_peer(owners: Owners, number: int) -> str:
    owners.add_host(f"host-{number}", peer_id=f"peer of host {number}")
    return f"peer of host {number}"


@pytest.fixture(params=["one gateway", "the other"])
def gateway(request, here: str, there: str) -> str:
    return here if request.param == "one gateway" else there


def offer(probe_id: str) -> bytes:
    return ProbeOffer(probe_id=probe_id, sdp=SDP, ice_servers=()).model_dump_json().encode()


async def make(prober: Client, peer_id: str, body: bytes) -> None:
    await prober.publish(PROBE_OFFER.of(peer_id=peer_id), body)
    await prober.flush()


@pytest.mark.usefixtures("here", "there")
async def test_an_offer_reaches_the_host_on_whichever_gateway_and_its_answer_the_prober(
    gateway, prober, host_peer, name
):
    heard = await prober.subscribe(PROBE_ANSWER.of(probe_id=name("probe")))
    host = await dial(gateway, host_peer)
    async with leaving(host):
        await host.hears_nothing_more()
        await make(prober, host_peer, offer(name("probe")))
        told = await host.hear("probe-offer")
        assert (told["probe_id"], told["sdp"]) == (name("probe"), SDP)
        await host.say("probe-answer", probe_id=name("probe"), sdp={"type": "answer", "sdp": "v=0"})
        answer = json.loads((await heard.next_msg(timeout=patient(5))).data)
        assert (answer["probe_id"], answer["sdp"]) == (name("probe"), {"type": "answer", "sdp": "v=0"})
        await host.hears_nothing_more()


async def test_a_player_is_offered_no_probe_and_may_answer_none(here, prober, host_peer, name):
    heard = await prober.subscribe(PROBE_ANSWER.wildcard)
    host, player = await dial(here, host_peer), await dial(here, name("ann"))
    async with leaving(host, player):
        await player.hears_nothing_more()
        await make(prober, name("ann"), offer(name("probe")))
        await player.say("probe-answer", probe_id=name("probe"), sdp="v=0")
        error = await player.hear()
        assert (error["type"], error["code"], error["in_reply_to"]) == ("error", "forbidden", "probe-answer")
        await player.hears_nothing_more()
        await host.say("probe-answer", probe_id=name("probe"), sdp="the host's")
        assert json.loads((await heard.next_msg(timeout=patient(5))).data)["sdp"] == "the host's"


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff", b"[]", b"{}", b'{"probe_id": "p"}', b'{"probe_id": "a/b", "sdp": ""}', offer("p").ljust(70_000)],
)
async def test_an_offer_that_is_none_is_left_out_and_the_next_is_heard(here, prober, host_peer, garbage):
    host = await dial(here, host_peer)
    async with leaving(host):
        await host.hears_nothing_more()
        await make(prober, host_peer, garbage)
        await prober.publish("p2p.probes.offer.%ZZ", offer("p"))
        await make(prober, host_peer, offer("after"))
        assert (await host.hear())["probe_id"] == "after"


@pytest.mark.parametrize("answer", [{}, {"probe_id": "p"}, {"probe_id": 7, "sdp": ""}, {"probe_id": "a/b", "sdp": ""}])
async def test_an_answer_that_is_none_is_an_error_and_the_socket_lives(here, host_peer, answer):
    host = await dial(here, host_peer)
    async with leaving(host):
        await host.say("probe-answer", **answer)
        assert (await host.hear("error"))["in_reply_to"] == "probe-answer"
        await host.hears_nothing_more()


async def test_an_answer_to_nobody_is_heard_by_nobody_and_the_socket_lives(here, host_peer):
    host = await dial(here, host_peer)
    async with leaving(host):
        for probe_id in ("long over", "\N{GRINNING FACE}" * 16):
            await host.say("probe-answer", probe_id=probe_id, sdp="v=0")
        await host.hears_nothing_more()
