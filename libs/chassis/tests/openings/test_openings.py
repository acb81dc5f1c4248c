"""How connections begin: TLS and clear text on one port, and none that is slow or hostile lasts or holds up another."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

import pytest
from chassis import openings
from chassis.certificate import Certificate
from chassis.http import serve_http
from embedded.certificates import Certificates, keep_certificates
from starlette.types import Receive, Scope, Send
from testkit.clients import connect
from testkit.eventually import eventually
from testkit.patience import patient, within

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HELLO = bytes((openings.HANDSHAKE, 3, 1, 2, 0))
"""The head of a record with a ClientHello of 512 bytes, which never come."""


async def scheme(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the connection came as; a WebSocket gets its first message back."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["scheme"]})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    body = scope["scheme"].encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return keep_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates) -> Certificate:
    return Certificate(certificates.certificate, certificates.key)


@pytest.fixture
def trusting(certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority)


@pytest.fixture
def impatient(monkeypatch):
    for patience in ("FIRST_BYTE_WITHIN_S", "HANDSHAKE_WITHIN_S", "HEAD_WITHIN_S"):
        monkeypatch.setattr(openings, patience, patient(0.2))


@asynccontextmanager
async def serving(tls: Certificate | None) -> AsyncIterator[int]:
    async with serve_http(scheme, "127.0.0.1", 0, tls=tls, websockets="websockets-sansio") as port:
        yield port


@asynccontextmanager
async def dialled(
    port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection; the certificate's name is verified, unless the context says otherwise, though not asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer(port: int, context: ssl.SSLContext | None = None, request: bytes = GET) -> bytes:
    """The body of what comes back."""
    async with dialled(port, context) as (reader, writer):
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        return await reader.readexactly(5 if context else 4)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the other side ends the connection, which it does."""
    async with within(5):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_clear_text_and_tls_are_served_on_one_port(tls, trusting):
    async with serving(tls) as port:
        assert await answer(port) == b"http"
        assert await answer(port, trusting) == b"https"
        assert await answer(port) == b"http"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_is_served_without_a_server_name(tls, trusting, version):
    trusting.minimum_version = trusting.maximum_version = version
    trusting.check_hostname = False
    async with serving(tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="")
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert writer.get_extra_info("ssl_object").version() == version.name.replace("v1_", "v1.")
        writer.close()


async def test_websockets_come_through_both(tls, trusting):
    async with (
        serving(tls) as port,
        connect(f"ws://127.0.0.1:{port}") as clear,
        connect(f"wss://127.0.0.1:{port}", ssl=trusting) as secured,
    ):
        assert await clear.recv() == "ws"
        assert await secured.recv() == "wss"
        for length in (1, 70_000, 300_000):
            await secured.send("x" * length)
            assert await secured.recv() == "x" * length


async def test_a_client_hello_that_comes_byte_by_byte_is_a_client_hello(tls, trusting):
    async with serving(tls) as port:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        async with dialled(port) as (reader, writer):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            for byte in outgoing.read():
                writer.write(bytes((byte,)))
                await writer.drain()
            while True:
                incoming.write(await reader.read(65536))
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
            # The request rides behind the handshake's last word, in one packet.
            client.write(GET)
            writer.write(outgoing.read())
            said = b""
            while not said.endswith(b"https"):
                incoming.write(await reader.read(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        said += client.read()
            assert said.startswith(b"HTTP/1.1 200")


async def test_requests_follow_one_another_on_a_connection(tls, trusting):
    async with serving(tls) as port, dialled(port, trusting) as (reader, writer):
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"https")).startswith(b"HTTP/1.1 200")


async def test_without_a_certificate_a_client_of_tls_is_turned_away_and_clear_text_served():
    async with serving(None) as port:
        async with dialled(port) as (reader, writer):
            writer.write(HELLO)
            assert await rest(reader) == b""
        assert await answer(port) == b"http"


@pytest.mark.parametrize("said", [b"\n", b"GET / HTTP/1.1\r\nHost:"], ids=["a blank line", "half a head"])
async def test_who_stops_half_way_is_told_and_ended(tls, impatient, said):
    async with serving(tls) as port, dialled(port) as (reader, writer):
        writer.write(said)
        assert (await rest(reader)).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("said", [b"", HELLO], ids=["nothing", "half a handshake"])
async def test_who_does_not_begin_is_ended(tls, impatient, said):
    async with serving(tls) as port, dialled(port) as (reader, writer):
        writer.write(said)
        assert await rest(reader) == b""


async def test_a_second_head_has_its_time_like_the_first(tls, impatient):
    async with serving(tls) as port, dialled(port) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"http")
        writer.write(GET[:10])
        assert (await rest(reader)).startswith(b"HTTP/1.1 408")


async def test_who_says_nothing_after_the_handshake_is_ended(tls, trusting, impatient):
    async with serving(tls) as port, dialled(port, trusting) as (reader, _writer):
        assert (await rest(reader)).startswith(b"HTTP/1.1 408")


async def test_a_byte_now_and_then_buys_no_time(tls, impatient):
    async with serving(tls) as port, dialled(port) as (reader, writer):
        ended = asyncio.create_task(rest(reader))
        for byte in chain(b"GET / HTTP/1.1\r\nX: ", repeat(ord("x"))):
            if ended.done():
                break
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.02)
        assert b"408" in await ended


async def test_a_head_without_an_end_is_refused(tls):
    async with serving(tls) as port, dialled(port) as (reader, writer):
        ended = asyncio.create_task(rest(reader))
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            while not ended.done():
                writer.write(b"x" * 4096)
                await writer.drain()
                await asyncio.sleep(0)
        assert b"431" in await ended, "the answer comes though more was on its way"


@pytest.mark.parametrize("said", [b"GET /\xff\xfe HTTP/1.1\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe", b"\x00" * 100])
async def test_bytes_that_are_neither_http_nor_tls_are_answered_and_ended(tls, said):
    async with serving(tls) as port, dialled(port) as (reader, writer):
        writer.write(said)
        assert (await rest(reader)).startswith(b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 100, b"\x16" * 1000, HELLO + b"\xff" * 512, b"\xff\xfe", b"SSH-2.0-x\r\n"]
)
async def test_garbage_ends_its_own_connection_alone(tls, trusting, impatient, garbage):
    async with serving(tls) as port, connect(f"wss://127.0.0.1:{port}", ssl=trusting) as other:
        async with dialled(port) as (reader, writer):
            writer.write(garbage)
            await rest(reader)
        await other.recv()
        await other.send("still here")
        assert await other.recv() == "still here"


async def test_others_are_served_beside_many_that_say_nothing(tls, trusting):
    async with serving(tls) as port, contextlib.AsyncExitStack() as silent:
        for number in range(200):
            _, writer = await silent.enter_async_context(dialled(port))
            if number % 2:
                writer.write(HELLO)
        assert await answer(port) == b"http"
        assert await answer(port, trusting) == b"https"


async def test_a_stop_waits_for_nobody_who_has_not_begun(tls, trusting, monkeypatch):
    monkeypatch.setattr("chassis.http.STOP_WITHIN_S", 3600)  # as long it waits for those it serves
    async with contextlib.AsyncExitStack() as clients:
        async with within(10), serving(tls) as port:
            silent, _ = await clients.enter_async_context(dialled(port))
            half, writer = await clients.enter_async_context(dialled(port))
            writer.write(HELLO)
            idle, writer = await clients.enter_async_context(dialled(port, trusting))
            writer.write(GET)
            await idle.readuntil(b"https")
        for reader in (silent, half, idle):
            assert await rest(reader) == b""


async def test_nothing_is_left_of_connections_that_went(tls, trusting, impatient):
    async with serving(tls) as port:
        for _ in range(3):
            await answer(port)
            await answer(port, trusting)
            async with dialled(port) as (_, writer):
                writer.write(HELLO)
            async with dialled(port):
                pass
        await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "tls"])
