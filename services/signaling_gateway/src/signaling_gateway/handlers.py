"""What comes in over NATS: signals and news from other gateways, facts from the owners."""

from functools import partial

import structlog
from chassis import tracing
from chassis.bus import Bus
from chassis.events import Consumers
from contracts.gateway import Replaced, RoomPresence
from contracts.hosts import HOST_DELETED, HOST_REGISTERED, HostFact
from contracts.sessions import SessionFact
from contracts.streams import EVENTS
from nats.aio.msg import Msg

from signaling_gateway.peers.connections import Connections
from signaling_gateway.rooms.entering import Entering
from signaling_gateway.rooms.hosting import Doubts
from signaling_gateway.rooms.relay import Relay, frame_named, receiver_named
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.session_facts import SessionFacts

log = structlog.stdlib.get_logger()

_KIND = 3
"""The token of p2p.gateway.<id>.<kind>.… that says what comes."""


class Inbox:
    """All that other gateways send to this one: one subscription, so that it comes in the order it was sent."""

    def __init__(
        self,
        *,
        bus: Bus,
        connections: Connections,
        rooms: Rooms,
        relay: Relay,
        entering: Entering,
        doubts: Doubts,
    ) -> None:
        self._bus = bus
        self._connections = connections
        self._rooms = rooms
        self._relay = relay
        self._entering = entering
        self._doubts = doubts

    async def take(self, msg: Msg) -> None:
        """Take one message; whatever is wrong with it is its own loss."""
        kind = msg.subject.split(".")[_KIND]
        traceparent = msg.headers.get(tracing.TRACEPARENT) if msg.headers else None
        try:
            with tracing.continued(traceparent, f"receive p2p.gateway.{kind}", tracing.SpanKind.CONSUMER):
                await self._take(kind, msg)
        except Exception:
            log.exception("inbox.message_failed", kind=kind)

    async def _take(self, kind: str, msg: Msg) -> None:
        match kind:
            case "deliver":
                await self._deliver(msg)
            case "bounce":
                self._relay.bounced(*frame_named(msg.subject))
            case "room":
                self._rooms.hear(RoomPresence.model_validate_json(msg.data))
            case "replaced":
                word = Replaced.model_validate_json(msg.data)
                self._entering.replaced(word.peer_id, word.connection_id)
            case "alive":
                await self._answer(msg, b"{}")
            case _:
                log.warning("inbox.unknown", kind=kind)

    async def _deliver(self, msg: Msg) -> None:
        peer_id, session_id = receiver_named(msg.subject)
        if not self._doubts.holds(peer_id, session_id):
            if self._relay.hand_over(peer_id, session_id, msg.data):
                return
            peer = self._connections.of(peer_id)
            if peer is None or (peer.standing.host_id is None and not peer.unidentified):
                await self._answer(msg)
                return
        self._doubts.hold(peer_id, session_id, partial(self._deliver_or_answer, msg, peer_id, session_id))

    async def _deliver_or_answer(self, msg: Msg, peer_id: str, session_id: str) -> None:
        if not self._relay.hand_over(peer_id, session_id, msg.data):
            await self._answer(msg)

    async def _answer(self, msg: Msg, body: bytes = b"") -> None:
        if msg.reply:
            await self._bus.send(msg.reply, body, "", None)


def hear_facts(consumers: Consumers, session_facts: SessionFacts) -> None:
    """Every gateway hears them all, from now on: each knows which of its sockets they are about."""
    consumers.consume(
        EVENTS, "p2p.events.sessions.>", SessionFact, session_facts.session_changed, name="sessions", durable=False
    )
    consumers.consume(
        EVENTS, HOST_REGISTERED.wildcard, HostFact, session_facts.host_registered, name="registered", durable=False
    )
    consumers.consume(
        EVENTS, HOST_DELETED.wildcard, HostFact, session_facts.host_deleted, name="deleted", durable=False
    )
