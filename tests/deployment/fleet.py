"""Services as processes out of environments of their own, told nothing but their documented variables."""

import asyncio
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from embedded.catalogue import GATEWAY, SERVICES, waves
from embedded.ports import free_port
from embedded.probes import http_ready
from embedded.process import Process, Program
from testkit.servers import TestServers

from tests.deployment.environments import Environment

STORELESS = frozenset({"prober"})

_COMPLAINT = re.compile(r'"level": ?"(error|critical)"|\| Traceback')


@dataclass
class Member:
    """One process of a service."""

    service: str
    name: str
    http: str
    environment: Mapping[str, str]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=10_000))
    """What it wrote."""
    process: Process | None = None

    async def start(self, command: tuple[str, ...], directory: Path) -> None:
        program = Program(self.name, command, lambda: http_ready(self.http), self.environment, directory)
        self.process = await Process.start(program, self)

    async def stop(self) -> str:
        """Tell it to stop, and give how it ended."""
        assert self.process is not None
        self.process.send(signal.SIGTERM)
        return await self.process.ended()

    def spawned(self, name: str, pid: int) -> None: ...

    def ended(self, name: str) -> None: ...

    def wrote(self, name: str, line: str) -> None:
        self.lines.append(line)


class Fleet:
    """All that runs; made by `running_fleet`."""

    def __init__(self, servers: TestServers, environments: Mapping[str, Environment], directory: Path) -> None:
        self.servers = servers
        self.environments = environments
        self.members: list[Member] = []
        self._directory = directory
        self._numbers = count(1)
        self._ports: set[int] = set()
        """Ever given; members start side by side."""
        self._databases = {service: servers.new_database() for service in environments if service not in STORELESS}

    @property
    def gateways(self) -> list[str]:
        """Base URLs, the newest last."""
        return [member.http for member in self.members if member.service == GATEWAY]

    def one_of(self, service: str) -> Member:
        """The one that has run longest."""
        return next(member for member in self.members if member.service == service)

    async def start(
        self,
        service: str,
        settings: Mapping[str, str] | None = None,
        *,
        environment: Environment | None = None,
        flags: tuple[str, ...] = (),
    ) -> Member:
        """Start one more and return when it is ready; in an `environment` other than its service's usual one."""
        python, *rest = (environment or self.environments[service]).command
        port = free_port(besides=self._ports)
        self._ports.add(port)
        name = f"{service}-{next(self._numbers)}"
        variables = {"INSTANCE": name, "HTTP_PORT": str(port), **self._servers(service), **(settings or {})}
        member = Member(service, name, f"http://127.0.0.1:{port}", variables)
        await member.start((python, *flags, *rest), self._directory)
        self.members.append(member)
        return member

    async def start_each(
        self, settings: Mapping[str, Mapping[str, str]] | None = None, flags: tuple[str, ...] = ()
    ) -> None:
        """One of each, the gateway last."""
        for wave in waves(SERVICES):
            async with asyncio.TaskGroup() as group:
                for service in wave:
                    group.create_task(self.start(service.name, (settings or {}).get(service.name), flags=flags))

    async def stop(self, member: Member) -> None:
        """By SIGTERM; whoever is told to stop must end well."""
        how = await member.stop()
        self.members.remove(member)
        assert how == "ended with status 0", f"{member.name} {how}\n" + "\n".join(list(member.lines)[-50:])

    def complaints(self) -> list[str]:
        """Errors and tracebacks in the logs of those that run."""
        lines = (f"{member.name} | {line}" for member in self.members for line in member.lines)
        return [line for line in lines if _COMPLAINT.search(line)]

    async def shut_down(self) -> None:
        await asyncio.gather(*(member.process.stop() for member in self.members if member.process))
        for url in self._databases.values():
            self.servers.drop_database(url)

    def _servers(self, service: str) -> dict[str, str]:
        return {
            "NATS_URL": self.servers.nats.url,
            **({"POSTGRES_URL": self._databases[service]} if service in self._databases else {}),
            **({"REDIS_URL": self.servers.redis.url} if service == GATEWAY else {}),
        }


@asynccontextmanager
async def running_fleet(
    servers: TestServers, environments: Mapping[str, Environment], directory: Path
) -> AsyncIterator[Fleet]:
    """No service yet, on empty servers; all that was started is stopped at the end."""
    servers.empty_nats()
    servers.empty_redis()
    fleet = Fleet(servers, environments, directory)
    try:
        yield fleet
    finally:
        await fleet.shut_down()
