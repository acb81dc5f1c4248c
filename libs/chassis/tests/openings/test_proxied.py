"""A balancer says whose connection it passes on: it is believed if it is trusted, and nobody else is."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from chassis.certificate import Certificate
from chassis.http import serve_http
from chassis.proxied import MOST_BYTES, PROXIED, SIGNATURE, Head, NotProxiedError, read_head
from embedded.certificates import Certificates, keep_certificates
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from testkit.clients import connect
from testkit.patience import within

GET = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
LOOPBACK = [ip_network("127.0.0.0/8")]

PROXY, LOCAL = 0x21, 0x20
TCP4, TCP6, UNKNOWN = 0x11, 0x21, 0


def head(addresses: bytes, family: int = TCP4, command: int = PROXY) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(addresses)) + addresses


def from_client(address: str, port: int, more: bytes = b"") -> bytes:
    """What a proxy says; `more` are fields that it may add."""
    if ":" in address:
        parts = socket.inet_pton(socket.AF_INET6, address) + socket.inet_pton(socket.AF_INET6, "::1")
        return head(parts + struct.pack("!HH", port, 8001) + more, TCP6)
    parts = socket.inet_aton(address) + socket.inet_aton("127.0.0.1")
    return head(parts + struct.pack("!HH", port, 8001) + more)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (from_client("198.51.100.1", 4711), ("198.51.100.1", 4711)),
        (from_client("198.51.100.1", 4711, b"\x04\x00\x01\x00"), ("198.51.100.1", 4711)),
        (from_client("2001:db8::7", 4711), ("2001:db8::7", 4711)),
        (head(b"", UNKNOWN, LOCAL), None),
        (head(b"", UNKNOWN), None),
        (head(b"x" * 216, 0x31), None),
    ],
)
def test_a_head_says_whose_the_connection_is(said: bytes, client: tuple[str, int] | None):
    assert read_head(said) == read_head(said + GET) == Head(len(said), client)
    assert [read_head(said[:length]) for length in range(len(said))] == [None] * len(said)


@pytest.mark.parametrize(
    "said",
    [
        GET,
        b"\r\n\r\nGET",
        b"PROXY TCP4 198.51.100.1 127.0.0.1 4711 8001\r\n",
        head(b"x" * 12, command=0x11),
        head(b"x" * 11),
        head(b"x" * 35, TCP6),
        head(b"x" * (MOST_BYTES + 1)),
    ],
)
def test_what_is_no_head_is_refused(said: bytes):
    with pytest.raises(NotProxiedError):
        read_head(said)


@given(st.binary(max_size=80), st.booleans())
def test_whatever_is_said_is_a_head_a_part_of_one_or_none(said: bytes, signed: bool):
    said = SIGNATURE + said if signed else said
    try:
        found = read_head(said)
    except NotProxiedError:
        return
    assert found is None or found.length <= len(said)


async def address(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with whose connection it is, and how it came."""
    told = scope["state"].get(PROXIED)
    body = f"{told[0] if told else 'nobody'} {scope['scheme']}"
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return keep_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates) -> Certificate:
    return Certificate(certificates.certificate, certificates.key)


@pytest.fixture
def trusting(certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority)


@asynccontextmanager
async def serving(tls: Certificate | None = None, trusted=LOOPBACK) -> AsyncIterator[int]:
    async with serve_http(address, "127.0.0.1", 0, tls=tls, proxies=trusted, websockets="websockets-sansio") as port:
        yield port


async def answer(port: int, *said: bytes) -> str:
    """What comes back, all of it, to what is said piece by piece."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in said:
            writer.write(piece)
            await writer.drain()
        async with within(5):
            return (await reader.read()).decode("latin-1")
    except ConnectionResetError:
        return ""
    finally:
        writer.close()


CLIENT = from_client("198.51.100.1", 4711)


async def test_a_trusted_proxy_is_believed_however_its_bytes_come():
    async with serving() as port:
        for said in ((CLIENT + GET,), (CLIENT, GET), [bytes((byte,)) for byte in CLIENT + GET]):
            assert "\r\n198.51.100.1 http\r\n" in await answer(port, *said)


async def test_a_trusted_proxy_need_not_say_anything_and_may_speak_for_itself():
    async with serving() as port:
        assert "\r\nnobody http\r\n" in await answer(port, GET)
        assert "\r\nnobody http\r\n" in await answer(port, head(b"", UNKNOWN, LOCAL) + GET)


async def test_it_says_so_once():
    async with serving() as port:
        assert "198.51.100.1" not in await answer(port, CLIENT, CLIENT, GET)
        assert (await answer(port, CLIENT, CLIENT, GET)).startswith("HTTP/1.1 400")


@pytest.mark.parametrize("trusted", [[], [ip_network("10.0.0.0/8")]])
async def test_nobody_else_is_believed(trusted):
    async with serving(trusted=trusted) as port:
        assert (await answer(port, CLIENT + GET)).startswith("HTTP/1.1 400")
        assert "\r\nnobody http\r\n" in await answer(port, GET)


async def test_a_head_that_is_none_ends_the_connection():
    async with serving() as port:
        assert await answer(port, SIGNATURE + b"\x00" * 10 + GET) == ""


async def test_tls_and_websockets_come_behind_it(tls, trusting):
    async with serving(tls) as port:
        for secured in (False, True):
            raw = socket.create_connection(("127.0.0.1", port))
            raw.sendall(CLIENT)
            raw.setblocking(False)
            options = {"ssl": trusting, "server_hostname": "localhost"} if secured else {}
            async with connect(f"{'wss' if secured else 'ws'}://localhost:{port}", sock=raw, **options) as websocket:
                assert await websocket.recv() == f"198.51.100.1 {'wss' if secured else 'ws'}"
