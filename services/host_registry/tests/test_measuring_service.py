"""Probes and players measure hosts over NATS, and the whole service ranks by it."""

from datetime import UTC, datetime

import pytest
from chassis.bus import Bus
from chassis.refusals import RefusedError
from chassis.requests import call
from contracts.gateway import ICE_REPORTED, IceState
from contracts.hosts import BEAT_HOST, FIND_HOSTS, GET_HOST, REGISTER_HOST, BeatHost, FindHosts, NameHost, RegisterHost
from contracts.probes import REPORT_PROBE, TAKE_PROBES, ProbeDue, ReportProbe, TakeProbes
from contracts.refusals import Code
from testkit.eventually import eventually

from services.host_registry.tests.telling import open_socket, tell
from services.host_registry.tests.world import ice_outcome

pytestmark = pytest.mark.usefixtures("host_registry")

HOST = RegisterHost(host_id="host-1", player_id="player-1", player_name="PlayerOne", accepts_probes=True)
FOUND = ReportProbe(
    host_id=HOST.host_id,
    prober="prober-1",
    probed_at=datetime(2026, 1, 1, tzinfo=UTC),  # replaced: what was found before it registered counts for nothing
    reached=True,
    round_trip_ms=200,
    packet_loss_percent=0,
)


async def test_a_report_of_an_unknown_host_is_refused(bus: Bus) -> None:
    with pytest.raises(RefusedError) as error:
        await call(bus, REPORT_PROBE, FOUND)
    assert error.value.refusal.code is Code.HOST_NOT_FOUND


async def test_a_prober_takes_a_host_and_what_it_reports_counts_instead_of_the_claim(bus: Bus) -> None:
    await call(bus, REGISTER_HOST, HOST)
    await call(bus, BEAT_HOST, BeatHost(host_id=HOST.host_id, latency_ms=1))
    await open_socket(bus, HOST.host_id)
    due = ProbeDue(host_id=HOST.host_id, peer_id=HOST.host_id, upload=True)
    assert (await call(bus, TAKE_PROBES, TakeProbes(prober="prober-1"))).items == (due,)
    assert (await call(bus, TAKE_PROBES, TakeProbes(prober="prober-2"))).items == ()
    await call(bus, REPORT_PROBE, FOUND.model_copy(update={"probed_at": datetime.now(UTC)}))

    async def measured() -> bool:
        return (await call(bus, GET_HOST, NameHost(host_id=HOST.host_id))).measured

    await eventually(measured)
    (judged,) = (await call(bus, FIND_HOSTS, FindHosts(host_id=HOST.host_id, max_latency_ms=100))).candidates
    assert (judged.host.latency_ms, judged.rejections) == (200, ("latency_too_high",))


async def test_players_who_cannot_connect_lower_their_hosts_rank(bus: Bus) -> None:
    other = HOST.model_copy(update={"host_id": "host-2"})
    for host in (HOST, other):
        await call(bus, REGISTER_HOST, host)
        await call(bus, BEAT_HOST, BeatHost(host_id=host.host_id, latency_ms=1))

    async def ranked() -> list[str]:
        return [candidate.host.host_id for candidate in (await call(bus, FIND_HOSTS, FindHosts())).candidates]

    assert await ranked() == [HOST.host_id, "host-2"]
    outcome = ice_outcome(IceState.FAILED, to=HOST.host_id)
    await tell(bus, ICE_REPORTED.of(gateway_id="gw-1"), outcome.model_copy(update={"occurred_at": datetime.now(UTC)}))

    async def below() -> bool:
        return await ranked() == ["host-2", HOST.host_id]

    await eventually(below)
