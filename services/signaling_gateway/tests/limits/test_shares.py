"""The script in Redis counts as the bucket does, for many budgets at once, and what it keeps goes by itself."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from chassis.redis import TracedRedis, open_redis
from chassis.refusals import UnavailableError
from signaling_gateway.limits.bucket import Allowance
from signaling_gateway.limits.shares import Claim, Shares

HOURLY = Allowance.of(100, timedelta(hours=1))
"""So slow that nothing comes back while a test looks."""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[TracedRedis]:
    async with open_redis(redis_url) as client:
        yield client


async def test_it_gives_what_there_is_and_counts_what_is_owed_even_where_nothing_is(redis: TracedRedis):
    shares = Shares(redis)

    async def settle(owed: int, wanted: int) -> int:
        (lease,) = await shares.settle([Claim("ann", HOURLY, owed, wanted)])
        return lease.given

    assert [await settle(0, 60), await settle(10, 60), await settle(0, 60)] == [60, 30, 0]
    (lease,) = await shares.settle([Claim("ann", HOURLY, 5, 1)])
    assert lease.given == 0
    assert HOURLY.fills_in < lease.full_in <= HOURLY.fills_in + 5 * HOURLY.interval


async def test_many_budgets_are_settled_at_once_and_apart(redis: TracedRedis):
    leases = await Shares(redis).settle([Claim(f"p{number}", HOURLY, number, 100) for number in range(100)])

    assert [lease.given for lease in leases] == [100 - number for number in range(100)]


async def test_what_is_full_again_is_forgotten(redis: TracedRedis):
    second = Allowance.of(1000, timedelta(seconds=1))
    await Shares(redis).settle([Claim("ann", second, 1), Claim("bob", HOURLY, 1), Claim("nobody", HOURLY, 0)])

    assert 0 < await redis.pttl("limit:bob") <= HOURLY.interval // 1_000_000
    assert await redis.exists("limit:nobody") == 0
    (lease,) = await Shares(redis).settle([Claim("ann", second, 0, 1000)])
    assert lease.given >= 999


async def test_a_redis_that_does_not_work_is_away(redis: TracedRedis):
    await redis.sadd("limit:ann", "something else")

    with pytest.raises(UnavailableError):
        await Shares(redis).settle([Claim("ann", HOURLY, 1)])
