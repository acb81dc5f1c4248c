"""Schedulers on real servers, in the test's process or in their own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from chassis.bus import Bus, connect_bus
from chassis.events import Consumers
from chassis.refusals import ServiceError
from chassis.requests import call
from chassis.streams import declare_streams
from contracts.jobs import JOB_DUE, LIST_JOBS, JobDue
from contracts.streams import JOBS
from contracts.subjects import Nothing
from testkit.eventually import eventually
from testkit.patience import patient


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with connect_bus(nats_url, "test") as bus:
        await declare_streams(bus)
        yield bus


@pytest.fixture
async def ticks(bus: Bus) -> AsyncIterator[list[JobDue]]:
    """Every tick that the stream has stored, taken as the service that does the work takes them."""
    taken: list[JobDue] = []

    async def take(due: JobDue) -> None:
        taken.append(due)

    consumers = Consumers(bus, "test", instance="test")
    consumers.consume(JOBS, JOB_DUE.wildcard, JobDue, take, name="ticks")
    async with consumers:
        yield taken


@dataclass
class Fleet:
    """Schedulers as processes, by instance name."""

    bus: Bus
    environment: dict[str, str]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, instance: str, **settings: str) -> None:
        environment = os.environ | self.environment | settings | {"INSTANCE": instance}
        self.processes[instance] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scheduler", env=environment, stdout=asyncio.subprocess.DEVNULL
        )

    async def leader(self, *, other_than: str | None = None) -> str:
        """Wait until one of them leads, and give its name."""

        async def named() -> str | None:
            try:
                jobs = await call(self.bus, LIST_JOBS, Nothing())
            except ServiceError:  # none of them has started yet
                return None
            return jobs.leader if jobs.leader != other_than else None

        leader = await eventually(named, within=20, of="a leader")
        assert leader is not None
        return leader

    def signal(self, instance: str, number: signal.Signals) -> None:
        self.processes[instance].send_signal(number)

    async def kill(self, instance: str) -> None:
        process = self.processes.pop(instance)
        process.kill()
        await process.wait()

    async def stop(self, instance: str) -> int:
        """Stop it the polite way, and give its exit code."""
        process = self.processes[instance]
        process.terminate()
        code = await process.wait()
        del self.processes[instance]
        return code


@pytest.fixture
async def fleet(bus: Bus, nats_url: str, postgres_url: str) -> AsyncIterator[Fleet]:
    quick = {
        "NATS_URL": nats_url,
        "POSTGRES_URL": postgres_url,
        "SCHEDULER_LEASE_S": str(patient(0.9)),
        "SCHEDULER_SESSION_HEALTH_EVERY_S": "0.5",
        "SCHEDULER_SESSION_CLEANUP_EVERY_S": "0.7",
    }
    fleet = Fleet(bus, quick)
    async with AsyncExitStack() as ending:
        ending.push_async_callback(_kill_all, fleet)
        yield fleet


async def _kill_all(fleet: Fleet) -> None:
    for instance in list(fleet.processes):
        await fleet.kill(instance)
