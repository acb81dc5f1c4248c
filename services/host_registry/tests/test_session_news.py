"""What the facts of sessions come to, before it is kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from chassis.own_absence import OwnAbsence
from contracts.sessions import SessionStatus
from host_registry.occupancy import Occupancy
from host_registry.store.slots import SeatNews
from testkit.clock import ManualClock

from services.host_registry.tests.fakes import SlotsInMemory
from services.host_registry.tests.world import PATIENCE, session_fact

NOBODY_ASKED = cast("Any", None)


@pytest.fixture
def slots() -> SlotsInMemory:
    return SlotsInMemory()


@pytest.fixture
async def occupancy(slots: SlotsInMemory, clock: ManualClock) -> AsyncIterator[Occupancy]:
    own_absence = OwnAbsence(clock, lambda: True)
    async with Occupancy(
        slots,
        NOBODY_ASKED,
        own_absence,
        stale_after=PATIENCE.suspect_after,
        held_for=PATIENCE.slot_held_for,
        clock=clock,
    ) as occupancy:
        yield occupancy


@pytest.mark.parametrize(
    ("status", "here", "over"),
    [
        (SessionStatus.PENDING, True, False),
        (SessionStatus.ACTIVE, True, False),
        (SessionStatus.MIGRATING, False, False),
        (SessionStatus.FALLBACK, False, False),
        (SessionStatus.ENDED, False, True),
        (SessionStatus.FAILED, False, True),
    ],
)
async def test_where_a_session_of_each_status_is(
    occupancy: Occupancy, slots: SlotsInMemory, status: SessionStatus, here: bool, over: bool
) -> None:
    await occupancy.session_changed(session_fact(status=status, latency_ms=50.0, loss_percent=1.0))
    (news,) = slots.slots
    assert (news.here, news.over, news.latency_ms, news.packet_loss_percent) == (here, over, 50.0, 1.0)


async def test_of_many_facts_the_newest_of_each_session_and_the_newest_seats_of_each_host_count(
    occupancy: Occupancy, slots: SlotsInMemory
) -> None:
    facts = [
        session_fact("s1", revision=3, host_id="b", players=1, host_revision=1),
        session_fact("s1", revision=1, host_id="a", players=5, host_revision=8),
        session_fact("s1", revision=2, host_id="a", players=4, host_revision=9, status=SessionStatus.FALLBACK),
        session_fact("s2", revision=9, host_id="a", players=6, host_revision=7),
    ]
    await asyncio.gather(*map(occupancy.session_changed, facts))
    assert [(news.session_id, news.host_id, news.revision) for news in slots.slots] == [("s1", "b", 3), ("s2", "a", 9)]
    assert sorted(slots.seats) == [SeatNews("a", 4, 9), SeatNews("b", 1, 1)]
