"""Prometheus keeps no more series for more hosts, players and sessions, whatever words they use."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from prometheus_client.parser import text_string_to_metric_families
from testkit.admission import on_nats
from testkit.eventually import eventually
from testkit.suites import RunningSuite

from tests.journeys.entering import dial

MORE = 15
"""Rounds, each with a host, a zone, a session and players of its own: one more series for each would be seen."""

HOST = {"player_name": "n", "cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000}

Series = set[tuple[str, tuple[tuple[str, str], ...]]]


@pytest.fixture
async def bus(suite: RunningSuite) -> AsyncIterator[Client]:
    """A game's server, which beats for hosts."""
    async with on_nats(suite) as game:
        yield game


async def _series(suite: RunningSuite, api: httpx.AsyncClient) -> dict[str, Series]:
    """All that Prometheus would keep, by process."""
    return {
        instance: {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in text_string_to_metric_families((await api.get(f"{suite.http(instance)}/metrics")).text)
            for sample in family.samples
        }
        for instance in suite.instances
    }


async def _play(suite: RunningSuite, api: httpx.AsyncClient, bus: Client) -> set[str]:
    """One host, zone and session with two players, from their beginning to their end; give the names they had."""
    name = uuid.uuid4().hex
    zone = {"zone_id": f"z-{name}", "zone_name": name, "zone_display_name": name, "map_name": name}
    host = HOST | {"host_id": f"h-{name}", "player_id": f"p-{name}", "region": f"r-{name}", "metadata": {name: name}}
    assert (await api.post("/api/v1/zones", json=zone)).is_success
    assert (await api.post("/api/v1/hosts", json=host)).is_success
    await bus.publish(f"p2p.heartbeat.h-{name}", json.dumps({"latency_ms": 10}).encode())
    await bus.publish(f"p2p.heartbeat.not-{name}", b"[]")
    chosen = {"zone_id": zone["zone_id"], "host_id": host["host_id"]}
    session: dict[str, Any] = (await api.post("/api/v1/sessions", json=chosen)).json()
    path = f"/api/v1/sessions/{session['session_id']}"
    async with await dial(suite, suite.gateways[0], f"a-{name}", session["session_id"]) as ann:
        await ann.say(f"t-{name}")
        await ann.say("offer", to=f"x-{name}", sdp=name)
        await ann.say("leave")
        await ann.hear_until("session-left")
    assert (await api.post(f"{path}/players", json={"player_id": f"b-{name}"})).is_success
    assert (await api.get(f"/api/v1/{name}")).status_code == 404
    assert (await api.get(f"/api/v1/hosts/{name}")).status_code == 404
    assert (await api.post(f"{path}/end", params={"reason": name})).is_success
    assert (await api.delete(f"/api/v1/hosts/h-{name}")).is_success
    return {name, session["session_id"]}


async def test_no_process_tells_of_one_more_series_for_more_hosts_players_and_sessions(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _play(suite, api, bus)
    before = await _series(suite, api)

    async def settled() -> bool:
        """Whether what the first round brought about has happened: kinds of events that were not heard before."""
        nonlocal before
        again, before = before, await _series(suite, api)
        return again == before

    await eventually(settled, of="series that stay as they are")
    names = [await _play(suite, api, bus) for _ in range(MORE)]
    after = await _series(suite, api)

    used = set[str]().union(*names)
    for instance, series in after.items():
        said = {value for _, labels in series for _, value in labels}
        assert {value for value in said if any(name in value for name in used)} == set(), instance
        more = series - before[instance]
        assert len(more) < MORE, f"{instance}: {more}"
