"""The commands for a PostgreSQL of one's own, as docs/operations.md has them, beside one that is ours."""

import os
import subprocess
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from chassis.database import open_database
from embedded.installation import programs
from testkit.servers import TestServers

from tests.journeys.walk import ROOT, fences

DATABASE = "host_registry"

(COMMANDS,) = fences(ROOT / "docs/operations.md", needing="PostgreSQL")


class Database:
    """The registry's, on a server whose clients find it by their own variables."""

    def __init__(self, servers: TestServers, folder: Path) -> None:
        server = urlsplit(servers.postgres.url)
        self._url = f"postgresql://{server.username}@{server.hostname}:{server.port}"
        self._folder = folder
        self._environment = {
            "PATH": f"{programs(None, folder)}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": str(server.hostname),
            "PGPORT": str(server.port),
            "PGUSER": str(server.username),
        }

    def run(self, command: str) -> None:
        bash = ("bash", "-ec", command)
        done = subprocess.run(
            bash, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    async def make(self) -> None:
        await self.do(f"CREATE DATABASE {DATABASE}", "postgres")
        migrations = files("host_registry") / "migrations"
        async with open_database(f"{self._url}/{DATABASE}", name=DATABASE, migrations=migrations, plan_once=True):
            await self.do(
                "INSERT INTO hosts (host_id, token, peer_id, player_id, player_name, created_at) "
                "VALUES ('kept', 't', 'h', 'p', 'P', now())"
            )

    async def drop(self) -> None:
        await self.do(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", "postgres")

    async def do(self, statement: str, database: str = DATABASE) -> list[str]:
        """The first column of what is answered."""
        connection = await asyncpg.connect(f"{self._url}/{database}")
        try:
            return [row[0] for row in await connection.fetch(statement)]
        finally:
            await connection.close()


@pytest.fixture
async def database(servers: TestServers, tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(servers, tmp_path)
    await made.make()
    yield made
    await made.drop()


async def test_a_database_comes_back_over_what_became_of_it_and_where_there_is_none(database: Database) -> None:
    dump, restore = COMMANDS.text.splitlines()
    database.run(dump)
    await database.do("UPDATE hosts SET host_id = 'lost'")
    database.run(restore)
    assert await database.do("SELECT host_id FROM hosts") == ["kept"]
    await database.drop()
    database.run(restore)
    assert await database.do("SELECT host_id FROM hosts") == ["kept"]
    assert await database.do("SHOW plan_cache_mode") == ["force_generic_plan"], "the database's own settings too"
