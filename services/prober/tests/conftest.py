from collections.abc import AsyncIterator

import aioice.ice
import pytest
from chassis.bus import Bus, connect_bus


@pytest.fixture(autouse=True)
def webrtc_stays_here(monkeypatch):
    """aioice leaves 127.0.0.1 out and binds every other interface; a test's packets stay on this machine."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with connect_bus(nats_url, "test") as bus:
        yield bus
