from collections.abc import AsyncIterator

import aioice.ice
import pytest

from libs.sdk.tests.stand_in import StandIn, running_stand_in


@pytest.fixture(autouse=True)
def webrtc_stays_here(monkeypatch):
    """aioice leaves 127.0.0.1 out and binds every other interface; a test's packets stay on this machine."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with running_stand_in() as running:
        yield running
