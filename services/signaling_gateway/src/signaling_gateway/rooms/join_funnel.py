"""How entering comes out: begun, then as players report it direct, relayed or failed, and how long connecting took."""

from collections.abc import Iterable
from typing import Annotated

from contracts.frames import IceResult
from contracts.gateway import IceState
from contracts.subjects import Message
from prometheus_client import Counter, Histogram
from pydantic import Field

BOUNDS_MS = (50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
"""From a local network to WebRTC's own patience; each twice the one before. Counts within bounds add up."""

RELAYED = "relay"
"""The candidate type of a connection through TURN, as WebRTC calls it."""

ENTRIES = Counter("p2p_signaling_entries", "Sessions entered over a WebSocket.")
ICE_OUTCOMES = Counter("p2p_ice_outcomes", "Players' reports of how connecting came out.", ["outcome"])
ICE_SECONDS = Histogram("p2p_ice_seconds", "How long connecting took.", buckets=[bound / 1000 for bound in BOUNDS_MS])

_BOUNDS = len(BOUNDS_MS) + 1


class FunnelTotals(Message):
    """One gateway's counts since it started."""

    begun: int = 0
    direct: int = 0
    relayed: int = 0
    failed: int = 0
    took: Annotated[tuple[int, ...], Field(min_length=_BOUNDS, max_length=_BOUNDS)] = (0,) * _BOUNDS
    """Connections within each bound but not the one before; the last are those beyond all."""


class JoinFunnel:
    """Counts joins of this gateway, and how each came out; also as metrics of Prometheus."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(("begun", "direct", "relayed", "failed"), 0)
        self._took = [0] * _BOUNDS

    def entered(self) -> None:
        self._counts["begun"] += 1
        ENTRIES.inc()

    def reported(self, result: IceResult) -> None:
        """Count a player's report as direct, relayed or failed; `disconnected` was counted before, as it connected."""
        if result.state is IceState.DISCONNECTED:
            return
        outcome = "failed"
        if result.state is IceState.CONNECTED:
            outcome = "relayed" if result.candidate_type == RELAYED else "direct"
            self._time(result.elapsed_ms)
        self._counts[outcome] += 1
        ICE_OUTCOMES.labels(outcome).inc()

    def counts(self) -> FunnelTotals:
        return FunnelTotals(**self._counts, took=tuple(self._took))

    def _time(self, elapsed_ms: float | None) -> None:
        if elapsed_ms is not None:
            self._took[sum(elapsed_ms > bound for bound in BOUNDS_MS)] += 1
            ICE_SECONDS.observe(elapsed_ms / 1000)


def summed(funnels: Iterable[FunnelTotals]) -> dict[str, int | None]:
    """Add up the counts of several gateways, and say within which time most connections were made."""
    told = list(funnels)
    took = [sum(counts) for counts in zip(*(funnel.took for funnel in told), strict=True)]
    return {
        "begun": sum(funnel.begun for funnel in told),
        "direct": sum(funnel.direct for funnel in told),
        "relayed": sum(funnel.relayed for funnel in told),
        "failed": sum(funnel.failed for funnel in told),
        "p50_ms": _within(took, 0.5),
        "p95_ms": _within(took, 0.95),
    }


def _within(took: list[int], share: float) -> int | None:
    """The least bound in ms within which this share of the connections was made; None if there is none."""
    wanted = sum(took) * share
    seen = 0
    for count, bound in zip(took, BOUNDS_MS, strict=False):
        seen += count
        if seen and seen >= wanted:
            return bound
    return None
