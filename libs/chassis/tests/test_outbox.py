"""What is committed is published, once, in order, whatever happens meanwhile."""

import asyncio
import json

import pytest
from chassis.bus import Bus, connect_bus
from chassis.database import Database, open_database
from chassis.outbox import OUTBOX_COLUMNS, OutboxRelay, outbox_row, tell
from contracts.streams import EVENTS
from testkit.eventually import eventually
from testkit.patience import patient

from libs.chassis.tests.messages import MOVED, moved


async def announce(database: Database, host: str, revision: int) -> None:
    async with database.transaction() as transaction:
        await tell(transaction, [outbox_row(MOVED.of(host_id=host), moved(revision))])


async def published(bus: Bus) -> list[tuple[str, int]]:
    """What the stream holds, in its order."""
    streams = bus.client.jsm(timeout=patient(5))
    state = (await streams.stream_info(EVENTS.name)).state
    stored = [await streams.get_msg(EVENTS.name, seq) for seq in range(state.first_seq, state.last_seq + 1)]
    return [(str(msg.subject).split(".")[3], json.loads(msg.data or b"")["revision"]) for msg in stored]


async def waiting(database: Database) -> int:
    count: int = await database.fetchval("outbox.count", "SELECT count(*) FROM outbox")
    return count


async def all_relayed(database: Database) -> None:
    async def none_waiting() -> bool:
        return await waiting(database) == 0

    await eventually(none_waiting, within=15)


async def test_what_is_committed_is_published_in_its_order(database, bus):
    async with OutboxRelay(database, bus):
        for revision in range(1, 21):
            await announce(database, "a", revision)
        await all_relayed(database)
    assert await published(bus) == [("a", revision) for revision in range(1, 21)]


async def test_what_is_rolled_back_is_not_published(database, bus):
    async def failing(transaction) -> None:
        await tell(transaction, [outbox_row(MOVED.of(host_id="a"), moved(1))])
        raise KeyError

    async with OutboxRelay(database, bus):
        with pytest.raises(KeyError):
            await database.transact(failing)
        await announce(database, "b", 1)
        await all_relayed(database)
    assert await published(bus) == [("b", 1)]


async def test_a_store_may_tell_in_the_statement_that_changes(database, bus):
    await database.execute("hosts.create", "CREATE TABLE hosts (id text, revision bigint)")
    await database.execute("hosts.add", "INSERT INTO hosts VALUES ('a', 6)")
    async with OutboxRelay(database, bus):
        await database.execute(
            "hosts.move",
            f"""
            WITH moved AS (UPDATE hosts SET revision = revision + 1 WHERE id = 'a' RETURNING revision)
            INSERT INTO {OUTBOX_COLUMNS}
            SELECT $1, $2, $3::jsonb || jsonb_build_object('revision', moved.revision), $4 FROM moved
            """,
            *outbox_row(MOVED.of(host_id="a"), moved(1)),
        )
        await all_relayed(database)
    assert await published(bus) == [("a", 7)]


async def test_everything_is_published_once_and_in_order_through_an_outage_of_nats(database, bus, nats_server):
    hosts = [f"host-{number}" for number in range(10)]
    async with OutboxRelay(database, bus):
        for revision in range(1, 31):
            if revision == 10:
                await nats_server.kill()
            if revision == 20:
                await nats_server.start()
            await asyncio.gather(*(announce(database, host, revision) for host in hosts))
        await all_relayed(database)
    stored = await published(bus)
    assert len(stored) == 300
    for host in hosts:
        assert [revision for name, revision in stored if name == host] == list(range(1, 31))


async def test_an_outage_of_postgresql_is_survived(database, bus, postgres_server):
    async with OutboxRelay(database, bus) as relay:
        await announce(database, "a", 1)
        await all_relayed(database)
        await postgres_server.restart()
        await eventually(database.ping)
        await announce(database, "a", 2)
        await eventually(lambda: relay.leading, within=10)
        await all_relayed(database)
    assert await published(bus) == [("a", 1), ("a", 2)]


async def test_a_kill_between_publish_and_delete_doubles_nothing(database, bus):
    for revision in range(1, 6):
        await announce(database, "a", revision)

    class Killed(BaseException):
        pass

    class Dying(OutboxRelay):
        async def _forget(self, connection, published) -> None:
            raise Killed

    relay = Dying(database, bus)
    connection = await relay._connect()
    with pytest.raises(Killed):
        await relay._round(connection)
    connection.terminate()
    assert await waiting(database) == 5
    async with OutboxRelay(database, bus):
        await all_relayed(database)
    assert await published(bus) == [("a", revision) for revision in range(1, 6)]


async def test_another_instance_takes_over_and_only_one_publishes(database, bus, nats_url, postgres_url, no_migrations):
    async with (
        connect_bus(nats_url, "second") as other_bus,
        open_database(postgres_url, name="second", migrations=no_migrations) as other,
        OutboxRelay(database, bus) as first,
    ):
        await eventually(lambda: first.leading)
        async with OutboxRelay(other, other_bus) as second:
            await announce(other, "a", 1)
            await all_relayed(other)
            assert not second.leading
            first._task.cancel()
            await eventually(lambda: second.leading)
            await announce(database, "a", 2)
            await all_relayed(database)
    assert await published(bus) == [("a", 1), ("a", 2)]


async def test_a_thing_that_can_not_be_published_holds_up_no_other(database, bus):
    async with OutboxRelay(database, bus):
        async with database.transaction() as transaction:
            await tell(transaction, [outbox_row("nobodys.subject.stuck", moved(1))])
        await announce(database, "a", 1)

        async def one_left() -> bool:
            return await waiting(database) == 1

        await eventually(one_left)
    assert await published(bus) == [("a", 1)]


async def test_what_was_written_last_is_published_before_the_relay_goes(database, bus):
    async with OutboxRelay(database, bus) as relay:
        await eventually(lambda: relay.leading)
        for revision in range(1, 101):
            await announce(database, "a", revision)
    assert await waiting(database) == 0
