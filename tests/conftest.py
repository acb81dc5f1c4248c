"""What tests of the whole suite ask for: a client of its first gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite

PATIENCE_S = 10.0
"""Longer than the 4 s within which every answer comes, on a machine that does much else."""


@pytest.fixture
async def api(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(base_url=suite.gateways[0]) as client:
        yield client


@pytest.fixture
def eventual_session(api: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Wait until a session has the given status, and give it."""

    async def wait(session_id: str, *, status: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            session: dict[str, Any] = (await api.get(f"/api/v1/sessions/{session_id}")).json()
            return session if session["status"] == status else None

        found = await eventually(there, within=PATIENCE_S, of=f"{session_id} {status}")
        assert found is not None
        return found

    return wait
