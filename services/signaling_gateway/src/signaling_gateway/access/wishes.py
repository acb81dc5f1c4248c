"""Who may have a token made, and for whom."""

import re
from dataclasses import dataclass

from contracts.access import Role

from signaling_gateway.access.errors import ForbiddenError, UnauthenticatedError
from signaling_gateway.access.identity import Identity

STAFF = frozenset({Role.SERVER, Role.OPERATOR})
"""Who may speak for any peer."""

SHUT = "Clients without a key are not let in: WARP_ANONYMOUS is off."
"""Said to game clients alone, for those who run the suite: a game client has no way to get a key."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The token that somebody would like."""

    peer_id: str
    role: Role = Role.PLAYER
    host_id: str | None = None
    from_client: bool = False
    """It is the game client itself that asks, which has no key."""


@dataclass(frozen=True, slots=True)
class WarpDoor:
    """Whether game clients come in without a key, and under which names."""

    is_open: bool
    peer_ids: re.Pattern[str]

    def admits(self, peer_id: str) -> bool:
        return self.is_open and self.peer_ids.fullmatch(peer_id) is not None


def granted(wish: Wish, by: Identity, door: WarpDoor, *, enforced: bool) -> Identity:
    """Say who the token is to make of its bearer; a refusal says what is missing."""
    role = wish.role
    if enforced and by.role not in STAFF:
        if not wish.from_client:
            raise UnauthenticatedError("Send a server's API key: as X-API-Key, or as api_key in the body.")
        if not door.is_open:
            raise UnauthenticatedError(SHUT)
        if not door.admits(wish.peer_id):
            raise ForbiddenError("Clients without a key may not have this peer_id: WARP_PEER_IDS says which.")
        role = Role.ANONYMOUS
    return Identity(role, wish.peer_id, peer_id=wish.peer_id, host_id=wish.host_id, key_id=by.key_id)
