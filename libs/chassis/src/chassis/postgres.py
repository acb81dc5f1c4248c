"""Connections to PostgreSQL, and which of the driver's errors mean that it is away."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import structlog

from chassis.refusals import UnavailableError

log = structlog.stdlib.get_logger()

CONNECT_WITHIN_S = 5.0

AWAY = (
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
_CLOSED = "connection is closed"
"""How asyncpg says that a connection went; the class of that error serves for misuse as well."""


@contextmanager
def ours() -> Iterator[None]:
    """Turn "PostgreSQL is away" into our refusal; constraint violations are the store's to understand."""
    try:
        yield
    except AWAY as error:
        raise UnavailableError("The database does not answer.") from error
    except asyncpg.InterfaceError as error:
        if _CLOSED in str(error):
            raise UnavailableError("The database does not answer.") from error
        raise


async def connect_when_there(url: str, name: str, *, answer_within_s: float | None = None) -> asyncpg.Connection:
    """Open a connection of one's own, waiting for as long as PostgreSQL is away."""
    pause_s = 0.05
    while True:
        try:
            return await asyncpg.connect(
                url,
                timeout=CONNECT_WITHIN_S,
                command_timeout=answer_within_s,
                server_settings={"application_name": name, "timezone": "UTC"},
            )
        except AWAY as error:
            log.warning("postgres.awaited", error=str(error) or type(error).__name__)
        await asyncio.sleep(pause_s)
        pause_s = min(2.0, pause_s * 2)
