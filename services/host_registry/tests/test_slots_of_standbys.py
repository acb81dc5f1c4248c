"""Slots and seats that are held on the host that stands by for a session."""

from datetime import timedelta

import pytest
from contracts.hosts import Rejection
from contracts.sessions import SeatsTaken, SessionFact, SessionStatus
from host_registry.errors import HostNotEligibleError

from services.host_registry.tests.world import SECOND, World, session_fact

HELD_FOR = timedelta(seconds=30)


async def slots(world: World) -> tuple[int, int]:
    return await world.slots_taken("a"), await world.slots_taken("b")


async def tell(world: World, revision: int, host_id: str, standby: str | None, **fields: object) -> None:
    await world.tell_session(session_fact(revision=revision, host_id=host_id, standby=standby, **fields))  # type: ignore[arg-type]


@pytest.fixture
async def guarded(world: World) -> World:
    """A session on host a for which b stands by; neither has room for another."""
    for name in ("a", "b"):
        await world.register(name, max_zones=1)
        await world.reserve("session-1", name)
    await tell(world, 1, "a", None)
    await tell(world, 2, "a", "b")
    return world


async def test_the_slot_of_a_standby_is_held_until_it_is_let_go(guarded: World) -> None:
    await guarded.wait(HELD_FOR + SECOND)
    assert await slots(guarded) == (1, 1)
    await tell(guarded, 3, "a", "b")
    assert await slots(guarded) == (1, 1)
    await tell(guarded, 4, "a", None)
    assert await slots(guarded) == (1, 0)


async def test_a_standby_that_nobody_named_lapses(world: World) -> None:
    await world.register("b", max_zones=1)
    await world.reserve("session-1", "b")
    await world.wait(HELD_FOR + SECOND)
    assert await world.slots_taken("b") == 0


async def test_a_standby_that_takes_over_keeps_its_one_slot(guarded: World) -> None:
    await tell(guarded, 3, "a", "b", status=SessionStatus.MIGRATING)
    assert await slots(guarded) == (0, 1)
    await tell(guarded, 4, "b", None)
    assert await slots(guarded) == (0, 1)


async def test_another_standby_frees_the_one_before(guarded: World) -> None:
    await guarded.register("c", max_zones=1)
    await guarded.reserve("session-1", "c")
    await tell(guarded, 3, "a", "c")
    assert (*await slots(guarded), await guarded.slots_taken("c")) == (1, 0, 1)


@pytest.mark.parametrize("status", [SessionStatus.ENDED, SessionStatus.FAILED])
async def test_the_end_of_a_session_frees_both(guarded: World, status: SessionStatus) -> None:
    await tell(guarded, 3, "a", None, status=status)
    assert await slots(guarded) == (0, 0)
    await tell(guarded, 2, "a", "b")  # told twice
    assert await slots(guarded) == (0, 0)


async def test_seats_that_are_held_there_count_as_taken(guarded: World) -> None:
    await guarded.register("b", max_zones=2, max_players=10)
    held = SeatsTaken(host_id="b", taken=8, revision=5)
    fact: SessionFact = session_fact(revision=3, host_id="a", standby="b", standby_seats=held)
    await guarded.tell_session(fact)
    with pytest.raises(HostNotEligibleError) as refused:
        await guarded.reserve("session-2", "b", seats=3)
    assert refused.value.refusal.fields["rejections"] == [Rejection.HOST_FULL]
