"""Gateways on real NATS and Redis, in front of owners that the test plays."""

from collections.abc import AsyncIterator, Callable
from itertools import count

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from testkit.clients import http_client
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.gateways import gateway
from services.signaling_gateway.tests.signaling.owners import Owners, owning

_NUMBERS = count(1)


@pytest.fixture
def room() -> str:
    """The name of a room that no other test uses."""
    return f"room-{next(_NUMBERS)}"


@pytest.fixture
def number() -> int:
    """A number that no other test uses."""
    return next(_NUMBERS)


@pytest.fixture
def name() -> Callable[[str], str]:
    """Make names that no other test uses."""
    number = next(_NUMBERS)
    return lambda word: f"{word}-{number}"


@pytest.fixture
def client_of() -> Callable[[str], httpx.AsyncClient]:
    """Speak HTTP to a gateway."""
    return lambda url: http_client(base_url=url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(servers: TestServers) -> AsyncIterator[Owners]:
    async with owning(servers.nats.url) as owners:
        yield owners


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(servers: TestServers, owners: Owners) -> AsyncIterator[str]:
    """One gateway."""
    async with gateway(servers) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(servers: TestServers, owners: Owners) -> AsyncIterator[str]:
    """Another gateway."""
    async with gateway(servers) as url:
        yield url


@pytest.fixture
async def redis(servers: TestServers) -> AsyncIterator[Redis]:
    async with Redis.from_url(servers.redis.url, decode_responses=True) as client:
        yield client
