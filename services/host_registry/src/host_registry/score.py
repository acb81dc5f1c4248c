"""What a host's score is made of: six parts, 0 to 100 together."""

from dataclasses import dataclass
from math import floor
from typing import NamedTuple

UNKNOWN_LATENCY_MS = 150.0
UNKNOWN_LOSS_PERCENT = 5.0
"""What nobody has reported earns half its points: as much as these would."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of a host that its score looks at; measured where it was, else as it claims."""

    latency_ms: float | None
    packet_loss_percent: float | None
    current_players: int
    max_players: int
    cpu_cores: int | None
    memory_mb: int | None
    speed_mbps: float | None


class Points(NamedTuple):
    """The parts, unrounded."""

    latency: float
    packet_loss: float
    room: float
    cpu: float
    memory: float
    network: float


def points(quality: Quality) -> Points:
    latency_ms = UNKNOWN_LATENCY_MS if quality.latency_ms is None else quality.latency_ms
    loss_percent = UNKNOWN_LOSS_PERCENT if quality.packet_loss_percent is None else quality.packet_loss_percent
    return Points(
        latency=max(0.0, (300 - latency_ms) / 10),
        packet_loss=max(0.0, 20 - 2 * loss_percent),
        room=max(0.0, 25 * (1 - quality.current_players / quality.max_players)),
        cpu=min(10.0, 10 * (quality.cpu_cores or 0) / 4),
        memory=min(10.0, 10 * (quality.memory_mb or 0) / 8192),
        network=5 - max(0.0, (100 - (quality.speed_mbps or 0)) / 20),
    )


def score(parts: Points) -> float:
    """Add up, to two decimals, half up."""
    return _hundredths(parts) / 100


def score_parts(parts: Points) -> dict[str, float]:
    """Each part to two decimals, so that they add up to the score: what rounding loses goes where it lost most."""
    exact = [100 * part for part in parts]
    rounded = [floor(part) for part in exact]
    missing = _hundredths(parts) - sum(rounded)
    by_loss = sorted(range(len(exact)), key=lambda index: rounded[index] - exact[index])
    for index in by_loss[:missing]:
        rounded[index] += 1
    return {name: part / 100 for name, part in zip(Points._fields, rounded, strict=True)}


def _hundredths(parts: Points) -> int:
    # Added in the order of the generated column in migrations/0002_measures.sql, so that both come to the same bits.
    total = parts.latency + parts.packet_loss + parts.room + parts.cpu + parts.memory + parts.network
    return floor(100 * total + 0.5)
