"""The refusals zone_manager gives."""

from chassis.refusals import RefusedError, ServiceError
from contracts.refusals import Code


class ZoneNotFoundError(ServiceError):
    """No such zone."""

    code = Code.ZONE_NOT_FOUND

    def __init__(self, zone_id: str) -> None:
        super().__init__(f"There is no zone {zone_id}.", fields={"zone_id": zone_id})


class ZoneDisabledError(ServiceError):
    """The zone takes no sessions on hosts."""

    code = Code.ZONE_DISABLED

    def __init__(self, zone_id: str, why: str) -> None:
        super().__init__(f"No host is placed in {zone_id}: {why}.", fields={"zone_id": zone_id, "reason": why})


class NoHostFreeError(ServiceError):
    """Not one host can serve the zone now."""

    code = Code.NO_HOST_FREE


class HostNotEligibleError(ServiceError):
    """The host that was asked for cannot serve the zone now."""

    code = Code.HOST_NOT_ELIGIBLE


class SlotLostError(RefusedError):
    """The host was able when it was found, and is not any more: somebody else was quicker."""
