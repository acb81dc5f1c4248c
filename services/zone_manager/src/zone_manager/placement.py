"""Which host serves a session best: pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from contracts.hosts import Candidate
from contracts.zones import Judgement, Zone


@dataclass(frozen=True)
class Claims:
    """What has been asked of a host since the registry counted: slots, and seats in them."""

    slots: int = 0
    seats: int = 0


NO_CLAIMS = Claims()


@dataclass(frozen=True, eq=False)
class Standing:
    """An able host, with all that its rank depends on; compared by identity, for it is looked at a lot."""

    candidate: Candidate
    worst_round_trip_ms: float | None = None
    """Of the joining players to this host, where known."""

    @property
    def host_id(self) -> str:
        return self.candidate.host.host_id

    @cached_property
    def seats_free(self) -> int:
        return max(0, self.candidate.host.max_players - self.candidate.seats_taken)

    @cached_property
    def slots_free(self) -> int:
        return max(0, self.candidate.host.max_zones - self.candidate.slots_taken)

    def rank(self, zone: Zone, claims: Claims = NO_CLAIMS) -> tuple[float | int | str, ...]:
        """Order hosts from best to worst: connected, near, good beyond doubt, good as far as one knows, roomy.

        A host without a signaling socket may yet be driven over REST, but nobody knows that offers reach it.

        A round trip nobody has measured stands for the longest the zone allows: a host known to be near comes before
        it, one known to be too far after it. The registry picks its best in the same order.
        """
        host = self.candidate.host
        round_trip = zone.max_latency_ms if self.worst_round_trip_ms is None else self.worst_round_trip_ms
        return (
            not host.connected,
            round_trip,
            -host.quality_score * host.confidence,
            -host.quality_score,
            claims.seats - self.seats_free,
            claims.slots - self.slots_free,
            host.host_id,
        )


def able(candidates: Iterable[Candidate]) -> list[Standing]:
    """Keep the candidates that nothing speaks against."""
    return [Standing(candidate) for candidate in candidates if not candidate.rejections]


def ranked(zone: Zone, standings: Iterable[Standing]) -> list[Standing]:
    """Put the hosts in the order in which they would be asked, the best first."""
    return sorted(standings, key=lambda standing: standing.rank(zone))


def best(zone: Zone, standings: Sequence[Standing], claims_on: Callable[[str], Claims]) -> Standing:
    """Choose the host to ask next among ranked ones, as if every claim of others had been granted.

    A host whose last slot is claimed is asked only when all are: the claim may still come to nothing.
    """
    contenders = []
    for standing in standings:
        claims = claims_on(standing.host_id)
        contenders.append((claims.slots >= standing.slots_free, standing.rank(zone, claims), standing))
        if not claims.slots:  # claims only ever put a host further back: none behind this one can pass it
            break
    return min(contenders, key=itemgetter(0, 1))[2]


def judgement(standing: Standing, *, chosen: bool) -> Judgement:
    """Say how a host stands, for people."""
    host = standing.candidate.host
    return Judgement(
        host_id=host.host_id,
        chosen=chosen,
        rejections=standing.candidate.rejections,
        quality_score=host.quality_score,
        confidence=host.confidence,
        score_parts=standing.candidate.score_parts,
        seats_free=standing.seats_free,
        slots_free=standing.slots_free,
        worst_round_trip_ms=standing.worst_round_trip_ms,
        connected=host.connected,
    )
