"""Every call reaches the owner it belongs to, as one question, and the owner's reply is the answer."""

import httpx
import orjson
import pytest
from contracts.sessions import Session

from services.signaling_gateway.tests.rest.owners import OWNERS, RPCS, Owners, example
from services.signaling_gateway.tests.rest.routes import ASKED_ELSEWHERE, CALLS, Call

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def made(client: httpx.AsyncClient, call: Call, path: str) -> httpx.Response:
    return (
        await client.request(call.method, path, json=call.body)
        if call.body
        else await client.request(call.method, path)
    )


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
async def test_a_call_is_one_question_to_its_owner(call: Call, client: httpx.AsyncClient, owners: Owners):
    response = await made(client, call, f"/api/v1{call.path}")

    assert response.status_code == call.status, response.text
    assert [(question.subject, question.fields) for question in owners.questions] == [(call.rpc.subject, call.question)]


@pytest.mark.parametrize("call", [call for call in CALLS if not call.reshaped], ids=lambda call: call.id)
async def test_the_owners_reply_is_the_answer_byte_for_byte(call: Call, client: httpx.AsyncClient, owners: Owners):
    response = await made(client, call, f"/api/v1{call.path}")

    reply = example(call.rpc.answer)
    if call.listed:
        assert orjson.loads(response.content) == orjson.loads(reply)["items"]
    else:
        assert response.content == reply
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
async def test_the_alias_and_the_slash_are_the_same_without_a_redirect(
    call: Call, client: httpx.AsyncClient, owners: Owners
):
    path, _, query = call.path.partition("?")
    spellings = [f"{prefix}{path}{slash}?{query}" for prefix in ("/api/v1", "/api") for slash in ("", "/")]

    responses = [await made(client, call, spelling) for spelling in spellings]

    assert {(response.status_code, response.content) for response in responses} == {
        (responses[0].status_code, responses[0].content)
    }
    assert responses[0].status_code == call.status
    assert [question.fields for question in owners.questions] == [call.question] * 4


async def test_every_request_of_the_contracts_has_a_route_or_another_asker():
    routed = {call.rpc.subject for call in CALLS}
    published = {rpc.subject for service in OWNERS for rpc in RPCS[service]}

    assert routed | ASKED_ELSEWHERE.keys() == published
    assert not routed & ASKED_ELSEWHERE.keys()


async def test_the_idempotency_key_goes_along(client: httpx.AsyncClient, owners: Owners):
    await client.post("/api/v1/sessions", json={"zone_id": "prontera"}, headers={"Idempotency-Key": "key 1/a"})

    assert [question.key for question in owners.questions] == ["key 1/a"]


async def test_no_best_host_is_not_found(client: httpx.AsyncClient, owners: Owners):
    owners.replies["p2p.hosts.list"] = b'{"items":[],"next_cursor":null}'

    response = await client.get("/api/v1/hosts/available/best")

    assert response.status_code == 404
    assert response.json()["code"] == "host_not_found"


async def test_entering_a_zone_gives_all_that_is_needed_to_connect(client: httpx.AsyncClient, owners: Owners):
    session = Session.model_validate_json(example(Session)).model_copy(update={"connected_players": ("a", "me", "b")})
    owners.replies["p2p.sessions.enter"] = orjson.dumps(session.model_dump(mode="json") | {"message": "Joined."})

    response = await client.post("/api/v1/sessions/join", json={"zone_id": session.zone_id, "peer_id": "me"})

    assert response.json() == {
        "session_id": session.session_id,
        "host_id": session.host_id,
        "host_peer_id": session.host_peer_id,
        "epoch": session.epoch,
        "peers": ["a", "b"],
        "ice_servers": [],
        "ticket": None,
    }


async def test_a_zones_peers_are_those_of_its_live_sessions(client: httpx.AsyncClient, owners: Owners):
    one = Session.model_validate_json(example(Session)).model_copy(update={"connected_players": ("a", "b")})
    two = one.model_copy(update={"connected_players": ("c",)})
    items = b",".join(session.model_dump_json().encode() for session in (one, two))
    owners.replies["p2p.sessions.list"] = b'{"items":[%s],"next_cursor":null}' % items

    response = await client.get("/api/v1/peers/prontera")

    assert response.json() == {"zone_id": "prontera", "peers": ["a", "b", "c"], "count": 3}


async def test_head_is_get_without_the_body(client: httpx.AsyncClient, owners: Owners):
    response = await client.head("/api/v1/hosts/h")

    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0
