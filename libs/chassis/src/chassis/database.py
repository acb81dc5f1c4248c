"""PostgreSQL: one pool, named statements, and errors of ours instead of the driver's."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import timedelta
from importlib.resources.abc import Traversable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from opentelemetry.util.types import AttributeValue

from chassis import tracing
from chassis.metrics import DATABASE_CONNECTIONS, DATABASE_WAITING
from chassis.migrations import migrate
from chassis.pool import Pool
from chassis.postgres import AWAY, CONNECT_WITHIN_S, connect_when_there, ours
from chassis.refusals import UnavailableError
from chassis.semantics import About, operation_of

T = TypeVar("T")
Statement = Callable[[asyncpg.Connection], Awaitable[T]]

POOL_SIZE = 8
"""More connections than cores only queue inside PostgreSQL; a few more than that hide the round trip."""

STATEMENT_TIMEOUT = timedelta(seconds=3)
"""No statement of ours takes 50 ms; after this long the caller's deadline is over."""

LEND_WITHIN_S = 2.0
"""How long a statement waits for a free connection before it is refused."""

TRIES = 5
"""How often a statement or transaction that lost a race for locks is tried; deadlocks among few rows end soon."""

_LOST_THE_RACE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class Transaction:
    """Statements inside one transaction; each has a name, such as `hosts.by_id`, for its span."""

    def __init__(self, connection: asyncpg.Connection, about: About) -> None:
        self._connection = connection
        self._about = about
        self.over = False
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
        if self.over:
            raise RuntimeError("the transaction is over, its connection somebody else's")
        with _span(name, sql, self._about), ours():
            result = await statement(self._connection)
        self.tells = self.tells or _tells(sql)
        return result


class Database:
    """The pool; each statement outside a transaction commits by itself. Made by `open_database`."""

    def __init__(self, pool: Pool, url: str) -> None:
        self._pool = pool
        self.url = url
        self._about = _about(url)
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
        with ours():
            connection = await self._pool.take()
        transaction = Transaction(connection, self._about)
        try:
            with ours():
                await connection.execute("BEGIN")
            yield transaction
            with _span("", "COMMIT", self._about), ours():
                await _commit(connection)
        except Exception:
            await _roll_back(connection)
            raise
        except BaseException:
            connection.terminate()  # cancelled, perhaps in the middle of a statement; PostgreSQL rolls back
            raise
        finally:
            transaction.over = True
            self._pool.give_back(connection)
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
            return bool(await self.fetchval("ping", "SELECT true"))
        except UnavailableError:
            return False

    async def _run(self, name: str, sql: str, statement: Statement[T]) -> T:
        async def once() -> T:
            with ours():
                async with self._pool.lent() as connection:
                    return await statement(connection)

        with _span(name, sql, self._about):
            result = await _retrying(once)
        if _tells(sql):
            self.outbox_written.set()
        return result


def _tells(sql: str) -> bool:
    return "INTO outbox" in sql


def _about(url: str) -> About:
    """What all statements' spans say of the server."""
    server = urlsplit(url)
    about: dict[str, AttributeValue] = {"db.system.name": "postgresql", "db.namespace": server.path.strip("/")}
    if server.hostname is not None:
        about |= {"server.address": server.hostname, "server.port": server.port or 5432}
    return about


def _span(name: str, sql: str, about: About) -> AbstractContextManager[tracing.Span]:
    if not tracing.recording():
        return tracing.QUIET
    operation = operation_of(sql)
    summary = f"{operation} {name}".rstrip()
    return tracing.span(
        summary, tracing.SpanKind.CLIENT, {**about, "db.operation.name": operation, "db.query.summary": summary}
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


async def _commit(connection: asyncpg.Connection) -> None:
    ended_in = await connection.execute("COMMIT")
    if ended_in != "COMMIT":  # PostgreSQL answers ROLLBACK, and no error, when a statement had failed before
        raise asyncpg.InFailedSQLTransactionError("a statement failed, and its error was not passed on")


async def _roll_back(connection: asyncpg.Connection) -> None:
    try:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
    except (*AWAY, asyncpg.InterfaceError):
        connection.terminate()  # PostgreSQL rolls back whatever it loses


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

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_WITHIN_S,
            command_timeout=statement_timeout.total_seconds() + 1,
            server_settings={
                "application_name": name,
                "timezone": "UTC",
                "jit": "off",
                "plan_cache_mode": "force_generic_plan" if plan_once else "auto",
                "statement_timeout": str(int(statement_timeout.total_seconds() * 1000)),
            },
        )

    pool = Pool(connect, size=pool_size, lend_within_s=LEND_WITHIN_S)
    DATABASE_CONNECTIONS.set_function(lambda: pool.opened)
    DATABASE_WAITING.set_function(lambda: pool.waiting)
    try:
        yield Database(pool, url)
    finally:
        await pool.close()


async def _migrate_when_there(url: str, name: str, migrations: Traversable) -> None:
    connection = await connect_when_there(url, name)
    try:
        await migrate(connection, migrations)
    finally:
        await connection.close()
