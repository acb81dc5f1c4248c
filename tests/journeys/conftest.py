"""What journeys ask for: a suite that asks who calls, and its game's server, which gives a busy machine time.

Open mode has its journeys in `tests/browser`, `tests/compat` (the clients that know of no keys), `tests/faults` and
`tests/deployment`, and whatever uses the session's `suite`.
"""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from contracts.access import Role
from embedded.plan import Mode
from testkit.admission import headers_for
from testkit.clients import persistent_client
from testkit.suites import RunningSuite, running_suite


@pytest.fixture(scope="package")
def suite() -> Iterator[RunningSuite]:
    """The whole suite in enforced mode, with two gateways, shared by all journeys that leave it whole."""
    with running_suite({"signaling_gateway": 2}, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def api(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    """With a server's key, as a game's backend has one."""
    async with persistent_client(suite.gateways[0], await headers_for(suite)) as client:
        yield client


@pytest.fixture
async def operated(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    """With an operator's key, to which everything answers."""
    async with persistent_client(suite.gateways[0], await headers_for(suite, Role.OPERATOR)) as client:
        yield client
