"""Real NATS, PostgreSQL and Redis for tests: one set a test process, on free ports, stoppable and restartable."""

import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import nats
import redis.asyncio as redis
from embedded.ports import free_ports
from embedded.postgres import NOT_DURABLE
from embedded.process import Process
from embedded.servers import Ports, Server, servers

from testkit.directories import data_directory
from testkit.patience import patient
from testkit.portal import Portal


@dataclass
class TestServer:
    """One of the servers; what a test stops is started again when the test is over."""

    __test__ = False  # the name begins like a test's

    _server: Server
    _portal: Portal
    _process: Process | None = field(default=None, init=False)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    """What it wrote lately."""

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProcessLookupError(f"{self._server.name} is stopped")
        return self._process.pid

    async def start(self) -> None:
        """Start it on the same port and data; return when it is ready."""
        await self._portal.perform(self._start())

    async def stop(self) -> None:
        """Stop it in its own clean way."""
        await self._portal.perform(self._stop())

    async def kill(self) -> None:
        """SIGKILL it."""
        await self._portal.perform(self._kill())

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def ensure_running(self) -> None:
        self._portal.run(self._start())

    def shut_down(self) -> None:
        self._portal.run(self._stop())

    async def _start(self) -> None:
        if self._process is None or not self._process.alive:
            self._process = await self._server.start()

    async def _stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None

    async def _kill(self) -> None:
        if self._process is not None:
            await self._process.kill()
            self._process = None


@dataclass(frozen=True)
class TestServers:
    """A set of the three."""

    __test__ = False

    nats: TestServer
    postgres: TestServer
    redis: TestServer
    _portal: Portal

    def new_database(self) -> str:
        """Create an empty database and give its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self._portal.run(self._execute(f'CREATE DATABASE "{name}"'))
        return self.postgres.url.removesuffix("/postgres") + f"/{name}"

    def drop_database(self, url: str) -> None:
        """Drop it with whatever is still connected."""
        name = url.rpartition("/")[2]
        self._portal.run(self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def empty_nats(self) -> None:
        """Delete every stream, and with them consumers and key-value buckets."""
        self._portal.run(self._delete_streams())

    def empty_redis(self) -> None:
        self._portal.run(self._flush())

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _delete_streams(self) -> None:
        connection = await nats.connect(self.nats.url)
        try:
            stream_manager = connection.jsm(timeout=patient(5))
            for stream in await stream_manager.streams_info():
                if stream.config.name is not None:
                    await stream_manager.delete_stream(stream.config.name)
        finally:
            await connection.close()

    async def _flush(self) -> None:
        async with redis.from_url(self.redis.url) as client:
            await client.flushall()


@dataclass(frozen=True)
class Listener:
    """Keeps what each server writes beside it, to be shown when a test fails."""

    _servers: dict[str, TestServer]

    def spawned(self, name: str, pid: int) -> None: ...

    def ended(self, name: str) -> None: ...

    def wrote(self, name: str, line: str) -> None:
        self._servers[name].lines.append(line)


@contextmanager
def running_servers() -> Iterator[TestServers]:
    """A set of servers on free ports, with their data in a directory that goes when they go."""
    with data_directory("p2p-test-") as directory:
        portal = Portal()
        made: dict[str, TestServer] = {}
        ports = Ports(*free_ports(3))
        for server in servers(directory, ports, (), Listener(made), NOT_DURABLE):
            made[server.name] = TestServer(server, portal)
        try:
            for test_server in made.values():
                test_server.ensure_running()
            yield TestServers(made["nats"], made["postgres"], made["redis"], portal)
        finally:
            for test_server in made.values():
                test_server.shut_down()
            portal.close()
