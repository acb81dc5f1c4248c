"""What journeys ask for: a client that gives a busy machine time, as programs that play do."""

from collections.abc import AsyncIterator

import httpx
import pytest
from testkit.clients import persistent_client
from testkit.suites import RunningSuite


@pytest.fixture
async def api(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    async with persistent_client(suite.gateways[0]) as client:
        yield client
