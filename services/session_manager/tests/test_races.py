import asyncio
import random

import pytest
from chassis.refusals import ServiceError
from contracts.refusals import Code
from session_manager.errors import HostFullError, SessionFullError

from services.session_manager.tests.world import assert_sound, make_world


@pytest.fixture(autouse=True)
def no_deadlocks(servers):
    """Rows are locked in one order: PostgreSQL must never have to resolve a deadlock."""
    servers.postgres.lines.clear()
    yield
    assert not [line for line in servers.postgres.lines if "deadlock" in line]


async def test_of_sixty_simultaneous_joins_into_twenty_seats_twenty_succeed(world):
    session = await world.create(max_players=20)

    outcomes = await asyncio.gather(
        *(world.join(session.session_id, f"player-{number}") for number in range(60)), return_exceptions=True
    )

    assert sum(isinstance(outcome, SessionFullError) for outcome in outcomes) == 40
    assert (await world.get(session.session_id)).current_players == 20
    await assert_sound(world.database)


async def test_the_host_s_seats_are_shared_by_its_sessions(world, zones):
    zones.host_max_players = 20
    sessions = [await world.create(max_players=20) for _ in range(3)]

    outcomes = await asyncio.gather(
        *(world.join(sessions[number % 3].session_id, f"player-{number}") for number in range(60)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, HostFullError) for outcome in outcomes) == 40
    await assert_sound(world.database)


async def test_sixty_simultaneous_joins_of_one_player_are_one_seat(world):
    session = await world.create()
    await asyncio.gather(*(world.join(session.session_id, "a") for _ in range(60)))
    assert (await world.get(session.session_id)).connected_players == ("a",)
    await assert_sound(world.database)


async def test_a_player_who_joins_everywhere_at_once_sits_in_one_place(world):
    sessions = [await world.create() for _ in range(8)]
    for _ in range(5):
        await asyncio.gather(*(world.join(session.session_id, "a") for session in sessions))
    await assert_sound(world.database)
    assert len(await world.database.fetch("seats", "SELECT FROM seats")) == 1


async def test_crossing_moves_do_not_block_one_another(database, clock, zones):
    """Two instances, four sessions on two hosts, everybody on the move: no deadlock is waited for, nobody is lost."""
    worlds = [make_world(database, clock, zones, instance=name) for name in ("one", "two")]
    sessions = [await worlds[0].create(host_id=f"host-{number % 2}") for number in range(4)]
    chance = random.Random(4)

    async def wander(player):
        for _ in range(15):
            await chance.choice(worlds).join(chance.choice(sessions).session_id, player)

    await asyncio.gather(*(wander(f"player-{number}") for number in range(12)))

    await assert_sound(database)
    assert len(await database.fetch("seats", "SELECT FROM seats")) == 12


async def test_creates_with_the_same_players_in_another_order_do_not_block_one_another(world, zones):
    zones.host_max_players = 100
    players = [f"player-{number:02}" for number in range(60)]

    async def create(number):
        order = players if number % 2 else players[::-1]
        return await world.create(host_id=f"host-{number}", player_ids=order)

    for _ in range(3):
        sessions = await asyncio.gather(*(create(number) for number in range(8)))
        await assert_sound(world.database)
        assert len(await world.database.fetch("seats", "SELECT FROM seats")) == 60
        for session in sessions:
            await world.end(session.session_id)


async def test_joins_meeting_the_end_of_their_session_are_seated_before_it_or_refused(world):
    for _ in range(10):
        session = await world.create()
        joins = [world.join(session.session_id, f"player-{number}") for number in range(10)]
        ends = [world.end(session.session_id, reason) for reason in ("first", "second")]

        outcomes = await asyncio.gather(*joins[:5], *ends, *joins[5:], return_exceptions=True)

        refusals = {outcome.refusal.code for outcome in outcomes if isinstance(outcome, ServiceError)}
        assert refusals <= {Code.WRONG_STATE}
        assert not [error for error in outcomes if isinstance(error, Exception) and not isinstance(error, ServiceError)]
    await assert_sound(world.database)
    assert not await world.database.fetch("seats", "SELECT FROM seats")
