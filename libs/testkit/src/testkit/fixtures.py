"""What tests ask for by name; root `conftest.py` makes it a plugin of every test.

A test that uses a server is marked `servers` by itself, so that `-m "not servers"` is what runs in a second.
"""

from collections.abc import Iterator

import pytest

from testkit.clock import ManualClock
from testkit.servers import TestServer, TestServers, running_servers

SERVER_FIXTURES = frozenset({"servers", "suite"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def servers() -> Iterator[TestServers]:
    """The servers of this test process; ask for one of the fixtures below instead."""
    with running_servers() as running:
        yield running


@pytest.fixture
def nats_server(servers: TestServers) -> Iterator[TestServer]:
    """NATS with an empty JetStream; a test may stop, kill and restart it."""
    servers.empty_nats()
    yield servers.nats
    servers.nats.ensure_running()


@pytest.fixture
def postgres_server(servers: TestServers) -> Iterator[TestServer]:
    """PostgreSQL; a test may stop, kill and restart it."""
    yield servers.postgres
    servers.postgres.ensure_running()


@pytest.fixture
def redis_server(servers: TestServers) -> Iterator[TestServer]:
    """An empty Redis; a test may stop, kill and restart it."""
    servers.empty_redis()
    yield servers.redis
    servers.redis.ensure_running()


@pytest.fixture
def nats_url(nats_server: TestServer) -> str:
    return nats_server.url


@pytest.fixture
def postgres_url(servers: TestServers, postgres_server: TestServer) -> Iterator[str]:
    """An empty database of the test's own."""
    url = servers.new_database()
    yield url
    postgres_server.ensure_running()
    servers.drop_database(url)


@pytest.fixture
def redis_url(redis_server: TestServer) -> str:
    return redis_server.url
