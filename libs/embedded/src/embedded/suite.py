"""The whole suite on one machine: servers and services started in order, kept running, stopped in reverse."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil

from embedded.catalogue import GATEWAY, waves
from embedded.certificates import keep_certificates, renewing
from embedded.keeper import Keeper
from embedded.leftovers import stop_leftovers
from embedded.plan import Instance, Layout, Mode, Plan, lay_out
from embedded.probes import http_ready
from embedded.process import SUPERVISOR, Process, Program
from embedded.record import DataDir, Pid, Record, ServerRecord, ServiceRecord
from embedded.secrets import Secrets, SigningKeys, secrets_directory
from embedded.servers import Server, postgres_url, servers
from embedded.valkey import redis_url

Sink = Callable[[str, str], None]
"""Takes the name of who speaks, and the line."""


@asynccontextmanager
async def running(plan: Plan, sink: Sink) -> AsyncIterator["Suite"]:
    """A suite of which everything is ready; what dies meanwhile is started again, and all is stopped at the end."""
    data_dir = DataDir(plan.data_dir.resolve())
    with data_dir.locked():
        previous = data_dir.read()
        if previous is not None and (count := await asyncio.to_thread(stop_leftovers, previous)):
            _tell(sink, SUPERVISOR, f"stopped {count} programs that an earlier suite had left behind")
        suite = Suite(plan, lay_out(plan, previous), data_dir, sink, _secrets(plan, data_dir))
        try:
            await suite.bring_up()
            suite.say_ready()
            yield suite
        finally:
            await suite.shut_down()


class Suite:
    """Made by `running`; observes its programs, so that the record always names their present process ids."""

    def __init__(self, plan: Plan, layout: Layout, data_dir: DataDir, sink: Sink, secrets: Secrets | None) -> None:
        self._plan = plan
        self.secrets = secrets
        """Of enforced mode; there are none in open mode."""
        self.certificates = keep_certificates(secrets_directory(data_dir.path))
        self._sink = sink
        self._data_dir = data_dir
        # Each has a database of its own, by its name.
        databases = [service.name for service in plan.services]
        self._servers = servers(data_dir.path, layout.ports, databases, self, plan.postgres_settings, secrets)
        self._postgres_port, self._redis_port = layout.ports.postgres, layout.ports.redis
        self._instances = layout.instances
        self.record = _record(self._servers, layout)
        self._waves: list[list[Keeper]] = []
        """In the order of their start."""
        self._keeping: dict[str, asyncio.Task[None]] = {}
        """By name; what is taken down has none."""
        self._unwritten = False
        """Whether the record could not be written when it was last tried."""

    def spawned(self, name: str, pid: int) -> None:
        # One that has ended already has no birth to be read; `ended` is about to say so.
        with contextlib.suppress(psutil.NoSuchProcess):
            self.record.note(name, Pid.of(pid))
            self._write_record()

    def wrote(self, name: str, line: str) -> None:
        _tell(self._sink, name, line)

    def ended(self, name: str) -> None:
        self.record.note(name, None)
        self._write_record()

    async def bring_up(self) -> None:
        """Servers first, side by side; then the services, wave after wave."""
        self._write_record()
        await self._bring_up(Keeper(server.name, server.start, self) for server in self._servers)
        for wave in waves(self._plan.services):
            await self._bring_up(self._keeper(instance) for instance in self._instances if instance.service in wave)
        renewal = renewing(secrets_directory(self._data_dir.path), lambda said: self.wrote(SUPERVISOR, said))
        self._begin("certificates", renewal)

    @property
    def data_dir(self) -> Path:
        return self._data_dir.path

    def say_ready(self) -> None:
        self.record.ready = True
        self._write_record()

    def is_up(self, name: str) -> bool:
        """Whether its process runs and has been ready."""
        return self._keeper_of(name).is_up

    async def take_down(self, name: str) -> None:
        """Stop a server or an instance and leave it stopped, as an outage does, until `bring_back`."""
        keeper = self._keeper_of(name)
        await _cancelled([self._keeping.pop(name)])
        await keeper.stop()

    async def bring_back(self, name: str) -> None:
        """End an outage; return when it is ready."""
        keeper = self._keeper_of(name)
        await keeper.bring_up()
        self._keep(keeper)

    async def shut_down(self) -> None:
        """Callers before those they call, servers last."""
        await _cancelled(self._keeping.values())
        for wave in reversed(self._waves):
            stopped = await asyncio.gather(*(keeper.stop() for keeper in wave), return_exceptions=True)
            for keeper, error in zip(wave, stopped, strict=True):
                if error is not None:  # no reason to leave the others to the kernel
                    self.wrote(SUPERVISOR, f"{keeper.name} could not be stopped in order: {error!r}")

    async def _bring_up(self, keepers: Iterable[Keeper]) -> None:
        wave = list(keepers)
        self._waves.append(wave)
        self.wrote(SUPERVISOR, f"starting {', '.join(keeper.name for keeper in wave)}")
        await _side_by_side([self._timed(keeper) for keeper in wave])
        for keeper in wave:
            self._keep(keeper)

    async def _timed(self, keeper: Keeper) -> None:
        began = time.monotonic()
        await keeper.bring_up()
        self.wrote(SUPERVISOR, f"{keeper.name} is ready after {time.monotonic() - began:.1f} s")

    def _keep(self, keeper: Keeper) -> None:
        self._begin(keeper.name, keeper.keep())

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._keeping[name] = asyncio.create_task(work, name=f"keeper of {name}")
        self._keeping[name].add_done_callback(self._hear)

    def _hear(self, task: asyncio.Task[None]) -> None:
        """Keepers end when they are cancelled; one that ends otherwise has a fault, and nobody awaits it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.wrote(SUPERVISOR, f"the {task.get_name()} has failed, and what it kept is kept no more: {error!r}")

    def _write_record(self) -> None:
        """Without a record all runs on: `p2p status` and `p2p down` find less until it can be written again."""
        try:
            self._data_dir.write(self.record)
        except OSError as error:
            if not self._unwritten:
                self.wrote(SUPERVISOR, f"what runs cannot be written down in {self._data_dir.path}: {error.strerror}")
            self._unwritten = True
        else:
            self._unwritten = False

    def _keeper_of(self, name: str) -> Keeper:
        return next(keeper for wave in self._waves for keeper in wave if keeper.name == name)

    def _keeper(self, instance: Instance) -> Keeper:
        def start() -> Coroutine[None, None, Process]:
            ready = partial(http_ready, instance.http)
            # Made at each start: what it is to be given may have changed since the last.
            program = Program(instance.name, instance.service.command, ready, self._environment(instance))
            return Process.start(program, self, self._plan.spawn)

        return Keeper(instance.name, start, self)

    def _environment(self, instance: Instance) -> dict[str, str]:
        return {
            "LOG_FORMAT": "text",
            "TLS_CERT": str(self.certificates.certificate),
            "TLS_KEY": str(self.certificates.key),
            **os.environ,
            **self._identity(instance),
            **self._traces(),
            **self._plan.environment,
            # Through a pipe Python would keep log lines back until it has 8 KiB of them.
            "PYTHONUNBUFFERED": "1",
            "INSTANCE": instance.name,
            "HTTP_HOST": instance.host,
            "HTTP_PORT": str(instance.port),
            "NATS_URL": self.record.url_of("nats"),
            "POSTGRES_URL": self.postgres_url(instance.service.name),
            "REDIS_URL": self.redis_url,
        }

    def _traces(self) -> dict[str, str]:
        """Where spans go, and where the console looks them up."""
        if self._plan.otlp:
            return {"OTLP_ENDPOINT": self._plan.otlp}
        store = dict.fromkeys(("OTLP_ENDPOINT", "TRACES_URL"), self.record.url_of("traces"))
        if self.secrets is None:
            return store
        key = self.secrets.traces
        return {**store, "TRACES_KEY": key, "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{key}"}

    def _identity(self, instance: Instance) -> dict[str, str]:
        """What it shows to others, and asks of them."""
        if self.secrets is None:
            return {}
        own = {"NATS_CREDS": str(self.secrets.nats_users[instance.service.name])}
        if instance.service.name != GATEWAY:
            return own
        signing = SigningKeys.kept_in(self.data_dir)
        return {
            **own,
            "P2P_MODE": Mode.ENFORCED,
            "JWT_SECRET_KEY": signing.present,
            "JWT_PREVIOUS_KEYS": ",".join(signing.others),
            "TURN_SECRET": self.secrets.turn,
        }

    def postgres_url(self, database: str) -> str:
        """With what it takes to be let in, as the next."""
        return postgres_url(self._postgres_port, database, self.secrets.postgres if self.secrets else None)

    @property
    def redis_url(self) -> str:
        return redis_url(self._redis_port, self.secrets.redis if self.secrets else None)


def _tell(sink: Sink, name: str, line: str) -> None:
    """What nobody reads any more is dropped: a closed pipe ends no program, and no keeper of one."""
    with contextlib.suppress(OSError):
        sink(name, line)


def _secrets(plan: Plan, data_dir: DataDir) -> Secrets | None:
    if plan.mode is Mode.OPEN:
        return None
    return Secrets.kept_in(data_dir.path)


def _record(servers: Iterable[Server], layout: Layout) -> Record:
    return Record(
        supervisor=Pid.of(os.getpid()),
        gateways=[instance.http for instance in layout.instances if instance.service.name == GATEWAY],
        servers=[ServerRecord(server.name, server.url, server.port) for server in servers],
        processes=[
            ServiceRecord(instance.service.name, instance.name, instance.http, instance.port)
            for instance in layout.instances
        ],
    )


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel them and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def _side_by_side(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all of it at once; the first failure ends the rest and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
