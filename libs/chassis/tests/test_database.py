"""PostgreSQL: what goes wrong there becomes ours, and passes."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import asyncpg
import pytest
from chassis.database import open_database
from chassis.refusals import UnavailableError
from testkit.eventually import eventually
from testkit.patience import patient


@pytest.fixture
async def rows(database):
    await database.execute("rows.create", "CREATE TABLE rows (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    await database.execute("rows.fill", "INSERT INTO rows (id) SELECT generate_series(1, 10)")
    return database


async def test_statements_give_rows_a_row_a_value(rows):
    assert [
        row["id"] for row in await rows.fetch("rows.first", "SELECT id FROM rows WHERE id < $1 ORDER BY id", 3)
    ] == [1, 2]
    assert await rows.fetchval("rows.count", "SELECT count(*) FROM rows") == 10
    assert await rows.fetchrow("rows.none", "SELECT 1 FROM rows WHERE id = 99") is None


async def test_a_transaction_that_fails_leaves_nothing(rows):
    async def failing(transaction) -> None:
        await transaction.execute("rows.clear", "DELETE FROM rows")
        raise KeyError

    with pytest.raises(KeyError):
        await rows.transact(failing)
    assert await rows.fetchval("rows.count", "SELECT count(*) FROM rows") == 10


async def test_a_violated_constraint_is_the_stores_to_understand(rows):
    with pytest.raises(asyncpg.UniqueViolationError):
        await rows.execute("rows.add", "INSERT INTO rows (id) VALUES (1)")


async def test_a_statement_with_the_wrong_arguments_is_a_defect(rows):
    with pytest.raises(asyncpg.InterfaceError):
        await rows.fetch("rows.wrong", "SELECT $1::int")


async def test_postgresql_away_is_unavailable_and_passes(rows, postgres_server):
    await postgres_server.stop()
    with pytest.raises(UnavailableError):
        await rows.fetchval("rows.count", "SELECT count(*) FROM rows")
    assert await rows.ping() is False
    await postgres_server.start()
    await eventually(rows.ping)
    assert await rows.fetchval("rows.count", "SELECT count(*) FROM rows") == 10


async def test_postgresql_killed_inside_a_transaction_is_unavailable(rows, postgres_server):
    async def interrupted() -> None:
        async with rows.transaction() as transaction:
            await transaction.execute("rows.clear", "DELETE FROM rows")
            await postgres_server.kill()
            await transaction.execute("rows.clear", "DELETE FROM rows")

    with pytest.raises(UnavailableError):
        await interrupted()
    await postgres_server.start()
    await eventually(rows.ping)
    assert await rows.fetchval("rows.count", "SELECT count(*) FROM rows") == 10


async def test_a_process_may_start_before_postgresql(postgres_server, postgres_url, no_migrations):
    await postgres_server.stop()
    opened = asyncio.Event()

    async def opening() -> None:
        async with open_database(postgres_url, name="early", migrations=no_migrations):
            opened.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(opening())
        await asyncio.sleep(0)
        assert not opened.is_set()
        await postgres_server.start()
        await opened.wait()


async def test_a_statement_that_takes_too_long_is_unavailable(postgres_url, no_migrations):
    async with open_database(
        postgres_url, name="hasty", migrations=no_migrations, statement_timeout=timedelta(seconds=0.1)
    ) as hasty:
        with pytest.raises(UnavailableError):
            await hasty.execute("sleep", "SELECT pg_sleep(5)")


async def test_a_statement_that_finds_no_free_connection_in_time_is_unavailable(
    postgres_url, no_migrations, monkeypatch
):
    monkeypatch.setattr("chassis.database.LEND_WITHIN_S", 0.1)
    async with open_database(postgres_url, name="small", migrations=no_migrations, pool_size=1) as small:
        async with small.transaction():
            with pytest.raises(UnavailableError):
                await small.fetchval("one", "SELECT 1")
        assert await small.fetchval("one", "SELECT 1") == 1


async def test_transactions_that_deadlock_are_both_done_in_the_end(rows):
    both_hold_one = asyncio.Barrier(2)

    def crossing(first: int, second: int):
        met = False

        async def work(transaction) -> None:
            nonlocal met
            await transaction.execute("rows.raise", "UPDATE rows SET n = n + 1 WHERE id = $1", first)
            if not met:
                met = True
                await both_hold_one.wait()
            await transaction.execute("rows.raise", "UPDATE rows SET n = n + 1 WHERE id = $1", second)

        return work

    await asyncio.gather(rows.transact(crossing(1, 2)), rows.transact(crossing(2, 1)))
    assert [row["n"] for row in await rows.fetch("rows.n", "SELECT n FROM rows WHERE id < 3")] == [2, 2]


async def test_a_transaction_whose_failed_statement_was_passed_over_is_no_success(rows):
    async def careless(transaction) -> None:
        with suppress(asyncpg.UniqueViolationError):
            await transaction.execute("rows.add", "INSERT INTO rows (id) VALUES (1)")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await rows.transact(careless)


async def test_a_transaction_that_is_over_takes_no_more_statements(rows):
    async with rows.transaction() as transaction:
        pass
    with pytest.raises(RuntimeError):
        await transaction.fetchval("one", "SELECT 1")


async def test_work_that_is_cancelled_leaves_nothing_and_its_connection_is_replaced(postgres_url, no_migrations):
    async with open_database(postgres_url, name="small", migrations=no_migrations, pool_size=1) as small:
        await small.execute("rows.create", "CREATE TABLE rows (id int)")
        written = asyncio.Event()

        async def work(transaction) -> None:
            await transaction.execute("rows.add", "INSERT INTO rows VALUES (1)")
            written.set()
            await transaction.execute("sleep", "SELECT pg_sleep(2)")

        working = asyncio.create_task(small.transact(work))
        await written.wait()
        working.cancel()
        await asyncio.wait({working})
        assert await small.fetchval("rows.count", "SELECT count(*) FROM rows") == 0


async def test_many_statements_share_few_connections(postgres_url, no_migrations):
    async with open_database(postgres_url, name="shared", migrations=no_migrations, pool_size=3) as shared:
        pids = await asyncio.gather(
            *(shared.fetchval("pid", "SELECT pg_backend_pid() FROM pg_sleep(0.001)") for _ in range(60))
        )
    assert len(set(pids)) == 3


async def test_connections_stay_as_many_as_allowed_through_errors_and_cancellations(postgres_url, no_migrations):
    async with open_database(postgres_url, name="shared", migrations=no_migrations, pool_size=2) as shared:

        async def use(number: int) -> None:
            with suppress(asyncpg.PostgresError, TimeoutError):
                async with asyncio.timeout(0.002 if number % 3 == 0 else patient(5)):
                    await shared.fetchval("use", "SELECT 1 / ($1::int % 2) FROM pg_sleep(0.001)", number)

        await asyncio.gather(*(use(number) for number in range(100)))
        async with shared.transaction() as one, shared.transaction() as two:
            assert await one.fetchval("one", "SELECT 1") == await two.fetchval("one", "SELECT 1")


async def test_a_connection_that_is_out_while_the_pool_closes_is_closed_when_it_comes_back(postgres_url, no_migrations):
    async with open_database(postgres_url, name="watching", migrations=no_migrations) as watching:
        connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'closing' AND query LIKE $1"
        async with open_database(postgres_url, name="closing", migrations=no_migrations) as closing:
            slow = asyncio.create_task(closing.fetchval("slow", "SELECT pg_sleep(0.2)"))
            await eventually(lambda: watching.fetchval("connected", connected, "%pg_sleep%"))
        await slow

        async def gone() -> bool:
            return await watching.fetchval("connected", connected, "%") == 0

        await eventually(gone, of="the end of the connection")
