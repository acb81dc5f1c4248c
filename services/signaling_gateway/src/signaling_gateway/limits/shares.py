"""What somebody has left of a budget that all gateways share, in Redis.

`limit:<budget>` holds when it is full again, in microseconds of Redis' own clock, and is gone by then. The script is
`Bucket.take` once more, for many budgets at once: one that asked Redis for the number and set it would give the same
ones to two gateways.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from chassis.redis import TracedRedis
from chassis.refusals import UnavailableError
from redis.exceptions import RedisError

from signaling_gateway.limits.bucket import Allowance

_SETTLE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local told = {}
for at, key in ipairs(KEYS) do
    local interval, burst, owed, wanted = unpack(ARGV, 4 * at - 3, 4 * at)
    local full = math.max(now, tonumber(redis.call('GET', key) or now)) + owed * interval
    local given = math.max(0, math.min(tonumber(wanted), math.floor((burst * interval - (full - now)) / interval)))
    full = full + given * interval
    if owed + given > 0 then
        redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
    end
    told[2 * at - 1], told[2 * at] = given, full - now
end
return told
"""

_MICROSECOND = 1000
"""Nanoseconds."""


class Claim(NamedTuple):
    """What a gateway has granted of a budget already, and what it would like to have beside that."""

    budget: str
    allowance: Allowance
    owed: int
    wanted: int = 0


class Lease(NamedTuple):
    """What Redis has given, and in how many nanoseconds the budget is full again."""

    given: int
    full_in: int


class Shares:
    """The budgets in Redis."""

    def __init__(self, redis: TracedRedis) -> None:
        self._redis = redis

    async def settle(self, claims: Sequence[Claim]) -> list[Lease]:
        """Count what is owed, and take up to what is wanted; UnavailableError when Redis is away or does not work."""
        keys = [f"limit:{claim.budget}" for claim in claims]
        numbers: list[int] = []
        for _, allowance, owed, wanted in claims:
            numbers += (-(-allowance.interval // _MICROSECOND), allowance.burst, owed, wanted)
        try:
            # EVAL, not EVALSHA: after a restart of Redis there is no script to miss.
            told: Any = await self._redis.eval(_SETTLE, len(keys), *keys, *numbers)
        except RedisError as error:  # it is out of memory, or only to be read from, or loading
            raise UnavailableError("Redis does not count.") from error
        return [Lease(given, full * _MICROSECOND) for given, full in zip(told[::2], told[1::2], strict=True)]

    async def there(self) -> bool:
        """Whether Redis answers at this moment."""
        return await self._redis.answers()
