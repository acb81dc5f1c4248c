"""prober as a process: settings, health, `$SRV`, a probe of an SDK's host, the end by a signal."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from chassis.bus import Bus
from chassis.responder import Responder
from contracts.probes import REPORT_PROBE, TAKE_PROBES, ProbeDue
from embedded.ports import free_port
from prober.settings import Settings
from pydantic import ValidationError
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient

from services.prober.tests.hosts import good_host, on_socket
from services.prober.tests.test_rounds import Registry


@asynccontextmanager
async def prober(nats_url: str) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.subprocess.Process]]:
    """A prober of its own, ready."""
    port = free_port()
    environment = os.environ | {
        "NATS_URL": nats_url,
        "HTTP_PORT": str(port),
        "INSTANCE": "prober-7",
        "PROBER_LOOK_EVERY_S": "0.05",
        "PROBER_ADDRESSES": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "prober", env=environment)
    try:
        async with http_client(base_url=f"http://127.0.0.1:{port}") as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, within=30)
            yield client, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def registry(bus: Bus) -> AsyncIterator[Registry]:
    registry = Registry()
    responder = Responder(bus, "host_registry", "0.1.0", instance="registry-1")
    responder.answer(TAKE_PROBES, registry.take)
    responder.answer(REPORT_PROBE, registry.report)
    async with responder:
        yield registry


async def test_a_prober_takes_who_is_due_measures_and_tells_and_ends_by_a_signal(nats_url, bus, registry):
    async with on_socket(bus, "host 1", good_host(bus)), prober(nats_url) as (client, process):
        registry.due = [ProbeDue(host_id="host-1", peer_id="host 1", upload=True)]
        (report,) = await eventually(lambda: registry.reports, within=20)
        assert (report.host_id, report.prober, report.reached) == ("host-1", "prober-7", True)
        assert report.packet_loss_percent == 0

        async def counted() -> str:
            metrics = (await client.get("/metrics")).text
            return metrics if 'p2p_probes_total{outcome="reached"} 1.0' in metrics else ""

        assert "host-1" not in await eventually(counted)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_prober_answers_what_every_service_does_and_says_when_nats_is_away(nats_url, nats_server, bus):
    async with prober(nats_url) as (client, _):
        answer = json.loads((await bus.request("$SRV.PING.prober", b"", timeout_s=patient(5))).data)
        assert (answer["name"], answer["id"]) == ("prober", "prober-7")
        await nats_server.stop()

        async def unready() -> bool:
            return "nats" in (await client.get("/health/ready")).json()["away"]

        await eventually(unready)


@pytest.mark.parametrize(
    ("read", "addresses"), [("", ()), ("127.0.0.1", ("127.0.0.1",)), ('["::1", "10.0.0.7"]', ("::1", "10.0.0.7"))]
)
def test_addresses_are_words_between_commas_or_a_list(monkeypatch, read, addresses):
    monkeypatch.setenv("PROBER_ADDRESSES", read)
    assert Settings().addresses == addresses


@pytest.mark.parametrize(("name", "value"), [("ADDRESSES", "eth0"), ("AT_ONCE", "0"), ("LOOK_EVRY_S", "1")])
def test_a_setting_that_makes_no_sense_stops_the_start(monkeypatch, name, value):
    monkeypatch.setenv(f"PROBER_{name}", value)
    with pytest.raises(ValidationError):
        Settings()
