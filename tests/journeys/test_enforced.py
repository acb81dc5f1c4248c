"""The whole suite in enforced mode: keys from the command line, a game between two gateways, a kick, and its record."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from itertools import cycle
from typing import Any

import httpx
import jwt
from redis.asyncio import Redis
from testkit.admission import known_everywhere
from testkit.clients import AWAY, connect, http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite

from libs.cli.tests import terminal
from services.signaling_gateway.tests.signaling.client import Peer, dial, leaving

HOST = {"host_id": "host-1", "player_id": "owner-1", "player_name": "Owner", "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_id": "arena", "zone_name": "A", "zone_display_name": "A", "map_name": "a", "regions": ["arena"]}
BAD_TOKEN = "Invalid or expired authentication token"


async def p2p(suite: RunningSuite, *words: str) -> str:
    """What the command prints."""
    said = await asyncio.to_thread(terminal.p2p, *words, "--data-dir", suite.data_dir)
    assert said.code == 0, said.error
    return said.out


async def key_of(suite: RunningSuite, role: str) -> dict[str, str]:
    [key] = (await p2p(suite, "keys", "create", "--role", role, "--name", f"a {role}")).splitlines()
    assert key.startswith(f"p2p_{role}_")
    headers = {"X-API-Key": key}
    await known_everywhere(suite, headers)
    return headers


async def token(gateway: str, headers: dict[str, str], **wish: Any) -> str:
    async with http_client(base_url=gateway) as client:
        response = await client.post("/api/v1/auth/token", json=wish, headers=headers)
        assert response.status_code == 200, response.text
        made: str = response.json()["token"]
        return made


async def with_token(gateway: str, shown: str) -> Peer:
    return await dial(gateway, additional_headers={"Authorization": f"Bearer {shown}"})


async def test_a_game_is_played_by_who_may_and_ended_for_who_is_kicked(suite: RunningSuite) -> None:
    here, there = suite.gateways
    server = await key_of(suite, "server")
    operator = await key_of(suite, "operator")
    async with http_client(base_url=here) as client:
        assert (await client.post("/api/v1/hosts", json=HOST)).status_code == 401
        host_token = await token(here, server, player_id="owner-1", role="host", host_id="host-1")
        as_host = {"Authorization": f"Bearer {host_token}"}
        good = HOST | {"network_speed_mbps": 1000, "region": "arena"}
        assert (await client.post("/api/v1/hosts", json=good, headers=as_host)).status_code == 201
        other = good | {"host_id": "host-2"}
        assert (await client.post("/api/v1/hosts", json=other, headers=as_host)).status_code == 403
        assert (await client.post("/api/v1/zones", json=ZONE, headers=as_host)).status_code == 403
        assert (await client.post("/api/v1/zones", json=ZONE, headers=server)).status_code == 201

    cheat = await token(there, server, player_id="cheat")
    stranger = await dial(here, "cheat")
    assert (await stranger.hear("error"))["code"] == "unauthenticated"
    assert await stranger.close_code() == 1008

    host, player = await with_token(here, host_token), await with_token(there, cheat)
    async with leaving(host, player):
        await player.say("enter", zone_id="arena")
        joined = await player.hear_until("session-joined")
        assert joined["host_peer_id"] == "host-1"
        await player.say("offer", to="host-1", sdp="v=0")
        assert (await host.hear_until("offer"))["from"] == "cheat"
        await host.say("answer", to="cheat", sdp="v=0", session_id=joined["session_id"])
        assert (await player.hear_until("answer"))["sdp"] == "v=0"

        closing = asyncio.create_task(player.close_code())
        assert "cheat is out" in await p2p(suite, "kick", "cheat", "--for", "3600", "--reason", "cheats")
        assert await closing == 1008
        assert (await host.hear_until("peer-left"))["peer_id"] == "cheat"
    assert await _refused(here, cheat)

    async with Redis.from_url(suite.redis) as redis:
        await redis.flushall()
    await suite.kill("signaling_gateway-1")
    await suite.kill("signaling_gateway-2")
    for gateway in (here, there):
        assert await _refused(gateway, cheat)
        assert await token(gateway, operator, player_id="bob")

    wanted = {("key-created", None), ("token-issued", "cheat"), ("peer-kicked", "cheat"), ("permission-refused", None)}
    await eventually(lambda: _on_record(suite, wanted), within=10)


async def _refused(gateway: str, shown: str) -> bool:
    peer = await with_token(gateway, shown)
    told = await peer.hear("error")
    return told["message"] == BAD_TOKEN and await peer.close_code() == 1008


async def _on_record(suite: RunningSuite, wanted: set[tuple[str, str | None]]) -> bool:
    lines = (await p2p(suite, "events", "--audit", "--json")).splitlines()
    facts = [json.loads(line) for line in lines]
    told = {(fact["action"], fact["target"]) for fact in facts} | {(fact["action"], None) for fact in facts}
    assert wanted <= told, wanted - told
    return True


async def test_keys_are_listed_and_revoked(suite: RunningSuite) -> None:
    headers = await key_of(suite, "server")
    keys = json.loads(await p2p(suite, "keys", "list", "--json"))
    newest = keys[0]
    assert (newest["role"], newest["name"], newest["revoked_at"]) == ("server", "a server", None)
    assert headers["X-API-Key"] not in json.dumps(keys)

    await p2p(suite, "keys", "revoke", newest["key_id"])

    async with http_client() as client:
        for gateway in suite.gateways:
            await eventually(lambda gateway=gateway: _forgot(client, gateway, headers))  # type: ignore[misc]


async def _forgot(client: httpx.AsyncClient, gateway: str, headers: dict[str, str]) -> bool:
    return (await client.get(f"{gateway}/api/v1/hosts", headers=headers)).status_code == 401


async def test_another_key_signs_and_tokens_of_before_hold_unless_it_leaked(suite: RunningSuite) -> None:
    server = await key_of(suite, "server")
    here, there = suite.gateways
    before = await token(here, server, player_id="zoe")

    async with asyncio.timeout(patient(60)), asyncio.TaskGroup() as group:
        used: Counter[int] = Counter()
        using = group.create_task(_made_here_and_used_there(suite, server, used))
        assert "those of before hold" in await p2p(suite, "keys", "rotate")
        using.cancel()
    assert used.keys() - AWAY == {200}, "each gateway knew the key before another signed with it"

    after = await token(there, server, player_id="zoe")
    kids = {jwt.get_unverified_header(shown)["kid"] for shown in (before, after)}
    assert len(kids) == 2
    for gateway in suite.gateways:
        assert await _statuses(gateway, before, after) == [200, 200]
        assert await _public_kids(gateway) >= kids

    assert "no token of before holds" in await p2p(suite, "keys", "rotate", "--leaked")

    last = await token(here, server, player_id="zoe")
    for gateway in suite.gateways:
        assert await _statuses(gateway, before, after, last) == [401, 401, 200]
        assert await _public_kids(gateway) == {jwt.get_unverified_header(last)["kid"]}


async def _made_here_and_used_there(suite: RunningSuite, server: dict[str, str], used: Counter[int]) -> None:
    """Count what comes of tokens at the gateway that has not made them, while both come and go."""
    async with http_client() as client:
        for here, there in cycle((suite.gateways, suite.gateways[::-1])):
            with suppress(httpx.TransportError):
                made = await client.post(f"{here}/api/v1/auth/token", json={"player_id": "zoe"}, headers=server)
                if made.is_success:
                    shown = {"Authorization": f"Bearer {made.json()['token']}"}
                    used[(await client.get(f"{there}/api/v1/zones", headers=shown)).status_code] += 1


async def _public_kids(gateway: str) -> set[str]:
    async with http_client(base_url=gateway) as client:
        return {key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]}


async def _statuses(gateway: str, *tokens: str) -> list[int]:
    """What comes of reading with each."""
    async with http_client(base_url=gateway) as client:
        asked = [{"Authorization": f"Bearer {shown}"} for shown in tokens]
        return [(await client.get("/api/v1/zones", headers=headers)).status_code for headers in asked]


async def test_no_secret_is_in_any_log_or_span(suite: RunningSuite) -> None:
    gateway, server = suite.gateways[0], await key_of(suite, "server")
    shown = await token(gateway, server, player_id="eve")
    trace_id = "ab" * 16
    traced = {"traceparent": f"00-{trace_id}-{'cd' * 8}-01"}
    url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws?token={shown}&session_id=session-{'0' * 16}"
    async with connect(url, additional_headers=traced), http_client(base_url=gateway, headers=traced) as client:
        refused = await client.get(f"/api/v1/hosts?token={shown}", headers={"Authorization": f"Bearer {shown}x"})
        broken = await client.post("/api/v1/auth/token", content=f'{{"api_key":"{server["X-API-Key"]}"', headers=server)
        assert (refused.status_code, broken.status_code) == (401, 422)

    spans = await eventually(lambda: suite.spans.spans_of(trace_id))
    written = "\n".join(suite.log) + repr(spans) + refused.text + broken.text
    for secret in (server["X-API-Key"], shown):
        assert secret not in written
