"""A game server's client: beats for hosts, facts about hosts, zones and sessions, and questions to their owners."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from contracts import hosts, sessions, zones
from contracts.hosts import HEARTBEAT, Heartbeat, HostFact
from contracts.sessions import SessionFact
from contracts.subjects import Rpc
from contracts.zones import ZoneFact

from sdk.facts import Event, facts
from sdk.nats_link import ANSWER_WITHIN, DEFAULT_URL, Answer, Question, nats_link

HOST_FACTS = (
    hosts.HOST_REGISTERED,
    hosts.HOST_CHANGED,
    hosts.HOST_ONLINE,
    hosts.HOST_SUSPECT,
    hosts.HOST_OFFLINE,
    hosts.HOST_DRAINING,
    hosts.HOST_DELETED,
)
ZONE_FACTS = (zones.ZONE_CHANGED,)
SESSION_FACTS = (
    sessions.SESSION_CREATED,
    sessions.SESSION_ACTIVATED,
    sessions.SESSION_JOINED,
    sessions.SESSION_LEFT,
    sessions.SESSION_MIGRATING,
    sessions.SESSION_MIGRATED,
    sessions.SESSION_FELL_BACK,
    sessions.SESSION_STANDBY_CHANGED,
    sessions.SESSION_ENDED,
    sessions.SESSION_FAILED,
)


class GameServer:
    """Connected for as long as the `async with` block lasts; waits for NATS on entering, and whenever it is away.

    The facts of `hosts`, `zones` and `sessions` are heard inside their own block, from the moment it is entered (or
    from `since` on, up to 7 days back), each once, in order, none missing over outages:

        async with server.sessions() as events:
            async for event in events:
                print(event.what, event.fact.session.zone_id, event.fact.players_joined)
    """

    def __init__(self, url: str = DEFAULT_URL, name: str = "game server", credentials: Path | None = None) -> None:
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

    async def heartbeat(self, host_id: str, beat: Heartbeat | None = None) -> None:
        """Tell that a host lives, and what it measured; expected every 15 s, not answered."""
        await self._link.publish(HEARTBEAT.of(host_id=host_id), beat or Heartbeat())

    async def ask(self, rpc: Rpc[Question, Answer], question: Question, *, within: timedelta = ANSWER_WITHIN) -> Answer:
        """Ask any request of `contracts`, such as `FIND_HOSTS`.

        Raises RefusedError with the code that the owner refused with, UnreachableError when no answer came in time.
        """
        return await self._link.ask(rpc, question, within)

    def hosts(self, since: datetime | None = None) -> AbstractAsyncContextManager[AsyncIterator[Event[HostFact]]]:
        """Hear of hosts: registered, changed, online, suspect, offline, draining, deleted."""
        return facts(self._link, HOST_FACTS, since)

    def zones(self, since: datetime | None = None) -> AbstractAsyncContextManager[AsyncIterator[Event[ZoneFact]]]:
        """Hear of zones: changed."""
        return facts(self._link, ZONE_FACTS, since)

    def sessions(self, since: datetime | None = None) -> AbstractAsyncContextManager[AsyncIterator[Event[SessionFact]]]:
        """Hear of sessions: created, activated, joined, left, ended, failed, and of each change of their host."""
        return facts(self._link, SESSION_FACTS, since)
