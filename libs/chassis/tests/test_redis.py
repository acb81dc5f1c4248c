"""Redis may go away, and come back."""

import pytest
from chassis.redis import open_redis
from chassis.refusals import UnavailableError
from testkit.eventually import eventually


async def test_redis_away_is_unavailable_and_passes(redis_url, redis_server):
    async with open_redis(redis_url) as redis:
        await redis.set("a", "b")
        await redis_server.stop()
        with pytest.raises(UnavailableError):
            await redis.get("a")
        pipeline = redis.pipeline()
        pipeline.get("a")
        with pytest.raises(UnavailableError):
            await pipeline.execute()
        assert not await redis.answers()
        await redis_server.start()
        await eventually(redis.answers)


async def test_a_process_may_start_without_redis(redis_url, redis_server):
    await redis_server.stop()
    async with open_redis(redis_url) as redis:
        assert not await redis.answers()
