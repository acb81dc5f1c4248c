"""An offer to go over to another protocol changes nothing, unless it is taken: no byte of a body is a request."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from chassis.health import Health
from chassis.http import serve_http
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from testkit.patience import within
from websockets.asyncio.client import connect

HIDDEN = b"DELETE /hidden HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"

OFFERS = {
    "curl --http2": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "an unknown one": "Connection: upgrade\r\nUpgrade: foo",
    "several": "Upgrade: foo\r\nConnection: keep-alive\r\nUpgrade: bar\r\nConnection: Upgrade",
    "a WebSocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "TLS": "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1",
}

FRAMINGS = {
    "a length": (f"Content-Length: {len(HIDDEN)}\r\n", HIDDEN),
    "chunks": ("Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
}

SEGMENTS = {
    "at once": lambda head, body: [head + body],
    "the body later": lambda head, body: [head, body],
    "the body in two": lambda head, body: [head + body[:7], body[7:]],
    "the head in two": lambda head, body: [head[:40], head[40:] + body],
}


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked; a WebSocket is opened."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = b",".join(name for name, _ in scope["headers"] if name == b"x-note")
    said = b"|".join((scope["method"].encode(), scope["raw_path"], scope["query_string"], names, body))
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(said)).encode())]}
    )
    await send({"type": "http.response.body", "body": said})


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    async with serve_http(
        told, "127.0.0.1", 0, websockets="websockets-sansio", takes_socket=lambda path: path == "/ws"
    ) as port:
        yield port


async def exchange(port: int, segments: list[bytes], answers: int) -> list[bytes]:
    """The bodies of so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with within(5):
            for segment in segments:
                writer.write(segment)
                await writer.drain()
                await asyncio.sleep(0)
            return [await answer(reader) for _ in range(answers)]
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    return await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(("framing", "body"), FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("cut", SEGMENTS.values(), ids=SEGMENTS)
@pytest.mark.parametrize("path", ["/hosts", "/ws"])
async def test_a_body_behind_an_offer_is_that_requests(port, offer, framing, body, cut, path):
    head = f"POST {path}?a=b HTTP/1.1\r\nHost: here\r\n{framing}X-Note: n\r\n{offer}\r\n\r\n".encode()
    behind = b"PUT /next HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx"

    answers = await exchange(port, [*cut(head, body), behind], 2)

    assert answers == [b"POST|%s|a=b|x-note|%s" % (path.encode(), HIDDEN), b"PUT|/next|||x"]


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "PUT", "OPTIONS"])
async def test_a_request_without_a_body_is_answered_whatever_is_offered(port, offer, method):
    request = f"{method} /hosts HTTP/1.1\r\nHost: here\r\n{offer}\r\n\r\n".encode()

    assert await exchange(port, [request, request], 2) == [f"{method}|/hosts|||".encode()] * 2


async def test_a_socket_is_opened_where_there_is_one_and_only_there(port):
    async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await socket.wait_closed()
        assert socket.close_code == 1000
    offer = OFFERS["a WebSocket"]
    for path, more, body in (("/hosts", "", b""), ("/ws", "Content-Length: 3\r\n", b"abc")):
        request = f"GET {path} HTTP/1.1\r\nHost: here\r\n{more}{offer}\r\n\r\n".encode() + body
        assert await exchange(port, [request], 1) == [b"GET|%s|||%s" % (path.encode(), body)]


async def test_a_socket_is_not_opened_over_an_answer_that_is_still_due(port):
    offered = f"GET /ws HTTP/1.1\r\nHost: here\r\n{OFFERS['a WebSocket']}\r\n\r\n".encode()

    answers = await exchange(port, [b"GET /first HTTP/1.1\r\nHost: here\r\n\r\n" + offered], 2)

    assert answers == [b"GET|/first|||", b"GET|/ws|||"]


@pytest.mark.parametrize("request_line", [b"CONNECT here:80 HTTP/1.1", b"PRI * HTTP/2.0", b"CONNECT / HTTP/1.1"])
async def test_who_speaks_another_protocol_already_is_refused_and_nothing_more_is_read(port, request_line):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line + b"\r\nHost: here\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + HIDDEN)
    async with within(5):
        said = await reader.read()
    writer.close()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_health_is_told_whatever_is_offered(offer):
    async with serve_http(Starlette(routes=Health().routes()), "127.0.0.1", 0) as port:
        request = f"GET /health/live HTTP/1.1\r\nHost: here\r\n{offer}\r\n\r\n".encode()
        assert await exchange(port, [request, request], 2) == [b"live", b"live"]
