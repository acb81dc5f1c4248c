"""What the WebSockets of all gateways come to: each tells Redis its own with its beat, any adds them up."""

from collections.abc import Iterator

import structlog
from chassis.refusals import UnavailableError
from contracts.subjects import Message
from pydantic import ValidationError

from signaling_gateway.cluster.presence import Presence
from signaling_gateway.monitoring.dashboard import JoinsPart, SignalingPart, SocketsSeen
from signaling_gateway.peers.connections import Connections
from signaling_gateway.rooms.join_funnel import FunnelTotals, JoinFunnel, summed
from signaling_gateway.rooms.rooms import Rooms

log = structlog.stdlib.get_logger()


class GatewayTotals(Message):
    """One gateway's, as it tells them."""

    connections: int
    sessions: int
    joins: FunnelTotals


class SocketTotals:
    """This gateway's, and everybody's."""

    def __init__(self, connections: Connections, rooms: Rooms, funnel: JoinFunnel, presence: Presence) -> None:
        self._connections = connections
        self._rooms = rooms
        self._funnel = funnel
        self._presence = presence

    def own(self) -> GatewayTotals:
        """This gateway's, as they are now."""
        return GatewayTotals(
            connections=len(self._connections), sessions=self._rooms.counted_here(), joins=self._funnel.counts()
        )

    async def all(self) -> SocketsSeen:
        """Everybody's, those of others as of their last beat; this gateway's alone while Redis is away."""
        told = [self.own()]
        try:
            others = await self._presence.totals()
        except UnavailableError:
            others = {}
        told += _readable(text for gateway, text in others.items() if gateway != self._presence.gateway_id)
        return SocketsSeen(
            signaling=SignalingPart(
                active_connections=sum(totals.connections for totals in told),
                active_sessions=sum(totals.sessions for totals in told),
            ),
            joins=JoinsPart.model_validate(summed(totals.joins for totals in told)),
        )


def _readable(texts: Iterator[str]) -> Iterator[GatewayTotals]:
    for text in texts:
        try:
            yield GatewayTotals.model_validate_json(text)
        except ValidationError:
            log.info("totals.of_another_release")  # while one replaces the other, both are there
