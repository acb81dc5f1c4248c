"""PostgreSQL: its version and clock, and each service's database at the newest migration of its release."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from embedded.catalogue import SERVICES
from embedded.servers import postgres_url

from cli.doctor.clocks import clock
from cli.doctor.findings import Check, Finding, failed, ok, warning

WANTED = 18
CONNECT_WITHIN_S = 3.0

_NEWEST = "SELECT max(version) FROM schema_migrations WHERE owner = 'service'"


async def examine(port: int, password: str | None) -> list[Finding]:
    try:
        connection = await _connected(port, "postgres", password)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        remedy = "start it; the services wait for it and go on by themselves"
        return [failed(Check.PORTS, "PostgreSQL", f"nobody is let in at port {port}: {error}", remedy)]
    try:
        asked = datetime.now(UTC)
        theirs = await connection.fetchval("SELECT clock_timestamp()")
        findings = [
            ok(Check.PORTS, "PostgreSQL", f"lets us in at port {port}"),
            _version(connection.get_server_version().major),
            clock("PostgreSQL", theirs, asked, datetime.now(UTC)),
        ]
    finally:
        await connection.close()
    return [*findings, *await _migrations(port, password)]


def _version(major: int) -> Finding:
    if major != WANTED:
        return failed(Check.VERSIONS, "PostgreSQL", str(major), f"it takes {WANTED}; pg_upgrade brings the data along")
    return ok(Check.VERSIONS, "PostgreSQL", str(major))


async def _migrations(port: int, password: str | None) -> Iterable[Finding]:
    released = {service.name: _released(service.name) for service in SERVICES}
    return await asyncio.gather(
        *(_migrated(port, password, name, newest) for name, newest in released.items() if newest)
    )


async def _migrated(port: int, password: str | None, service: str, newest: int) -> Finding:
    remedy = f"start {service}: it makes and migrates what is its own"
    try:
        connection = await _connected(port, service, password)
    except asyncpg.InvalidCatalogNameError:
        return failed(Check.MIGRATIONS, service, "has no database", f"`CREATE DATABASE {service}`, then {remedy}")
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return failed(Check.MIGRATIONS, service, f"its database lets nobody in: {error}", "see PostgreSQL's log")
    try:
        there: int = await connection.fetchval(_NEWEST) or 0
    except asyncpg.UndefinedTableError:
        there = 0
    finally:
        await connection.close()
    if there < newest:
        return failed(Check.MIGRATIONS, service, f"at {there} of {newest}", remedy)
    if there > newest:
        remedy = "nothing while an upgrade goes on, as migrations only add; else install the newer release here"
        return warning(Check.MIGRATIONS, service, f"at {there}, the release here knows {newest}", remedy)
    return ok(Check.MIGRATIONS, service, f"at {there}, the newest")


def _released(service: str) -> int:
    """The newest migration of the release that is installed here; 0 where there is none."""
    package = find_spec(service)
    if package is None or package.origin is None:
        return 0
    files = (Path(package.origin).parent / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql")
    return max((int(file.name[:4]) for file in files), default=0)


async def _connected(port: int, database: str, password: str | None) -> asyncpg.Connection:
    # All that the address leaves out asyncpg would take from variables that are meant for the user's psql.
    return await asyncpg.connect(
        postgres_url(port, database, password),
        timeout=CONNECT_WITHIN_S,
        password=password or "",
        ssl=False,
        direct_tls=False,
        target_session_attrs=SessionAttribute.any,
    )
