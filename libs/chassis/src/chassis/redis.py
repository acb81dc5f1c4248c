"""Redis, Valkey or Dragonfly: one pool, spans where a trace is kept, and our refusal when it is away."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

from opentelemetry.util.types import AttributeValue
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


class TracedRedis(Redis):
    """redis-py's client; what it raises when the server is away is UnavailableError."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _command(str(args[0])):
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
        with _batch(self.command_stack):
            try:
                return await super().execute(raise_on_error)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                raise UnavailableError("Redis is away.") from error


def _command(name: str) -> AbstractContextManager[tracing.Span]:
    return tracing.span(name, tracing.SpanKind.CLIENT, _about(name)) if tracing.recording() else tracing.QUIET


def _batch(stack: Sequence[tuple[tuple[Any, ...], Any]]) -> AbstractContextManager[tracing.Span]:
    """The span of a pipeline, named after its commands where they are the same."""
    if not tracing.recording():
        return tracing.QUIET
    names = {str(command[0]) for command, _ in stack}
    name = f"PIPELINE {names.pop()}" if len(names) == 1 else "PIPELINE"
    about = _about(name)
    if len(stack) > 1:  # one command is no batch, say the conventions
        about["db.operation.batch.size"] = len(stack)
    return tracing.span(name, tracing.SpanKind.CLIENT, about)


def _about(operation: str) -> dict[str, AttributeValue]:
    return {"db.system.name": "redis", "db.operation.name": operation}


@asynccontextmanager
async def open_redis(url: str, *, pool_size: int = POOL_SIZE, decode: bool = True) -> AsyncIterator[TracedRedis]:
    """Hold a pool of connections, made when first needed: Redis may be away at the start, and later.

    `decode=False` gives bytes: for what others wrote, which may be no text.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=pool_size,
        timeout=ANSWER_WITHIN_S,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=30,
        decode_responses=decode,
    )
    client = TracedRedis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.aclose()
