"""An AI server's client: the state of its NPCs and their world goes in, what happened to them comes out."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from contracts.npcs import ENVIRONMENT, NPC_EVENT, NPC_STATE, Environment, NpcEvent, NpcState
from nats.aio.msg import Msg
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from sdk.nats_link import DEFAULT_URL, nats_link
from sdk.tracing import TRACER

log = logging.getLogger(__name__)


class AiServer:
    """Connected for as long as the `async with` block lasts; waits for NATS on entering, and whenever it is away.

    What is published is stored when the call returns, once, however often it had to be sent; UnreachableError after
    30 s in vain. An NPC that is not heard of for 10 minutes is removed from its zone.
    """

    def __init__(self, url: str = DEFAULT_URL, name: str = "AI server", credentials: Path | None = None) -> None:
        self._url = url
        self._name = name
        self._credentials = credentials

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._link = await stack.enter_async_context(nats_link(self._url, self._name, self._credentials))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def publish(self, zone_id: str, *states: NpcState) -> None:
        """Say how NPCs of a zone are now; `urgent` ones reach the hosts at once, others within the feed's interval.

        A state takes the place of the one before as a whole. Many at once are stored side by side.
        """
        await asyncio.gather(*(self._publish(zone_id, state) for state in states))

    async def _publish(self, zone_id: str, state: NpcState) -> None:
        about = {"p2p.zone_id": zone_id, "p2p.npc_id": state.npc_id}
        with TRACER.start_as_current_span("publish npc", kind=SpanKind.PRODUCER, attributes=about):
            await self._link.publish_stored(NPC_STATE.of(zone_id=zone_id, npc_id=state.npc_id), state)

    async def remove(self, zone_id: str, npc_id: str) -> None:
        """Say that an NPC is no longer there."""
        await self.publish(zone_id, NpcState(npc_id=npc_id, removed=True))

    async def set_environment(self, zone_id: str, environment: Environment) -> None:
        """Say how the world around the NPCs is: weather, time of day, season, and whatever else is set."""
        await self._link.publish_stored(ENVIRONMENT.of(zone_id=zone_id), environment)

    @asynccontextmanager
    async def npc_events(self, zone_id: str | None = None) -> AsyncIterator[AsyncIterator[NpcEvent]]:
        """Hear what hosts tell of NPCs, of one zone or of all; what happens while NATS is away is not heard."""
        subject = NPC_EVENT.wildcard if zone_id is None else NPC_EVENT.where(zone_id=zone_id)
        async with self._link.hearing(subject) as messages:
            yield _readable(messages)


async def _readable(messages: AsyncIterator[Msg]) -> AsyncIterator[NpcEvent]:
    async for message in messages:
        try:
            yield NpcEvent.model_validate_json(message.data)
        except ValidationError as error:
            log.warning("what came on %s cannot be read: %s", message.subject, error)
