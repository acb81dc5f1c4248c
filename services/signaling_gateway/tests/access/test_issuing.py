"""Tokens over REST: who gets one, how it is refreshed, what is refused, and that none of it is written down."""

import asyncio
import json
from typing import Any

import httpx
import jwt
import pytest
from contracts.access import AuditAction, AuditFact, Role
from contracts.hosts import Host
from signaling_gateway.access.errors import BAD_TOKEN
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.signing import Algorithm, KeyPair, SharedSecret
from signaling_gateway.access.tokens import ACCESS, ISSUER
from testkit.eventually import eventually
from testkit.patience import within
from testkit.servers import TestServers

from services.signaling_gateway.tests.access.conftest import KEY_IN_SETTINGS, SECRET, World, as_key, audited, bearer
from services.signaling_gateway.tests.access.forging import claims_of, kid_of, signed, unsigned
from services.signaling_gateway.tests.rest.owners import example

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN, REFRESH = "/api/v1/auth/token", "/api/v1/auth/refresh"
HOSTS = "/api/v1/hosts"


async def works(gateway: httpx.AsyncClient, token: str) -> bool:
    response = await gateway.get(HOSTS, headers=bearer(token))
    if response.status_code == 401:
        assert response.json()["detail"] == BAD_TOKEN
        assert response.headers["www-authenticate"] == "Bearer"
    return response.status_code == 200


@pytest.mark.parametrize("path", [TOKEN, "/api/auth/token/", "/api/v1/auth/login"])
@pytest.mark.parametrize("in_body", [True, False])
async def test_a_servers_key_gets_a_token(path: str, in_body: bool, world: World, peer: str):
    wish = {"player_id": peer, "user_id": "u"} | ({"api_key": world.server["X-API-Key"]} if in_body else {})
    response = await world.here.post(path, json=wish, headers={} if in_body else world.server)

    answer = response.json()
    assert response.status_code == 200
    assert answer.keys() == {"token", "access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer["token"], answer["token_type"], answer["expires_in"]) == (answer["access_token"], "Bearer", 3840)
    assert await works(world.there, answer["token"])


async def test_the_key_of_the_settings_is_a_servers(world: World, peer: str):
    for headers in (as_key(KEY_IN_SETTINGS), bearer(KEY_IN_SETTINGS)):
        assert (await world.here.post(TOKEN, json={"player_id": peer}, headers=headers)).status_code == 200
        assert (await world.here.get("/api/v1/auth/keys", headers=headers)).status_code == 403


async def test_without_a_key_there_is_no_token_and_it_says_what_to_send(world: World, peer: str):
    response = await world.here.post(TOKEN, json={"player_id": peer})
    wrong = await world.here.post(TOKEN, json={"player_id": peer, "api_key": "p2p_server_guessed"})

    assert (response.status_code, wrong.status_code) == (401, 401)
    assert "X-API-Key" in response.json()["detail"]
    assert "guessed" not in wrong.text


async def test_a_game_client_gets_and_refreshes_one_byte_for_byte_as_it_asks(world: World, digits: str):
    wish = {"peer_id": digits, "client_version": "1.0.0", "timestamp": "1700000000"}
    first = await _as_the_client_does(world, TOKEN, wish)
    second = await _as_the_client_does(world, REFRESH, {}, first["token"])

    assert second["token"] != first["token"]
    assert all(type(second[name]) is str for name in ("token", "access_token", "refresh_token"))
    assert (await world.here.get(HOSTS, headers=bearer(second["token"]))).status_code == 401  # it opens a socket alone


async def _as_the_client_does(world: World, path: str, wish: dict[str, str], token: str = "") -> dict[str, Any]:
    """Two equal Content-Type headers, `Connection: close`, no key."""
    body = json.dumps(wish)
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.settings.http_port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: P2P-Network-Client/1.0\r\n"
        "Content-Type: application/json\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"{authorization}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    async with within(5):
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200"), head + answer
    given: dict[str, Any] = json.loads(answer)
    return given


async def test_a_game_client_may_not_have_any_name(world: World, digits: str):
    await world.tokens(player_id=digits)

    taken = await world.here.post(TOKEN, json={"peer_id": digits})
    strange = await world.here.post(TOKEN, json={"peer_id": "150001"})

    assert (taken.status_code, strange.status_code) == (403, 403)
    assert "somebody with a key" in taken.json()["detail"]
    assert "WARP_PEER_IDS" in strange.json()["detail"]


async def test_a_refresh_token_is_good_once_and_ends_its_family_when_used_twice(world: World, peer: str):
    first = await world.tokens(player_id=peer)
    second = (await world.here.post(REFRESH, json={"refresh_token": first["refresh_token"]})).json()
    third = (await world.there.post(REFRESH, json={"refresh_token": second["refresh_token"]})).json()
    assert await works(world.there, third["token"])

    stolen = await world.here.post(REFRESH, json={"refresh_token": second["refresh_token"]})

    assert (stolen.status_code, stolen.json()["detail"]) == (401, BAD_TOKEN)
    for gateway in (world.here, world.there):
        await eventually(lambda gateway=gateway: _refuses(gateway, third["token"]))  # type: ignore[misc]
    assert (await world.here.post(REFRESH, json={"refresh_token": third["refresh_token"]})).status_code == 401
    assert await works(world.here, (await world.tokens(player_id=peer))["token"])  # another family


async def _refuses(gateway: httpx.AsyncClient, token: str) -> bool:
    return not await works(gateway, token)


async def test_of_two_refreshes_at_once_one_succeeds(world: World, peer: str):
    refresh = {"refresh_token": (await world.tokens(player_id=peer))["refresh_token"]}

    answers = await asyncio.gather(*(gateway.post(REFRESH, json=refresh) for gateway in (world.here, world.there)))

    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_an_access_token_is_exchanged_once_and_for_a_minute_again(world: World, peer: str):
    first = (await world.tokens(player_id=peer))["token"]
    answers = await asyncio.gather(
        *(gateway.post(REFRESH, json={}, headers=bearer(first)) for gateway in (world.here, world.there))
    )
    assert [answer.status_code for answer in answers] == [200, 200]

    following = await world.here.post(REFRESH, json={}, headers=bearer(answers[0].json()["token"]))

    assert following.status_code == 200
    assert (await world.here.post(REFRESH, json={}, headers=bearer(first))).status_code == 401


def changed(
    token: str, secret: str = SECRET, algorithm: Algorithm = Algorithm.EDDSA, kid: str | None = None, **changes: Any
) -> str:
    """A token of ours with something else in it, signed anew; by default in the name of the key that signed it."""
    return signed(claims_of(token) | changes, secret, algorithm, kid=kid or kid_of(token))


async def test_forgeries_are_refused_on_rest(world: World, peer: str):
    good = (await world.tokens(player_id=peer))["token"]
    shared = SharedSecret(SECRET).kid
    assert await works(world.here, changed(good))
    assert await works(world.there, changed(good, algorithm=Algorithm.HS256, kid=shared))

    now = claims_of(good)["iat"]
    for bad in (
        changed(good, exp=now - 1),
        changed(good, nbf=now + 60),
        changed(good, aud="somebody-else"),
        changed(good, iss="somebody-else"),
        changed(good, role="king"),
        changed(good, key="k-unknown"),
        changed(good, key=None),
        changed(good, secret="X" * 40),
        changed(good, algorithm=Algorithm.HS256),
        changed(good, kid=shared),
        changed(good, secret=KeyPair(SECRET).public.x, algorithm=Algorithm.HS256),
        unsigned(claims_of(good), kid_of(good)),
        good[:-3],
    ):
        assert not await works(world.here, bad)


async def test_anybody_may_have_what_verifies_tokens(world: World, peer: str):
    token = (await world.tokens(player_id=peer))["token"]

    answers = [await gateway.get("/.well-known/jwks.json") for gateway in (world.here, world.there)]

    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["cache-control"] == "public, max-age=300"
    (known,) = answers[0].json()["keys"]
    assert {name: known[name] for name in ("kty", "crv", "use", "alg")} == {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
    }
    key = jwt.PyJWKSet.from_dict(answers[0].json())[kid_of(token)]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience=ACCESS, issuer=ISSUER)["peer"] == peer


async def test_who_shows_two_things_shows_nothing(world: World, peer: str):
    player, server = await world.player(peer), world.server
    pairs = [
        [*player.items(), *player.items()],
        [*server.items(), *server.items()],
        [*player.items(), *server.items()],
        [("authorization", player["Authorization"]), ("AUTHORIZATION", player["Authorization"])],
    ]
    for headers in pairs:
        response = await world.here.get(HOSTS, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "spelling", ["Bearer  {}", "Bearer\t{}", "Token {}", "{}", "Bearer {},{}", "Bearer {} {}", "Bearer"]
)
async def test_a_bearer_is_one_word_behind_one_blank(spelling: str, world: World, peer: str):
    token = (await world.tokens(player_id=peer))["token"]
    value = spelling.replace("{}", token)
    response = await world.here.get(HOSTS, headers={"Authorization": value})

    assert response.status_code == 401
    assert (await world.here.get(HOSTS, headers={"Authorization": f"bEARER {token}"})).status_code == 200


async def test_a_body_cannot_name_two_peers(world: World, peer: str):
    headers = await world.player(peer)
    for body in (
        {"zone_id": "prontera", "peer_id": peer, "player_id": "other"},
        {"zone_id": "prontera", "player_id": peer, "peer_id": "other"},
    ):
        await world.here.post("/api/v1/sessions/join", json=body, headers=headers)
    duplicate = b'{"zone_id":"prontera","peer_id":"other","peer_id":"%s"}' % peer.encode()
    await world.here.post("/api/v1/sessions/join", content=duplicate, headers=headers)

    assert {fields["player_id"] for fields in world.owners.asked_on("p2p.sessions.enter")} == {peer}


async def test_players_see_of_a_host_what_is_for_them(world: World, peer: str):
    whole = json.loads(example(Host))
    for path in (HOSTS, f"{HOSTS}/h"):
        for headers, sees in ((await world.player(peer), False), (world.server, True), (await world.host(peer), True)):
            found = (await world.here.get(path, headers=headers)).json()
            [host] = found if isinstance(found, list) else [found]
            hidden = dict.fromkeys(("ip_address", "public_ip", "port", "player_id", "metadata"))
            assert host == (whole if sees else whole | hidden)


async def test_owners_are_told_who_asks(world: World, peer: str):
    await world.here.post("/api/v1/sessions", json={"zone_id": "prontera"}, headers=world.server)

    [key] = [
        key
        for key in (await world.here.get("/api/v1/auth/keys", headers=world.operator)).json()
        if key["role"] == "server"
    ]
    assert [question.caller for question in world.owners.questions] == [f"server {key['key_id']}"]


async def test_a_preflight_is_answered_before_anybody_is_asked(world: World):
    response = await world.here.options(
        HOSTS, headers={"Origin": "https://game.example", "Access-Control-Request-Method": "POST"}
    )

    assert response.status_code in {200, 400}
    assert "www-authenticate" not in response.headers


async def test_what_was_done_and_refused_is_on_record_and_no_secret_with_it(
    world: World, peer: str, capfd: pytest.CaptureFixture[str]
):
    tokens = await world.tokens(player_id=peer)
    key = await world.key(Role.SERVER)
    await world.here.post(f"{HOSTS}/{peer}/drain", headers=as_key(key.key))
    await world.here.delete(f"{HOSTS}/{peer}", headers=bearer(tokens["token"]))
    await world.here.delete(f"/api/v1/auth/keys/{key.key_id}", headers=world.operator)

    facts: list[AuditFact] = []

    async def recorded() -> bool:
        # Few of one address are told in ten seconds: other tests, or a key that was not known yet, may have had those.
        await world.here.get(HOSTS, headers=bearer(tokens["refresh_token"]))
        facts[:] = await audited(world.bus)
        told = {(str(fact.action), fact.target) for fact in facts}
        wanted = {
            ("token-issued", peer),
            ("key-created", key.key_id),
            ("host-drained", peer),
            ("permission-refused", "DELETE /api/v1/hosts/{host_id}"),
            ("token-refused", "GET /api/v1/hosts"),
            ("key-revoked", key.key_id),
        }
        assert wanted <= told, wanted - told
        return True

    await eventually(recorded, within=20)
    written = "".join(fact.model_dump_json() for fact in facts) + "".join(capfd.readouterr())
    for secret in (*(str(value) for value in tokens.values() if value not in {3840, "Bearer"}), key.key, SECRET):
        assert secret not in written


async def test_two_that_write_at_once_put_each_record_down_once(world: World, peer: str):
    world.audit.done(AuditAction.HOST_DRAINED, Identity(Role.OPERATOR, "key-of-a-test"), peer)
    await asyncio.gather(world.audit.write(), world.audit.write())

    async def told() -> int:
        return [fact.target for fact in await audited(world.bus)].count(peer)

    assert await eventually(told) == 1


async def test_a_flood_of_refusals_is_few_records(world: World, peer: str):
    before = len(await audited(world.bus))
    player = await world.player(peer)
    for _ in range(40):
        await world.here.post("/api/v1/zones", headers=player)

    await eventually(lambda: _more_than(world, before + 4))
    assert len(await audited(world.bus)) < before + 20


async def _more_than(world: World, number: int) -> bool:
    return len(await audited(world.bus)) > number


async def test_while_postgresql_is_away_tokens_hold_and_none_is_made(servers: TestServers, world: World, peer: str):
    tokens = await world.tokens(player_id=peer)
    await servers.postgres.stop()
    try:
        for who in (bearer(tokens["token"]), world.server):
            found = await world.here.get(HOSTS, headers=who)
            assert found.status_code == 200, found.text
        issued = await world.here.post(TOKEN, json={"player_id": peer}, headers=world.server)
        refreshed = await world.here.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})
        assert (issued.status_code, refreshed.status_code) == (503, 503)
        assert "postgres" in (await world.here.get("/health/ready")).json()["away"]
    finally:
        await servers.postgres.start()
    await eventually(lambda: _refreshes(world, tokens["refresh_token"]), within=10)


async def _refreshes(world: World, refresh_token: str) -> bool:
    return (await world.here.post(REFRESH, json={"refresh_token": refresh_token})).status_code == 200


async def test_an_emptied_redis_changes_nothing_of_who_may_come_in(servers: TestServers, world: World, peer: str):
    kicked, good = (await world.tokens(player_id=f"{peer}-out"))["token"], (await world.tokens(player_id=peer))["token"]
    await world.here.post(f"/api/v1/peers/{peer}-out/kick", headers=world.operator)

    servers.empty_redis()

    assert await works(world.there, good)
    await eventually(lambda: _refuses(world.there, kicked))
