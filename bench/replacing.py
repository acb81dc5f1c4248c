"""What callers notice while each service is replaced again and again: failed calls, and how long no answer came.

    PYTHONPATH=. .venv/bin/python bench/replacing.py --seconds 45 --every 3

Each service is installed into an environment of its own and runs on servers of this program's own. Of one service after
the other two run: one more is started, and when it is ready the oldest is told to stop, until the time is over.
Meanwhile calls of each kind are made one after the other, and two players exchange signals. Then those of `--killed`
have their turn once more and are killed instead: a call that is being answered then may fail, but nobody calls the
prober. It ends with 1 if a call failed, or a service complained in its log.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aioice.ice
import structlog
from chassis.bus import connect_bus
from contracts.hosts import RegisterHost
from contracts.probes import REPORT_PROBE, ReportProbe
from embedded.catalogue import GATEWAY, SERVICES
from nats.aio.msg import Msg
from running import read_options
from sdk import HostAgent, OnClose
from testkit.servers import running_servers
from testkit.tasks import end

from tests.deployment.environments import environments, install
from tests.deployment.fleet import Fleet, Member, running_fleet
from tests.deployment.traffic import Traffic, flowing, talking

NAMES = [service.name for service in SERVICES]
PROBER = "prober"
SETTINGS = {
    "host_registry": {"HOST_REGISTRY_PROBE_EVERY_S": "1"},
    PROBER: {"PROBER_ADDRESSES": "127.0.0.1", "PROBER_LOOK_EVERY_S": "0.1"},
}
LOOK_EVERY_S = 0.005


class Standstills:
    """How long each of some growing numbers has stood still at most, in seconds."""

    def __init__(self, numbers: Callable[[], Mapping[str, int]]) -> None:
        self.numbers = numbers
        self.longest_s: dict[str, float] = {}

    async def look(self) -> None:
        since = dict.fromkeys(self.numbers(), time.monotonic())
        seen = dict(self.numbers())
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            for kind, number in self.numbers().items():
                self.longest_s[kind] = max(self.longest_s.get(kind, 0.0), now - since.setdefault(kind, now))
                if number != seen.get(kind):
                    seen[kind], since[kind] = number, now


@asynccontextmanager
async def probed(fleet: Fleet, made: Counter[str], failed: list[str]) -> AsyncIterator[None]:
    """A host that is probed each second; a probe that does not reach it has failed."""
    described = RegisterHost(host_id="probed", player_id="p", player_name="n")
    host = HostAgent(
        fleet.gateways[0], described, on_message=_ignore, on_close=OnClose.UNREGISTER, beat_every=timedelta(seconds=1)
    )

    async def hear(msg: Msg) -> None:
        report = ReportProbe.model_validate_json(msg.data)
        made["probe"] += 1
        if not report.reached:
            failed.append(f"probe: {report}")

    async with host, connect_bus(fleet.servers.nats.url, "bench") as bus:  # a host that leaves is not to be reached
        await bus.subscribe(REPORT_PROBE.subject, hear)
        yield


async def _ignore(*_: object) -> None: ...


async def replace(fleet: Fleet, service: str, *, kill: bool, seconds: float, every: float) -> list[str]:
    """Go through it once, print what was noticed, and give what failed."""
    await fleet.start(service, SETTINGS.get(service))
    made: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        traffic = await stack.enter_async_context(flowing(fleet, service if not kill else f"{service}-killed"))
        numbers = [lambda: traffic.done, lambda: made]
        if service == PROBER:
            await stack.enter_async_context(probed(fleet, made, traffic.failed))
        if service != GATEWAY:
            pair = await stack.enter_async_context(talking(fleet.gateways[0], fleet.gateways[-1], traffic.session))
            numbers.append(lambda: Counter(signal=pair.heard))
        await traffic.goes_on()
        standstills = Standstills(lambda: sum((count() for count in numbers), Counter()))
        looking = asyncio.create_task(standstills.look())
        began = time.monotonic()
        replacements = 0
        while time.monotonic() < began + seconds:
            old = fleet.one_of(service)
            await fleet.start(service, SETTINGS.get(service))
            await (_kill(fleet, old) if kill else fleet.stop(old))
            replacements += 1
            if service == GATEWAY:  # else nobody would be at the next that stops
                traffic.turn_to(fleet.gateways[0])
            await asyncio.sleep(every)
        await end(looking)
        _tell(f"{service}, killed" if kill else service, traffic, standstills, replacements, time.monotonic() - began)
    await fleet.stop(fleet.one_of(service))
    return [*traffic.failed, *fleet.complaints()]


async def _kill(fleet: Fleet, member: Member) -> None:
    assert member.process is not None
    await member.process.kill()
    fleet.members.remove(member)


def _tell(name: str, traffic: Traffic, standstills: Standstills, replacements: int, took_s: float) -> None:
    numbers = standstills.numbers()
    made = f"{sum(numbers.values())} calls, {len(traffic.failed)} failed, {traffic.moves} asked again elsewhere"
    print(f"{name}: {replacements} replaced in {took_s:.0f} s; {made}")
    for kind, longest_s in standstills.longest_s.items():
        print(f"    {kind}: {numbers[kind]}, at most {longest_s * 1000:.0f} ms without an answer", flush=True)


async def main(chosen: argparse.Namespace, directory: Path) -> list[str]:
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]  # the host's packets stay on this machine
    install(NAMES, directory / "environments")
    services = chosen.services.split(",")
    rounds = [*((service, False) for service in services), *((service, True) for service in chosen.killed.split(","))]
    failed: list[str] = []
    with running_servers() as servers:
        places = environments(directory / "environments", NAMES)
        async with running_fleet(servers, places, directory) as fleet:
            await fleet.start_each(SETTINGS)
            for service, kill in rounds:
                if service in services:
                    failed += await replace(fleet, service, kill=kill, seconds=chosen.seconds, every=chosen.every)
    return failed


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
OPTIONS = read_options(__doc__, services=",".join(NAMES), killed=PROBER, seconds=45.0, every=3.0)
with tempfile.TemporaryDirectory(prefix="p2p-replacing-") as place:
    FAILED = asyncio.run(main(OPTIONS, Path(place)))
for line in FAILED:
    print(line, file=sys.stderr)
sys.exit(bool(FAILED))
