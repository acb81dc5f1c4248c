"""Who somebody is, as far as they have shown it."""

from dataclasses import dataclass
from datetime import datetime

from contracts.access import Role


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, by a key or a token; by neither it is `ANYBODY`."""

    role: Role
    name: str
    """For the record and for owners: a key's id, a peer's name."""
    peer_id: str | None = None
    """The one peer it may speak for; servers and operators speak for any over REST, and for none on a socket."""
    host_id: str | None = None
    session_id: str | None = None
    """The one session that a ticket opens."""
    key_id: str | None = None
    """The API key behind it: revoke the key and this is nobody."""
    family_id: str | None = None
    generation: int = 0
    issued_at: datetime | None = None
    expires_at: datetime | None = None


ANYBODY = Identity(Role.ANONYMOUS, "anonymous")
