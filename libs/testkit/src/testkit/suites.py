"""The whole suite as processes for a test: real services on real servers, killed and taken down at will."""

import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

from embedded.catalogue import SERVICES, Service
from embedded.plan import Mode, Plan
from embedded.postgres import NOT_DURABLE
from embedded.probes import http_ready
from embedded.suite import Suite, running

from testkit import zygote
from testkit.directories import data_directory
from testkit.eventually import eventually
from testkit.portal import Portal
from testkit.spans import SpanReceiver, receiving_spans

UNPROBED = {"PROBER_LOOK_EVERY_S": "60"}
"""Hosts of tests share a machine with all that is tested: measured there, an upload may be too slow for any zone."""


class RunningSuite:
    """Handles to its processes; a name is that of an instance (`zone_manager-1`) or a server (`postgres`)."""

    def __init__(self, suite: Suite, portal: Portal, mode: Mode, spans: SpanReceiver, log: deque[str]) -> None:
        self._suite = suite
        self._portal = portal
        self.mode = mode
        self.keys: dict[str, str] = {}
        """API keys that tests have had made, by role; `admission` does."""
        self.spans = spans
        """What its processes export."""
        self.log = log
        """The last lines of all of them, each behind the name of who wrote it."""

    @property
    def gateways(self) -> list[str]:
        """Base URLs, such as http://127.0.0.1:20123."""
        return self._suite.record.gateways

    @property
    def authority(self) -> Path:
        """What its clients are to trust, as a PEM file; its gateways serve TLS on their ports too."""
        return self._suite.certificates.authority

    @property
    def nats(self) -> str:
        return self._suite.record.url_of("nats")

    @property
    def redis(self) -> str:
        return self._suite.redis_url

    def postgres(self, service: str) -> str:
        """The URL of a service's own database."""
        return self._suite.postgres_url(service)

    @property
    def data_dir(self) -> Path:
        return self._suite.data_dir

    def pid(self, name: str) -> int | None:
        """Its process id now; None while it is down."""
        return self._suite.record.pid_of(name)

    @property
    def instances(self) -> list[str]:
        """The names of its processes."""
        return [process.name for process in self._suite.record.processes]

    def http(self, instance: str) -> str:
        """The base URL of its health and metrics."""
        return next(process.http for process in self._suite.record.processes if process.name == instance)

    async def ready(self, instance: str) -> bool:
        return await http_ready(self.http(instance))

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to its process, which is started again if it ends of it."""
        pid = self.pid(name)
        assert pid is not None, f"{name} is down"
        os.kill(pid, number)

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by `number` and return when the one that takes its place is ready."""
        before = self.pid(name)
        self.send(name, number)
        await eventually(lambda: self.pid(name) != before and self._suite.is_up(name), within=20, of=f"another {name}")

    @asynccontextmanager
    async def outage(self, name: str) -> AsyncIterator[None]:
        """Stop it, and start it again when the block ends; it is ready then."""
        await self._portal.perform(self._suite.take_down(name))
        try:
            yield
        finally:
            await self._portal.perform(self._suite.bring_back(name))


@contextmanager
def running_suite(
    replicas: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
    services: tuple[Service, ...] = SERVICES,
    mode: Mode = Mode.OPEN,
    data_dir: Path | None = None,
) -> Iterator[RunningSuite]:
    """A suite of the test's own, on free ports and an empty data directory unless one is given; everything is ready."""
    log: deque[str] = deque(maxlen=2000)
    with (
        nullcontext(data_dir) if data_dir else data_directory("p2p-suite-") as directory,
        receiving_spans() as spans,
    ):
        plan = Plan(
            directory,
            replicas=replicas or {},
            services=services,
            environment={**UNPROBED, **(environment or {})},
            postgres_settings=NOT_DURABLE,
            otlp=spans.url,
            mode=mode,
            spawn=zygote.services().spawn,
        )
        portal = Portal()
        try:
            with portal.holding(running(plan, lambda name, line: log.append(f"{name} | {line}"))) as suite:
                yield RunningSuite(suite, portal, mode, spans, log)
        finally:
            portal.close()
