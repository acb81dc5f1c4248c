"""A client written from the documents alone joins a session and connects: they say all that one needs to know."""

import json

import httpx
import jsonschema_rs
import pytest
from testkit.suites import RunningSuite

from tests.compat.specified import Document, Rest, Sockets

SIGNALING = "signaling"
GAME_CLIENT = "signaling.warp"


@pytest.fixture
async def rest(api: httpx.AsyncClient) -> Rest:
    return Rest(Document((await api.get("/openapi.json")).text), api)


@pytest.fixture
async def sockets(suite: RunningSuite, api: httpx.AsyncClient) -> Sockets:
    return Sockets(Document((await api.get("/asyncapi.json")).text), suite.gateways[0])


async def test_it_makes_all_that_a_join_needs_and_exchanges_offer_and_answer_with_the_host(
    rest: Rest, sockets: Sockets
) -> None:
    zone = await rest.ask("zones", "Make a zone", zone_id="specified")
    host = await rest.ask("hosts", "Register a host", host_id="specified-host")
    session = await rest.ask("sessions", "Start a session", zone_id=zone["zone_id"], host_id=host["host_id"])
    named = {"session": session["session_id"]}
    seated = await rest.ask("sessions", "Seat a player", path=named, player_id="ann")
    assert seated["connected_players"] == ["ann"]

    async with (
        sockets.open(SIGNALING, peer_id=host["peer_id"]) as at_host,
        sockets.open(SIGNALING, peer_id="ann") as ann,
        sockets.open(SIGNALING, peer_id="bob") as bob,
    ):
        assigned = await at_host.hear("session-assigned")
        assert (assigned["session_id"], assigned["players"]) == (session["session_id"], ["ann"])

        await ann.say("join", session_id=session["session_id"])
        joined = await ann.hear("session-joined")
        assert joined["host_peer_id"] == host["peer_id"]

        await ann.say("offer", to=joined["host_peer_id"])
        offer = await at_host.hear("offer")
        await at_host.say("answer", to=offer["from"], session_id=offer["session_id"])
        assert (await ann.hear("answer"))["from"] == host["peer_id"]
        await ann.say("ice-candidate", to=joined["host_peer_id"])
        assert (await at_host.hear("ice-candidate"))["from"] == "ann"
        await ann.say("ice-result", to=joined["host_peer_id"], state="connected")

        await bob.say("join", session_id=session["session_id"])
        among = await bob.hear("session-joined")
        assert among["peers"] == ["ann"]
        for member in (ann, at_host):
            assert (await member.hear("peer-joined"))["peer_id"] == "bob"
        await bob.say("offer", to="ann")
        assert (await ann.hear("offer"))["from"] == "bob"
        await ann.say("answer", to="bob")
        assert (await bob.hear("answer"))["from"] == "ann"

        await bob.say("offer", to="nobody-there")
        assert (await bob.hear("error"))["in_reply_to"] == "offer"
        await bob.say("leave")
        assert (await bob.hear("session-left"))["session_id"] == session["session_id"]
        assert (await ann.hear("peer-left"))["peer_id"] == "bob"
        shown = await rest.ask("sessions", "Show a session, by either of its ids", path=named)
        assert shown["connected_players"] == ["ann"]

        await rest.ask("sessions", "End a session and free its seats", path=named)
        assert (await ann.hear("session-ended"))["session_id"] == session["session_id"]


async def test_it_enters_a_zone_with_a_token_and_is_placed(rest: Rest, sockets: Sockets) -> None:
    await rest.ask("hosts", "Register a host", host_id="specified-for-zone")
    zone = await rest.ask("zones", "Make a zone", zone_id="specified-zone")
    token = await rest.ask("auth", "Ask for a token", player_id="carl")
    async with sockets.open(SIGNALING, peer_id="carl", token=token["access_token"]) as carl:
        await carl.say("enter", zone_id=zone["zone_id"])
        joined = await carl.hear("session-joined")
    assert joined["zone_id"] == zone["zone_id"]
    told = await rest.ask(
        "sessions", "Enter a zone: find a session or start one", zone_id=zone["zone_id"], peer_id="dora"
    )
    assert (told["session_id"], told["peers"]) == (joined["session_id"], ["carl"])


async def test_it_speaks_the_game_clients_dialect_by_its_first_frame(rest: Rest, sockets: Sockets) -> None:
    await rest.ask("hosts", "Register a host", host_id="specified-for-games")
    zone = await rest.ask("zones", "Make a zone", zone_id="specified-games")
    async with sockets.open(GAME_CLIENT) as first, sockets.open(GAME_CLIENT) as second:
        await first.say("create_session", peer_id="150001", zone=zone["zone_id"])
        created = await first.hear("session_created")
        await second.say("create_session", peer_id="150002", zone=zone["zone_id"])
        assert (await second.hear("session_created"))["session_id"] == created["session_id"]
        assert (await first.hear("peer_joined"))["peer_id"] == "150002"
        await second.say("ice_candidate", target_peer_id="150001")
        assert (await first.hear("ice_candidate"))["from"] == "150002"
        await second.say("ice_candidate", target_peer_id="nobody")
        assert (await second.hear("error"))["message"]


def test_it_takes_nothing_that_the_document_does_not_have() -> None:
    text = {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}, "required": ["at"]}
    document = Document(json.dumps({"schemas": {"Text": text}}))
    schema = {"type": "array", "items": {"$ref": "#/schemas/Text"}}

    document.check(schema, [{"at": "2026-11-22T21:00:00Z"}])
    for wrong in ({"at": "2026-11-22T21:00:00Z", "by": "ann"}, {"at": "yesterday"}, {}):
        with pytest.raises(jsonschema_rs.ValidationError):
            document.check(schema, [wrong])
