"""Ordered SQL migrations: files `NNNN_name.sql`, each applied once in a transaction of its own, then never changed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg
import structlog

log = structlog.stdlib.get_logger()

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")

LOCK = 0x70327063  # "p2pc"
"""The advisory lock that lets several starting processes migrate one after the other."""

_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    owner text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, version)
)
"""
_APPLIED = "SELECT version, checksum FROM schema_migrations WHERE owner = $1"
# $1 owner, $2 version, $3 name, $4 checksum
_RECORD = "INSERT INTO schema_migrations (owner, version, name, checksum) VALUES ($1, $2, $3, $4)"


class MigrationError(Exception):
    """The migrations on disk do not continue those in the database."""


@dataclass(frozen=True)
class Migration:
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Traversable) -> list[Migration]:
    """Read the files in order; MigrationError unless they are numbered without gap or repeat."""
    found = []
    for file in directory.iterdir():
        if match := _FILE.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
        elif file.name.endswith(".sql"):
            raise MigrationError(f"{file.name} is not named NNNN_name.sql")
    found.sort(key=lambda migration: migration.version)
    numbers = [migration.version for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations must be numbered 0001, 0002, … without gap or repeat, not {numbers}")
    return found


async def migrate(connection: asyncpg.Connection, service: Traversable) -> None:
    """Bring the schema up to date: chassis' own tables first, then the service's."""
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute(_CREATE)
        await _apply(connection, "chassis", read_migrations(files("chassis") / "sql"))
        await _apply(connection, "service", read_migrations(service))
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _apply(connection: asyncpg.Connection, owner: str, migrations: Iterable[Migration]) -> None:
    applied = {row["version"]: row["checksum"] for row in await connection.fetch(_APPLIED, owner)}
    for migration in migrations:
        checksum = applied.pop(migration.version, None)
        if checksum is None:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(_RECORD, owner, migration.version, migration.name, migration.checksum)
            log.info("migration.applied", owner=owner, version=migration.version, name=migration.name)
        elif checksum != migration.checksum:
            raise MigrationError(f"{owner} migration {migration.version:04} was changed after it was applied")
    if applied:
        # A newer release has been here: it may still run beside us in a rolling deploy, and migrations only add.
        log.warning("migration.newer_schema", owner=owner, unknown=sorted(applied))
