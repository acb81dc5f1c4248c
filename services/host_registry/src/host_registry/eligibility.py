"""What speaks against a host, and which of two able ones is better."""

from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.hosts import HostStatus, Rejection

from host_registry.score import Quality

NEVER = datetime.min.replace(tzinfo=UTC)
"""Before any beat."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A host as choosing sees it."""

    host_id: str
    no: int
    status: HostStatus
    last_beat: datetime
    seats_taken: int
    slots_taken: int
    max_zones: int
    region: str | None
    connected: bool
    score: float
    confidence: float
    quality: Quality


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a zone asks of its host."""

    seats: int = 0
    min_score: float = 0.0
    min_bandwidth_mbps: float = 0.0
    max_latency_ms: float | None = None
    regions: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()
    heard_after: datetime = NEVER
    """A beat from before this is stale."""

    @property
    def seats_wanted(self) -> int:
        """A session that nobody joins yet still needs room for its first player."""
        return max(1, self.seats)


def reasons_against(host: Contender, bounds: Bounds) -> tuple[Rejection, ...]:
    """Give every reason, in one order; none means that the host is able."""
    known = host.quality
    against = {
        Rejection.DRAINING: host.status is HostStatus.DRAINING,
        Rejection.NOT_ONLINE: host.status not in {HostStatus.ONLINE, HostStatus.DRAINING},
        Rejection.BEAT_STALE: host.last_beat <= bounds.heard_after,
        Rejection.HOST_FULL: host.seats_taken + bounds.seats_wanted > known.max_players,
        Rejection.NO_ZONE_SLOT: host.slots_taken >= host.max_zones,
        Rejection.SCORE_TOO_LOW: host.score < bounds.min_score,
        Rejection.BANDWIDTH_UNKNOWN: bounds.min_bandwidth_mbps > 0 and known.speed_mbps is None,
        Rejection.BANDWIDTH_TOO_LOW: known.speed_mbps is not None and known.speed_mbps < bounds.min_bandwidth_mbps,
        Rejection.LATENCY_TOO_HIGH: (
            bounds.max_latency_ms is not None
            and known.latency_ms is not None
            and known.latency_ms > bounds.max_latency_ms
        ),
        Rejection.REGION_NOT_ALLOWED: bool(bounds.regions) and host.region not in bounds.regions,
        Rejection.EXCLUDED: host.host_id in bounds.exclude,
    }
    return tuple(code for code, holds in against.items() if holds)


def by_merit(host: Contender) -> tuple[bool, float, float, int, int]:
    """Sort key, best first: a signaling socket, score as far as it is known, the score, room, then who came first."""
    room = host.quality.max_players - host.seats_taken
    return (not host.connected, -host.score * host.confidence, -host.score, -room, host.no)
