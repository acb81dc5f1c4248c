"""Which host serves a session best: pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from contracts.hosts import Candidate
from contracts.zones import Judgement, Zone


@dataclass(frozen=True)
class Pending:
    """What has been asked of a host since the registry counted: slots, and seats in them."""

    slots: int = 0
    seats: int = 0


NOTHING_PENDING = Pending()


@dataclass(frozen=True, eq=False)
class AbleHost:
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

    def rank(self, zone: Zone, pending: Pending = NOTHING_PENDING) -> tuple[float | int | str, ...]:
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
            pending.seats - self.seats_free,
            pending.slots - self.slots_free,
            host.host_id,
        )


def able(candidates: Iterable[Candidate]) -> list[AbleHost]:
    """Keep the candidates that nothing speaks against."""
    return [AbleHost(candidate) for candidate in candidates if not candidate.rejections]


def ranked(zone: Zone, able_hosts: Iterable[AbleHost]) -> list[AbleHost]:
    """Put the hosts in the order in which they would be asked, the best first."""
    return sorted(able_hosts, key=lambda able_host: able_host.rank(zone))


def best(zone: Zone, able_hosts: Sequence[AbleHost], pending_on: Callable[[str], Pending]) -> AbleHost:
    """Choose the host to ask next among ranked ones, as if all that others asked for had been granted.

    A host whose last slot is asked for is asked only when all are: that may still come to nothing.
    """
    contenders = []
    for able_host in able_hosts:
        pending = pending_on(able_host.host_id)
        contenders.append((pending.slots >= able_host.slots_free, able_host.rank(zone, pending), able_host))
        if not pending.slots:  # what is pending only ever puts a host further back: none behind this one can pass it
            break
    return min(contenders, key=itemgetter(0, 1))[2]


def judgement(able_host: AbleHost, *, chosen: bool) -> Judgement:
    """Say how a host stands, for people."""
    host = able_host.candidate.host
    return Judgement(
        host_id=host.host_id,
        chosen=chosen,
        rejections=able_host.candidate.rejections,
        quality_score=host.quality_score,
        confidence=host.confidence,
        score_parts=able_host.candidate.score_parts,
        seats_free=able_host.seats_free,
        slots_free=able_host.slots_free,
        worst_round_trip_ms=able_host.worst_round_trip_ms,
        connected=host.connected,
    )
