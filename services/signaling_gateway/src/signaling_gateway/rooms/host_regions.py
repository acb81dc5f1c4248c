"""In which region hosts are: asked of host_registry, and remembered, since they seldom move."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

import structlog
from chassis.bus import Bus
from chassis.refusals import ServiceError
from chassis.requests import call
from contracts.hosts import FIND_PEER_HOST, GET_HOST, NameHost, NamePeer

log = structlog.stdlib.get_logger()

ASK_WITHIN = timedelta(milliseconds=250)
"""The registry answers in a few; nobody's entry is to wait longer for the order of a list."""

KNOWN_FOR_S = 300.0
UNKNOWN_FOR_S = 5.0
"""Where the registry does not answer, not everybody who enters waits for it."""

MOST_KNOWN = 10_000

Ask = Callable[[str], Awaitable[str | None]]
"""Give the region, if there is one; a ServiceError where nobody can say."""


class HostRegions:
    """What cannot be told in time is None: then no region comes first."""

    def __init__(self, of_host: Ask, of_peer: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._of_host = of_host
        self._of_peer = of_peer
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def known(self, host_id: str | None) -> str | None:
        """The region of a host that was learned."""
        found = self._known.get(host_id) if host_id is not None else None
        return found.region if found is not None else None

    async def learn(self, host_id: str) -> None:
        """Ask, unless it was asked of late."""
        now, found = self._clock(), self._known.get(host_id)
        if found is not None and now < found.until:
            return
        try:
            self._known[host_id] = _Known(await self._of_host(host_id), now + KNOWN_FOR_S)
        except ServiceError as error:
            log.info("host_regions.unknown", host_id=host_id, code=error.refusal.code)
            self._known[host_id] = _Known(found.region if found is not None else None, now + UNKNOWN_FOR_S)
        self._known.move_to_end(host_id)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def of_peer(self, peer_id: str) -> str | None:
        """The region of the host that signals under this name, if one does."""
        try:
            return await self._of_peer(peer_id)
        except ServiceError as error:
            log.info("host_regions.unknown", peer_id=peer_id, code=error.refusal.code)
            return None


class _Known(NamedTuple):
    region: str | None
    until: float


def host_regions(bus: Bus) -> HostRegions:
    """By what host_registry says."""

    async def of_host(host_id: str) -> str | None:
        return (await call(bus, GET_HOST, NameHost(host_id=host_id), deadline=ASK_WITHIN)).region

    async def of_peer(peer_id: str) -> str | None:
        host = (await call(bus, FIND_PEER_HOST, NamePeer(peer_id=peer_id), deadline=ASK_WITHIN)).host
        return host.region if host is not None else None

    return HostRegions(of_host, of_peer)
