"""A host is ranked by what was measured of it, whatever it says of itself."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import aioice.ice
import httpx
import pytest
from contracts.hosts import Heartbeat, RegisterHost
from embedded.plan import Mode
from sdk import HostAgent, OnClose, ServerKey
from testkit.admission import key_for
from testkit.eventually import eventually
from testkit.suites import RunningSuite, running_suite

from tests.journeys.delaying import long_way

EACH_WAY = timedelta(milliseconds=100)

ENVIRONMENT = {
    "HOST_REGISTRY_PROBE_EVERY_S": "2",
    "PROBER_LOOK_EVERY_S": "0.2",
    "PROBER_ADDRESSES": "127.0.0.1",
}

MEASURED_WITHIN_S = 30.0
"""A probe takes two seconds; on a machine that does much else, more."""

ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "regions": ["here"], "min_bandwidth_mbps": 0}
"""Asks for no bandwidth: the uploads of hosts in this process are measured too, and it may be busy just then."""


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite with two gateways that probes its hosts often."""
    with running_suite({"signaling_gateway": 2}, ENVIRONMENT, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture(autouse=True)
def webrtc_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the prober: the hosts' packets stay on this machine."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


def agent(url: str, key: ServerKey, host_id: str, *, claims_ms: float, **more: Any) -> HostAgent:
    """A host that says so much of itself in every beat."""
    host = RegisterHost(
        host_id=host_id,
        player_id=host_id,
        player_name=host_id,
        cpu_cores=8,
        memory_mb=16384,
        network_speed_mbps=1000,
        region="here",
        **more,
    )
    claims = Heartbeat(latency_ms=claims_ms, packet_loss_percent=0)
    return HostAgent(
        url,
        host,
        on_message=_ignore,
        measure=lambda _: claims,
        on_close=OnClose.UNREGISTER,
        beat_every=timedelta(milliseconds=200),
        credentials=key,
    )


async def _ignore(*_: object) -> None: ...


@pytest.fixture
async def key(suite: RunningSuite) -> ServerKey:
    return ServerKey(await key_for(suite))


@pytest.fixture
async def hosts(suite: RunningSuite, api: httpx.AsyncClient, key: ServerKey) -> AsyncIterator[None]:
    """`boaster` claims 1 ms and is 200 ms away; `honest` claims 20 ms, and is next door."""
    here, there = suite.gateways
    async with AsyncExitStack() as stack:
        far = await stack.enter_async_context(long_way(here, EACH_WAY))
        await stack.enter_async_context(agent(far, key, "boaster", claims_ms=1))
        await stack.enter_async_context(agent(there, key, "honest", claims_ms=20))
        yield


async def host_of(api: httpx.AsyncClient, host_id: str) -> dict[str, Any]:
    host: dict[str, Any] = (await api.get(f"/api/v1/hosts/{host_id}")).json()
    return host


async def probed(api: httpx.AsyncClient, host_id: str) -> dict[str, Any]:
    """The host, once a probe of it was told."""

    async def measured() -> dict[str, Any] | None:
        host = await host_of(api, host_id)
        return host if host["measured"] and host["jitter_ms"] is not None else None

    found = await eventually(measured, within=MEASURED_WITHIN_S, of=f"{host_id} measured")
    assert found is not None
    return found


@pytest.mark.usefixtures("hosts")
async def test_a_host_that_claims_1_ms_behind_a_delaying_proxy_is_ranked_by_what_was_measured(
    api: httpx.AsyncClient,
) -> None:
    boaster, honest = await probed(api, "boaster"), await probed(api, "honest")
    assert boaster["latency_ms"] >= 2 * EACH_WAY / timedelta(milliseconds=1)
    assert honest["latency_ms"] < boaster["latency_ms"]
    assert (boaster["confidence"], honest["confidence"]) == (1.0, 1.0)

    for zone_id, max_latency_ms in (("anywhere", 10_000), ("nearby", 190)):
        zone = {**ZONE, "zone_id": zone_id, "max_latency_ms": max_latency_ms}
        assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    ranked = (await api.get("/api/v1/zones/anywhere/explain")).json()["judgements"]
    assert [(judged["host_id"], judged["chosen"], judged["rejections"]) for judged in ranked] == [
        ("honest", True, []),
        ("boaster", False, []),
    ]
    near = {
        judged["host_id"]: judged for judged in (await api.get("/api/v1/zones/nearby/explain")).json()["judgements"]
    }
    assert near["boaster"]["rejections"] == ["latency_too_high"]

    for zone_id in ("anywhere", "nearby"):
        placed = await api.post("/api/v1/sessions/", json={"zone_id": zone_id})
        assert (placed.status_code, placed.json()["host_id"]) == (201, "honest")

    # Its beats go on; what it claims in them moves nothing.
    claimed_at = (await host_of(api, "boaster"))["last_heartbeat"]

    async def claimed_again() -> bool:
        return (await host_of(api, "boaster"))["last_heartbeat"] > claimed_at

    await eventually(claimed_again)
    assert (await host_of(api, "boaster"))["latency_ms"] >= 2 * EACH_WAY / timedelta(milliseconds=1)


@pytest.mark.usefixtures("hosts")
async def test_a_host_that_does_not_want_to_be_probed_is_known_by_its_word_alone(
    suite: RunningSuite, api: httpx.AsyncClient, key: ServerKey
) -> None:
    async with agent(suite.gateways[0], key, "private", claims_ms=1, accepts_probes=False):
        before = await probed(api, "honest")

        async def probed_again() -> bool:
            return (await host_of(api, "honest"))["measured_at"] > before["measured_at"]

        await eventually(probed_again, within=MEASURED_WITHIN_S)
        private = await host_of(api, "private")
        assert (private["measured"], private["accepts_probes"]) == (False, False)
        assert private["confidence"] < before["confidence"]
