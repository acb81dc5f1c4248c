"""A session has its newest whole checkpoint, from whoever hosts it now, until it ends; no other bytes are left."""

import asyncio
import hashlib
from datetime import UTC, datetime

import pytest
from chassis.bus import connect_bus
from chassis.objects import Objects
from chassis.refusals import RefusedError
from chassis.requests import call
from chassis.streams import declare_streams
from contracts.refusals import Code
from contracts.sessions import (
    CREATE_SESSION,
    END_SESSION,
    GET_CHECKPOINT,
    KEEP_CHECKPOINT,
    CreateSession,
    EndSession,
    KeepCheckpoint,
    NameSession,
)
from contracts.streams import CHECKPOINTS
from session_manager.checkpoints import STRAY_AFTER, Checkpoints
from session_manager.errors import (
    CheckpointNotFoundError,
    CheckpointNotNewerError,
    EpochToComeError,
    SessionNotFoundError,
    StaleEpochError,
    WrongStateError,
)
from session_manager.store.checkpoints import CheckpointStore
from testkit.eventually import eventually

from services.session_manager.tests.facts import a_host_fact
from services.session_manager.tests.world import assert_sound


@pytest.fixture
async def objects(nats_url):
    async with connect_bus(nats_url, "test") as bus:
        await declare_streams(bus)
        yield Objects(bus, CHECKPOINTS)


@pytest.fixture
def checkpoints(database, objects, clock):
    return Checkpoints(CheckpointStore(database), objects, clock)


async def stored(objects, session, sequence, content=b"the world", epoch=1):
    return KeepCheckpoint(
        session=session.session_id,
        epoch=epoch,
        sequence=sequence,
        object=await objects.put(content),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


async def there(objects):
    return [name async for name in objects.names()]


async def move(world, clock, session):
    """To another host, in the next epoch."""
    await world.fallback.host_lost(a_host_fact(session.host_id, at=clock.now()))
    return await world.get(session.session_id)


async def test_the_newest_is_the_sessions_and_the_bytes_of_the_one_before_go(world, checkpoints, objects):
    session = await world.create()
    first = await checkpoints.keep(await stored(objects, session, 1, b"old"))
    second = await checkpoints.keep(await stored(objects, session, 7, b"new"))
    kept = await checkpoints.get(NameSession(session=str(session.id)))
    assert (kept, kept.sequence, kept.epoch) == (second, 7, 1)
    assert await objects.get(kept.object, kept.size) == b"new"
    await checkpoints.remove_discarded()
    assert await there(objects) == [second.object] != [first.object]


@pytest.mark.parametrize("sequence", [1, 4, 5])
async def test_what_is_not_newer_is_refused_and_its_bytes_go(world, checkpoints, objects, sequence):
    session = await world.create()
    kept = await checkpoints.keep(await stored(objects, session, 5))
    with pytest.raises(CheckpointNotNewerError) as refused:
        await checkpoints.keep(await stored(objects, session, sequence, b"another"))
    assert refused.value.refusal.fields["sequence"] == 5
    await checkpoints.remove_discarded()
    assert await there(objects) == [kept.object]


async def test_whoever_missed_the_answer_may_store_the_same_again(world, checkpoints, objects):
    session = await world.create()
    wish = await stored(objects, session, 1)
    kept = await checkpoints.keep(wish)
    assert await checkpoints.keep(wish) == kept
    again = await checkpoints.keep(await stored(objects, session, 1))
    assert (again.sequence, again.sha256) == (kept.sequence, kept.sha256)
    await checkpoints.remove_discarded()
    assert await there(objects) == [again.object]


async def test_the_host_before_is_refused_and_told_who_hosts_it_now(world, checkpoints, objects, clock):
    session = await world.create(host_id="lost")
    await checkpoints.keep(await stored(objects, session, 1))
    pending = await world.create(host_id="lost", player_ids=["a"])
    kept = await checkpoints.keep(await stored(objects, pending, 3))
    moved = await move(world, clock, pending)
    with pytest.raises(StaleEpochError) as refused:
        await checkpoints.keep(await stored(objects, pending, 4, b"of the old host"))
    assert refused.value.refusal.fields == {
        "session_id": moved.session_id,
        "host_id": "host-1",
        "epoch": moved.epoch,
    }
    assert await checkpoints.get(NameSession(session=pending.session_id)) == kept
    await checkpoints.keep(await stored(objects, pending, 4, b"of the new host", epoch=moved.epoch))
    await assert_sound(world.database)


async def test_a_next_host_that_did_not_begin_with_what_is_kept_does_not_write_over_it(
    world, checkpoints, objects, clock
):
    session = await world.create(host_id="lost", player_ids=["a"])
    await checkpoints.keep(await stored(objects, session, 40))
    moved = await move(world, clock, session)
    with pytest.raises(CheckpointNotNewerError):
        await checkpoints.keep(await stored(objects, session, 1, b"nothing yet", epoch=moved.epoch))


async def test_an_epoch_that_has_not_begun_is_refused(world, checkpoints, objects):
    with pytest.raises(EpochToComeError):
        await checkpoints.keep(await stored(objects, await world.create(), 1, epoch=2))


@pytest.mark.parametrize("how", ["end", "fail", "clean"])
async def test_checkpoints_go_with_the_end_of_their_session(world, checkpoints, objects, clock, how):
    session = await world.create(host_id="lost")
    await checkpoints.keep(await stored(objects, session, 1))
    match how:
        case "end":
            await world.end(session.session_id)
        case "fail":
            await move(world, clock, session)
        case _:
            clock.advance(STRAY_AFTER)
            await world.lifecycle.end_empty(STRAY_AFTER)
    with pytest.raises(CheckpointNotFoundError):
        await checkpoints.get(NameSession(session=session.session_id))
    with pytest.raises(WrongStateError):
        await checkpoints.keep(await stored(objects, session, 2))
    await checkpoints.remove_discarded()
    assert await there(objects) == []


async def test_of_many_at_once_the_newest_is_kept_and_nothing_else_left(world, checkpoints, objects):
    session = await world.create()
    wishes = [await stored(objects, session, sequence, b"%d" % sequence) for sequence in range(1, 21)]
    await asyncio.gather(*map(checkpoints.keep, reversed(wishes)), return_exceptions=True)
    assert (await checkpoints.get(NameSession(session=session.session_id))).sequence == 20
    await checkpoints.remove_discarded()
    assert await there(objects) == [wishes[-1].object]


async def test_an_end_and_a_checkpoint_at_once_leave_no_checkpoint(world, checkpoints, objects):
    for _ in range(10):
        session = await world.create()
        wish = await stored(objects, session, 1)
        await asyncio.gather(checkpoints.keep(wish), world.end(session.session_id), return_exceptions=True)
    await checkpoints.remove_discarded()
    assert await there(objects) == []


async def test_a_cut_upload_is_removed_when_it_is_old_and_what_is_kept_is_not(world, checkpoints, objects, clock):
    kept = await checkpoints.keep(await stored(objects, await world.create(), 1))
    cut = await objects.put(b"and nobody said that it is whole")
    await checkpoints.remove_strays()
    assert await there(objects) == [kept.object, cut]
    clock.advance(_until_old(clock))
    await checkpoints.remove_strays()
    assert await there(objects) == [kept.object]


def _until_old(clock):
    # Names say when they were made by the machine's clock; the test's stands elsewhere.
    return datetime.now(UTC) - clock.now() + 2 * STRAY_AFTER


async def test_an_unknown_session_has_none(checkpoints, objects):
    with pytest.raises(SessionNotFoundError):
        await checkpoints.get(NameSession(session="session-0123456789abcdef"))


async def test_the_service_keeps_tells_and_prunes(bus, objects, database):
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera"))
    kept = await call(bus, KEEP_CHECKPOINT, await stored(objects, session, 1))
    question = NameSession(session=session.session_id)
    assert await call(bus, GET_CHECKPOINT, question) == kept
    await call(bus, END_SESSION, EndSession(session=session.session_id))
    with pytest.raises(RefusedError) as refused:
        await call(bus, GET_CHECKPOINT, question)
    assert refused.value.refusal.code is Code.CHECKPOINT_NOT_FOUND

    async def gone():
        return await there(objects) == []

    await eventually(gone)
