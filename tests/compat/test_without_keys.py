"""Programs that know of no keys, as all of the predecessor's: in open mode the calls of its documents are theirs."""

import httpx
from testkit.suites import RunningSuite

from services.signaling_gateway.tests.signaling.client import joined, leaving
from tests.journeys.test_documented_calls import HOST, SESSION


async def test_the_documented_host_and_session_are_made_and_played_in_by_whoever_asks(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/v1/hosts/register", json=HOST)).status_code == 201
    beaten = await api.post(f"/api/v1/hosts/{HOST['host_id']}/heartbeat", json={"latency_ms": 20})
    assert (beaten.status_code, beaten.json()["status"]) == (200, "online")
    created = await api.post("/api/v1/sessions/", json=SESSION)
    assert created.status_code == 201
    path = f"/api/v1/sessions/{created.json()['session_id']}"
    entered = await api.post(f"{path}/players", json={"player_id": "150001"})
    assert entered.json()["connected_players"] == ["150001"]
    ended = await api.post(f"{path}/end", params={"reason": "normal"})
    assert (ended.status_code, ended.json()["status"]) == (200, "ended")


async def test_anybody_has_a_token_and_refreshes_it(api: httpx.AsyncClient) -> None:
    made = (await api.post("/api/v1/auth/token", json={"player_id": "150001"})).json()
    refreshed = await api.post("/api/v1/auth/refresh", json={"refresh_token": made["refresh_token"]})
    assert refreshed.status_code == 200
    assert refreshed.json()["expires_in"] == 3840


async def test_a_name_that_no_session_has_is_a_room_for_whoever_names_it(suite: RunningSuite) -> None:
    ann = await joined(suite.gateways[0], "ann-without-key", "a-room-of-their-own")
    bob = await joined(suite.gateways[0], "bob-without-key", "a-room-of-their-own")
    async with leaving(ann, bob):
        assert (await ann.hear("peer-joined"))["peer_id"] == "bob-without-key"
        await ann.say("offer", to="bob-without-key", sdp="v=0")
        assert (await bob.hear("offer"))["from"] == "ann-without-key"
