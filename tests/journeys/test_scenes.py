"""The scenes in which the predecessor failed, with its numbers, on the whole suite."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

ZONE = {"zone_name": "Scene", "zone_display_name": "Scene", "map_name": "scene", "min_host_quality_score": 0}
HOST = {"player_id": "p", "player_name": "n", "cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000}


async def _session(
    api: httpx.AsyncClient, name: str, *, fallback_enabled: bool = True, regions: Sequence[str] = (), **more: object
) -> dict[str, Any]:
    """On a host of its own; `regions`: which no other host may serve it."""
    described = {**ZONE, "zone_id": f"zone-{name}", "fallback_enabled": fallback_enabled, "regions": regions}
    zone = await api.post("/api/v1/zones/", json=described)
    assert zone.status_code == 201, zone.text
    region = regions[0] if regions else None
    host = await api.post("/api/v1/hosts/register", json={**HOST, "host_id": f"host-{name}", "region": region})
    assert host.status_code == 201, host.text
    session = await api.post("/api/v1/sessions/", json={"host_id": f"host-{name}", "zone_id": f"zone-{name}", **more})
    assert session.status_code == 201, session.text
    answer: dict[str, Any] = session.json()
    return answer


async def test_60_concurrent_joins_into_20_seats_are_20_seats_and_40_conflicts(api: httpx.AsyncClient) -> None:
    session = await _session(api, "seats", max_players=20)
    path = f"/api/v1/sessions/{session['session_id']}"
    answers = await asyncio.gather(*(api.post(f"{path}/players", json={"player_id": f"seat-{n}"}) for n in range(60)))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 409: 40}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"session_full"}
    stored = (await api.get(path)).json()
    seated = {f"seat-{n}" for n, answer in enumerate(answers) if answer.status_code == 200}
    assert set(stored["connected_players"]) == seated
    assert stored["current_players"] == 20


async def test_80_concurrent_registrations_of_one_host_are_80_successes_and_one_row(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(api.post("/api/v1/hosts/register", json={**HOST, "host_id": "host-eager"}) for _ in range(80))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 80}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_50_concurrent_leaves_leave_nobody(api: httpx.AsyncClient) -> None:
    players = [f"leaver-{n}" for n in range(50)]
    session = await _session(api, "leave", player_ids=players)
    path = f"/api/v1/sessions/{session['session_id']}"
    answers = await asyncio.gather(*(api.delete(f"{path}/players/{player}") for player in players))
    assert Counter(answer.status_code for answer in answers) == {200: 50}
    assert (await api.get(path)).json()["connected_players"] == []


async def test_a_player_who_joins_another_session_has_left_the_first(api: httpx.AsyncClient) -> None:
    first, second = await _session(api, "from"), await _session(api, "to")
    for session in (first, second):
        joined = await api.post(f"/api/v1/sessions/{session['id']}/players", json={"player_id": "mover"})
        assert joined.status_code == 200
    assert (await api.get(f"/api/v1/sessions/{first['id']}")).json()["connected_players"] == []
    assert (await api.get(f"/api/v1/sessions/{second['id']}")).json()["connected_players"] == ["mover"]


async def test_simultaneous_first_arrivals_share_a_session(api: httpx.AsyncClient) -> None:
    await _session(api, "first", max_players=1, player_ids=["already-there"])
    answers = await asyncio.gather(
        *(api.post("/api/v1/sessions/join", json={"zone_id": "zone-first", "peer_id": f"first-{n}"}) for n in range(20))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert len({answer.json()["session_id"] for answer in answers}) == 1


async def test_a_zone_without_a_host_says_why(api: httpx.AsyncClient) -> None:
    await api.post("/api/v1/zones/", json={**ZONE, "zone_id": "zone-picky", "regions": ["the-moon"]})
    refused = await api.post("/api/v1/sessions/", json={"zone_id": "zone-picky"})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_host_free")
    assert "region" in refused.json()["detail"]


async def test_the_players_of_a_deleted_host_fall_back_where_there_is_no_other(
    api: httpx.AsyncClient, eventual_session: Any
) -> None:
    session = await _session(api, "left-behind", regions=["nowhere-else"], player_ids=["kept"])
    assert (await api.delete("/api/v1/hosts/host-left-behind")).status_code == 204
    assert (await eventual_session(session["session_id"], status="fallback"))["connected_players"] == ["kept"]


async def test_without_fallback_the_sessions_of_a_deleted_host_fail_and_stay_in_the_history(
    api: httpx.AsyncClient, eventual_session: Any
) -> None:
    session = await _session(api, "gone", regions=["gone"], fallback_enabled=False, player_ids=["stranded"])
    assert (await api.delete("/api/v1/hosts/host-gone")).status_code == 204
    failed = await eventual_session(session["session_id"], status="failed")
    assert failed["end_reason"] == "host_lost"
    assert failed["connected_players"] == []
    assert (await api.get("/api/v1/hosts/host-gone")).status_code == 404
