"""Refreshing: of a token's family one generation is good, and what a second try with an old one means."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from contracts.access import Role

REPEAT_WITHIN = timedelta(seconds=60)
"""An exchange whose answer was lost on the way may be made again for so long."""


@dataclass(frozen=True, slots=True)
class Family:
    """All tokens that came of one."""

    family_id: str
    role: Role
    peer_id: str
    host_id: str | None
    key_id: str | None
    generation: int
    advanced_at: datetime
    by_exchange: bool
    expires_at: datetime
    revoked_at: datetime | None = None


class Late(Enum):
    """What to do about a token that is not of its family's present generation."""

    REPEAT = "repeat"
    """Give the present generation again."""
    REFUSE = "refuse"
    REVOKE = "revoke"
    """Refuse, and the whole family with it."""


def judge_late(family: Family | None, generation: int, now: datetime, *, by_exchange: bool) -> Late:
    """Judge a token that did not advance its family: a refresh token used twice was stolen, by one of the two."""
    if family is None or family.revoked_at is not None or now >= family.expires_at:
        return Late.REFUSE
    if not by_exchange:
        return Late.REVOKE if generation < family.generation else Late.REFUSE
    just_exchanged = (
        family.by_exchange and family.generation == generation + 1 and now <= family.advanced_at + REPEAT_WITHIN
    )
    return Late.REPEAT if just_exchanged else Late.REFUSE
