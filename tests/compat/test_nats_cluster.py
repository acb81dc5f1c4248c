"""Three NATS servers as deploy/nats/cluster.conf has them: streams and lease are on all, and outlive each of them."""

import asyncio
import os
import shutil
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chassis.bus import Bus, connect_bus
from chassis.jetstream import publish
from chassis.refusals import UnavailableError
from chassis.streams import declare_streams
from contracts.streams import ALL, EVENTS
from embedded.nats_accounts import configure_suite
from embedded.ports import free_ports
from embedded.probes import nats_greeting
from embedded.process import Process, Program
from nats.errors import Error as NatsError
from scheduler.bucket import ABSENT, Bucket, Entry, MovedError
from testkit.eventually import eventually
from testkit.patience import patient

from tests.deployment.environments import ROOT

NAMES = ("nats-1", "nats-2", "nats-3")
NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"

ELECTED_WITHIN_S = 30
"""After a leader was killed: 4 to 9 s where nothing else runs."""

pytestmark = pytest.mark.servers


class Unheard:
    def spawned(self, name: str, pid: int) -> None: ...

    def wrote(self, name: str, line: str) -> None: ...

    def ended(self, name: str) -> None: ...


@dataclass(frozen=True)
class Cluster:
    servers: dict[str, Process]
    url: str
    secrets: Path

    def credentials(self, name: str) -> Path:
        return self.secrets / f"{name}.creds"


def configuration(name: str, directory: Path, clients: dict[str, int], routes: dict[str, int], http: int) -> str:
    """The file that is deployed, on this machine's loopback."""
    text = (ROOT / "deploy/nats/cluster.conf").read_text()
    for other, port in routes.items():
        text = text.replace(f"nats://{other}:6222", f"nats://127.0.0.1:{port}")
    here = {"0.0.0.0:4222": clients[name], "0.0.0.0:8222": http, "0.0.0.0:6222": routes[name]}
    for address, port in here.items():
        text = text.replace(f'"{address}"', f'"127.0.0.1:{port}"')
    return text.replace('"/data"', f'"{directory / name}"')


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    configure_suite(tmp_path)
    ports = free_ports(9)
    clients, routes = dict(zip(NAMES, ports[:3], strict=True)), dict(zip(NAMES, ports[3:6], strict=True))
    async with AsyncExitStack() as stack:

        async def start(name: str, http: int) -> Process:
            file = tmp_path / f"{name}.conf"
            file.write_text(configuration(name, tmp_path, clients, routes, http))

            async def answers() -> bool:
                return await nats_greeting(clients[name]) is not None

            command = (str(NATS_SERVER), "--config", str(file))
            process = await Process.start(Program(name, command, answers, {"NATS_NAME": name}), Unheard())
            stack.push_async_callback(process.stop)
            return process

        started = await asyncio.gather(*map(start, NAMES, ports[6:]))
        url = ",".join(f"nats://127.0.0.1:{port}" for port in clients.values())
        yield Cluster(dict(zip(NAMES, started, strict=True)), url, tmp_path)


@pytest.mark.parametrize("name", ["nats.conf", "cluster.conf"])
def test_nats_takes_the_file_as_it_is_deployed(name: str, tmp_path: Path) -> None:
    configure_suite(tmp_path)
    shutil.copy(ROOT / "deploy/nats" / name, tmp_path)
    checked = subprocess.run(
        [NATS_SERVER, "-t", "--config", tmp_path / name],
        env={**os.environ, "NATS_NAME": "nats-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


async def test_streams_and_lease_are_on_all_three_and_outlive_the_death_of_their_leader(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:

        async def enter(name: str) -> Bus:
            return await stack.enter_async_context(
                connect_bus(cluster.url, f"{name}-1", cluster.credentials(name), replicas=3)
            )

        teller, scheduler, operator = [await enter(name) for name in ("session_manager", "scheduler", "operator")]
        await declare_streams(teller)
        lease = Bucket(scheduler)
        revision = await _until_there(lambda: _held(lease))
        await publish(teller, "p2p.events.sessions.a.joined", b"{}", message_id="before")
        streams = operator.client.jsm(timeout=patient(5))

        async def kept(name: str) -> Any:
            return (await streams.stream_info(name)).cluster

        for name in (*(stream.name for stream in ALL), "KV_scheduler"):
            assert len((await kept(name)).replicas) == 2, name
        await cluster.servers[(await kept(EVENTS.name)).leader].kill()

        await _until_there(lambda: publish(teller, "p2p.events.sessions.a.left", b"{}", message_id="after"))
        assert await _until_there(lambda: lease.get("lease")) == Entry(b"mine", revision)
        assert (await _until_there(lambda: streams.stream_info(EVENTS.name))).state.messages == 2


async def _held(lease: Bucket) -> int:
    try:
        return await lease.put("lease", b"mine", after=ABSENT)
    except MovedError:  # an earlier try came through, whose answer did not
        found = await lease.get("lease")
        assert found is not None
        return found.revision


async def _until_there(work: Any) -> Any:
    """Try until JetStream has a leader; what was written by then all the same is written once."""
    found: list[Any] = []

    async def done() -> bool:
        try:
            found.append(await work())
        except (NatsError, UnavailableError):
            return False
        return True

    await eventually(done, within=ELECTED_WITHIN_S, of="JetStream's answer")
    return found[0]
