"""A service needs nothing but its own environment and its documented variables, and ships what it imports."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aioice.ice
import httpx
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from chassis.requests import call
from contracts.hosts import RegisterHost
from contracts.jobs import LIST_JOBS
from contracts.subjects import Nothing
from sdk import HostAgent, OnClose
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.servers import TestServers
from testkit.spans import receiving_spans

from services.signaling_gateway.tests.signaling.client import joined, leaving
from tests.deployment.conftest import NAMES
from tests.deployment.environments import ROOT, Environment
from tests.deployment.fleet import Fleet, running_fleet

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"prober": {"PROBER_ADDRESSES": "127.0.0.1"}}

NOT_IMPORTED = {
    "h11": "uvicorn demands it, and parses HTTP by httptools",
    "pycparser": "cffi demands it, and needs it only to build others",
    "googleapis-common-protos": "the OTLP exporter demands it, and uses nothing of it",
    "nkeys": "signs in to NATS, where NATS_CREDS is set",
    "PyNaCl": "for nkeys",
    "cffi": "for PyNaCl",
    "httpcore": "httpx imports it with its first client: AI_SERVICE_ENABLED",
}
"""What a service ships and didn't import in this game, and why it is there."""

_IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$")


@dataclass(frozen=True)
class Played:
    """What came of a game."""

    session: dict[str, Any]
    offer: dict[str, Any]
    answer: dict[str, Any]
    host: dict[str, Any]
    leader: str | None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(
    servers: TestServers, installed: Mapping[str, Environment], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """One of each, in an empty folder, with traces on; Python says what it imports."""
    with receiving_spans() as spans:
        settings = {name: {"OTLP_ENDPOINT": spans.url, **SETTINGS.get(name, {})} for name in NAMES}
        async with running_fleet(servers, installed, tmp_path_factory.mktemp("elsewhere")) as fleet:
            await fleet.start_each(settings, flags=("-X", "importtime"))
            yield fleet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(fleet: Fleet) -> Played:
    """A host comes and is measured, a session is made on it, two players meet there."""
    (gateway,) = fleet.gateways
    described = RegisterHost(host_id="host", player_id="owner", player_name="Owner", network_speed_mbps=1000)
    agent = HostAgent(
        gateway, described, on_message=_ignore, on_close=OnClose.UNREGISTER, beat_every=timedelta(seconds=1)
    )
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
        async with agent, http_client(base_url=f"{gateway}/api/v1") as api:
            zone = {"zone_id": "zone", "zone_name": "Z", "zone_display_name": "Z", "map_name": "z"}
            assert (await api.post("/zones", json={**zone, "min_host_quality_score": 0})).status_code == 201
            made = await api.post("/sessions", json={"zone_id": "zone"})
            assert made.status_code == 201, made.text
            session = made.json()["session_id"]
            anna, berta = await joined(gateway, "anna", session), await joined(gateway, "berta", session)
            async with leaving(anna, berta):
                await anna.say("offer", to="berta", sdp={"type": "offer", "sdp": "v=0"})
                offer = await berta.hear_until("offer")
                await berta.say("answer", to="anna", sdp={"type": "answer", "sdp": "v=0"})
                answer = await anna.hear_until("answer")
                stored = (await api.get(f"/sessions/{session}")).json()
            return Played(stored, offer, answer, await _measured(api), await _leader(fleet))


async def _ignore(*_: object) -> None: ...


async def _measured(api: httpx.AsyncClient) -> dict[str, Any]:
    async def told() -> dict[str, Any] | None:
        host: dict[str, Any] = (await api.get("/hosts/host")).json()
        return host if host["measured"] else None

    host = await eventually(told, within=30, of="the host measured")
    assert host is not None
    return host


async def _leader(fleet: Fleet) -> str | None:
    async with connect_bus(fleet.servers.nats.url, "test") as bus:
        return (await call(bus, LIST_JOBS, Nothing())).leader


async def test_players_meet_over_services_that_have_only_their_own_environments(played: Played, fleet: Fleet) -> None:
    assert (played.session["host_id"], played.session["status"]) == ("host", "active")
    assert set(played.session["connected_players"]) == {"anna", "berta"}
    assert (played.offer["from"], played.answer["from"]) == ("anna", "berta")
    assert played.host["measured_at"]
    assert played.leader == fleet.one_of("scheduler").name


@pytest.mark.parametrize("service", NAMES)
async def test_each_variable_that_it_was_started_with_is_documented(service: str, fleet: Fleet) -> None:
    document = (ROOT / "docs/configuration.md").read_text()
    assert [name for name in fleet.one_of(service).environment if f"`{name}`" not in document] == []


@pytest.mark.parametrize("service", NAMES)
async def test_its_size_is_what_the_document_says(service: str, installed: Mapping[str, Environment]) -> None:
    document = (ROOT / "docs/deployment.md").read_text()
    [told] = re.findall(rf"^\| `{service}` \| (\d+) MB \|", document, re.MULTILINE)
    assert installed[service].size_mb == pytest.approx(float(told), rel=0.05)


@pytest.fixture(scope="module")
def idle(played: Played, fleet: Fleet, installed: Mapping[str, Environment]) -> dict[str, set[str]]:
    """Of each service the distributions of which it has imported nothing."""
    return {service: _idle(fleet.one_of(service).lines, installed[service]) for service in NAMES}


def _idle(lines: Iterable[str], environment: Environment) -> set[str]:
    imported = {found[1] for line in lines if (found := _IMPORTED.match(line))}
    assert {environment.service, "chassis", "contracts"} <= imported
    return {name for name, modules in environment.modules().items() if not modules & imported}


@pytest.mark.parametrize("service", NAMES)
async def test_it_imports_something_of_all_that_it_ships(service: str, idle: dict[str, set[str]]) -> None:
    assert idle[service] - NOT_IMPORTED.keys() == set()


async def test_each_exception_is_one_of_some_service(idle: dict[str, set[str]]) -> None:
    assert NOT_IMPORTED.keys() - set().union(*idle.values()) == set()
