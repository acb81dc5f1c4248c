"""Who is using a host: zone slots, which we give out, and seats, which sessions tell of."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from chassis.clock import Clock
from chassis.own_absence import OwnAbsence
from contracts.hosts import ReleaseSlot, ReserveSlot
from contracts.sessions import SessionFact, SessionStatus

from host_registry.batching import Batch
from host_registry.eligibility import Bounds, reasons_against
from host_registry.errors import HostNotEligibleError
from host_registry.store.reading import Candidate
from host_registry.store.slots import SeatNews, SlotNews

OVER = frozenset({SessionStatus.ENDED, SessionStatus.FAILED})
HOSTLESS = OVER | {SessionStatus.MIGRATING, SessionStatus.FALLBACK}
"""Such a session names the host that it was on last."""

REMEMBER_OVER = timedelta(hours=1)
"""A fact delivered twice must not bring back a slot that was given back; nothing is delivered again after so long."""


class Slots(Protocol):
    async def reserve(
        self, host_id: str, session_id: str, zone_id: str, *, seats: int, until: datetime, heard_after: datetime
    ) -> bytes | None: ...

    async def release(self, host_id: str, session_id: str) -> None: ...

    async def hear(self, slots: Sequence[SlotNews], seats: Sequence[SeatNews], forget_at: datetime) -> None: ...


class Directory(Protocol):
    async def one(self, host_id: str) -> Candidate: ...


class Occupancy:
    """Gives out slots, and hears of sessions from `async with` until that ends."""

    def __init__(
        self,
        slots: Slots,
        directory: Directory,
        own_absence: OwnAbsence,
        *,
        stale_after: timedelta,
        held_for: timedelta,
        clock: Clock,
    ) -> None:
        self._slots = slots
        self._directory = directory
        self._own_absence = own_absence
        self._stale_after = stale_after
        self._held_for = held_for
        self._clock = clock
        self._rounds: Batch[SessionFact, None] = Batch(self._hear)

    async def __aenter__(self) -> Self:
        await self._rounds.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._rounds.__aexit__(kind, error, traceback)

    async def reserve(self, question: ReserveSlot) -> bytes:
        """Hold a slot until the session's facts confirm it, or say why this host gives none."""
        bounds = Bounds(seats=question.seats, heard_after=self._own_absence.stale_before(self._stale_after))
        host = await self._slots.reserve(
            question.host_id,
            question.session_id,
            question.zone_id,
            seats=bounds.seats_wanted,
            until=self._clock.now() + self._held_for,
            heard_after=bounds.heard_after,
        )
        if host is None:
            candidate = await self._directory.one(question.host_id)
            raise HostNotEligibleError(question.host_id, reasons_against(candidate.contender, bounds))
        return host

    async def release(self, question: ReleaseSlot) -> None:
        await self._slots.release(question.host_id, question.session_id)

    async def session_changed(self, fact: SessionFact) -> None:
        await self._rounds.add(fact)

    async def _hear(self, facts: list[SessionFact]) -> list[None]:
        newest = {fact.session_id: fact for fact in sorted(facts, key=lambda fact: fact.revision)}
        slots = [slot for fact in newest.values() for slot in _slots(fact)]
        told = (seat for fact in facts for seat in _seats(fact))
        seats = {seat.host_id: seat for seat in sorted(told, key=lambda seat: seat.revision)}
        await self._slots.hear(slots, list(seats.values()), self._clock.now() + REMEMBER_OVER)
        return [None] * len(facts)


def _slots(fact: SessionFact) -> Iterator[SlotNews]:
    """Of its host, and of the host that stands by for it."""
    session, standby = fact.session, fact.session.standby
    yield SlotNews(
        host_id=session.host_id,
        session_id=fact.session_id,
        zone_id=session.zone_id,
        revision=fact.revision,
        here=session.status not in HOSTLESS,
        over=session.status in OVER,
        latency_ms=session.average_latency_ms,
        packet_loss_percent=session.average_packet_loss_percent,
        at=fact.occurred_at,
    )
    if standby is not None:
        yield SlotNews(
            host_id=standby.host_id,
            session_id=fact.session_id,
            zone_id=session.zone_id,
            revision=fact.revision,
            here=session.status not in OVER,
            over=session.status in OVER,
            latency_ms=None,
            packet_loss_percent=None,
            at=fact.occurred_at,
        )


def _seats(fact: SessionFact) -> Iterator[SeatNews]:
    yield SeatNews(fact.session.host_id, fact.host_players, fact.host_revision)
    if (held := fact.standby_seats) is not None:
        yield SeatNews(held.host_id, held.taken, held.revision)
