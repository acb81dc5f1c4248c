"""Zone slots: given out, confirmed by sessions, freed."""

import asyncio
from datetime import timedelta

import pytest
from contracts.hosts import Rejection, ReleaseSlot
from contracts.sessions import SessionStatus
from host_registry.errors import HostNotEligibleError, HostNotFoundError, SessionOverError

from services.host_registry.tests.world import SECOND, World, session_fact

HELD_FOR = timedelta(seconds=30)


async def refused(world: World, session_id: str, *, seats: int = 0) -> list[str]:
    with pytest.raises(HostNotEligibleError) as error:
        await world.reserve(session_id, seats=seats)
    rejections = error.value.refusal.fields["rejections"]
    assert isinstance(rejections, list)
    return [str(code) for code in rejections]


async def keep_alive(world: World, span: timedelta) -> None:
    for _ in range(int(span / SECOND)):
        await world.wait(SECOND)
        await world.beat()


async def release(world: World, session_id: str) -> None:
    await world.occupancy.release(ReleaseSlot(host_id="host-1", session_id=session_id))


async def test_parallel_reservations_never_exceed_the_hosts_slots(world: World) -> None:
    await world.register(max_zones=5)
    outcomes = await asyncio.gather(*(world.reserve(f"s{number}") for number in range(40)), return_exceptions=True)
    assert sum(isinstance(outcome, HostNotEligibleError) for outcome in outcomes) == 35
    assert await world.slots_taken() == 5


async def test_one_session_holds_one_slot_however_often_it_asks(world: World) -> None:
    await world.register(max_zones=20)
    for number in range(1, 21):  # the last one takes the last slot, and is given it every time
        await asyncio.gather(*(world.reserve(f"session-{number}") for _ in range(20)))
        assert await world.slots_taken() == number


async def test_a_full_host_says_so(world: World) -> None:
    await world.register(max_zones=1)
    await world.reserve("session-1")
    assert await refused(world, "session-2") == [Rejection.NO_ZONE_SLOT]


async def test_a_slot_is_not_given_where_the_seats_would_not_fit(world: World) -> None:
    await world.register(max_players=10)
    await world.tell_session(session_fact("other", players=8))
    assert await refused(world, "session-1", seats=3) == [Rejection.HOST_FULL]
    await world.reserve("session-1", seats=2)


async def test_a_slot_is_not_given_by_a_host_that_is_not_online(world: World) -> None:
    await world.register()
    await world.wait(20 * SECOND)
    assert Rejection.NOT_ONLINE in await refused(world, "session-1")


async def test_an_unknown_host_gives_no_slot(world: World) -> None:
    with pytest.raises(HostNotFoundError):
        await world.reserve("session-1", "nobody")


async def test_a_slot_given_back_is_free_and_giving_back_twice_is_no_error(world: World) -> None:
    await world.register(max_zones=1)
    await world.reserve("session-1")
    await release(world, "session-1")
    await release(world, "session-1")
    assert await world.slots_taken() == 0
    await world.reserve("session-2")


async def test_a_reservation_that_no_session_confirms_lapses(world: World) -> None:
    await world.register()
    await world.reserve("session-1")
    await keep_alive(world, HELD_FOR - SECOND)
    assert await world.slots_taken() == 1
    await keep_alive(world, SECOND)
    assert await world.slots_taken() == 0


async def test_a_reservation_that_its_session_confirms_stays(world: World) -> None:
    await world.register()
    await world.reserve("session-1")
    await world.tell_session(session_fact())
    await keep_alive(world, 2 * HELD_FOR)
    assert await world.slots_taken() == 1


async def test_no_reservation_lapses_for_our_own_absence(world: World) -> None:
    await world.register()
    await world.reserve("session-1")
    world.line.up = False
    await world.wait(HELD_FOR)
    world.line.up = True
    await world.wait(SECOND)
    assert await world.slots_taken() == 1


@pytest.mark.parametrize("status", [SessionStatus.ENDED, SessionStatus.FAILED])
async def test_a_session_that_is_over_frees_its_slot(world: World, status: SessionStatus) -> None:
    await world.register()
    await world.reserve("session-1")
    await world.tell_session(session_fact(revision=1))
    await world.tell_session(session_fact(revision=2, status=status))
    assert await world.slots_taken() == 0


async def test_a_session_that_lives_has_its_slot_even_if_its_reservation_had_lapsed(world: World) -> None:
    await world.register(max_zones=1)
    await world.tell_session(session_fact("session-1"))
    await world.tell_session(session_fact("session-2"))
    assert await world.slots_taken() == 2


async def test_facts_delivered_again_change_nothing(world: World) -> None:
    await world.register()
    created = session_fact(revision=1)
    ended = session_fact(revision=9, status=SessionStatus.ENDED)
    for fact in (created, created, ended, created, ended):
        await world.tell_session(fact)
    assert await world.slots_taken() == 0


async def test_a_session_that_is_over_gets_no_slot_any_more(world: World) -> None:
    await world.register()
    await world.tell_session(session_fact(revision=9, status=SessionStatus.ENDED))
    with pytest.raises(SessionOverError):
        await world.reserve("session-1")


async def test_a_session_may_hold_slots_on_two_hosts_while_it_moves(world: World) -> None:
    await world.register("host-1")
    await world.register("host-2")
    await world.reserve("session-1", "host-1")
    await world.reserve("session-1", "host-2")
    assert (await world.slots_taken("host-1"), await world.slots_taken("host-2")) == (1, 1)


async def test_what_is_known_of_sessions_that_are_over_is_forgotten_after_an_hour(world: World) -> None:
    await world.register()
    await world.tell_session(session_fact(revision=9, status=SessionStatus.ENDED))
    world.clock.advance(timedelta(hours=1))
    await world.silence.judge()
    await keep_alive(world, HELD_FOR)
    assert await world.database.fetchval("test", "SELECT count(*) FROM slots") == 0


async def test_seats_are_what_sessions_told_last_whatever_the_order_it_comes_in(world: World) -> None:
    await world.register()
    await world.tell_session(session_fact("a", players=7, host_revision=12))
    await world.tell_session(session_fact("b", players=3, host_revision=11))
    assert await world.seats_taken() == 7


async def test_a_host_whose_seats_are_taken_is_not_available(world: World) -> None:
    await world.register(max_players=5)
    await world.tell_session(session_fact(players=5))
    assert (await world.page(available=True)).items == ()
    await world.tell_session(session_fact(revision=2, players=4, host_revision=2))
    assert len((await world.page(available=True)).items) == 1


async def test_many_sessions_that_tell_at_once_are_all_taken_in(world: World) -> None:
    for number in range(4):
        await world.register(f"host-{number}", max_zones=1000)
    await asyncio.gather(
        *(
            world.tell_session(
                session_fact(f"s{number}", host_id=f"host-{number % 4}", players=number, host_revision=number + 1)
            )
            for number in range(200)
        )
    )
    assert [await world.slots_taken(f"host-{number}") for number in range(4)] == [50] * 4
    assert [await world.seats_taken(f"host-{number}") for number in range(4)] == [196, 197, 198, 199]
