"""Probes of hosts pass through here: an offer to the socket that the host has here, its answer back to the prober."""

import structlog
from chassis.bus import Bus
from contracts.frames import ProbeAnswer, ProbeOffer
from contracts.probes import PROBE_ANSWER, PROBE_OFFER
from nats.aio.msg import Msg

from signaling_gateway.peers.connections import Connections
from signaling_gateway.peers.frames import MAX_FRAME_BYTES

log = structlog.stdlib.get_logger()


class Probing:
    """Every gateway hears every offer; whose host it is not says nothing."""

    def __init__(self, bus: Bus, connections: Connections) -> None:
        self._bus = bus
        self._connections = connections

    async def offered(self, msg: Msg) -> None:
        try:
            host = self._connections.of(PROBE_OFFER.parse(msg.subject)["peer_id"])
            if host is not None and host.standing.host_id is not None:
                host.say(_read(msg.data))
        except ValueError as error:  # of a subject that nobody of ours made, or pydantic's
            log.warning("probe.offer_unusable", subject=msg.subject, reason=type(error).__name__)

    async def answered(self, answer: ProbeAnswer) -> None:
        try:
            subject = PROBE_ANSWER.of(probe_id=answer.probe_id)
        except ValueError:  # longer than any of a prober's: nobody waits for it
            return
        await self._bus.publish(subject, answer.model_dump_json().encode())


def _read(offer: bytes) -> ProbeOffer:
    if len(offer) > MAX_FRAME_BYTES:
        raise ValueError(f"an offer of {len(offer)} bytes is none")
    return ProbeOffer.model_validate_json(offer)
