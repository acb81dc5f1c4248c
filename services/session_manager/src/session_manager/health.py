"""When a session is unwell, for how long that is borne, and when a host is trusted again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Complaint(StrEnum):
    """What is wrong with a session's host; the reason that players are told."""

    UNCONNECTED = "unconnected"
    PACKET_LOSS = "packet_loss"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of an active session; its averages only as far as they were reported recently."""

    latency_ms: float | None
    packet_loss_percent: float | None
    players_connected: int
    """Of the seated players, those whose last attempt to connect to the host came out well."""
    players_unconnected: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is borne."""

    max_latency_ms: float
    most_loss_percent: float


def complaint(condition: Condition, bounds: Bounds) -> Complaint | None:
    """What is wrong, the worst first; a figure at its bound is well, one that nobody reported says nothing."""
    if condition.players_unconnected > condition.players_connected:
        return Complaint.UNCONNECTED
    if condition.packet_loss_percent is not None and condition.packet_loss_percent > bounds.most_loss_percent:
        return Complaint.PACKET_LOSS
    if condition.latency_ms is not None and condition.latency_ms > bounds.max_latency_ms:
        return Complaint.LATENCY
    return None


def lasts(since: datetime, now: datetime, borne: timedelta) -> bool:
    """Whether what has been so at every look since then has been so for long enough to act on it."""
    return now - since >= borne


@dataclass(frozen=True, slots=True)
class Fallen:
    """How a session came to be in fallback."""

    from_host: str
    reason: str
    at: datetime


def distrusts(fallen: Fallen, now: datetime, return_after: timedelta) -> str | None:
    """The host that players just had trouble with: being able is no proof of being better."""
    if fallen.reason in set(Complaint) and not lasts(fallen.at, now, return_after):
        return fallen.from_host
    return None
