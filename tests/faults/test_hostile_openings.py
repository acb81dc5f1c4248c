"""Connections that say nothing, dawdle or talk nonsense cost the gateway memory for some seconds, and nobody else."""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite

from tests.compat.game_client import game_client

GATEWAY = "signaling_gateway-1"

SILENT = 1000
CROWD = 10_000

OPENINGS = {
    "silence": b"",
    "half a handshake": b"\x16\x03\x01\x02\x00",
    "half a head": b"GET /health HTTP/1.1\r\nX-Slow: ",
    "garbage": b"\x00\x01\x02",
}


@asynccontextmanager
async def _connections(url: str, number: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    writers = []
    try:
        for _ in range(number):
            _, writer = await asyncio.open_connection(host, port)
            writers.append(writer)
        yield writers
    finally:
        for writer in writers:
            writer.transport.abort()


def _open_connections(pid: int, port: int | None) -> int:
    found = psutil.Process(pid).net_connections("tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in found)


async def test_ten_thousand_that_say_nothing_are_ended_and_others_are_served_beside_them(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    pid = suite.pid(GATEWAY)
    assert pid is not None
    port = urlsplit(suite.gateways[0]).port
    before = psutil.Process(pid).memory_info().rss
    with _descriptors(os.getpid(), CROWD), _descriptors(pid, CROWD):
        async with _connections(suite.gateways[0], CROWD):
            assert (await api.get("/api/v1/zones/prontera")).status_code == 200
            async with game_client(suite.gateways[0], suite.authority, "150001") as game:
                await game.create_session("nowhere")
                assert (await game.hear())["type"] == "error"
            grown = psutil.Process(pid).memory_info().rss - before
            assert grown < CROWD * 16 * 1024
            await eventually(lambda: _open_connections(pid, port) < 10, within=30, of="all of them ended")
    assert (await api.get("/api/v1/zones/prontera")).status_code == 200
    assert suite.pid(GATEWAY) == pid


@contextmanager
def _descriptors(pid: int, more: int) -> Iterator[None]:
    """Let a process have so many more of them, where it may not already."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    wanted = psutil.Process(pid).num_fds() + more + 500
    if limits[1] != resource.RLIM_INFINITY and limits[1] < wanted:
        pytest.fail(f"this machine lets a process have {limits[1]} descriptors; the test needs {wanted}")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(limits[0], wanted), limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("said", OPENINGS.values(), ids=OPENINGS.keys())
async def test_others_are_served_beside_a_thousand_that_do_not_begin_and_these_are_ended(
    suite: RunningSuite, api: httpx.AsyncClient, said: bytes
) -> None:
    pid = suite.pid(GATEWAY)
    assert pid is not None
    port = urlsplit(suite.gateways[0]).port
    before = psutil.Process(pid).memory_info().rss
    async with _connections(suite.gateways[0], SILENT) as writers:
        for writer in writers:
            writer.write(said)
        assert (await api.get("/api/v1/zones/prontera")).status_code == 200
        async with game_client(suite.gateways[0], suite.authority, "150001") as game:
            await game.create_session("nowhere")
            assert (await game.hear())["type"] == "error"
        grown = psutil.Process(pid).memory_info().rss - before
        assert grown < SILENT * 128 * 1024
        # The client of the fixture, and what looks whether the gateway is ready, may be among them.
        await eventually(lambda: _open_connections(pid, port) < 10, within=20, of="all of them ended")
    assert suite.pid(GATEWAY) == pid


async def test_a_byte_a_second_buys_no_more_time(suite: RunningSuite, api: httpx.AsyncClient) -> None:
    host, port = urlsplit(suite.gateways[0]).hostname, urlsplit(suite.gateways[0]).port
    reader, writer = await asyncio.open_connection(host, port)
    answer = asyncio.create_task(reader.read())
    with contextlib.suppress(ConnectionError):
        for byte in b"GET /health HTTP/1.1\r\nX-Slow: " + b"x" * 100:
            if answer.done():
                break
            writer.write(bytes([byte]))
            await asyncio.wait({answer}, timeout=0.5)
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_gateway_out_of_file_descriptors_turns_the_new_away_and_serves_the_old(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    pid = suite.pid(GATEWAY)
    assert pid is not None
    assert (await api.get("/health/live")).status_code == 200  # its connection is there, and kept
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (psutil.Process(pid).num_fds() + 20, limits[1]))
    try:
        async with _connections(suite.gateways[0], 100):
            began = psutil.Process(pid).cpu_times().user
            for _ in range(20):
                assert (await api.get("/health/live")).status_code == 200
            assert psutil.Process(pid).cpu_times().user - began < 2
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    async def serves_the_new() -> bool:
        async with http_client(base_url=suite.gateways[0]) as fresh:
            return (await fresh.get("/health/live")).status_code == 200

    await eventually(serves_the_new)
    assert suite.pid(GATEWAY) == pid
