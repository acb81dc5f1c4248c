"""Pages of others, and names that are not ours: nothing is done for them, and nothing is told."""

import json
from urllib.parse import urlsplit

import httpx
import pytest
from signaling_gateway.access.errors import ForbiddenError
from signaling_gateway.http.framework.strangers import Strangers

from services.signaling_gateway.tests.rest.owners import Owners
from services.signaling_gateway.tests.rest.routes import CALLS, HOST, Call
from services.signaling_gateway.tests.rest.test_bad_input import answered
from services.signaling_gateway.tests.rest.test_refusals import proper

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOREIGN = [
    "https://evil.example",
    "null",
    "http://[",
    "http://[::1",
    "http://a:b:c",
    "http://localhost:99999999",
    "http://",
    "://",
    "file://",
    "http://localhost.evil.example",
    "http://evil.example/@localhost",
    "\xff\xfe",
]

UNSAFE = [call for call in CALLS if call.method != "GET"]


def own(gateway_url: str) -> str:
    return f"http://{urlsplit(gateway_url).netloc}"


@pytest.mark.parametrize("call", UNSAFE, ids=lambda call: f"{call.method} {call.path}")
async def test_what_changes_something_is_not_done_for_a_page_of_another_origin(
    call: Call, client: httpx.AsyncClient, owners: Owners
):
    for origin in FOREIGN:
        response = await client.request(
            call.method,
            f"/api/v1{call.path}",
            content=json.dumps(call.body or {}).encode(),
            headers=[(b"Origin", origin.encode("latin-1")), (b"Content-Type", b"text/plain")],
        )
        assert proper(response, 403, "forbidden"), origin
    assert owners.questions == []


async def test_it_is_done_for_our_own_page_however_it_spells_us_and_for_programs(
    client: httpx.AsyncClient, gateway_url: str, owners: Owners
):
    port = urlsplit(gateway_url).port
    for origin, host in (
        (own(gateway_url), None),
        (f"HTTP://LocalHost:{port}", f"localhost:{port}"),
        ("http://localhost", "localhost:80"),
        ("https://localhost:443", "localhost"),
        (f"http://[::1]:{port}", f"[::1]:{port}"),
        ("", None),
    ):
        headers = {"Origin": origin} | ({"Host": host} if host else {})
        response = await client.post("/api/v1/hosts", json=HOST, headers=headers)
        assert response.status_code == 201, origin
    assert (await client.post("/api/v1/hosts", json=HOST)).status_code == 201
    assert len(owners.questions) == 7


async def test_reading_is_between_the_page_and_its_browser(client: httpx.AsyncClient, owners: Owners):
    response = await client.get("/api/v1/hosts/h", headers={"Origin": "https://evil.example"})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("path", ["/api/v1/hosts", "/api/hosts/", "/", "/health", "/health/live", "/docs", "/nowhere"])
@pytest.mark.parametrize("host", ["evil.example:8001", "127.0.0.1.evil.example", "[::2]", "10.0.0.1", "[", "a:b"])
async def test_on_loopback_we_answer_to_no_other_name(path: str, host: str, client: httpx.AsyncClient, owners: Owners):
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert proper(await client.get(path, headers=headers), 403, "forbidden")
        assert (await client.post(path, json=HOST, headers=headers)).status_code == 403
    assert owners.questions == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.2:80", "[::1]:8001", "p2p.localhost", ""])
async def test_on_loopback_we_answer_to_its_names(host: str, client: httpx.AsyncClient, owners: Owners):
    assert (await client.get("/api/v1/hosts/h", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        *(f"Host: localhost\r\nOrigin: {origin}" for origin in FOREIGN),
        "Host: evil.example:8001\r\nOrigin: http://evil.example:8001",
        "Host: evil.example:8001",
        "Host: [\r\nOrigin: http://[",
    ],
)
async def test_no_socket_is_opened_for_a_stranger(lines: str, gateway_url: str):
    request = (
        f"GET /api/v1/signaling/ws HTTP/1.1\r\n{lines}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await answered(gateway_url, request.encode("latin-1"))).startswith(b"HTTP/1.1 403 ")


async def test_a_body_that_is_not_said_to_be_json_is_none(client: httpx.AsyncClient, owners: Owners):
    for kind in ("text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = await client.post("/api/v1/hosts", content=json.dumps(HOST).encode(), headers={"Content-Type": kind})
        assert proper(response, 422, "invalid"), kind
        assert response.json()["detail"][0]["loc"] == ["header", "content-type"]
    assert owners.questions == []
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"):
        response = await client.post("/api/v1/hosts", content=json.dumps(HOST).encode(), headers={"Content-Type": kind})
        assert response.status_code == 201, kind


async def test_without_a_body_it_is_no_matter_what_it_would_be(client: httpx.AsyncClient, owners: Owners):
    drained = await client.post("/api/v1/hosts/h/drain", headers={"Content-Type": "text/plain"})
    assert drained.status_code == 200


async def test_the_operator_lists_names_and_origins() -> None:
    listed = Strangers(["https://Play.example"], ["Gate.example"])
    listed.check([(b"host", b"gate.example:8001"), (b"origin", b"https://play.example")], "POST")
    listed.check([(b"host", b"GATE.EXAMPLE"), (b"origin", b"https://gate.example")], None)
    for headers in ([(b"host", b"other.example")], [(b"host", b"gate.example"), (b"origin", b"https://other.example")]):
        with pytest.raises(ForbiddenError):
            listed.check(headers, None)
    everybody = Strangers(["*"], ["*"])
    everybody.check([(b"host", b"other.example"), (b"origin", b"https://third.example")], "DELETE")
    open_to_all_names = Strangers([], None)
    open_to_all_names.check([(b"host", b"other.example"), (b"origin", b"http://other.example")], "DELETE")
