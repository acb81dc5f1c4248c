"""The calls that documentation everywhere shows work as written, for who shows a key; for who has none, see compat."""

import re
from typing import Any

import httpx
import pytest
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite

from tests.journeys.entering import dial, dial_host

HOST = {
    "host_id": "host-12345",
    "player_id": "player-67890",
    "player_name": "PlayerOne",
    "cpu_cores": 8,
    "memory_mb": 16384,
    "network_speed_mbps": 1000,
}
SESSION = {"host_id": "host-12345", "zone_id": "prontera", "max_players": 50}
SEEDS = {"prontera", "geffen", "payon", "morocc", "alberta", "aldebaran", "izlude"}


@pytest.fixture
async def documented_host(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.post("/api/v1/hosts/register", json=HOST)
    assert answer.status_code == 201, answer.text
    host: dict[str, Any] = answer.json()
    return host


@pytest.fixture
async def documented_session(api: httpx.AsyncClient, documented_host: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post("/api/v1/sessions/", json=SESSION)
    assert answer.status_code == 201, answer.text
    session: dict[str, Any] = answer.json()
    return session


async def test_the_documented_host_registers_and_is_listed(
    api: httpx.AsyncClient, documented_host: dict[str, Any]
) -> None:
    assert documented_host.items() >= {**HOST, "status": "online", "max_players": 50, "max_zones": 5}.items()
    listed = (await api.get("/api/v1/hosts/")).json()
    assert "host-12345" in {host["host_id"] for host in listed}
    assert (await api.get("/api/v1/hosts/host-12345")).json()["id"] == documented_host["id"]


async def test_the_documented_session_is_created_in_prontera_and_read_by_both_its_ids(
    api: httpx.AsyncClient, documented_session: dict[str, Any]
) -> None:
    assert re.fullmatch(r"session-[0-9a-f]{16}", documented_session["session_id"])
    assert documented_session.items() >= {**SESSION, "status": "pending", "epoch": 1, "connected_players": []}.items()
    by_name = await api.get(f"/api/v1/sessions/{documented_session['session_id']}")
    by_number = await api.get(f"/api/v1/sessions/{documented_session['id']}")
    assert by_name.status_code == by_number.status_code == 200
    assert by_name.json() == by_number.json() == documented_session


async def test_a_session_lives_from_its_first_player_to_its_end(
    api: httpx.AsyncClient, documented_session: dict[str, Any]
) -> None:
    path = f"/api/v1/sessions/{documented_session['session_id']}"
    joined = (await api.post(f"{path}/players", json={"player_id": "150001"})).json()
    assert joined.items() >= {"status": "active", "connected_players": ["150001"], "current_players": 1}.items()
    assert joined["message"]
    measured = (await api.patch(f"{path}/metrics", json={"avg_latency_ms": 20.5, "packet_loss_percent": 0.1})).json()
    assert measured.items() >= {"average_latency_ms": 20.5, "average_packet_loss_percent": 0.1}.items()
    left = (await api.delete(f"{path}/players/150001")).json()
    assert left["connected_players"] == []
    ended = (await api.post(f"{path}/end", params={"reason": "normal"})).json()
    assert ended.items() >= {"status": "ended", "end_reason": "normal", "current_players": 0}.items()
    again = (await api.post(f"{path}/end", params={"reason": "other"})).json()
    assert again["end_reason"] == "normal"
    late = await api.post(f"{path}/players", json={"player_id": "150002"})
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")
    history = (await api.get(f"{path}/events")).json()
    assert [line["event"] for line in history] == ["created", "activated", "joined", "left", "ended"]


async def test_the_same_session_is_answered_to_the_same_idempotency_key(
    api: httpx.AsyncClient, documented_host: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": f"documented-{documented_host['id']}"}
    first = await api.post("/api/v1/sessions/", json=SESSION, headers=key)
    second = await api.post("/api/v1/sessions/", json=SESSION, headers=key)
    assert first.status_code == second.status_code == 201
    assert first.json()["session_id"] == second.json()["session_id"]
    other = await api.post("/api/v1/sessions/", json={**SESSION, "max_players": 3}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_the_seven_seeded_zones_are_enabled(api: httpx.AsyncClient) -> None:
    zones = {zone["zone_id"]: zone for zone in (await api.get("/api/v1/zones/")).json()}
    assert zones.keys() >= SEEDS
    assert {zones[seed]["status"] for seed in SEEDS} == {"enabled"}


async def test_a_zone_explains_why_each_host_is_or_is_not_chosen(
    api: httpx.AsyncClient, documented_host: dict[str, Any]
) -> None:
    slow = {**HOST, "host_id": "host-slow", "player_id": "p-slow", "network_speed_mbps": 10}
    assert (await api.post("/api/v1/hosts/register", json=slow)).status_code == 201
    explained = (await api.get("/api/v1/zones/prontera/explain")).json()
    judged = {judgement["host_id"]: judgement for judgement in explained["judgements"]}
    assert "bandwidth_too_low" in judged["host-slow"]["rejections"]
    assert judged["host-12345"]["rejections"] == []
    assert sum(judgement["chosen"] for judgement in judged.values()) == 1
    refused = await api.post("/api/v1/sessions/", json={**SESSION, "host_id": "host-slow"})
    assert (refused.status_code, refused.json()["code"]) == (409, "host_not_eligible")
    assert "it has 10 Mbit/s, the zone asks for 100" in refused.json()["detail"]


async def test_a_player_gets_a_host_with_a_socket_before_a_better_one_and_another_where_that_fails(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    zone = {"zone_id": "quay", "zone_name": "Q", "zone_display_name": "Q", "map_name": "q", "regions": ["quay"]}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    for host_id, cores in (("host-unheard", 8), ("host-heard", 2)):
        machine = {**HOST, "host_id": host_id, "player_id": host_id, "cpu_cores": cores, "region": "quay"}
        assert (await api.post("/api/v1/hosts/register", json=machine)).status_code == 201
    here = suite.gateways[0]
    async with await dial_host(suite, here, "host-heard"), await dial(suite, here, "dockhand") as player:

        async def connected() -> bool:
            return bool((await api.get("/api/v1/hosts/host-heard")).json()["connected"])

        async def host_given() -> str:
            await player.say("enter", zone_id="quay")
            while (told := await player.hear())["type"] != "session-joined":
                assert told["type"] != "error", told
            return str(told["host_id"])

        async def another() -> bool:
            return await host_given() == "host-unheard"

        await eventually(connected)
        judged = (await api.get("/api/v1/zones/quay/explain")).json()["judgements"]
        reasons = [(host["host_id"], host["connected"], host["rejections"]) for host in judged[:2]]
        assert reasons == [("host-heard", True, []), ("host-unheard", False, [])]
        assert await host_given() == "host-heard"
        await player.say("ice-result", to="host-heard", state="failed", elapsed_ms=1)
        await eventually(another)


async def test_the_dashboard_counts_what_is_there(api: httpx.AsyncClient, documented_host: dict[str, Any]) -> None:
    async def dashboard() -> dict[str, Any]:
        answer: dict[str, Any] = (await api.get("/api/v1/monitoring/dashboard")).json()
        return answer

    async def settled() -> dict[str, Any] | None:
        """The dashboard, once its answer of up to a second ago has been made anew."""
        shown = await dashboard()
        sessions = (await api.get("/api/v1/sessions/", params={"limit": 1000})).json()
        hosts = (await api.get("/api/v1/hosts/", params={"limit": 1000})).json()
        same = (shown["hosts"]["total"], shown["sessions"]["total"]) == (len(hosts), len(sessions))
        return shown if same else None

    before = await eventually(settled, of="a dashboard that counts the hosts and sessions there are")
    assert before is not None
    assert before["zones"]["total"] >= len(SEEDS)
    assert before["system"]["redis"] == before["system"]["postgres"] == before["system"]["nats"] == "healthy"
    fresh = {**HOST, "host_id": "host-counted", "player_id": "p-counted"}
    assert (await api.post("/api/v1/hosts/register", json=fresh)).status_code == 201
    session = {"host_id": "host-counted", "zone_id": "prontera", "player_ids": ["counted-1", "counted-2"]}
    assert (await api.post("/api/v1/sessions/", json=session)).status_code == 201

    async def counted() -> bool:
        after = await dashboard()
        return [
            after["hosts"]["total"] - before["hosts"]["total"],
            after["sessions"]["total"] - before["sessions"]["total"],
            after["sessions"]["active"] - before["sessions"]["active"],
            after["sessions"]["total_players"] - before["sessions"]["total_players"],
        ] == [1, 1, 1, 2]

    await eventually(counted, of="one host, one session and two players more")


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"])
async def test_the_open_paths_answer(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_every_path_answers_under_both_prefixes_slash_or_not_without_a_redirect(api: httpx.AsyncClient) -> None:
    answers = [await api.get(f"{prefix}/zones{slash}") for prefix in ("/api", "/api/v1") for slash in ("", "/")]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.text for answer in answers}) == 1


async def test_the_demo_page_is_served(api: httpx.AsyncClient) -> None:
    page = await api.get("/demo/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert (await api.get("/sdk/p2p.js")).status_code == 200


async def test_a_player_has_a_token_from_the_games_server_and_refreshes_it_alone(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    made = (await api.post("/api/v1/auth/token", json={"player_id": "150001"})).json()
    async with http_client(base_url=suite.gateways[0]) as player:
        refreshed = await player.post("/api/v1/auth/refresh", json={"refresh_token": made["refresh_token"]})
        assert refreshed.status_code == 200
        assert refreshed.json()["expires_in"] == 3840
        shown = {"Authorization": f"Bearer {refreshed.json()['token']}"}
        assert (await player.get("/api/v1/zones/prontera", headers=shown)).status_code == 200
        assert (await player.get("/api/v1/zones/prontera")).status_code == 401
