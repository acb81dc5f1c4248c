"""Gateways to test: in this process, or one of their own to be killed or to export spans."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from embedded.ports import free_port
from signaling_gateway.app import service
from signaling_gateway.settings import Settings
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.servers import TestServers

from services.signaling_gateway.tests.databases import gateway_database


@asynccontextmanager
async def gateway(servers: TestServers, **changes: Any) -> AsyncIterator[str]:
    """Run a gateway in this process; give its base URL."""
    given: dict[str, Any] = {
        "nats_url": servers.nats.url,
        "redis_url": servers.redis.url,
        "postgres_url": gateway_database(servers),
        "http_port": free_port(),
        "stun_servers": ("stun.example.org:3478",),
        "cors_origins": ("https://game.example.org",),
    }
    settings = Settings(**(given | changes))
    async with service(settings):
        yield f"http://127.0.0.1:{settings.http_port}"


@asynccontextmanager
async def process(servers: TestServers, **variables: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A gateway as a process of its own."""
    port = free_port()
    environment = {
        **os.environ,
        "NATS_URL": servers.nats.url,
        "REDIS_URL": servers.redis.url,
        "POSTGRES_URL": gateway_database(servers),
        "HTTP_PORT": str(port),
        "LOG_LEVEL": "ERROR",
        **variables,
    }
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "signaling_gateway", env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        async with http_client(base_url=url) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, within=30)
        yield url, running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()
