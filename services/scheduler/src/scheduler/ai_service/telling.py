"""What the adapters found, said as AI servers say it.

Published without waiting for the stream's word: each saying is said again within minutes, and all of them after NATS
was away, so one that is lost is late and no more.
"""

from collections.abc import Iterable

from chassis.bus import Bus
from chassis.refusals import UnavailableError
from contracts.npcs import ENVIRONMENT, NPC_STATE, SOURCE, Environment, Source
from prometheus_client import Counter

from scheduler.ai_service.sayings import Saying

TRACED = 32
"""Of one round; the feed's message links to no more."""

SETTLED_EVERY = 1000
"""Messages after which the server's pace is waited for: the feed shares the connection."""

SAID = Counter("p2p_ai_service_sayings", "NPC states said on NATS for the AI service, by the adapter.", ["adapter"])


class Telling:
    """Of one adapter."""

    def __init__(self, bus: Bus, adapter: Source) -> None:
        self._bus = bus
        self._said = SAID.labels(adapter)
        self._headers = {SOURCE: adapter.value}

    async def tell(self, sayings: Iterable[Saying]) -> None:
        """Publish; UnavailableError when NATS is away, and then what was not said is said anew when it is back."""
        for count, saying in enumerate(sayings, 1):
            if not self._bus.connected:  # what is buffered now would be said later, perhaps by a deposed leader
                raise UnavailableError("The message bus is away.")
            try:
                subject = NPC_STATE.of(zone_id=saying.zone_id, npc_id=saying.npc_id)
            except ValueError:  # the two names are too long for a subject, and for whoever wants to hear of them
                continue
            if count <= TRACED:
                await self._bus.publish(subject, saying.body, headers=self._headers)
            else:
                await self._bus.send(subject, saying.body, "", dict(self._headers))
            self._said.inc()
            if count % SETTLED_EVERY == 0:
                await self._bus.settle()

    async def environment(self, zone_ids: Iterable[str], environment: Environment) -> None:
        body = environment.model_dump_json(exclude_none=True).encode()
        for zone_id in zone_ids:
            if not self._bus.connected:
                raise UnavailableError("The message bus is away.")
            await self._bus.send(ENVIRONMENT.of(zone_id=zone_id), body, "", dict(self._headers))
