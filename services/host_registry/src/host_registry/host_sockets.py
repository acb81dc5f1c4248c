"""Sockets of hosts, as gateways tell of them."""

from datetime import datetime, timedelta
from typing import Protocol

from chassis.clock import Clock
from contracts.gateway import PeerPresence, SessionsActive

from host_registry.store.liveness import Socket

OLD_NEWS = timedelta(seconds=5)
"""A notice that waited for us this long says nothing of now: the host's next socket may be told of further down."""


class Store(Protocol):
    async def connected(self, socket: Socket, told_at: datetime, now: datetime) -> None: ...

    async def disconnected(self, socket: Socket, told_at: datetime, gone_at: datetime | None) -> str | None: ...

    async def gateway_heard(self, gateway_id: str, now: datetime) -> None: ...


class Jury(Protocol):
    async def judge(self, host_id: str) -> None: ...


class HostSockets:
    """Of a peer that is no host nothing is kept."""

    def __init__(self, store: Store, jury: Jury, clock: Clock) -> None:
        self._store = store
        self._jury = jury
        self._clock = clock

    async def connected(self, peer: PeerPresence) -> None:
        await self._store.connected(_socket(peer), peer.occurred_at, self._clock.now())

    async def disconnected(self, peer: PeerPresence) -> None:
        # By our own clock: the way the notice took must not shorten the time the host has to come back.
        now = self._clock.now()
        fresh = now - peer.occurred_at < OLD_NEWS
        host_id = await self._store.disconnected(_socket(peer), peer.occurred_at, now if fresh else None)
        if host_id is not None:
            await self._jury.judge(host_id)

    async def gateway_heard(self, active: SessionsActive) -> None:
        await self._store.gateway_heard(active.gateway_id, self._clock.now())


def _socket(peer: PeerPresence) -> Socket:
    return Socket(peer.peer_id, peer.connection_id, peer.gateway_id, peer.host_id)
