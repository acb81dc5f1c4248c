"""Offers to hosts and their answers, by way of whichever gateway holds the host's socket."""

import asyncio
import secrets

from chassis import tracing
from chassis.bus import Bus
from contracts.frames import IceServer, ProbeAnswer, ProbeOffer
from contracts.probes import PROBE_ANSWER, PROBE_OFFER
from nats.aio.msg import Msg

from prober.errors import NotProbedError, NotReachedError
from prober.measuring import Miss

ANSWERED_WITHIN_S = 7.0
"""A host may ask a STUN server that is silent: that takes it 5 s."""


class Exchange:
    """Any number side by side, each under a name that only its host learns."""

    def __init__(self, bus: Bus, ice_servers: tuple[IceServer, ...]) -> None:
        self._bus = bus
        self._ice_servers = ice_servers
        self._reconnects = 0
        bus.on_reconnect(self._reconnected)

    async def answer_to(self, peer_id: str, sdp: str) -> str:
        """Give the SDP that the host answers; NotReachedError when none came, or nothing that is one."""
        probe_id = secrets.token_hex(16)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def hear(msg: Msg) -> None:
            if not answer.done():
                answer.set_result(msg.data)

        before = self._reconnects
        subscription = await self._bus.subscribe(PROBE_ANSWER.of(probe_id=probe_id), hear)
        try:
            await self._bus.publish(_subject(peer_id), self._offer(probe_id, sdp))
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                return _sdp_of(await answer)
        except TimeoutError:
            if not self._bus.connected or self._reconnects != before:
                raise NotProbedError("NATS was away meanwhile") from None
            raise NotReachedError(Miss.UNANSWERED) from None
        finally:
            await subscription.unsubscribe()

    def _offer(self, probe_id: str, sdp: str) -> bytes:
        offer = ProbeOffer(
            probe_id=probe_id,
            sdp={"type": "offer", "sdp": sdp},
            ice_servers=self._ice_servers,
            traceparent=tracing.current_traceparent(),
        )
        return offer.model_dump_json().encode()

    async def _reconnected(self) -> None:
        self._reconnects += 1


def _subject(peer_id: str) -> str:
    try:
        return PROBE_OFFER.of(peer_id=peer_id)
    except ValueError:  # a name too long for NATS: no gateway hears of it
        raise NotReachedError(Miss.UNANSWERED) from None


def _sdp_of(body: bytes) -> str:
    try:
        sdp = ProbeAnswer.model_validate_json(body).sdp
    except ValueError:
        raise NotReachedError(Miss.UNUSABLE) from None
    text = sdp.get("sdp") if isinstance(sdp, dict) else sdp
    if not isinstance(text, str):
        raise NotReachedError(Miss.UNUSABLE)
    return text
