"""Whom we ask about hosts: host_registry."""

from chassis.bus import Bus
from chassis.refusals import RefusedError
from chassis.requests import call
from contracts.hosts import FIND_HOSTS, RESERVE_SLOT, FindHosts, Host, HostsFound, ReserveSlot
from contracts.refusals import Code

from zone_manager.errors import SlotLostError

LOST = frozenset({Code.HOST_NOT_ELIGIBLE, Code.HOST_NOT_FOUND})


class Directory:
    """Finds hosts and holds slots on them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def find(self, question: FindHosts) -> HostsFound:
        return await call(self._bus, FIND_HOSTS, question)

    async def reserve(self, question: ReserveSlot) -> Host:
        """Hold a slot; SlotLostError when the host no longer has one, or no longer is."""
        try:
            return await call(self._bus, RESERVE_SLOT, question)
        except RefusedError as error:
            if error.refusal.code in LOST:
                raise SlotLostError(error.refusal) from error
            raise
