"""A connection ends in time whatever the other side does: stalls, sends too much, answers no ping."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest
from chassis.http import serve_http
from contracts.closing import CloseCode
from embedded.ports import free_port
from signaling_gateway.peers import uvicorn_socket as wire
from signaling_gateway.peers.uvicorn_socket import MAX_BUFFERED_BYTES, UVICORN_OPTIONS, WIRE, Wire
from starlette.types import Receive, Scope, Send
from testkit.clients import connect
from testkit.eventually import eventually
from testkit.patience import patient, within
from websockets.exceptions import ConnectionClosed

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Application:
    """Keeps the wires it is given, and what becomes of each connection."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.ended: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.wires.append(scope["extensions"][WIRE])
        while (message := await receive())["type"] != "websocket.disconnect":
            pass
        self.ended.append(message["code"])


@asynccontextmanager
async def serving(**options) -> AsyncIterator[tuple[Application, int]]:
    application = Application()
    port = free_port()
    async with serve_http(application, "127.0.0.1", port, websockets=Wire, **(UVICORN_OPTIONS | options)):
        yield application, port


@asynccontextmanager
async def stalled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has done the handshake and reads nothing more, from a kernel that takes little for it."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def fill(connection: Wire) -> int:
    """Write until it hangs up; how much that took."""
    for written in count(step=16_384):
        if not connection.open:
            return written
        connection.write(b"x" * 16_384)
        await asyncio.sleep(0)
    raise AssertionError


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    monkeypatch.setattr(wire, "LINGER_S", 0.2)
    return lambda: None


async def test_a_stalled_reader_is_hung_up_on_and_gone_soon_after(impatient):
    async with serving() as (application, port), stalled(port):
        await eventually(lambda: application.wires)
        [connection] = application.wires
        written = await fill(connection)
        assert written < MAX_BUFFERED_BYTES + 8_000_000  # the kernel takes some megabytes, then it counts
        await eventually(lambda: application.ended == [1013])
        await eventually(lambda: connection.disconnected)


async def test_a_reader_that_wakes_up_in_time_is_told_that_it_was_too_slow():
    async with serving() as (application, port), connect(f"ws://127.0.0.1:{port}", max_queue=1) as client:
        await eventually(lambda: application.wires)
        await fill(application.wires[0])
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.recv()
        assert (client.close_code, client.close_reason) == (1013, "too slow")


async def test_a_stalled_reader_delays_nobody_else():
    async with serving() as (application, port), stalled(port), connect(f"ws://127.0.0.1:{port}") as client:
        await eventually(lambda: len(application.wires) == 2)
        for _ in range(200):
            for connection in application.wires:
                connection.write(b"x" * 16_384)
            assert len(await client.recv()) == 16_384


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"\x83\x80\0\0\0\0", CloseCode.MALFORMED), (b"\x81\x81\0\0\0\0\xff", CloseCode.NOT_UTF8)],
    ids=["no such opcode", "no UTF-8"],
)
async def test_what_is_no_websocket_is_closed_with_a_code_of_the_table(frame: bytes, code: CloseCode):
    async with serving() as (_, port), stalled(port) as (reader, writer):
        writer.write(frame)
        async with within(10):
            head, length = await reader.readexactly(2)
            assert head == 0x88
            assert int.from_bytes((await reader.readexactly(length))[:2], "big") == code


async def test_who_answers_no_ping_is_gone_after_two(impatient):
    async with serving(ws_ping_interval=0.1, ws_ping_timeout=0.2) as (application, port), stalled(port):
        await eventually(lambda: application.wires and application.wires[0].disconnected)


async def test_who_answers_pings_stays():
    async with (
        serving(ws_ping_interval=0.02, ws_ping_timeout=patient(2)) as (application, port),
        connect(f"ws://127.0.0.1:{port}") as client,
    ):
        await eventually(lambda: application.wires)
        [connection] = application.wires
        await eventually(lambda: connection.last_ping_rtt > 0)
        connection.write(b"still here")
        assert await client.recv() == "still here"


async def test_a_closed_wire_takes_what_is_written_to_it_and_drops_it():
    async with serving() as (application, port):
        async with connect(f"ws://127.0.0.1:{port}"):
            await eventually(lambda: application.wires)
        [connection] = application.wires
        await eventually(lambda: application.ended)
        connection.write(b"too late")
        connection.hang_up(CloseCode.RESTARTING, "too late")
        assert application.ended == [1000]


async def test_frames_of_every_length_arrive_whole():
    async with serving() as (application, port), connect(f"ws://127.0.0.1:{port}") as client:
        await eventually(lambda: application.wires)
        for length in (0, 1, 125, 126, 65_535, 65_536, 200_000):
            application.wires[0].write(b"x" * length)
            assert await client.recv() == "x" * length
