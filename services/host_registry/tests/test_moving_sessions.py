"""Slots of sessions that lose their host, move to another, or come back."""

import asyncio
from datetime import timedelta

import pytest
from contracts.sessions import SessionFact, SessionStatus
from host_registry.errors import HostNotEligibleError, SessionOverError

from services.host_registry.tests.world import SECOND, World, session_fact

FALLBACK = SessionStatus.FALLBACK
HOUR = timedelta(hours=1)


async def slots(world: World) -> tuple[int, int]:
    return await world.slots_taken("a"), await world.slots_taken("b")


@pytest.fixture
async def on_a(world: World) -> World:
    """A session on host a, which has no room for another; host b is there too."""
    await world.register("a", max_zones=1)
    await world.register("b", max_zones=1)
    await world.reserve("session-1", "a")
    await world.tell_session(session_fact(revision=1, host_id="a"))
    return world


async def test_a_session_that_fell_back_gives_its_slot_back(on_a: World) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    assert await slots(on_a) == (0, 0)
    await on_a.reserve("session-2", "a")


async def test_a_session_that_fell_back_may_return_to_its_host(on_a: World) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    await on_a.reserve("session-1", "a")
    assert await slots(on_a) == (1, 0)
    await on_a.tell_session(session_fact(revision=3, host_id="a"))
    await on_a.wait(31 * SECOND)
    assert await slots(on_a) == (1, 0)


async def test_a_session_that_returns_reserves_one_slot_however_often_it_asks(on_a: World) -> None:
    await on_a.register("a", max_zones=50)
    for number in range(1, 21):
        name = f"s{number}"
        await on_a.tell_session(session_fact(name, revision=1, host_id="a", status=FALLBACK))
        await asyncio.gather(*(on_a.reserve(name, "a") for _ in range(10)))
        assert await slots(on_a) == (1 + number, 0)


async def test_of_sessions_that_would_return_to_the_last_slot_one_does(world: World) -> None:
    await world.register("a", max_zones=4)
    names = [f"s{number}" for number in range(4)]
    for name in names:
        await world.tell_session(session_fact(name, revision=1, host_id="a"))
        await world.tell_session(session_fact(name, revision=2, host_id="a", status=FALLBACK))
    await world.register("a", max_zones=1)
    outcomes = await asyncio.gather(*(world.reserve(name, "a") for name in names), return_exceptions=True)
    assert sum(isinstance(outcome, HostNotEligibleError) for outcome in outcomes) == 3
    assert await world.slots_taken("a") == 1


async def test_a_return_that_comes_to_nothing_lapses(on_a: World) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    await on_a.reserve("session-1", "a")
    await on_a.wait(30 * SECOND)
    assert await slots(on_a) == (0, 0)


async def test_a_player_who_leaves_during_fallback_does_not_undo_the_way_back(on_a: World) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    await on_a.reserve("session-1", "a")
    await on_a.tell_session(session_fact(revision=3, host_id="a", status=FALLBACK))
    assert await slots(on_a) == (1, 0)


async def test_a_player_who_leaves_meanwhile_does_not_undo_the_way_to_another_host(on_a: World) -> None:
    await on_a.reserve("session-1", "b")
    await on_a.tell_session(session_fact(revision=2, host_id="a"))
    assert await slots(on_a) == (1, 1)


async def test_a_session_that_moved_frees_the_slot_it_had(on_a: World) -> None:
    await on_a.reserve("session-1", "b")
    await on_a.tell_session(session_fact(revision=2, host_id="b"))
    assert await slots(on_a) == (0, 1)


async def test_a_session_that_moved_to_and_fro_has_one_slot(on_a: World) -> None:
    for revision, host_id in enumerate(("b", "a", "b", "a"), start=2):
        await on_a.reserve("session-1", host_id)
        await on_a.tell_session(session_fact(revision=revision, host_id=host_id))
    assert await slots(on_a) == (1, 0)


async def test_moves_that_are_told_at_once_come_to_where_the_session_is(on_a: World) -> None:
    facts = [
        session_fact(revision=2, host_id="a", status=FALLBACK),
        session_fact(revision=3, host_id="b"),
        session_fact(revision=4, host_id="b", status=FALLBACK),
        session_fact(revision=5, host_id="a"),
        session_fact(revision=6, host_id="b"),
    ]
    await asyncio.gather(*map(on_a.tell_session, facts))
    assert await slots(on_a) == (0, 1)


@pytest.mark.parametrize(
    "late",
    [
        session_fact(revision=1, host_id="a"),
        session_fact(revision=2, host_id="a", status=FALLBACK),
        session_fact(revision=3, host_id="b"),
    ],
    ids=["where it was", "on the way", "where it is"],
)
async def test_what_is_told_late_of_a_move_changes_nothing(on_a: World, late: SessionFact) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    await on_a.tell_session(session_fact(revision=3, host_id="b"))
    await on_a.tell_session(late)
    assert await slots(on_a) == (0, 1)


async def test_what_is_told_late_of_a_host_that_was_never_heard_of_takes_no_slot(world: World) -> None:
    await world.register("a")
    await world.register("b")
    await world.tell_session(session_fact(revision=5, host_id="b"))
    await world.tell_session(session_fact(revision=2, host_id="a"))
    assert await slots(world) == (0, 1)


@pytest.mark.parametrize("status", [SessionStatus.ENDED, SessionStatus.FAILED])
async def test_a_session_that_is_over_gets_no_slot_on_any_host(on_a: World, status: SessionStatus) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    await on_a.tell_session(session_fact(revision=3, host_id="a", status=status))
    for host_id in ("a", "b"):
        with pytest.raises(SessionOverError):
            await on_a.reserve("session-1", host_id)
    await on_a.tell_session(session_fact(revision=2, host_id="a"))
    assert await slots(on_a) == (0, 0)


async def test_a_session_that_ends_on_its_way_keeps_nothing_anywhere(on_a: World) -> None:
    await on_a.reserve("session-1", "b")
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=SessionStatus.ENDED))
    assert await slots(on_a) == (0, 0)


async def test_a_session_may_return_after_it_was_forgotten(on_a: World) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="a", status=FALLBACK))
    on_a.clock.advance(HOUR)
    await on_a.silence.judge()
    for host_id in ("a", "b"):
        await on_a.beat(host_id)
    await on_a.wait(SECOND)
    await on_a.reserve("session-1", "a")
    assert await slots(on_a) == (1, 0)


async def test_a_session_that_moves_off_a_deleted_host_has_its_new_slot(on_a: World) -> None:
    await on_a.delete("a")
    await on_a.tell_session(session_fact(revision=2, host_id="b"))
    assert await on_a.slots_taken("b") == 1


async def test_a_session_whose_last_host_is_unknown_here_still_gives_back_what_it_had(on_a: World) -> None:
    await on_a.tell_session(session_fact(revision=2, host_id="elsewhere"))
    assert await slots(on_a) == (0, 0)
