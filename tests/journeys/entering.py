"""How journeys open sockets where everybody is asked: each peer with a token that the game's server had made for it."""

from typing import Any

from testkit.admission import bearer_for
from testkit.suites import RunningSuite

from services.signaling_gateway.tests.signaling import client
from services.signaling_gateway.tests.signaling.client import Peer


async def dial(suite: RunningSuite, gateway: str, player_id: str, session: str | None = None, **wish: Any) -> Peer:
    """Connect as a player."""
    shown = await bearer_for(suite, player_id=player_id, **wish)
    return await client.dial(gateway, player_id, session, additional_headers=shown)


async def dial_host(suite: RunningSuite, gateway: str, host_id: str) -> Peer:
    """Connect as a host whose peer has its name."""
    return await dial(suite, gateway, host_id, role="host", host_id=host_id)
