"""What players' words of a lost channel are worth, beside the host's socket and beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from host_registry.eligibility import NEVER

LATELY = timedelta(seconds=10)
"""A kill closes the socket and silences every channel within a second; what was said long before is of another line."""

WITNESSES = 2
"""One player's bad line looks to that player just as a dead host does; two lines seldom break in the same seconds."""


class Verdict(StrEnum):
    """What a host is to be taken for."""

    SUSPECT = "suspect"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Word:
    """What a player last said of its channel to the host: lost, or that it stands."""

    player_id: str
    lost: bool
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """A host of which somebody has lost the channel or the socket."""

    socket_gone_at: datetime | None
    """None while it has one, and where it never had or its end was told too late to count."""
    last_beat: datetime
    seats_taken: int
    words: Sequence[Word]


def judge(case: Case, hearing_since: datetime, now: datetime) -> Verdict | None:
    """Find a host offline that its players and its socket have lost alike, suspect where most players say so alone.

    Nobody's word makes a host offline while its socket stands or it has beaten since: the players' common way to it may
    be broken (a provider, a country), and to everybody else it is there. As a suspect it is only not chosen. What was
    told before we could hear counts for nothing, as its denial may have been lost.
    """
    lost = _lost(case.words, max(hearing_since, now - LATELY))
    if _cut_off(case, hearing_since) and lost >= min(WITNESSES, max(1, case.seats_taken)):
        return Verdict.OFFLINE
    if lost >= WITNESSES and 2 * lost > case.seats_taken:
        return Verdict.SUSPECT
    return None


def heard_alive(words: Sequence[Word]) -> datetime:
    """When a player last said that its channel stands: so did the host, whatever others said before."""
    return max((word.told_at for word in words if not word.lost), default=NEVER)


def _lost(words: Sequence[Word], since: datetime) -> int:
    alive = heard_alive(words)
    return sum(word.lost and word.told_at >= since and word.told_at > alive for word in words)


def _cut_off(case: Case, hearing_since: datetime) -> bool:
    gone_at = case.socket_gone_at
    return gone_at is not None and gone_at >= hearing_since and case.last_beat <= gone_at
