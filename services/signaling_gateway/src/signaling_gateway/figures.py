"""What the WebSockets of all gateways come to: each tells Redis its own with its beat, any adds them up."""

from typing import Any

import orjson
from chassis.refusals import UnavailableError

from signaling_gateway.connections import Connections
from signaling_gateway.dashboard import JoinsPart, SignalingPart, SocketsSeen
from signaling_gateway.funnel import Funnel, summed
from signaling_gateway.presence import Presence
from signaling_gateway.rooms import Rooms


class Figures:
    def __init__(self, connections: Connections, rooms: Rooms, funnel: Funnel, presence: Presence) -> None:
        self._connections = connections
        self._rooms = rooms
        self._funnel = funnel
        self._presence = presence

    def own(self) -> dict[str, Any]:
        """This gateway's, as they are now."""
        return {
            "connections": len(self._connections),
            "sessions": self._rooms.counted_here(),
            "joins": self._funnel.figures(),
        }

    async def all(self) -> SocketsSeen:
        """Everybody's, those of others as of their last beat; this gateway's alone while Redis is away."""
        told = [self.own()]
        try:
            others = await self._presence.figures()
        except UnavailableError:
            others = {}
        told += [orjson.loads(figures) for gateway, figures in others.items() if gateway != self._presence.gateway_id]
        return SocketsSeen(
            signaling=SignalingPart(
                active_connections=sum(figures["connections"] for figures in told),
                active_sessions=sum(figures["sessions"] for figures in told),
            ),
            joins=JoinsPart.model_validate(summed(figures["joins"] for figures in told)),
        )
