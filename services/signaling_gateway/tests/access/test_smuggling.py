"""What is hidden in heads, queries and paths where everybody is asked who they are: nothing of it is done."""

from urllib.parse import quote, urlencode

import httpx
import pytest
from contracts.hosts import PeerHost
from testkit.clients import connect

from services.signaling_gateway.tests.access.conftest import KEY_IN_SETTINGS, World
from services.signaling_gateway.tests.access.test_sockets import GAME, opened, refused, token
from services.signaling_gateway.tests.rest.test_bad_input import answered, raw
from services.signaling_gateway.tests.signaling.client import Peer, leaving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTS = "/api/v1/hosts"
HIDDEN = f"DELETE {HOSTS}/h HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY_IN_SETTINGS}\r\nConnection: close\r\n\r\n"

HEADS = {
    "two lengths": ["Content-Length: 2", f"Content-Length: {len(HIDDEN)}"],
    "two equal lengths": ["Content-Length: 2", "Content-Length: 2"],
    "a list of lengths": ["Content-Length: 2, 2"],
    "a length with a sign": ["Content-Length: +2"],
    "a length below nothing": ["Content-Length: -2"],
    "a length beyond all numbers": ["Content-Length: 99999999999999999999999"],
    "a length before its colon": ["Content-Length : 2"],
    "a length and chunks": ["Content-Length: 2", "Transfer-Encoding: chunked"],
    "chunks and a length": ["Transfer-Encoding: chunked", "Content-Length: 2"],
    "chunks that are none in the end": ["Transfer-Encoding: chunked, identity"],
    "an unknown encoding": ["Transfer-Encoding: xchunked"],
    "two encodings": ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    "chunks of no size": ["Transfer-Encoding: chunked"],
    "a folded line": ["X-Note: a", f" X-API-Key: {KEY_IN_SETTINGS}"],
    "a line feed in a value": [f"X-Note: a\nX-API-Key: {KEY_IN_SETTINGS}"],
    "a carriage return in a value": [f"X-Note: a\rX-API-Key: {KEY_IN_SETTINGS}"],
    "U+0000 in a value": ["X-Note: a\0b"],
    "a control character in a name": ["X\x0bNote: a"],
}


@pytest.fixture(autouse=True)
def _no_hosts(world: World) -> None:
    world.owners.forget()  # what the world itself asked to come about
    world.owners.replies["p2p.hosts.of_peer"] = PeerHost(host=None).model_dump_json().encode()


def _url(client: httpx.AsyncClient) -> str:
    return str(client.base_url)


@pytest.mark.parametrize("lines", HEADS.values(), ids=HEADS.keys())
async def test_a_head_that_can_be_read_in_two_ways_is_400_and_ends_the_connection(world: World, lines: list[str]):
    head = "\r\n".join((f"POST {HOSTS}/h/heartbeat HTTP/1.1", "Host: localhost", *lines))

    answer = await answered(_url(world.here), f"{head}\r\n\r\n{HIDDEN}".encode())

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert world.owners.questions == []
    assert (await world.here.get(HOSTS, headers=world.server)).status_code == 200


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "X-API-Key", "Authorization"])
async def test_what_is_shown_in_the_query_of_a_request_counts_for_nothing(world: World, peer: str, name: str):
    for shown in (await token(world, peer), world.server["X-API-Key"]):
        for value in (shown, f"Bearer {shown}"):
            answer = await world.here.get(HOSTS, params={name: value})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert world.owners.questions == []


@pytest.mark.parametrize("name", ["api_key", "X-API-Key", "access_token", "Authorization", "Token"])
async def test_in_the_url_of_a_socket_only_a_token_counts(world: World, peer: str, name: str):
    for shown in (await token(world, peer), world.server["X-API-Key"]):
        assert "token is needed" in await refused(world.here, (name, shown))
    assert await refused(world.here, ("token", world.server["X-API-Key"])) == "Invalid or expired authentication token"


async def test_nothing_is_said_twice_in_the_url_of_a_socket_however_it_is_spelt(world: World, peer: str):
    good, own = await token(world, peer), quote(peer)
    for query in (
        f"token={good}&token=",
        f"token=&token={good}",
        f"token={good}&%74oken={good}",
        f"token={good}&peer_id={own}&peer_id=other",
        f"token={good}&peer_id=other&peer_id={own}",
        f"token={good}&peer_id={own}&peer%5Fid=other",
        f"token={good}&peer_id={own}&peer_id=",
        f"token={good}&session_id=a&session_id=b",
    ):
        socket = Peer(await connect(f"{_url(world.here).replace('http', 'ws', 1)}/api/v1/signaling/ws?{query}"), None)
        assert (await socket.hear("error"))["message"] == "The query says something twice", query
        assert await socket.close_code() == 1008


async def test_a_name_with_something_hidden_in_it_opens_no_socket(world: World, peer: str):
    good = await token(world, peer)
    for hidden in (f"{peer}\0", f"{peer}\r\nX: y", f"{peer}/../other", f"{peer} ", "..", f"{peer}&peer_id=other"):
        socket = await opened(world.here, ("token", good), ("peer_id", hidden))
        assert (await socket.hear("error"))["code"] in {"invalid", "forbidden"}
        assert await socket.close_code() == 1008


async def test_a_blank_in_the_url_of_a_socket_is_nothing(world: World, peer: str):
    socket = await opened(world.here, ("token", await token(world, peer)), ("peer_id", ""), ("session_id", ""))
    async with leaving(socket):
        await socket.hears_nothing_more()
    assert "token is needed" in await refused(world.here, ("token", ""))


async def test_a_game_client_gains_nothing_by_its_url(world: World, digits: str):
    for query in ((("session_id", "session-0123456789abcdef"),), (("session_id", "lobby"),)):
        socket = await opened(world.here, *query, **GAME)
        async with leaving(socket):
            assert (await socket.hear("error"))["code"] == "forbidden"
    url = f"{_url(world.here).replace('http', 'ws', 1)}/api/v1/signaling/ws?peer%5Fid=150001"
    named = Peer(await connect(url, user_agent_header=GAME["user_agent_header"]), None)
    assert "may not have this peer_id" in (await named.hear("error"))["message"]
    assert await named.close_code() == 1008


async def test_of_two_names_in_a_query_the_one_that_is_checked_is_the_one_that_counts(world: World, peer: str):
    headers = await world.player(peer)
    path = "/api/v1/signaling/ice-servers"
    for names, status in (((peer, "other"), 403), (("other", peer), 200), ((peer, f"{peer}\0"), 422)):
        query = urlencode([("peer_id", name) for name in names])
        assert (await world.here.get(f"{path}?{query}", headers=headers)).status_code == status, names


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("{own}/../other", 404),
        ("{own}/%2e%2e/other", 404),
        ("{own}%2F..%2Fother", 422),
        ("{own}%2f", 422),
        ("{own}%00", 422),
        ("{own}%0d%0aX-API-Key:%20k", 403),
        ("..", 403),
        ("%2e%2e", 403),
        (".", 403),
        ("{own}%252F..%252Fother", 403),
        ("{own};other", 403),
        ("other", 403),
        ("{own}", 204),
    ],
)
async def test_a_path_names_one_host_whatever_is_hidden_in_it(world: World, peer: str, path: str, status: int):
    [shown] = (await world.host(peer)).values()
    request = f"DELETE {HOSTS}/{path.replace('{own}', peer)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

    answer = await answered(_url(world.here), f"{request}Authorization: {shown}\r\n\r\n".encode())

    assert int(answer.split()[1]) == status, answer
    wanted = [{"host_id": peer}] if status == 204 else []
    assert [dict(question.fields) for question in world.owners.questions] == wanted


@pytest.mark.parametrize("place", ["sdk", "demo", "console", "docs/files", "docs/messages"])
@pytest.mark.parametrize("up", ["..", "%2e%2e", "..%2f..", "%2e%2e%2f", "....//..", "..%5c.."])
async def test_no_file_is_served_but_those_of_the_pages(world: World, place: str, up: str):
    for file in ("app.py", "settings.py", "../../../../../../../../etc/passwd"):
        request = f"GET /{place}/{up}/{up}/{file} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        status, body = await raw(_url(world.here), request.encode())
        expected = (422, "invalid") if "%2f" in up else (404, "route_not_found")
        assert (status, body["code"]) == expected
