"""What gateways hold in memory of keys, kicks and revoked tokens, and what that says about somebody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from contracts.access import Role

from signaling_gateway.access.identity import Identity
from signaling_gateway.access.keys import fingerprint


@dataclass(frozen=True, slots=True)
class KeyHeld:
    """A key that is good."""

    key_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class Kick:
    """A peer that is out: nothing that was issued to it up to `until` counts."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Revocations:
    """One state of it all, replaced as a whole."""

    revision: int = 0
    keys: Mapping[bytes, KeyHeld] = field(default_factory=dict)
    """By fingerprint; only those that are good."""
    key_ids: frozenset[str] = frozenset()
    kicks: Mapping[str, Kick] = field(default_factory=dict)
    families: frozenset[str] = frozenset()
    """Those revoked before their time."""

    def holder_of(self, key: str) -> KeyHeld | None:
        """The key that was sent, if it is good."""
        return self.keys.get(fingerprint(key))

    def against(self, identity: Identity) -> str | None:
        """Why somebody whose token is in order is refused all the same."""
        if identity.key_id is not None and identity.key_id not in self.key_ids:
            return "its key was revoked"
        if identity.family_id is not None and identity.family_id in self.families:
            return "its tokens were revoked"
        kick = self.kicks.get(identity.peer_id) if identity.peer_id is not None else None
        if kick is not None and (identity.issued_at is None or identity.issued_at <= kick.until):
            return "kicked"
        return None

    def keeps_out(self, peer_id: str, now: datetime) -> Kick | None:
        """The kick that gives this peer no new token yet."""
        kick = self.kicks.get(peer_id)
        return kick if kick is not None and now <= kick.until else None
