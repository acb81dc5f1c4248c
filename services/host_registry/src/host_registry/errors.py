"""The refusals host_registry gives."""

from collections.abc import Sequence

from chassis.refusals import ServiceError
from contracts.hosts import Rejection
from contracts.refusals import Code


class HostNotFoundError(ServiceError):
    """No such host."""

    code = Code.HOST_NOT_FOUND

    def __init__(self, host_id: str) -> None:
        super().__init__(f"There is no host {host_id}.", fields={"host_id": host_id})


class PeerTakenError(ServiceError):
    """Another host signals under this name."""

    code = Code.CONFLICT

    def __init__(self, peer_id: str) -> None:
        super().__init__(f"The peer_id {peer_id} belongs to another host.", fields={"peer_id": peer_id})


class RegisteredSinceError(ServiceError):
    """Whoever leaves is not the one that is there."""

    code = Code.CONFLICT

    def __init__(self, host_id: str) -> None:
        super().__init__(f"Host {host_id} was registered by another run since.", fields={"host_id": host_id})


class NotForSettingError(ServiceError):
    """A status that the registry alone decides on."""

    code = Code.WRONG_STATE

    def __init__(self, status: str) -> None:
        super().__init__(
            f"A host becomes {status} by what it does, not by being set so; set online, busy or maintenance.",
            fields={"status": status},
        )


class NotHeardFromError(ServiceError):
    """A silent host can't be declared online; a beat can."""

    code = Code.WRONG_STATE

    def __init__(self, host_id: str) -> None:
        super().__init__(f"Host {host_id} has not been heard from; its next beat brings it online.")


class HostNotEligibleError(ServiceError):
    """The host can't take a session now."""

    code = Code.HOST_NOT_ELIGIBLE

    def __init__(self, host_id: str, rejections: Sequence[Rejection]) -> None:
        why = ", ".join(rejections) or "somebody else was quicker"
        super().__init__(
            f"Host {host_id} can't take a session now: {why}.",
            fields={"host_id": host_id, "rejections": list(rejections)},
        )


class SessionOverError(ServiceError):
    """A slot was asked for on behalf of a session that has ended."""

    code = Code.HOST_NOT_ELIGIBLE

    def __init__(self, session_id: str) -> None:
        super().__init__(f"Session {session_id} is over; it gets no slot.", fields={"session_id": session_id})
