"""Nothing that a client can send is our defect: it is refused, and the next request is served."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testkit.patience import within
from testkit.thoroughness import examples

from services.signaling_gateway.tests.rest.owners import Owners
from services.signaling_gateway.tests.rest.routes import CALLS, HOST, Call
from services.signaling_gateway.tests.rest.test_refusals import proper

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024

BAD_BODIES = {
    "not JSON": b"{",
    "no object": b"[1, 2]",
    "null": b"null",
    "a string": b'"host"',
    "not UTF-8": b'{"host_id": "\xff\xfe"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"host_id": "h"}'.encode("utf-16"),
    "half a surrogate pair": rb'{"host_id": "\ud800", "player_id": "p", "player_name": "n"}',
    "U+0000 in an identifier": rb'{"host_id": "a\u0000", "player_id": "p", "player_name": "n"}',
    "U+0000 in a text": rb'{"host_id": "a", "player_id": "p", "player_name": "a\u0000b"}',
    "U+0000 deep in free JSON": rb'{"host_id":"a","player_id":"p","player_name":"n","metadata":{"a":["\u0000"]}}',
    "NaN": b'{"host_id": "a", "player_id": "p", "player_name": "n", "metadata": NaN}',
    "Infinity": b'{"host_id": "a", "player_id": "p", "player_name": "n", "cpu_cores": Infinity}',
    "a number without end": b'{"host_id": "a", "player_id": "p", "player_name": "n", "port": 1' + b"0" * 5000 + b"}",
    "a float without end": b'{"host_id": "a", "player_id": "p", "player_name": "n", "port": 1e999}',
    "a number without end in free JSON": b'{"host_id":"a","player_id":"p","player_name":"n","metadata":[1'
    + b"0" * 400
    + b"]}",
    "too deep": b'{"metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "33 levels": b'{"host_id":"a","player_id":"p","player_name":"n","metadata":' + b"[" * 33 + b"]" * 33 + b"}",
    "197 levels": b'{"host_id":"a","player_id":"p","player_name":"n","metadata":' + b"[" * 197 + b"]" * 197 + b"}",
    "too large free JSON": json.dumps(HOST | {"metadata": "x" * 20_000}).encode(),
    "wrong types": b'{"host_id": 1, "player_id": [], "player_name": {}, "cpu_cores": "many"}',
    "a control character": b'{"host_id": "a\x01b", "player_id": "p", "player_name": "n"}',
    "an empty name": b'{"host_id": "", "player_id": "p", "player_name": "n"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_cannot_be_used_is_refused(body: bytes, client: httpx.AsyncClient, owners: Owners):
    response = await client.post("/api/v1/hosts", content=body)

    assert proper(response, 422, "invalid")
    assert isinstance(response.json()["detail"], list)
    assert owners.questions == []


@pytest.mark.parametrize(
    "path",
    [
        "/hosts/a%2Fb",
        "/hosts/a%2fheartbeat",
        "/hosts/%00",
        "/hosts/%FF",
        "/hosts/%ED%A0%80",
        "/hosts/%2E%2E",
        "/hosts/%20",
        "/hosts/a%0Ab",
        "/hosts/a%CC%88",
        "/sessions/%00",
        "/sessions/17/players/a%2Fb",
        "/hosts?region=%FF",
        "/hosts?cursor=a%00b",
        "/zones?cursor=%00",
        "/auth/keys?cursor=a%00b",
        "/hosts?min_quality_score=NaN",
        "/hosts?min_quality_score=1e999",
        "/hosts?limit=" + "9" * 5000,
        "/hosts?limit=1001",
        "/signaling/ice-candidates/lobby?after=18446744073709551616",
        "/signaling/ice-candidates/lobby?after=0-99999999999999999999",
        "/zones?p2p_enabled=perhaps",
        "/hosts?status=",
        "/hosts?region=",
        "/hosts?" + "a=1&" * 200,
    ],
)
async def test_a_path_or_query_that_cannot_be_used_is_refused(path: str, gateway_url: str, owners: Owners):
    method = "DELETE" if "/players/" in path else "GET"
    status, body = await raw(
        gateway_url, f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )

    assert (status, body["code"]) == (422, "invalid")
    assert owners.questions == []


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_above_one_mebibyte_is_413(declared: bool, client: httpx.AsyncClient, owners: Owners):
    body = b'{"host_id": "' + b"x" * MIB + b'"}'

    async def pieces():
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    response = await client.post("/api/v1/hosts", content=body if declared else pieces())

    assert proper(response, 413, "invalid")
    assert owners.questions == []


async def test_bytes_that_are_no_http_are_refused_and_the_next_request_served(
    gateway_url: str, client: httpx.AsyncClient, owners: Owners
):
    for nonsense in (
        b"\x80\x03\x01\x02\x00",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/9\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(urlsplit(gateway_url).hostname, urlsplit(gateway_url).port)
        writer.write(nonsense)
        assert b"400 Bad Request" in await reader.read()
        writer.close()

    assert (await client.get("/api/v1/hosts/h")).status_code == 200


async def test_a_client_that_leaves_in_the_middle_costs_nothing(
    gateway_url: str, client: httpx.AsyncClient, owners: Owners
):
    _, writer = await asyncio.open_connection(urlsplit(gateway_url).hostname, urlsplit(gateway_url).port)
    writer.write(b'POST /api/v1/hosts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"host_id":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await client.get("/api/v1/hosts/h")).status_code == 200
    assert owners.asked_on(CALLS[0].rpc.subject) == []


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_unusable_idempotency_key_is_refused(key: str, client: httpx.AsyncClient, owners: Owners):
    response = await client.post("/api/v1/hosts", json=HOST, headers={"Idempotency-Key": key})

    assert proper(response, 422, "invalid")
    assert owners.questions == []


async def test_two_content_types_are_no_matter(client: httpx.AsyncClient, owners: Owners):
    twice = [("Content-Type", "application/json"), ("Content-Type", "application/json")]

    response = await client.post("/api/v1/hosts", content=json.dumps(HOST), headers=twice)

    assert response.status_code == 201


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

FIELDS = ["host_id", "player_id", "player_name", "cpu_cores", "port", "metadata", "zone_id", "max_players", "status"]
FIELDS += ["session", "player_ids", "peer_id", "latency_ms", "avg_latency_ms", "reason", "regions", "p2p_enabled"]

WITH_BODY = [call for call in CALLS if call.method in {"POST", "PATCH"}]


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    call=st.sampled_from(WITH_BODY), fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), anything=JSON
)
async def test_no_json_makes_a_500(
    call: Call, fields: dict[str, Any], anything: Any, client: httpx.AsyncClient, owners: Owners
):
    for body in (fields, {**(call.body or {}), **fields}, anything):
        response = await client.request(call.method, f"/api/v1{call.path}", content=json.dumps(body).encode())

        assert response.status_code in {call.status, 422}
        if response.status_code != call.status:
            assert proper(response, 422, "invalid")


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
async def test_no_bytes_make_a_500(body: bytes, client: httpx.AsyncClient, owners: Owners):
    response = await client.post("/api/v1/hosts/h/heartbeat", content=body)

    assert response.status_code in {200, 422}


async def raw(url: str, request: bytes) -> tuple[int, Any]:
    """Send these very bytes; clients mend paths."""
    head, _, body = (await answered(url, request)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def answered(url: str, *segments: bytes) -> bytes:
    """All that comes back, until the connection ends."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    for segment in segments:
        writer.write(segment)
        await writer.drain()
        await asyncio.sleep(0)
    async with within(10):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("offered", ["h2c", "foo", "websocket"])
@pytest.mark.parametrize("later", [False, True])
async def test_an_offer_to_upgrade_changes_nothing(offered: str, later: bool, gateway_url: str, owners: Owners):
    for path, body, status in (("/hosts", HOST, 201), ("/hosts/h/heartbeat", {"latency_ms": 7.5}, 200)):
        content = json.dumps(body).encode()
        head = (
            f"POST /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: {offered}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode()
        answer = await answered(gateway_url, *((head, content) if later else (head + content,)))

        assert int(answer.split()[1]) == status
        asked = dict(owners.questions[-1].fields)
        assert body.items() <= asked.items()
