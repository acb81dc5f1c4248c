"""Which hosts could serve: listed, found for a zone's bounds, judged one by one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from chassis.own_absence import OwnAbsence
from contracts.hosts import FindHosts, ListHosts, Rejection

from host_registry.eligibility import NEVER, Bounds, by_merit, reasons_against
from host_registry.pages import position_of
from host_registry.store.reading import Candidate, HostReader, Listing, standings_of


@dataclass(frozen=True, slots=True)
class Judged:
    """A host, and what speaks against it."""

    candidate: Candidate
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """Hosts in the order of choice, and why the others are not among them."""

    judged: list[Judged]
    rejected_counts: Mapping[Rejection, int] = field(default_factory=dict)


class Selection:
    """PostgreSQL picks by its indexes, the rules of `eligibility` have the last word."""

    def __init__(self, reader: HostReader, own_absence: OwnAbsence, stale_after: timedelta) -> None:
        self._reader = reader
        self._own_absence = own_absence
        self._stale_after = stale_after

    async def page(self, question: ListHosts) -> Listing:
        return await self._reader.page(
            standings_of(question.status, available=question.available),
            min_score=question.min_quality_score or 0.0,
            region=question.region,
            heard_after=self._own_absence.stale_before(self._stale_after) if question.available else NEVER,
            after=position_of(question.cursor),
            limit=question.limit,
        )

    async def find(self, question: FindHosts) -> Selected:
        bounds = self._bounds(question)
        if question.host_id is not None:
            return Selected(_judge([await self._reader.one(question.host_id)], bounds))
        found = _judge(await self._reader.able(bounds, question.limit), bounds)
        able = [host for host in found if not host.rejections]
        if not question.rejected:
            return Selected(able)
        return await self._with_rejected(able, bounds, question.limit)

    async def _with_rejected(self, able: list[Judged], bounds: Bounds, limit: int) -> Selected:
        names = {host.candidate.contender.host_id for host in able}
        rest = await self._reader.best_but(names, limit - len(able)) if len(able) < limit else []
        listed = able + _judge(rest, bounds)
        listed.sort(key=lambda host: bool(host.rejections))  # stable: able ones first, each part in its order
        names |= {candidate.contender.host_id for candidate in rest}
        return Selected(listed, await self._reader.count_rejected(bounds, names))

    def _bounds(self, question: FindHosts) -> Bounds:
        return Bounds(
            seats=question.seats,
            min_score=question.min_quality_score,
            min_bandwidth_mbps=question.min_bandwidth_mbps,
            max_latency_ms=question.max_latency_ms,
            regions=question.regions,
            exclude=frozenset(question.exclude),
            heard_after=self._own_absence.stale_before(self._stale_after),
        )


def _judge(candidates: Iterable[Candidate], bounds: Bounds) -> list[Judged]:
    best_first = sorted(candidates, key=lambda candidate: by_merit(candidate.contender))
    return [Judged(candidate, reasons_against(candidate.contender, bounds)) for candidate in best_first]
