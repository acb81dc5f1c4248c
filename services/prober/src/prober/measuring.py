"""What pings and bytes come to: round trip, jitter, loss, upload."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import fmean, median
from typing import NamedTuple

PLENTY_MBPS = 100.0
"""What a zone asks of its host's line by default. From here on a figure that may be too low is good enough."""

IN_FLIGHT_BYTES = 128 * 1024
"""What is under way at once grows with each round trip, to about this much within 1 MiB. A line on which more is under
way was not filled: the way was too long for so few bytes to tell."""

BUSY_SHARE = 0.8
"""Of the time, spent computing; above it we may have been slower than the host's line."""

SLICES = 8
"""The fastest eighth is what the line can do: it began slowly, and one lost packet stops the rest for a second."""


class Miss(StrEnum):
    """How a probe ended that did not reach its host."""

    UNANSWERED = "unanswered"
    UNUSABLE = "unusable"
    UNCONNECTED = "unconnected"
    MUTE = "mute"
    CLOSED = "closed"
    FLOODED = "flooded"


@dataclass(frozen=True, slots=True)
class Figures:
    round_trip_ms: float
    """The median."""
    jitter_ms: float | None
    """The mean difference from one round trip to the next; None where no two are known."""
    packet_loss_percent: float


class Arrival(NamedTuple):
    """Some bytes of an upload, and when they came."""

    at_s: float
    size: int


def figures(trips_ms: Sequence[float | None]) -> Figures | None:
    """Take pings in the order they were sent, with None for each that was not answered; None when none was."""
    answered = [trip for trip in trips_ms if trip is not None]
    if not answered:
        return None
    steps = [abs(after - before) for before, after in pairwise(answered)]
    return Figures(
        round_trip_ms=median(answered),
        jitter_ms=fmean(steps) if steps else None,
        packet_loss_percent=100 * (len(trips_ms) - len(answered)) / len(trips_ms),
    )


def upload_mbps(arrivals: Sequence[Arrival], round_trip_ms: float, busy_share: float) -> float | None:
    """How much the host sent at its fastest; None where something else than its line was the limit."""
    per_s = _fastest(arrivals)
    mbps = per_s * 8 / 1e6
    limited = busy_share > BUSY_SHARE or per_s * round_trip_ms / 1000 > IN_FLIGHT_BYTES
    return None if not per_s or (limited and mbps < PLENTY_MBPS) else mbps


def _fastest(arrivals: Sequence[Arrival]) -> float:
    """Give the bytes per second of the fastest slice; 0 where no two came apart from one another."""
    enough = sum(arrival.size for arrival in arrivals) / SLICES
    best, first, count = 0.0, 0, 0
    for last in arrivals[1:]:
        count += last.size
        while count - arrivals[first + 1].size >= enough:
            first += 1
            count -= arrivals[first].size
        took = last.at_s - arrivals[first].at_s
        if count >= enough and took > 0:
            best = max(best, count / took)
    return best
