"""The refusals that session_manager gives."""

from chassis.refusals import ServiceError
from contracts.refusals import Code
from contracts.sessions import Checkpoint, SessionStatus


class SessionNotFoundError(ServiceError):
    code = Code.SESSION_NOT_FOUND

    def __init__(self, session: str) -> None:
        super().__init__(f"There is no session {session!r}.", fields={"session": session})


class PlayerNotFoundError(ServiceError):
    code = Code.PLAYER_NOT_FOUND

    def __init__(self, player_id: str) -> None:
        super().__init__(f"Player {player_id!r} has no seat there.", fields={"player_id": player_id})


class WrongStateError(ServiceError):
    code = Code.WRONG_STATE

    def __init__(self, session_id: str, status: SessionStatus) -> None:
        super().__init__(
            f"Session {session_id} is {status}; that cannot be done to it.",
            fields={"session_id": session_id, "status": status},
        )


class SessionFullError(ServiceError):
    code = Code.SESSION_FULL

    def __init__(self, session_id: str, max_players: int) -> None:
        super().__init__(
            f"All {max_players} seats of session {session_id} are taken.",
            fields={"session_id": session_id, "max_players": max_players},
        )


class HostFullError(ServiceError):
    code = Code.HOST_FULL

    def __init__(self, host_id: str, max_players: int) -> None:
        super().__init__(
            f"All {max_players} seats of host {host_id!r} are taken.",
            fields={"host_id": host_id, "max_players": max_players},
        )


class CheckpointNotFoundError(ServiceError):
    code = Code.CHECKPOINT_NOT_FOUND

    def __init__(self, session_id: str) -> None:
        super().__init__(f"Session {session_id} has no checkpoint.", fields={"session_id": session_id})


class StaleEpochError(ServiceError):
    code = Code.STALE_EPOCH

    def __init__(self, session_id: str, host_id: str, epoch: int) -> None:
        super().__init__(
            f"Host {host_id!r} has taken over session {session_id}, in epoch {epoch}.",
            fields={"session_id": session_id, "host_id": host_id, "epoch": epoch},
        )


class EpochToComeError(ServiceError):
    code = Code.CONFLICT

    def __init__(self, session_id: str, epoch: int) -> None:
        super().__init__(
            f"Session {session_id} is in epoch {epoch} yet.", fields={"session_id": session_id, "epoch": epoch}
        )


class CheckpointNotNewerError(ServiceError):
    code = Code.CONFLICT

    def __init__(self, kept: Checkpoint) -> None:
        super().__init__(
            f"Checkpoint {kept.sequence} of session {kept.session_id} is kept already; count on from it.",
            fields={"session_id": kept.session_id, "epoch": kept.epoch, "sequence": kept.sequence},
        )
