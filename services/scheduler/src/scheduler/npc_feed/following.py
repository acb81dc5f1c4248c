"""What the AI world says of the zones that are followed: subscribed to as it comes, and recalled from the stream.

A zone is followed by plain subscriptions of its own subjects, so what is said of other zones never comes here.
"""

from collections.abc import Awaitable, Callable, Iterable

import structlog
from chassis.bus import Bus
from contracts.npcs import ENVIRONMENT, NPC_STATE
from contracts.streams import NPC
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

log = structlog.stdlib.get_logger()

Hear = Callable[[Msg], Awaitable[None]]

RECALLED_AT_ONCE = 500
"""Messages of one fetch: some 150 KB."""

ZONES_AT_ONCE = 100
"""Zones recalled through one consumer; its filter names each of them twice."""

ANSWERS_WITHIN_S = 2.0
FORGOTTEN_AFTER_S = 30.0
"""The server removes a consumer that we could not."""


def npcs_of(zone_id: str) -> str:
    """The subject of all NPCs of a zone."""
    return NPC_STATE.of(zone_id=zone_id, npc_id="npc").removesuffix("npc") + "*"


class Following:
    """The subscriptions, by zone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._subscriptions: dict[str, list[Subscription]] = {}

    async def follow(self, zone_ids: Iterable[str], hear: Hear) -> None:
        """Hear everything said of these zones from now on."""
        for zone_id in zone_ids:
            subjects = (npcs_of(zone_id), ENVIRONMENT.of(zone_id=zone_id))
            self._subscriptions[zone_id] = [await self._bus.subscribe_raw(subject, hear) for subject in subjects]
        await self._bus.settle()

    async def let_go(self, zone_ids: Iterable[str]) -> None:
        for zone_id in list(zone_ids):
            for subscription in self._subscriptions.pop(zone_id, []):
                try:
                    await subscription.unsubscribe()
                except NatsError as error:  # the connection is gone, and the subscription with it
                    log.info("feed.not_unsubscribed", zone_id=zone_id, error=str(error))

    async def recall(self, zone_ids: Iterable[str], hear: Hear) -> None:
        """Hear the last word on each NPC and environment of these zones; NatsError when JetStream is away."""
        named = list(zone_ids)
        for first in range(0, len(named), ZONES_AT_ONCE):
            subjects = [
                subject
                for zone_id in named[first : first + ZONES_AT_ONCE]
                for subject in (npcs_of(zone_id), ENVIRONMENT.of(zone_id=zone_id))
            ]
            await self._recall(subjects, hear)

    async def _recall(self, subjects: list[str], hear: Hear) -> None:
        stream = self._bus.client.jetstream(timeout=ANSWERS_WITHIN_S)
        consumer = await stream.add_consumer(
            NPC.name,
            ConsumerConfig(
                filter_subjects=subjects,
                deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=FORGOTTEN_AFTER_S,
                mem_storage=True,
            ),
        )
        pulling = await stream.pull_subscribe_bind(consumer=consumer.name, stream=NPC.name)
        left = consumer.num_pending or 0
        try:
            while left > 0:
                messages = await pulling.fetch(min(left, RECALLED_AT_ONCE), timeout=ANSWERS_WITHIN_S)
                for message in messages:
                    await hear(message)
                left -= len(messages)
        finally:
            await pulling.unsubscribe()
            await stream.delete_consumer(NPC.name, consumer.name)
