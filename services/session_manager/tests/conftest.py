from contextlib import AsyncExitStack
from importlib.resources import files

import pytest
from chassis.database import open_database
from session_manager.app import service
from session_manager.settings import Settings

from services.session_manager.tests.suite import beside_zone_manager
from services.session_manager.tests.world import FakeZones, empty, make_world


@pytest.fixture
def zones():
    return FakeZones()


@pytest.fixture(scope="session")
def lasting_postgres_url(servers):
    """A database for all tests that leave none of it to the next: making one costs more than emptying it."""
    url = servers.new_database()
    yield url
    servers.postgres.ensure_running()
    servers.drop_database(url)


@pytest.fixture
async def database(servers, lasting_postgres_url):
    servers.postgres.ensure_running()
    migrations = files("session_manager") / "migrations"
    opened = open_database(lasting_postgres_url, name="session_manager", migrations=migrations, plan_once=True)
    async with opened as database:
        await empty(database)
        yield database


@pytest.fixture
def world(database, clock, zones):
    return make_world(database, clock, zones)


@pytest.fixture
async def start(nats_url, postgres_url):
    """Start an instance of the service; two of them share their work."""
    async with AsyncExitStack() as stack:

        async def start(name="one"):
            settings = Settings(nats_url=nats_url, postgres_url=postgres_url, instance=name)
            await stack.enter_async_context(service(settings))

        yield start


@pytest.fixture
async def bus(nats_url, start):
    """A bus on which one instance of the service answers, and a zone_manager that places everything."""
    async with beside_zone_manager(nats_url) as bus:
        await start()
        yield bus
