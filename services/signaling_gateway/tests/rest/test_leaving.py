"""A gateway that is told to stop: unready, closed to newcomers, and done with what it had begun."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from chassis.bus import connect_bus
from contracts.hosts import Host
from contracts.subjects import Message
from embedded.ports import free_port
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import within

from services.signaling_gateway.tests.rest.owners import OWNERS, Owners, example


@asynccontextmanager
async def gateway(environment: dict[str, str], stderr: int | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """One as a process; killed in the end, if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling_gateway", env=environment, stderr=stderr
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_what_is_in_flight_is_answered(nats_url: str, redis_url: str, postgres_url: str):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "NATS_URL": nats_url,
        "REDIS_URL": redis_url,
        "POSTGRES_URL": postgres_url,
        "HTTP_PORT": str(port),
    }
    arrived, released = asyncio.Event(), asyncio.Event()

    async def wait(_question: Message) -> bytes:
        arrived.set()
        await released.wait()
        return example(Host)

    async with (
        gateway(environment) as process,
        connect_bus(nats_url, "owners") as bus,
        http_client(base_url=url) as client,
    ):
        owners = Owners(bus, {"p2p.hosts.get": wait})
        async with owners.answering(*OWNERS):
            await eventually(lambda: answers(client), within=20)
            begun = asyncio.create_task(client.get("/api/v1/hosts/h"))
            await arrived.wait()

            process.send_signal(signal.SIGTERM)
            assert await eventually(lambda: closed(url))
            released.set()

            response = await begun
            assert response.status_code == 200
            assert response.content == example(Host)
        async with within(10):
            assert await process.wait() == 0


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.ConnectError:
        return False


async def closed(url: str) -> bool:
    async with http_client() as newcomer:
        try:
            await newcomer.get(f"{url}/health/live")
        except httpx.TransportError:
            return True
        return False


@pytest.mark.parametrize("variable", ["0.0.0.0"])
async def test_an_address_for_strangers_is_refused_in_one_line(variable: str):
    async with gateway(os.environ | {"HTTP_HOST": variable}, stderr=asyncio.subprocess.PIPE) as process:
        _, told = await process.communicate()

    assert process.returncode == 2
    assert told.decode().count("\n") == 1
    assert "SIGNALING_GATEWAY_OPEN_TO_NETWORK" in told.decode()
