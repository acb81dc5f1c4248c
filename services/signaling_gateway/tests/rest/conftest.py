"""One gateway for a file of tests, in front of owners that say what the test wants."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from embedded.ports import free_port
from signaling_gateway.app import service
from signaling_gateway.settings import Settings
from testkit.clients import http_client
from testkit.servers import TestServers

from services.signaling_gateway.tests.databases import gateway_database
from services.signaling_gateway.tests.rest.owners import OWNERS, Owners


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def all_owners(servers: TestServers) -> AsyncIterator[Owners]:
    async with connect_bus(servers.nats.url, "owners") as bus:
        owners = Owners(bus)
        async with owners.answering(*OWNERS):
            yield owners


@pytest.fixture
def owners(all_owners: Owners) -> Iterator[Owners]:
    """Owners with a blank memory."""
    all_owners.forget()
    yield all_owners
    all_owners.forget()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway_url(servers: TestServers) -> AsyncIterator[str]:
    settings = Settings(
        nats_url=servers.nats.url,
        redis_url=servers.redis.url,
        postgres_url=gateway_database(servers),
        http_port=free_port(),
        instance="gateway-1",
    )
    async with service(settings):
        yield f"http://127.0.0.1:{settings.http_port}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(gateway_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(base_url=gateway_url) as client:
        yield client
