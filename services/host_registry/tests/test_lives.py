"""A host that is deleted and registers again is another one: what was said of the former says nothing of it."""

import asyncio

import pytest
from chassis.refusals import RefusedError, ServiceError
from contracts.gateway import IceState
from contracts.hosts import ReserveSlot
from host_registry.errors import HostNotFoundError, RegisteredSinceError
from host_registry.store.beats import Beat

from services.host_registry.tests.world import PATIENCE, SECOND, World, ice_outcome, session_fact


async def reborn(world: World) -> None:
    await world.delete("host-1")
    await world.wait(5 * SECOND)
    await world.register()


async def test_the_end_of_its_socket_does_not_cut_the_next_off(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await reborn(world)
    await world.disconnect("c1")
    await world.wait(PATIENCE.cut_off_after + SECOND)
    host = await world.host()
    assert (host.status, host.connected) == ("online", False)


async def test_a_late_word_of_its_socket_is_not_the_nexts(world: World) -> None:
    await world.register()
    await world.delete("host-1")
    late = world.host_sockets, world._peer("c1", "host-1", "gw-1")
    await world.wait(5 * SECOND)
    await world.register()
    await late[0].connected(late[1])
    await late[0].disconnected(late[1])
    await world.wait(PATIENCE.cut_off_after + SECOND)
    host = await world.host()
    assert (host.status, host.connected) == ("online", False)


async def test_its_beats_are_not_the_nexts(world: World) -> None:
    await world.register()
    beat = Beat("host-1", world.clock.now(), latency_ms=300, current_players=40)
    await reborn(world)
    assert (await world.beats.keep([beat])).strays == ["host-1"]
    host = await world.host()
    assert (host.latency_ms, host.current_players) == (None, 0)


async def test_what_was_measured_of_it_is_not_the_nexts(world: World) -> None:
    await world.register()
    before = world.clock.now()
    await reborn(world)
    await world.probe(ago=world.clock.now() - before, round_trip_ms=250.0)
    await world.tell_session(session_fact(latency_ms=250.0, loss_percent=9.0, at=before))
    failed = ice_outcome(IceState.FAILED).model_copy(update={"occurred_at": before})
    await world.measuring.connection_ended(failed)
    await world.measuring.weigh()
    host = await world.host()
    assert (host.latency_ms, host.packet_loss_percent, host.measured) == (None, None, False)
    assert await world.database.fetchval("test", "SELECT failed_share FROM standings") == 0


@pytest.mark.parametrize("times", range(3))
async def test_deleting_it_while_its_sessions_are_told_of_breaks_nothing(world: World, times: int) -> None:
    async def reserve(number: int) -> None:
        try:
            question = ReserveSlot(host_id="host-1", session_id=f"r{times}-{number}", zone_id="prontera")
            await world.occupancy.reserve(question)
        except (ServiceError, RefusedError):
            return

    for _ in range(5):
        await world.register(max_zones=1000)
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(world.tell_session(session_fact(f"s{times}-{number}", players=1)))
                group.create_task(reserve(number))
            group.create_task(world.delete("host-1"))


async def test_whoever_registers_while_it_is_deleted_leaves_nothing_of_it(world: World) -> None:
    for _ in range(20):
        former = (await world.register()).id
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(world.register())
            group.create_task(world.delete("host-1"))
            for _ in range(3):
                group.create_task(world.register())
        lives = await world.database.fetch("test", "SELECT id FROM hosts JOIN standings USING (host_id) WHERE id = no")
        assert former not in [row["id"] for row in lives]
        assert len(lives) == await world.database.fetchval("test", "SELECT count(*) FROM standings")


async def test_a_run_that_was_replaced_sends_its_successor_nowhere(world: World) -> None:
    await world.register(run_id="first")
    await world.register(run_id="second")
    for leaving in (world.drain, world.delete):
        with pytest.raises(RegisteredSinceError):
            await leaving(run_id="first")
    assert (await world.host()).status == "online"
    await world.drain(run_id="second")
    assert (await world.host()).status == "draining"
    with pytest.raises(RegisteredSinceError):
        await world.drain(run_id="first")
    await world.delete(run_id="second")
    with pytest.raises(HostNotFoundError):
        await world.delete(run_id="second")


async def test_a_host_that_somebody_else_registered_since_is_no_runs(world: World) -> None:
    await world.register(run_id="first")
    await world.register()
    with pytest.raises(RegisteredSinceError):
        await world.delete(run_id="first")
    await world.delete()
