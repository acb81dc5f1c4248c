"""Players of a zone whose only host is lost play on, on the central server, and come back when a good host is there."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from embedded.plan import Mode
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from testkit.admission import on_nats
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

from services.signaling_gateway.tests.signaling.client import Peer
from tests.journeys.entering import dial, dial_host

TOLD_WITHIN = timedelta(seconds=patient(1))
"""From the decision to the players' sockets."""

RETURN_AFTER = timedelta(seconds=2)
"""How long a host must have been good; a minute unless it is set."""

SEEN_ALIKE = ("status", "connection_type", "fallback_endpoint", "host_id", "epoch", "connected_players")
"""What NATS clients are told of a session as REST clients read it."""

ENVIRONMENT = {
    "HOST_REGISTRY_SUSPECT_AFTER_S": "60",  # these hosts never beat: they are lost by their sockets
    "HOST_REGISTRY_OFFLINE_AFTER_S": "120",
    "SCHEDULER_SESSION_HEALTH_EVERY_S": "0.5",
    "SESSION_MANAGER_RETURN_AFTER_S": str(RETURN_AFTER.total_seconds()),
}

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z"}


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite with two gateways that looks after its sessions often."""
    with running_suite({"signaling_gateway": 2}, ENVIRONMENT, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def bus(suite: RunningSuite) -> AsyncIterator[Client]:
    """A game's server, which hears facts."""
    async with on_nats(suite) as game:
        yield game


async def _zone(api: httpx.AsyncClient, zone_id: str, **more: object) -> None:
    """A zone that only hosts of a region named after it may serve."""
    zone = {**ZONE, "zone_id": zone_id, "regions": [zone_id], **more}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201


async def _register(api: httpx.AsyncClient, host_id: str, region: str) -> None:
    host = {**HOST, "host_id": host_id, "region": region}
    assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201


async def _fact(heard: Subscription, what: str) -> dict[str, Any]:
    while True:
        message = await heard.next_msg(timeout=patient(15))
        if message.subject.endswith(f".{what}"):
            fact: dict[str, Any] = json.loads(message.data)
            return fact


async def _enter(peer: Peer, zone_id: str) -> dict[str, Any]:
    await peer.say("enter", zone_id=zone_id)
    return await peer.hear_until("session-joined")


async def test_players_fall_back_to_the_central_server_and_return_to_a_good_host(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _zone(api, "refuge", fallback_endpoint="central.example:6900")
    await _register(api, "first", "refuge")
    heard = await bus.subscribe("p2p.events.sessions.>")
    await bus.flush()
    here, there = suite.gateways
    async with await dial(suite, here, "ann") as ann, await dial(suite, there, "bob") as bob:
        async with await dial_host(suite, there, "first") as first:
            joined = await _enter(ann, "refuge")
            assert (joined["host_id"], joined["epoch"]) == ("first", 1)
            await _enter(bob, "refuge")
            await first.hear_until("session-assigned")
        session_id = joined["session_id"]

        fallbacks = await asyncio.gather(ann.hear_until("session-fallback"), bob.hear_until("session-fallback"))
        heard_at = datetime.now(UTC)
        decided = await _fact(heard, "fell-back")
        for told in fallbacks:
            assert (told["session_id"], told["reason"]) == (session_id, "host_lost")
            assert told["endpoint"] == "central.example:6900"
        assert heard_at - datetime.fromisoformat(decided["occurred_at"]) < TOLD_WITHIN
        session = (await api.get(f"/api/v1/sessions/{session_id}")).json()
        assert (session["status"], session["connection_type"]) == ("fallback", "fallback")
        assert session["fallback_endpoint"] == "central.example:6900"
        assert sorted(session["connected_players"]) == ["ann", "bob"]
        assert {name: decided["session"][name] for name in SEEN_ALIKE} == {name: session[name] for name in SEEN_ALIKE}

        await _register(api, "second", "refuge")
        async with await dial_host(suite, here, "second") as second:
            for player in (ann, bob):
                migrated = await player.hear_until("host-migrated")
                assert (migrated["host_id"], migrated["host_peer_id"]) == ("second", "second")
                assert (migrated["session_id"], migrated["epoch"]) == (session_id, 2)
            assigned = await second.hear_until("session-assigned")
            assert (assigned["session_id"], assigned["epoch"]) == (session_id, 2)
            assert sorted(assigned["players"]) == ["ann", "bob"]

            await bob.say("offer", to="second", sdp="v=0")
            offer = await second.hear_until("offer")
            assert (offer["from"], offer["session_id"]) == ("bob", session_id)

            session = (await api.get(f"/api/v1/sessions/{session_id}")).json()
            assert (session["status"], session["host_id"], session["epoch"]) == ("active", "second", 2)
            assert session["fallback_endpoint"] is None
            assert sorted(session["connected_players"]) == ["ann", "bob"]
            returned = (await _fact(heard, "migrated"))["session"]
            assert {name: returned[name] for name in SEEN_ALIKE} == {name: session[name] for name in SEEN_ALIKE}
            history = (await api.get(f"/api/v1/sessions/{session_id}/events")).json()
            told = {line["event"]: line for line in history}
            assert told["fell-back"]["reason"] == decided["reason"] == "host_lost"
            assert told["fell-back"]["figures"] == decided["figures"]
            assert told["migrating"]["figures"].keys() == {"lost_for_s"}
            assert "hostless_s" in decided["figures"]
            assert (told["fell-back"]["epoch"], told["migrated"]["epoch"]) == (1, 2)
            assert told["migrated"]["figures"]["host_able_s"] >= RETURN_AFTER.total_seconds()


async def test_a_zone_that_is_disabled_falls_back_at_once_and_returns_when_it_is_enabled(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _zone(api, "closing")
    await _register(api, "closed", "closing")
    heard = await bus.subscribe("p2p.events.sessions.>")
    await bus.flush()
    here, there = suite.gateways
    async with await dial(suite, here, "fay") as fay, await dial_host(suite, there, "closed") as closed:
        joined = await _enter(fay, "closing")
        await closed.hear_until("session-assigned")
        for switch, back, reason in (
            ("status?new_status=disabled", "status?new_status=enabled", "zone_disabled"),
            ("disable-p2p", "enable-p2p", "p2p_disabled"),
        ):
            await _switch(api, "closing", switch)
            told = await fay.hear_until("session-fallback")
            heard_at = datetime.now(UTC)
            assert told["reason"] == reason
            assert (await closed.hear_until("session-released"))["reason"] == reason
            decided = await _fact(heard, "fell-back")
            assert heard_at - datetime.fromisoformat(decided["occurred_at"]) < TOLD_WITHIN

            await _switch(api, "closing", back)
            migrated = await fay.hear_until("host-migrated")
            assert (migrated["session_id"], migrated["host_id"]) == (joined["session_id"], "closed")
            session = (await api.get(f"/api/v1/sessions/{joined['session_id']}")).json()
            assert (session["status"], session["connected_players"]) == ("active", ["fay"])


async def _switch(api: httpx.AsyncClient, zone_id: str, how: str) -> None:
    method = "PATCH" if how.startswith("status") else "POST"
    assert (await api.request(method, f"/api/v1/zones/{zone_id}/{how}")).status_code == 200


async def test_who_comes_while_the_session_has_no_host_is_told_where_to_play(api: httpx.AsyncClient) -> None:
    await _zone(api, "hostless", fallback_endpoint="central.example:6900")
    refused = await api.post("/api/v1/sessions/join", json={"zone_id": "hostless", "peer_id": "early"})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_host_free")


async def test_without_fallback_the_session_of_a_lost_host_fails(
    suite: RunningSuite, api: httpx.AsyncClient, eventual_session: Any
) -> None:
    await _zone(api, "stern", fallback_enabled=False)
    await _register(api, "only", "stern")
    async with await dial(suite, suite.gateways[0], "cleo") as cleo:
        async with await dial_host(suite, suite.gateways[0], "only") as only:
            joined = await _enter(cleo, "stern")
            await only.hear_until("session-assigned")
        ended = await cleo.hear_until("session-ended")
        assert ended["reason"] == "host_lost"
    failed = await eventual_session(joined["session_id"], status="failed")
    assert failed["end_reason"] == "host_lost"


async def test_a_host_that_is_back_is_trusted_only_after_a_while(
    suite: RunningSuite, api: httpx.AsyncClient, bus: Client
) -> None:
    await _zone(api, "patient")
    await _register(api, "fickle", "patient")
    online = await bus.subscribe("p2p.events.hosts.fickle.online")
    migrated = await bus.subscribe("p2p.events.sessions.*.migrated")
    await bus.flush()
    async with await dial(suite, suite.gateways[0], "dora") as dora:
        async with await dial_host(suite, suite.gateways[0], "fickle") as fickle:
            joined = await _enter(dora, "patient")
            await fickle.hear_until("session-assigned")
        await dora.hear_until("session-fallback")
        assert (await api.post("/api/v1/hosts/fickle/heartbeat", json={})).json()["status"] == "online"
        assert (await dora.hear_until("host-migrated"))["epoch"] == 2
    back = json.loads((await online.next_msg(timeout=patient(10))).data)
    returned = await _fact(migrated, "migrated")
    assert returned["session_id"] == joined["session_id"]
    waited = datetime.fromisoformat(returned["occurred_at"]) - datetime.fromisoformat(back["occurred_at"])
    assert waited >= RETURN_AFTER


async def test_a_session_that_everybody_left_on_the_central_server_ends(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    await _zone(api, "left")
    await _register(api, "leaving", "left")
    async with await dial(suite, suite.gateways[0], "emil") as emil:
        async with await dial_host(suite, suite.gateways[0], "leaving") as leaving:
            joined = await _enter(emil, "left")
            await leaving.hear_until("session-assigned")
        await emil.hear_until("session-fallback")
        await emil.say("leave")
        await emil.hear_until("session-left")
    path = f"/api/v1/sessions/{joined['session_id']}"

    async def empty() -> bool:
        return (await api.get(path)).json()["connected_players"] == []

    await eventually(empty)
    ended = await api.post(f"{path}/end")
    assert (ended.status_code, ended.json()["status"]) == (200, "ended")
