"""When a session is unwell, for how long that is borne, and when a host is trusted again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

AVOIDED_FOR = timedelta(minutes=10)
"""A player is spared a host that it could not connect to, if there is another; either may have another line by then."""

Figures = Mapping[str, float]
"""What a decision came from, by name; durations in seconds."""

MOST_DISTRUST = timedelta(hours=1)
"""A host that was bad again and again is tried once an hour: it may have another line by then."""


class Complaint(StrEnum):
    """What is wrong with a session's host; the reason that players are told."""

    UNCONNECTED = "unconnected"
    PACKET_LOSS = "packet_loss"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of an active session; figures only as far as they were reported recently."""

    players: int
    latency_ms: float | None = None
    """As its host or a server said; a player's word counts for that player alone."""
    packet_loss_percent: float | None = None
    players_slow: int = 0
    """Players who say that their latency is out of bounds."""
    players_losing: int = 0
    """Players who say that their loss is."""
    players_connected: int = 0
    """Of the seated players, those whose last attempt to connect to the host came out well."""
    players_unconnected: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is borne."""

    max_latency_ms: float
    most_loss_percent: float


def complaint(condition: Condition, bounds: Bounds) -> Complaint | None:
    """What is wrong, the worst first; a figure at its bound is well, one that nobody reported says nothing.

    What players say counts where most of those seated say it: one player's word moves nobody else.
    """
    if _are_most(condition.players_unconnected, condition):
        return Complaint.UNCONNECTED
    loss, latency = condition.packet_loss_percent, condition.latency_ms
    if _exceeds(loss, bounds.most_loss_percent) or _are_most(condition.players_losing, condition):
        return Complaint.PACKET_LOSS
    if _exceeds(latency, bounds.max_latency_ms) or _are_most(condition.players_slow, condition):
        return Complaint.LATENCY
    return None


def figures_of(what: Complaint, condition: Condition, bounds: Bounds) -> Figures:
    """What the complaint rests on."""
    match what:
        case Complaint.UNCONNECTED:
            found: dict[str, float | None] = {
                "players_unconnected": condition.players_unconnected,
                "players_connected": condition.players_connected,
            }
        case Complaint.PACKET_LOSS:
            found = {
                "packet_loss_percent": condition.packet_loss_percent,
                "most_loss_percent": bounds.most_loss_percent,
                "players_losing": condition.players_losing,
            }
        case Complaint.LATENCY:
            found = {
                "latency_ms": condition.latency_ms,
                "max_latency_ms": bounds.max_latency_ms,
                "players_slow": condition.players_slow,
            }
    return {name: value for name, value in found.items() if value is not None} | {"players": condition.players}


def _are_most(complaining: int, condition: Condition) -> bool:
    return complaining * 2 > condition.players


def _exceeds(figure: float | None, bound: float) -> bool:
    return figure is not None and figure > bound


def lasts(since: datetime, until: datetime, borne: timedelta) -> bool:
    """Whether what has been so at every look in between has been so for long enough to act on it.

    Of what is reported, `until` is the time of the newest report: a single one lasts no time at all.
    """
    return until - since >= borne


@dataclass(frozen=True, slots=True)
class Left:
    """A host that a session has left."""

    host_id: str
    times: int
    """How often in a row."""
    at: datetime


def distrust(times: int, return_after: timedelta) -> timedelta:
    """For how long a session stays away from a host that it has left so often: twice as long each time."""
    doubled = return_after * 2.0 ** min(times - 1, 16)
    return min(doubled, max(return_after, MOST_DISTRUST))


def distrusts(left: Left, now: datetime, return_after: timedelta) -> bool:
    """Whether players just had trouble with this host: being able is no proof of being better."""
    return not lasts(left.at, now, distrust(left.times, return_after))


def times_left(before: Left | None, now: datetime) -> int:
    """How often in a row a host has been left that is left now; long ago is not in a row."""
    return 1 if before is None or now - before.at > 2 * MOST_DISTRUST else before.times + 1
