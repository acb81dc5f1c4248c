"""Sockets of hosts, as gateways tell of them."""

from datetime import datetime
from typing import Protocol

from chassis.clock import Clock
from contracts.gateway import PeerPresence, SessionsActive

from host_registry.store.liveness import Socket


class Store(Protocol):
    async def connected(self, socket: Socket, now: datetime) -> None: ...

    async def disconnected(self, socket: Socket, now: datetime) -> None: ...

    async def gateway_heard(self, gateway_id: str, now: datetime) -> None: ...


class Presence:
    """Of a peer that is no host nothing is kept."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def connected(self, peer: PeerPresence) -> None:
        await self._store.connected(_socket(peer), self._clock.now())

    async def disconnected(self, peer: PeerPresence) -> None:
        # By our own clock: a notice that waited for us must not shorten the time the host has to come back.
        await self._store.disconnected(_socket(peer), self._clock.now())

    async def gateway_heard(self, active: SessionsActive) -> None:
        await self._store.gateway_heard(active.gateway_id, self._clock.now())


def _socket(peer: PeerPresence) -> Socket:
    return Socket(peer.peer_id, peer.connection_id, peer.gateway_id, peer.host_id)
