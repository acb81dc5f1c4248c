"""Every service is replaced under traffic, and no call fails: the new one starts, then the old one is told to stop."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import aioice.ice
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from contracts.hosts import RegisterHost
from contracts.probes import REPORT_PROBE, ReportProbe
from embedded.catalogue import GATEWAY
from nats.aio.msg import Msg
from sdk import HostAgent, OnClose
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import Peer, joined, leaving
from tests.deployment.environments import Environment
from tests.deployment.fleet import Fleet, running_fleet
from tests.deployment.traffic import flowing, talking

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "host_registry": {"HOST_REGISTRY_PROBE_EVERY_S": "1"},
    "prober": {"PROBER_ADDRESSES": "127.0.0.1", "PROBER_LOOK_EVERY_S": "0.1"},
}
RESTARTING = 1012


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(
    servers: TestServers, installed: Mapping[str, Environment], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    async with running_fleet(servers, installed, tmp_path_factory.mktemp("elsewhere")) as fleet:
        await fleet.start_each(SETTINGS)
        yield fleet


@pytest.mark.parametrize("service", ["host_registry", "zone_manager", "session_manager", "scheduler"])
async def test_no_call_or_signal_is_lost_while_one_replaces_another_of(service: str, fleet: Fleet) -> None:
    (gateway,) = fleet.gateways
    async with flowing(fleet, service) as traffic, talking(gateway, gateway, traffic.session) as pair:
        await traffic.goes_on()
        old = fleet.one_of(service)
        await fleet.start(service, SETTINGS.get(service))
        await traffic.goes_on()
        await fleet.stop(old)
        heard = pair.heard
        await traffic.goes_on()
        await eventually(lambda: pair.heard > heard, of="signals that go on")
    assert (traffic.failed, traffic.moves) == ([], 0)
    assert fleet.complaints() == []


async def test_no_probe_is_broken_off_while_one_prober_replaces_another(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    described = RegisterHost(host_id="probed", player_id="p", player_name="n")
    agent = HostAgent(
        fleet.gateways[0], described, on_message=_ignore, on_close=OnClose.UNREGISTER, beat_every=timedelta(seconds=1)
    )
    reports: list[ReportProbe] = []

    async def hear(msg: Msg) -> None:
        reports.append(ReportProbe.model_validate_json(msg.data))

    async with connect_bus(fleet.servers.nats.url, "test") as bus, agent:
        await bus.subscribe(REPORT_PROBE.subject, hear)
        old = fleet.one_of("prober")
        await eventually(lambda: reports, within=20, of="a probe by the first")
        new = await fleet.start("prober", SETTINGS["prober"])
        await fleet.stop(old)
        await eventually(lambda: reports and reports[-1].prober == new.name, within=20, of="a probe by the second")
    assert {report.prober for report in reports} == {old.name, new.name}
    assert all(report.reached for report in reports)
    assert fleet.complaints() == []


async def test_callers_turn_to_another_gateway_and_sockets_are_told_to_come_back_when_one_stops(fleet: Fleet) -> None:
    old = fleet.one_of(GATEWAY)
    async with flowing(fleet, GATEWAY) as traffic:
        await traffic.goes_on()
        anna, berta = [await joined(old.http, name, traffic.session) for name in ("anna", "berta")]
        new = await fleet.start(GATEWAY)
        async with leaving(anna, berta), http_client(base_url=f"{new.http}/api/v1") as api:
            await traffic.goes_on()
            await fleet.stop(old)
            assert [await told_to_come_back(peer) for peer in (anna, berta)] == [RESTARTING, RESTARTING]
            session = (await api.get(f"/sessions/{traffic.session}")).json()
            assert {"anna", "berta"} <= set(session["connected_players"]), "their seats are kept"
        async with talking(new.http, new.http, traffic.session) as pair:
            await traffic.goes_on()
            await eventually(lambda: pair.heard > 10, of="signals at the new gateway")
    assert traffic.failed == []
    assert fleet.complaints() == []


async def told_to_come_back(peer: Peer) -> int | None:
    """The code that closed it, behind a word within how long to come back."""
    frame = await peer.hear_until("reconnect")
    assert 0 <= frame["after_ms"] < 3000
    return await peer.close_code()


async def _ignore(*_: object) -> None: ...
