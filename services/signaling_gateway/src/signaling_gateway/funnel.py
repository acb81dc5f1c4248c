"""How entering comes out: begun, then as players report it direct, relayed or failed, and how long connecting took."""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.frames import IceResult
from contracts.gateway import IceState
from prometheus_client import Counter, Histogram

BOUNDS_MS = (50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
"""From a local network to WebRTC's own patience; each twice the one before. Counts within bounds add up."""

RELAYED = "relay"
"""The candidate type of a connection through TURN, as WebRTC calls it."""

ENTRIES = Counter("p2p_signaling_entries", "Sessions entered over a WebSocket.")
ICE_OUTCOMES = Counter("p2p_ice_outcomes", "Players' reports of how connecting came out.", ["outcome"])
ICE_SECONDS = Histogram("p2p_ice_seconds", "How long connecting took.", buckets=[bound / 1000 for bound in BOUNDS_MS])

_COUNTS = ("begun", "direct", "relayed", "failed")


class Funnel:
    """One gateway's counts since it started."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._took = [0] * (len(BOUNDS_MS) + 1)

    def entered(self) -> None:
        self._counts["begun"] += 1
        ENTRIES.inc()

    def reported(self, result: IceResult) -> None:
        """Count a player's report; a connection that broke later was counted when it came about."""
        if result.state is IceState.DISCONNECTED:
            return
        outcome = "failed"
        if result.state is IceState.CONNECTED:
            outcome = "relayed" if result.candidate_type == RELAYED else "direct"
            self._time(result.elapsed_ms)
        self._counts[outcome] += 1
        ICE_OUTCOMES.labels(outcome).inc()

    def figures(self) -> dict[str, Any]:
        return {**self._counts, "took": self._took}

    def _time(self, elapsed_ms: float | None) -> None:
        if elapsed_ms is not None:
            self._took[sum(elapsed_ms > bound for bound in BOUNDS_MS)] += 1
            ICE_SECONDS.observe(elapsed_ms / 1000)


def summed(funnels: Iterable[Mapping[str, Any]]) -> dict[str, int | None]:
    """Add up the figures of several gateways: the counts, and within which time most connections were made."""
    told = list(funnels)
    took = [sum(counts) for counts in zip(*(funnel["took"] for funnel in told), strict=True)]
    counts: dict[str, int | None] = {name: sum(funnel[name] for funnel in told) for name in _COUNTS}
    return {**counts, "p50_ms": _within(took, 0.5), "p95_ms": _within(took, 0.95)}


def _within(took: list[int], share: float) -> int | None:
    """The bound under which this share of the connections was made; None when there are none, or it took longer."""
    wanted = sum(took) * share
    seen = 0
    for count, bound in zip(took, BOUNDS_MS, strict=False):
        seen += count
        if seen and seen >= wanted:
            return bound
    return None
