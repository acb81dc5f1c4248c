"""PostgreSQL: one pool, named statements, and errors of ours instead of the driver's."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from chassis import tracing
from chassis.migrations import migrate
from chassis.refusals import UnavailableError

log = structlog.stdlib.get_logger()

T = TypeVar("T")
Statement = Callable[[PoolConnectionProxy], Awaitable[T]]

POOL_SIZE = 8
"""More connections than cores only queue inside PostgreSQL; a few more than that hide the round trip."""

STATEMENT_TIMEOUT = timedelta(seconds=3)
"""No statement of ours takes 50 ms; after this long the caller's deadline is over."""

ACQUIRE_TIMEOUT_S = 2.0
"""How long a statement waits for a free connection before it is refused."""

CONNECT_TIMEOUT_S = 5.0

TRIES = 5
"""How often a statement or transaction that lost a race for locks is tried; deadlocks among few rows end soon."""

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.InternalClientError,  # what a statement meets on a connection whose server has just gone
)
_LOST = ("connection is closed", "been released back", "pool is clos")
"""How asyncpg says that a connection went; the class of the error serves for misuse as well."""

_LOST_THE_RACE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class _Connection(asyncpg.Connection):
    """Sessions carry no state of their own between uses, so a used connection needs no reset round trip."""

    def get_reset_query(self) -> str:
        return ""


class Transaction:
    """Statements inside one transaction; each has a name, such as `hosts.by_id`, for its span."""

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self._connection = connection
        self.tells = False
        """Whether something was written to the outbox."""

    async def fetch(self, name: str, sql: str, *args: object) -> list[asyncpg.Record]:
        return await self._run(name, sql, lambda connection: connection.fetch(sql, *args))

    async def fetchrow(self, name: str, sql: str, *args: object) -> asyncpg.Record | None:
        return await self._run(name, sql, lambda connection: connection.fetchrow(sql, *args))

    async def fetchval(self, name: str, sql: str, *args: object) -> Any:
        return await self._run(name, sql, lambda connection: connection.fetchval(sql, *args))

    async def execute(self, name: str, sql: str, *args: object) -> str:
        return await self._run(name, sql, lambda connection: connection.execute(sql, *args))

    async def _run(self, name: str, sql: str, statement: Statement[T]) -> T:
        with _span(name, sql), _ours():
            result = await statement(self._connection)
        self.tells = self.tells or _tells(sql)
        return result


class Database:
    """The pool; each statement outside a transaction commits by itself. Made by `open_database`."""

    def __init__(self, pool: asyncpg.Pool, url: str) -> None:
        self._pool = pool
        self.url = url
        self.outbox_written = asyncio.Event()
        """Set when something was written to the outbox from here; the relay clears it."""

    async def fetch(self, name: str, sql: str, *args: object) -> list[asyncpg.Record]:
        return await self._run(name, sql, lambda connection: connection.fetch(sql, *args))

    async def fetchrow(self, name: str, sql: str, *args: object) -> asyncpg.Record | None:
        return await self._run(name, sql, lambda connection: connection.fetchrow(sql, *args))

    async def fetchval(self, name: str, sql: str, *args: object) -> Any:
        return await self._run(name, sql, lambda connection: connection.fetchval(sql, *args))

    async def execute(self, name: str, sql: str, *args: object) -> str:
        return await self._run(name, sql, lambda connection: connection.execute(sql, *args))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit all of the block or nothing; one that lost a race for locks raises, see `transact`."""
        with _ours():
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            block = connection.transaction()
            with _ours():
                await block.start()
            transaction = Transaction(connection)
            try:
                yield transaction
            except BaseException:
                await _roll_back(block)
                raise
            with tracing.span("COMMIT", tracing.SpanKind.CLIENT, _SYSTEM), _ours():
                await block.commit()
        finally:
            await _release(self._pool, connection)
        if transaction.tells:
            self.outbox_written.set()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again from its start when it lost a race for locks."""

        async def once() -> T:
            async with self.transaction() as transaction:
                return await work(transaction)

        return await _retrying(once)

    async def ping(self) -> bool:
        """Whether PostgreSQL answers at this moment."""
        try:
            async with asyncio.timeout(1):
                return bool(await self._pool.fetchval("SELECT true"))
        except (*_AWAY, asyncpg.InterfaceError):
            return False

    async def _run(self, name: str, sql: str, statement: Statement[T]) -> T:
        async def once() -> T:
            with _ours():
                async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    return await statement(connection)

        with _span(name, sql):
            result = await _retrying(once)
        if _tells(sql):
            self.outbox_written.set()
        return result


_SYSTEM = {"db.system.name": "postgresql"}


def _tells(sql: str) -> bool:
    return "INTO outbox" in sql


def _span(name: str, sql: str) -> AbstractContextManager[tracing.Span]:
    if not tracing.recording():
        return tracing.QUIET
    operation = sql.split(None, 1)[0].upper()
    return tracing.span(
        f"{operation} {name}",
        tracing.SpanKind.CLIENT,
        {**_SYSTEM, "db.operation.name": operation, "db.query.summary": name},
    )


async def _retrying(once: Callable[[], Awaitable[T]]) -> T:
    for attempt in range(1, TRIES):
        try:
            return await once()
        except _LOST_THE_RACE:
            await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))  # noqa: S311 -- spreads retries, guards nothing
    try:
        return await once()
    except _LOST_THE_RACE as error:
        raise UnavailableError("Too many changes at once; try again.") from error


async def _release(pool: asyncpg.Pool, connection: PoolConnectionProxy) -> None:
    try:
        await pool.release(connection)
    except (*_AWAY, asyncpg.InterfaceError):
        log.info("database.released_without_connection")  # the pool makes a new one when next asked


async def _roll_back(block: asyncpg.transaction.Transaction) -> None:
    try:
        await block.rollback()
    except (*_AWAY, asyncpg.InterfaceError):
        log.info("database.rollback_without_connection")  # PostgreSQL rolls back whatever it loses


@contextmanager
def _ours() -> Iterator[None]:
    """Turn "PostgreSQL is away" into our refusal; constraint violations are the store's to understand."""
    try:
        yield
    except _AWAY as error:
        raise UnavailableError("The database does not answer.") from error
    except asyncpg.InterfaceError as error:
        if any(word in str(error) for word in _LOST):
            raise UnavailableError("The database does not answer.") from error
        raise


@asynccontextmanager
async def open_database(
    url: str,
    *,
    name: str,
    migrations: Traversable,
    pool_size: int = POOL_SIZE,
    statement_timeout: timedelta = STATEMENT_TIMEOUT,
    plan_once: bool = False,
) -> AsyncIterator[Database]:
    """Wait until PostgreSQL is there, migrate, and hold a pool until the block ends.

    `plan_once`: PostgreSQL plans a statement once a connection, never for its arguments. Planning costs more than
    running a short statement; only one with optional conditions (`$1 IS NULL OR …`) is worth it.
    """
    await _migrate_when_there(url, name, migrations)
    pool = await asyncpg.create_pool(
        url,
        min_size=min(2, pool_size),
        max_size=pool_size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=statement_timeout.total_seconds() + 1,
        connection_class=_Connection,
        server_settings={
            "application_name": name,
            "timezone": "UTC",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan" if plan_once else "auto",
            "statement_timeout": str(int(statement_timeout.total_seconds() * 1000)),
        },
    )
    try:
        yield Database(pool, url)
    finally:
        await _close(pool)


async def _migrate_when_there(url: str, name: str, migrations: Traversable) -> None:
    connection = await connect_when_there(url, name)
    try:
        await migrate(connection, migrations)
    finally:
        await connection.close()


async def connect_when_there(url: str, name: str, *, answer_within_s: float | None = None) -> asyncpg.Connection:
    """Open a connection of one's own, waiting for as long as PostgreSQL is away."""
    pause_s = 0.05
    while True:
        try:
            return await asyncpg.connect(
                url,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=answer_within_s,
                server_settings={"application_name": name, "timezone": "UTC"},
            )
        except _AWAY as error:
            log.warning("database.awaited", error=str(error) or type(error).__name__)
        await asyncio.sleep(pause_s)
        pause_s = min(2.0, pause_s * 2)


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except TimeoutError:
        pool.terminate()
