"""zone_manager as other services meet it: over NATS, with PostgreSQL behind it."""

import pytest
from chassis.bus import Bus
from chassis.requests import call
from contracts.zones import (
    PLACE,
    Place,
)

pytestmark = pytest.mark.usefixtures("zone_manager")


async def test_the_documented_host_is_placed_in_the_capital(bus: Bus):
    placement = await call(
        bus, PLACE, Place(zone_id="prontera", session_id="session-0000000000000001", host_id="host-12345")
    )
    assert placement.host.host_id == "host-12345"
