"""Whatever is refused, and by whom, has one shape: detail, code and trace."""

import asyncio
import re
import time

import httpx
import pytest
from chassis.refusals import HTTP_STATUS
from contracts.refusals import Code
from contracts.subjects import Message
from testkit.patience import patient

from services.signaling_gateway.tests.rest.owners import Owners
from services.signaling_gateway.tests.rest.routes import CALLS, Call

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSALS = [
    pytest.param(call, code, id=f"{call.id} {code}")
    for call in {call.rpc.subject: call for call in CALLS}.values()
    for code in sorted(call.rpc.refusals | {Code.INTERNAL, Code.UNAVAILABLE})
]

TRACE = "0af7651916cd43dd8448eb211c80319c"


def proper(response: httpx.Response, status: int, code: str) -> bool:
    """Whether this is an error as all of them are."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code)
    assert re.fullmatch(r"[0-9a-f]{32}", body["trace_id"])
    assert body["detail"]
    return True


@pytest.mark.parametrize(("call", "code"), REFUSALS)
async def test_an_owners_refusal_reaches_the_client(call: Call, code: Code, client: httpx.AsyncClient, owners: Owners):
    owners.replies[call.rpc.subject] = code

    response = await client.request(call.method, f"/api/v1{call.path}", json=call.body)

    assert proper(response, HTTP_STATUS[code], code)
    assert response.json()["detail"] == f"No: {code}."


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/hosts/h/heartbeat/x", 404),
        ("GET", "/api/v1/hosts//heartbeat", 404),
        ("PUT", "/api/v1/hosts/h", 405),
        ("DELETE", "/api/v1/monitoring/dashboard", 405),
        ("PUT", "/", 405),
        ("GET", "/demo/nothing.js", 404),
        ("GET", "/demo/../../settings.py", 404),
        ("GET", "/sdk/..%5c..%5csettings.py", 404),
    ],
)
async def test_what_is_not_there_is_told_in_the_same_shape(
    method: str, path: str, status: int, client: httpx.AsyncClient, owners: Owners
):
    response = await client.request(method, path)

    assert proper(response, status, "route_not_found")
    assert owners.questions == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/hosts/h", "DELETE, GET, HEAD, PATCH"),
        ("PUT", "/api/hosts/h/", "DELETE, GET, HEAD, PATCH"),
        ("PUT", "/api/v1/hosts", "GET, HEAD, POST"),
        ("PUT", "/api/v1/hosts/register", "DELETE, GET, HEAD, PATCH, POST"),
        ("GET", "/api/v1/hosts/h/heartbeat", "POST"),
        ("DELETE", "/api/v1/monitoring/dashboard", "GET, HEAD"),
        ("DELETE", "/openapi.json", "GET"),
        ("DELETE", "/demo/nothing.js", "GET, HEAD"),
        ("DELETE", "/demo/docs", "GET, HEAD"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_does(
    method: str, path: str, allowed: str, client: httpx.AsyncClient
):
    response = await client.request(method, path)

    assert proper(response, 405, "route_not_found")
    assert response.headers["allow"] == allowed


async def test_a_host_named_like_a_route_is_a_host(client: httpx.AsyncClient, owners: Owners):
    response = await client.delete("/api/v1/hosts/register")

    assert response.status_code == 204
    assert [question.fields for question in owners.questions] == [{"host_id": "register"}]


async def test_what_is_malformed_is_listed_with_its_place(client: httpx.AsyncClient, owners: Owners):
    response = await client.post("/api/v1/hosts", json={"host_id": "a/b", "player_id": "p", "max_players": 0})

    assert proper(response, 422, "invalid")
    assert {(*each["loc"], each["type"]) for each in response.json()["detail"]} == {
        ("body", "host_id", "value_error"),
        ("body", "player_name", "missing"),
        ("body", "max_players", "greater_than_equal"),
    }
    assert owners.questions == []


async def test_a_bad_identifier_in_the_path_is_told_as_such(client: httpx.AsyncClient, owners: Owners):
    response = await client.get(f"/api/v1/hosts/{'x' * 129}")

    assert proper(response, 422, "invalid")
    assert response.json()["detail"][0]["loc"] == ["path", "host_id"]


async def test_a_bad_filter_is_told_as_such(client: httpx.AsyncClient, owners: Owners):
    response = await client.get("/api/v1/sessions?status=running&limit=0")

    assert proper(response, 422, "invalid")
    assert [each["loc"] for each in response.json()["detail"]] == [["query", "limit"], ["query", "status"]]


async def test_the_trace_of_the_client_is_the_trace_of_the_error(client: httpx.AsyncClient, owners: Owners):
    response = await client.get("/nowhere", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"})

    assert response.json()["trace_id"] == TRACE


async def test_what_we_cannot_do_now_names_a_time_to_ask_again(client: httpx.AsyncClient, owners: Owners):
    owners.replies["p2p.hosts.get"] = Code.UNAVAILABLE

    response = await client.get("/api/v1/hosts/h")

    assert response.headers["retry-after"] == "1"


async def test_an_owner_that_does_not_answer_is_a_504_within_four_seconds(client: httpx.AsyncClient, owners: Owners):
    released = asyncio.Event()

    async def wait(_question: Message) -> bytes:
        await released.wait()
        return b"{}"

    owners.replies["p2p.hosts.get"] = wait
    began_at = time.monotonic()

    response = await client.get("/api/v1/hosts/h")

    assert time.monotonic() - began_at < patient(4)  # what clients are promised: they may give up then
    assert proper(response, 504, "deadline_exceeded")
    assert response.headers["retry-after"] == "1"
    released.set()


async def test_a_defect_of_ours_says_nothing_of_the_inside(client: httpx.AsyncClient, owners: Owners):
    owners.replies["p2p.sessions.enter"] = b'{"surprise": "secret"}'

    response = await client.post("/api/v1/sessions/join", json={"zone_id": "z", "peer_id": "p"})

    assert proper(response, 500, "internal")
    assert response.json()["detail"] == "Something went wrong on our side."
    assert (await client.get("/api/v1/hosts/h")).status_code == 200
