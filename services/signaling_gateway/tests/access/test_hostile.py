"""What strangers try where everybody is asked who they are: wrong tokens, smuggled names, identifiers that escape."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from contracts.access import AuditAction, AuditFact
from contracts.hosts import PeerHost
from contracts.streams import AUDIT
from signaling_gateway.access.errors import BAD_TOKEN
from signaling_gateway.access.signing import Algorithm, KeyPair, SharedSecret
from signaling_gateway.access.tokens import ACCESS, REFRESH
from testkit.eventually import eventually
from testkit.patience import patient

from services.signaling_gateway.tests.access.conftest import SECRET, World, bearer
from services.signaling_gateway.tests.access.forging import claims_of, kid_of, signed, unsigned
from services.signaling_gateway.tests.access.test_sockets import GAME, opened, refused, token
from services.signaling_gateway.tests.signaling.client import leaving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTS, JOIN = "/api/v1/hosts", "/api/v1/sessions/join"
TOKEN, REFRESHED = "/api/v1/auth/token", "/api/v1/auth/refresh"

ESCAPING = ["a.>", "*", ">", "%2E", "a.b", "p2p.kick", "$SYS", "a b", "é.ü", "_INBOX", "a%00b"]
"""Legal names, each of them something else in a NATS subject if it were put there as it is."""

ILLEGAL = ["", " ", ".", "..", "a/b", "a\nb", "a\r\nX-API-Key: b", "a\0b", " a", "a\u0308", "x" * 129, "x" * 1000]


@pytest.fixture(autouse=True)
def _no_hosts(world: World) -> None:
    world.owners.forget()  # what the world itself asked to come about
    world.owners.replies["p2p.hosts.of_peer"] = PeerHost(host=None).model_dump_json().encode()


async def _on_record(world: World, action: AuditAction, target: str) -> AuditFact | None:
    """Find the first record of it."""
    jetstream = world.bus.client.jetstream(timeout=patient(5))
    records = await jetstream.subscribe("p2p.events.audit.>", stream=AUDIT.name, ordered_consumer=True)
    try:
        for _ in range((await jetstream.stream_info(AUDIT.name)).state.messages):
            fact = AuditFact.model_validate_json((await records.next_msg(timeout=patient(5))).data)
            if (fact.action, fact.target) == (action, target):
                return fact
    finally:
        await records.unsubscribe()
    return None


async def test_what_a_client_without_a_name_may_not_do_is_on_record_under_its_address(world: World):
    socket = await opened(world.here, **GAME)
    async with leaving(socket):
        await socket.say("npc-event", zone_id="z", npc_id="n", event="e")
        assert (await socket.hear("error"))["code"] == "forbidden"

    fact = await eventually(lambda: _on_record(world, AuditAction.PERMISSION_REFUSED, "npc-event"))

    assert fact is not None
    assert fact.name == "127.0.0.1"


def _changed(
    token: str, secret: str = SECRET, algorithm: Algorithm = Algorithm.EDDSA, kid: str | None = None, **changes: Any
) -> str:
    """A token of ours with something else in it, signed anew; by default in the name of the key that signed it."""
    return signed(claims_of(token) | changes, secret, algorithm, kid=kid or kid_of(token))


def _with_another_payload(token: str, **changes: Any) -> str:
    """A token of ours with something else in it, and the signature that it had."""
    head, _, signature = token.split(".")
    return ".".join((head, _changed(token, **changes).split(".")[1], signature))


def _wrong_tokens(tokens: dict[str, Any]) -> Iterator[str]:
    good = tokens["token"]
    now = datetime.now(UTC).timestamp()
    yield tokens["refresh_token"]
    yield _changed(good, exp=now - 1)
    yield _changed(good, nbf=now + 60)
    yield _changed(good, aud=REFRESH)
    yield _changed(good, aud="somebody-else")
    yield _changed(good, iss="somebody-else")
    yield _changed(good, role="king")
    yield _changed(good, role="server")
    yield _changed(good, role="operator")
    yield _with_another_payload(good, role="host", host_id="h")
    yield _changed(good, key=None)
    yield _changed(good, key="k-unknown")
    yield _changed(good, secret="a key that was rotated out of use, long ago")
    yield _changed(good, algorithm=Algorithm.HS256)
    yield _changed(good, kid=SharedSecret(SECRET).kid)
    yield _changed(good, secret=KeyPair(SECRET).public.x, algorithm=Algorithm.HS256)
    yield _changed(good, algorithm=Algorithm.HS256, kid=SharedSecret(SECRET).kid, exp=now - 1)
    yield unsigned(claims_of(good), kid_of(good))
    yield good.rpartition(".")[0] + "."
    yield good[:-3]
    yield "a.b.c"
    for claim in ("peer", "host", "sid", "key", "fam"):
        unfit: tuple[Any, ...] = (7, True, [], ["ann"], {"a": 1}, *ILLEGAL)
        for value in unfit:
            yield _changed(good, **{claim: value})
    for value in ("3", None, [], -1.5, 2**70):
        yield _changed(good, gen=value)


async def test_a_wrong_token_of_whatever_kind_opens_nothing(world: World, peer: str):
    tokens = await world.tokens(player_id=peer)
    for number, wrong in enumerate(_wrong_tokens(tokens)):
        answer = await world.here.get(HOSTS, headers=bearer(wrong))
        assert (answer.status_code, answer.json()["detail"]) == (401, BAD_TOKEN), (number, answer.text)
        assert await refused(world.here, ("token", wrong)) == BAD_TOKEN, number
        assert await refused(world.there, additional_headers=bearer(wrong)) == BAD_TOKEN, number
    assert (await world.here.get(HOSTS, headers=bearer(tokens["token"]))).status_code == 200


def _wrong_for_a_refresh(good: str, *, for_another_use: str) -> Iterator[str]:
    now = datetime.now(UTC).timestamp()
    yield _changed(good, exp=now - 301)  # an access token is exchanged for five minutes longer
    yield _changed(good, nbf=now + 60)
    yield _changed(good, aud=for_another_use)
    yield _changed(good, aud="somebody-else")
    yield _changed(good, role="operator")
    yield _changed(good, fam=None)
    yield _changed(good, secret="a key that was rotated out of use, long ago")
    yield _changed(good, algorithm=Algorithm.HS256)
    yield unsigned(claims_of(good), kid_of(good))
    yield _with_another_payload(good, peer="other")


async def test_a_wrong_token_renews_nothing_and_ends_no_family(world: World, peer: str):
    tokens = await world.tokens(player_id=peer)
    requests: list[dict[str, Any]] = [
        {"json": {"refresh_token": wrong}}
        for wrong in (tokens["token"], *_wrong_for_a_refresh(tokens["refresh_token"], for_another_use=ACCESS))
    ]
    requests += [
        {"json": {}, "headers": bearer(wrong)}
        for wrong in (tokens["refresh_token"], *_wrong_for_a_refresh(tokens["token"], for_another_use=REFRESH))
    ]
    for number, request in enumerate(requests):
        answer = await world.here.post(REFRESHED, **request)
        assert (answer.status_code, answer.json()["detail"]) == (401, BAD_TOKEN), (number, answer.text)
    renewed = await world.there.post(REFRESHED, json={"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 200


@pytest.mark.parametrize("name", ESCAPING)
async def test_a_name_that_looks_like_a_subject_is_a_name(world: World, name: str):
    answer = await world.here.post(JOIN, json={"zone_id": name, "peer_id": name}, headers=world.server)
    assert answer.status_code == 200
    found = await world.here.get(f"{HOSTS}/{quote(name, safe='')}", headers=world.server)
    assert found.status_code == 200
    asked = [(question.subject, dict(question.fields)) for question in world.owners.questions]
    entering = {"zone_id": name, "player_id": name}
    assert asked == [("p2p.sessions.enter", asked[0][1] | entering), ("p2p.hosts.get", {"host_id": name})]


@pytest.mark.parametrize("name", ILLEGAL)
async def test_an_illegal_name_is_refused_wherever_it_is_said(world: World, peer: str, digits: str, name: str):
    for path, body in (
        (JOIN, {"zone_id": "prontera", "peer_id": name}),
        (JOIN, {"zone_id": name, "peer_id": peer}),
        (TOKEN, {"player_id": name}),
        (TOKEN, {"player_id": peer, "role": "host", "host_id": name}),
    ):
        answer = await world.here.post(path, json=body, headers=world.server)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), (path, body)
    assert world.owners.questions == []

    socket, game = await opened(world.here, ("token", await token(world, peer))), await opened(world.there, **GAME)
    async with leaving(socket, game):
        for kind, fields, code in (
            ("join", {"session_id": name}, "invalid"),
            ("enter", {"zone_id": name}, "invalid"),
            ("offer", {"to": name, "sdp": "v=0"}, "forbidden"),
            ("ice-candidate", {"to": name, "candidate": "c"}, "forbidden"),
            ("subscribe", {"feed": name}, "invalid"),
        ):
            await socket.say(kind, **fields)
            assert (await socket.hear("error"))["code"] == code, kind
        await socket.hears_nothing_more()
        await game.say("create_session", peer_id=name, zone="prontera")
        await game.say("create_session", peer_id=digits, zone=name)
        for _ in range(2):
            assert (await game.hear("error")).keys() == {"type", "message"}
        await game.say("create_session", peer_id=digits, zone="prontera")
        assert (await game.hear())["type"] == "session_created"


@pytest.mark.parametrize("name", ESCAPING)
async def test_a_kick_of_a_name_that_looks_like_a_subject_puts_out_that_peer_alone(world: World, peer: str, name: str):
    kicked = await opened(world.there, ("token", await token(world, name)))
    bystanders = [
        await opened(gateway, ("token", await token(world, f"{peer}-{number}")))
        for number, gateway in enumerate((world.here, world.there))
    ]
    async with leaving(kicked, *bystanders):
        answer = await world.here.post(f"/api/v1/peers/{quote(name, safe='')}/kick", headers=world.operator)
        assert answer.status_code == 200
        assert await kicked.close_code() == 1008
        for bystander in bystanders:
            await bystander.hears_nothing_more()
    fact = await eventually(lambda: _on_record(world, AuditAction.PEER_KICKED, name))
    assert fact is not None
