"""What can go wrong between a program and the coordinator, as exceptions that say so."""

from pathlib import Path

import aiohttp
from contracts.refusals import Code, Refusal


def words_of(error: Exception) -> str:
    """Say what a network error means."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"nothing answers at {error.host}:{error.port}"
    return str(error) or type(error).__name__


class P2pError(Exception):
    """Everything that this package raises of its own."""


class UnreachableError(P2pError):
    """Nobody answered: the address is wrong, the coordinator is down, or the network is away."""

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(f"{where} cannot be reached: {cause}")
        self.where = where


class RefusedError(P2pError):
    """The coordinator answered no; `code` is the stable word to match on."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.detail} ({refusal.code})")
        self.refusal = refusal

    @property
    def code(self) -> Code:
        return self.refusal.code


class StaleEpochError(RefusedError):
    """Another host has taken over the session since: whatever this one still does in it, nobody will see."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.host_id = str(refusal.fields.get("host_id", ""))
        """Who hosts it now."""
        epoch = refusal.fields.get("epoch")
        self.epoch = epoch if isinstance(epoch, int) else None
        """And since which epoch."""


class CredentialsError(P2pError):
    """NATS does not know us: the credentials file is missing, unreadable, expired, revoked or another server's."""

    def __init__(self, credentials: Path | None, cause: str) -> None:
        of_what = f"with {credentials}" if credentials else "without credentials (NATS_CREDS)"
        super().__init__(f"NATS cannot be entered {of_what}: {cause}; `p2p keys create --nats FILE` makes new ones")
        self.credentials = credentials


class NotAllowedError(P2pError):
    """The coordinator does not let this program in, or no longer, and no other token changes that; it says what may."""


class ReplacedError(P2pError):
    """A newer connection took over our signaling name (4001); coming back would throw that one out."""

    def __init__(self, peer_id: str) -> None:
        super().__init__(f"another connection took over the signaling name {peer_id!r}; is the program running twice?")
        self.peer_id = peer_id


class ChannelClosedError(P2pError):
    """The player's data channel is closed; what was sent did not leave."""

    def __init__(self, player_id: str) -> None:
        super().__init__(f"the data channel to {player_id!r} is closed")
        self.player_id = player_id


class NotHostedError(P2pError):
    """This host serves no session of that zone."""

    def __init__(self, zone_id: str) -> None:
        super().__init__(f"this host serves no session of the zone {zone_id!r}")
        self.zone_id = zone_id


class NotAssignedError(P2pError):
    """The session is not, or no longer, among those that this host serves."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"this host does not serve session {session_id!r}")
        self.session_id = session_id


class ConnectionFailedError(P2pError):
    """A player's offer did not lead to an open data channel."""
