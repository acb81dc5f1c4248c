from importlib.resources import files

import pytest
from chassis.database import open_database

from services.session_manager.tests.world import FakeZones, make_world


@pytest.fixture
def zones():
    return FakeZones()


@pytest.fixture
async def database(postgres_url):
    migrations = files("session_manager") / "migrations"
    async with open_database(postgres_url, name="session_manager", migrations=migrations, plan_once=True) as database:
        yield database


@pytest.fixture
def world(database, clock, zones):
    return make_world(database, clock, zones)
