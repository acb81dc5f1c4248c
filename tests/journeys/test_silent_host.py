"""A host that falls silent is suspect, then offline, and loses its sessions; our own absence costs nobody anything."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from embedded.plan import Mode
from nats.aio.client import Client
from testkit.admission import on_nats
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

from tests.journeys.entering import dial_host

DEADLINES = {
    "HOST_REGISTRY_SUSPECT_AFTER_S": str(patient(1.5)),
    "HOST_REGISTRY_OFFLINE_AFTER_S": str(patient(4)),
}
"""Shorter than the contract's 20 and 45 s, so that a test can wait for them."""

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite that loses patience soon."""
    with running_suite(environment=DEADLINES, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def facts(suite: RunningSuite) -> AsyncIterator[Client]:
    """A game's server, which hears facts."""
    async with on_nats(suite) as game:
        yield game


async def _register(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.post("/api/v1/hosts/register", json={**HOST, "host_id": name})).status_code == 201


async def _play(api: httpx.AsyncClient, zone: str) -> str:
    """A session of the zone on the host that will fall silent; gives its id."""
    session = {"host_id": "silent", "zone_id": zone, "player_ids": [f"left-alone-in-{zone}"]}
    created = await api.post("/api/v1/sessions/", json=session)
    assert created.status_code == 201
    return str(created.json()["session_id"])


async def _status(api: httpx.AsyncClient, name: str) -> str:
    host: dict[str, Any] = (await api.get(f"/api/v1/hosts/{name}")).json()
    return str(host["status"])


async def test_silence_makes_a_host_suspect_then_offline_and_its_players_fall_back(
    api: httpx.AsyncClient, facts: Client, eventual_session: Any
) -> None:
    heard = await facts.subscribe("p2p.events.hosts.silent.*")
    await _register(api, "silent")
    stern = {"zone_id": "stern", "zone_name": "S", "zone_display_name": "S", "map_name": "s", "fallback_enabled": False}
    assert (await api.post("/api/v1/zones/", json=stern)).status_code == 201
    kept, lost = [await _play(api, zone) for zone in ("prontera", "stern")]
    told: list[str] = []
    while not told or told[-1] != "offline":
        message = await heard.next_msg(timeout=patient(10))
        told.append(message.subject.rpartition(".")[2])
    assert [word for word in told if word in {"registered", "suspect", "offline"}] == [
        "registered",
        "suspect",
        "offline",
    ]
    assert await _status(api, "silent") == "offline"
    fallen = await eventual_session(kept, status="fallback")
    assert fallen["connected_players"] == ["left-alone-in-prontera"]
    failed = await eventual_session(lost, status="failed")
    assert failed["end_reason"] == "host_lost"
    refused = await api.post("/api/v1/sessions/", json={"host_id": "silent", "zone_id": "prontera"})
    assert (refused.status_code, refused.json()["code"]) == (409, "host_not_eligible")


async def test_a_beat_brings_a_lost_host_back(api: httpx.AsyncClient) -> None:
    await _register(api, "back-again")

    async def lost() -> bool:
        return await _status(api, "back-again") == "offline"

    await eventually(lost, within=15)
    beaten = await api.post("/api/v1/hosts/back-again/heartbeat", json={})
    assert (beaten.status_code, beaten.json()["status"]) == (200, "online")


async def test_a_host_whose_socket_closes_is_offline_without_waiting_for_its_deadline(
    suite: RunningSuite, api: httpx.AsyncClient, facts: Client
) -> None:
    await _register(api, "cut-off")
    heard = await facts.subscribe("p2p.events.hosts.cut-off.*")
    await facts.flush()
    async with await dial_host(suite, suite.gateways[0], "cut-off") as host:

        async def connected() -> bool:
            return bool((await api.get("/api/v1/hosts/cut-off")).json()["connected"])

        await eventually(connected)
        await host.say("ping")
        await host.hear("pong")
        # Its silence begins anew, so that its deadline is further off than the end of its socket.
        assert (await api.post("/api/v1/hosts/cut-off/heartbeat", json={})).status_code == 200
    told = await heard.next_msg(timeout=patient(10))
    while not told.subject.endswith(".offline"):
        told = await heard.next_msg(timeout=patient(10))
    assert json.loads(told.data)["reason"] == "socket_gone"


async def test_a_beating_host_stays_online_while_its_registry_is_killed(
    suite: RunningSuite, api: httpx.AsyncClient, facts: Client
) -> None:
    lost = await facts.subscribe("p2p.events.hosts.steady.offline")
    await _register(api, "steady")
    await suite.kill("host_registry-1")
    beaten = await api.post("/api/v1/hosts/steady/heartbeat", json={})
    assert (beaten.status_code, beaten.json()["status"]) == (200, "online")
    await facts.flush()
    assert lost.pending_msgs == 0
