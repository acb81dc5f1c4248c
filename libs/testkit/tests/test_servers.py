import asyncpg
import nats
import pytest
import redis.asyncio as redis
from testkit.eventually import eventually
from testkit.patience import patient


async def test_a_database_is_empty_and_the_tests_own(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE mine (id int)")
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1
    await connection.close()


async def test_the_next_test_gets_another_database(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.close()


async def test_a_database_goes_even_while_somebody_is_connected(servers):
    url = servers.new_database()
    connection = await asyncpg.connect(url)
    servers.drop_database(url)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)
    connection.terminate()


@pytest.mark.parametrize("time", ["first", "second"])
async def test_streams_of_an_earlier_test_are_gone(nats_url, time):
    connection = await nats.connect(nats_url)
    streams = connection.jetstream(timeout=patient(5))
    assert [found.config.name for found in await streams.streams_info()] == []
    await streams.add_stream(name="LEFT", subjects=["left.>"])
    await connection.close()


@pytest.mark.parametrize("time", ["first", "second"])
async def test_keys_of_an_earlier_test_are_gone(redis_url, time):
    async with redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "over")


async def test_a_killed_database_comes_back_with_its_rows(postgres_url, postgres_server):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await postgres_server.kill()
    connection.terminate()
    await postgres_server.start()
    again = await asyncpg.connect(postgres_url)
    assert await again.fetchval("SELECT number FROM kept") == 7
    await again.close()


async def test_a_client_of_nats_sees_it_go_and_come_back(nats_server):
    connection = await nats.connect(nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05)
    await nats_server.stop()
    await eventually(lambda: not connection.is_connected)
    await nats_server.start()
    await eventually(lambda: connection.is_connected)
    await connection.close()


async def test_a_test_may_leave_a_server_stopped(redis_server):
    await redis_server.kill()


async def test_and_the_next_one_finds_it_running(redis_url):
    async with redis.from_url(redis_url) as client:
        assert await client.ping()
