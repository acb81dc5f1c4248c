"""Redis, Valkey or Dragonfly: one pool, spans where a trace is kept, and our refusal when it is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from chassis import tracing
from chassis.refusals import UnavailableError

ANSWER_WITHIN_S = 1.0
"""Redis answers in under a millisecond or is away."""

POOL_SIZE = 16

_SYSTEM = {"db.system.name": "redis"}


class TracedRedis(Redis):
    """redis-py's client; what it raises when the server is away is UnavailableError."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with tracing.span(str(args[0]), tracing.SpanKind.CLIENT, _SYSTEM):
            try:
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                raise UnavailableError("Redis is away.") from error

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "TracedPipeline":  # noqa: FBT001, FBT002 -- redis-py's signature
        return TracedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    async def answers(self) -> bool:
        """Whether Redis answers at this moment."""
        try:
            return bool(await self.ping())
        except (RedisError, UnavailableError):
            return False


class TracedPipeline(Pipeline):
    """Many commands, one round trip, one span."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 -- redis-py's signature
        with tracing.span("PIPELINE", tracing.SpanKind.CLIENT, _SYSTEM):
            try:
                return await super().execute(raise_on_error)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                raise UnavailableError("Redis is away.") from error


@asynccontextmanager
async def open_redis(url: str, *, pool_size: int = POOL_SIZE) -> AsyncIterator[TracedRedis]:
    """Hold a pool of connections, made when first needed: Redis may be away at the start, and later."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=pool_size,
        timeout=ANSWER_WITHIN_S,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=30,
        decode_responses=True,
    )
    client = TracedRedis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.aclose()
