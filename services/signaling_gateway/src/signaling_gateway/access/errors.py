"""The refusals of identity and permission; none of them repeats what was sent."""

from typing import ClassVar

from chassis.refusals import ServiceError
from contracts.refusals import Code
from contracts.sessions import Session

BAD_TOKEN = "Invalid or expired authentication token"  # noqa: S105 -- the words that existing clients match


class UnauthenticatedError(ServiceError):
    """Who asks has not shown who they are, or not so that it counts."""

    code: ClassVar[Code] = Code.UNAUTHENTICATED


class BadTokenError(UnauthenticatedError):
    """A token that is none of ours, or is no more; `why` is for the record alone."""

    def __init__(self, why: str) -> None:
        super().__init__(BAD_TOKEN)
        self.why = why


class ForbiddenError(ServiceError):
    """Who asks is known, and may not."""

    code: ClassVar[Code] = Code.FORBIDDEN


class KeyNotFoundError(ServiceError):
    """No key has this id."""

    code: ClassVar[Code] = Code.KEY_NOT_FOUND


class StaleEpochError(ServiceError):
    """A host speaks for a session that another host has taken over since."""

    code: ClassVar[Code] = Code.STALE_EPOCH

    def __init__(self, session: Session) -> None:
        super().__init__(
            f"Host {session.host_id!r} has taken over session {session.session_id}, in epoch {session.epoch}.",
            fields={"session_id": session.session_id, "host_id": session.host_id, "epoch": session.epoch},
        )
