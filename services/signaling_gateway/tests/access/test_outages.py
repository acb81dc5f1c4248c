"""Redis or PostgreSQL away where everybody is asked who they are: nobody is locked out, nor is a kick undone."""

from dataclasses import dataclass

import pytest
import pytest_asyncio
from contracts.hosts import PeerHost
from signaling_gateway.access.errors import BAD_TOKEN
from testkit.eventually import eventually
from testkit.servers import TestServers

from services.signaling_gateway.tests.access.conftest import World, bearer
from services.signaling_gateway.tests.access.test_sockets import GAME, opened, refused
from services.signaling_gateway.tests.signaling.client import leaving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTS, TOKEN, REFRESH = "/api/v1/hosts", "/api/v1/auth/token", "/api/v1/auth/refresh"


@dataclass
class Players:
    """One who may come in, and one who was kicked; by their tokens of before."""

    good: str
    refresh: str
    kicked: str
    kicked_name: str


@pytest_asyncio.fixture(loop_scope="module")
async def players(world: World, peer: str) -> Players:
    world.owners.replies["p2p.hosts.of_peer"] = PeerHost(host=None).model_dump_json().encode()
    out = f"{peer}-out"
    tokens, kicked = await world.tokens(player_id=peer), (await world.tokens(player_id=out))["token"]
    kick = {"for_s": 600}  # it outlasts every test
    assert (await world.here.post(f"/api/v1/peers/{out}/kick", json=kick, headers=world.operator)).status_code == 200
    for gateway in (world.here, world.there):

        async def refuses() -> bool:
            return (await gateway.get(HOSTS, headers=bearer(kicked))).status_code == 401  # noqa: B023 -- awaited here

        await eventually(refuses)
    return Players(tokens["token"], tokens["refresh_token"], kicked, out)


async def _lets_in_whom_it_should(world: World, players: Players) -> None:
    for gateway in (world.here, world.there):
        assert (await gateway.get(HOSTS, headers=bearer(players.good))).status_code == 200
        assert (await gateway.get(HOSTS, headers=world.server)).status_code == 200
        assert (await gateway.get(HOSTS)).status_code == 401
        assert (await gateway.get(HOSTS, headers=bearer(players.kicked))).status_code == 401
        assert await refused(gateway, ("token", players.kicked)) == BAD_TOKEN
        assert "token is needed" in await refused(gateway)
        socket = await opened(gateway, ("token", players.good))
        async with leaving(socket):
            await socket.hears_nothing_more()


async def test_without_redis_and_with_an_emptied_one_all_is_as_it_was(
    servers: TestServers, world: World, players: Players
):
    await servers.redis.stop()
    try:
        await _lets_in_whom_it_should(world, players)
        again = await world.here.post(TOKEN, json={"player_id": players.kicked_name}, headers=world.server)
        assert (again.status_code, again.json()["detail"]) == (403, "The peer was kicked.")
        renewed = await world.there.post(REFRESH, json={"refresh_token": players.refresh})
        assert renewed.status_code == 200
    finally:
        await servers.redis.start()
    servers.empty_redis()
    await _lets_in_whom_it_should(world, players)
    await eventually(lambda: _is_ready(world), within=10)


async def test_without_postgresql_who_was_let_in_stays_and_nobody_new_is_named(
    servers: TestServers, world: World, players: Players, digits: str
):
    await servers.postgres.stop()
    try:
        await _lets_in_whom_it_should(world, players)
        for path in (f"/api/v1/peers/{players.kicked_name}-too/kick", "/api/v1/auth/keys"):
            answer = await world.here.post(path, json={"role": "server"}, headers=world.operator)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
            assert int(answer.headers["retry-after"]) >= 1
        for path, body in ((TOKEN, {"peer_id": digits}), (REFRESH, {"refresh_token": players.refresh})):
            answer = await world.here.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
        game = await opened(world.here, **GAME)
        async with leaving(game):
            await game.say("create_session", peer_id=digits, zone="prontera")
            assert (await game.hear("error")).keys() == {"type", "message"}
            await servers.postgres.start()

            async def created() -> bool:
                await game.say("create_session", peer_id=digits, zone="prontera")
                return (await game.hear())["type"] == "session_created"

            await eventually(created, within=10)
    finally:
        await servers.postgres.start()
    await _lets_in_whom_it_should(world, players)
    await eventually(lambda: _is_ready(world), within=10)


async def _is_ready(world: World) -> bool:
    return {(await gateway.get("/health/ready")).status_code for gateway in (world.here, world.there)} == {200}
