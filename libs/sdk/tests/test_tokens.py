"""A host agent at a coordinator that asks who calls: by a server's key, by a pair of tokens, by a function."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from contracts.access import CREATE_KEY, KICK, REVOKE_KEY, CreateKey, Kick, RevokeKey, Role
from contracts.hosts import RegisterHost
from embedded.plan import Mode
from embedded.secrets import operator_credentials
from sdk import (
    BeatStored,
    GameServer,
    HostAgent,
    NotAllowedError,
    RefusedError,
    ServerKey,
    SignalingConnected,
    TokenDesk,
    UnreachableError,
    tokens,
)
from testkit.patience import within
from testkit.suites import RunningSuite, running_suite

from libs.sdk.tests.test_host_agent import echo, next_of

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    with running_suite(mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
async def operator(suite):
    """On its NATS."""
    async with GameServer(suite.nats, credentials=operator_credentials(suite.data_dir)) as operator:
        yield operator


@pytest.fixture
async def key(operator):
    return await operator.ask(CREATE_KEY, CreateKey(role=Role.SERVER))


@pytest.fixture
async def desk(suite, key):
    """A game's backend, which has the key."""
    async with aiohttp.ClientSession() as http:
        yield TokenDesk(http, suite.gateways[0], ServerKey(key.key))


@pytest.fixture
def host():
    name = f"host-{next(_NUMBERS)}"
    return RegisterHost(host_id=name, player_id="ann", player_name="Ann", cpu_cores=4)


@asynccontextmanager
async def hosting(
    url: str, host: RegisterHost, credentials: tokens.Credentials | None
) -> AsyncIterator[tuple[HostAgent, asyncio.Queue[Any]]]:
    """An agent that beats often; gives its events too."""
    events: asyncio.Queue[Any] = asyncio.Queue()
    often = timedelta(milliseconds=50)
    async with HostAgent(
        url, host, on_message=echo, on_event=events.put_nowait, credentials=credentials, beat_every=often
    ) as agent:
        yield agent, events


async def serves(events: asyncio.Queue[Any]) -> None:
    """Its socket stands, and its beats are stored."""
    await next_of(SignalingConnected, events)
    for _ in range(3):
        await next_of(BeatStored, events)


async def test_a_machine_of_the_operators_hosts_with_a_servers_key(suite, host, key):
    async with hosting(suite.gateways[0], host, ServerKey(key.key)) as (_, events):
        await serves(events)
    assert key.key not in repr(ServerKey(key.key))


async def test_a_players_machine_hosts_with_what_the_games_backend_gave(suite, host, desk):
    async with hosting(suite.gateways[0], host, await desk.for_host(host)) as (_, events):
        await serves(events)


async def test_a_host_may_have_a_peer_name_of_its_own(suite, host, desk):
    host = host.model_copy(update={"peer_id": f"peer of {host.host_id}"})
    async with hosting(suite.gateways[0], host, await desk.for_host(host)) as (_, events):
        await serves(events)


async def test_tokens_are_renewed_before_they_end_each_once(suite, host, desk, monkeypatch):
    monkeypatch.setattr(tokens, "RENEWED_AFTER", 0)  # each time that one is shown
    pair = await desk.for_host(host)
    async with hosting(suite.gateways[0], host, pair) as (_, events):
        await serves(events)
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {pair.token}"}) as http,
            http.post(f"{suite.gateways[0]}/api/v1/auth/refresh", json={}) as again,
        ):
            assert again.status == 401
        await serves_on(events)


async def serves_on(events: asyncio.Queue[Any]) -> None:
    while not events.empty():
        events.get_nowait()
    for _ in range(3):
        await next_of(BeatStored, events)


async def test_a_pair_whose_access_token_is_over_is_renewed_by_its_refresh_token(suite, host, desk):
    pair = await desk.for_host(host)
    over = pair.model_copy(update={"token": f"{pair.token}x", "access_token": f"{pair.token}x"})
    async with hosting(suite.gateways[0], host, over) as (_, events):
        await serves(events)


async def test_tokens_survive_an_answer_that_was_lost_on_the_way(suite, host, desk, monkeypatch):
    lost: list[bytes] = []

    async def lose_first(request: web.Request) -> web.Response:
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                f"{suite.gateways[0]}/api/v1/auth/refresh",
                data=await request.read(),
                headers={name: request.headers[name] for name in ("Authorization", "Content-Type")},
            ) as response,
        ):
            body = await response.read()
        if not lost:
            lost.append(body)
            assert request.transport
            request.transport.abort()
        return web.Response(body=body, status=response.status, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/v1/auth/refresh", lose_first)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        pair = await desk.for_host(host)
        held = tokens.tokens_for(host, pair, http, url)
        monkeypatch.setattr(tokens, "RENEWED_AFTER", 0)
        with pytest.raises(UnreachableError):
            await held.instead_of(pair.token, "it ends soon")
        assert await held.instead_of(pair.token, "it ends soon") != pair.token
    await runner.cleanup()
    assert lost


async def test_who_renew_at_once_use_a_refresh_token_once(suite, host, desk):
    pair = await desk.for_host(host)
    async with aiohttp.ClientSession() as http:
        held = tokens.tokens_for(host, pair, http, suite.gateways[0])
        others = await asyncio.gather(*(held.instead_of(pair.token, "refused") for _ in range(8)))
        assert len({*others}) == 1
        assert await held.now() == others[0]


async def test_a_host_whose_token_is_revoked_comes_back_with_another(suite, host, desk, key, operator):
    second = await operator.ask(CREATE_KEY, CreateKey(role=Role.SERVER))
    async with aiohttp.ClientSession() as http:
        desks = [desk, TokenDesk(http, suite.gateways[0], ServerKey(second.key))]

        async def fetch() -> str:
            return (await desks[0].for_host(host)).token

        async with hosting(suite.gateways[0], host, fetch) as (_, events):
            await serves(events)
            del desks[0]
            await operator.ask(REVOKE_KEY, RevokeKey(key_id=key.key_id))
            await serves(events)


async def test_a_backend_that_is_away_is_asked_again(suite, host, desk):
    asked = count()

    async def fetch() -> str:
        if next(asked) in {1, 2}:
            raise OSError("no route")
        return (await desk.for_host(host)).token

    async with aiohttp.ClientSession() as http:
        held = tokens.tokens_for(host, fetch, http, suite.gateways[0])
        first = await held.now()
        for _ in range(2):
            with pytest.raises(UnreachableError, match=r"the game's backend cannot be reached: .*no route"):
                await held.instead_of(first, "refused")
        assert await held.instead_of(first, "refused") not in {None, first}


async def test_a_token_near_its_end_is_shown_while_no_other_can_be_had(host, monkeypatch):
    given = ["the first"]

    async def fetch() -> str:
        return given.pop()

    monkeypatch.setattr(tokens, "_life_of", lambda _: 0)
    async with aiohttp.ClientSession() as http:
        held = tokens.tokens_for(host, fetch, http, "http://127.0.0.1:9")
        assert [await held.now() for _ in range(3)] == ["the first"] * 3


async def test_a_backend_that_never_answers_costs_no_beat(host, monkeypatch):
    asked = count()

    async def fetch() -> str:
        if next(asked) > 0:
            await asyncio.Event().wait()
        return "the first"

    monkeypatch.setattr(tokens, "_life_of", lambda _: 0)
    monkeypatch.setattr(tokens, "SUPPLIED_WITHIN_S", 0.01)
    async with aiohttp.ClientSession() as http, within(5):
        held = tokens.tokens_for(host, fetch, http, "http://127.0.0.1:9")
        assert [await held.now() for _ in range(3)] == ["the first"] * 3
        with pytest.raises(UnreachableError, match="the game's backend cannot be reached"):
            await held.instead_of("the first", "refused")


async def test_without_credentials_it_is_told_what_is_missing(suite, host):
    with pytest.raises(NotAllowedError, match="give HostAgent `credentials`"):
        async with hosting(suite.gateways[0], host, None):
            pass


async def test_a_key_that_is_none_is_named_as_such(suite, host):
    with pytest.raises(NotAllowedError, match=r"not known, or was revoked.*`p2p keys create --role server` makes one"):
        async with hosting(suite.gateways[0], host, ServerKey("p2p_server_x")):
            pass


async def test_a_token_of_another_host_opens_nothing(suite, host, desk):
    other = await desk.for_host(host.model_copy(update={"host_id": "somebody-else"}))
    with pytest.raises(RefusedError, match="A host may only speak for itself"):
        async with hosting(suite.gateways[0], host, other):
            pass


async def test_a_host_that_is_kicked_stops(suite, host, desk, operator):
    async with hosting(suite.gateways[0], host, await desk.for_host(host)) as (agent, events):
        await serves(events)
        await operator.ask(KICK, Kick(peer_id=host.host_id, for_s=60))
        with pytest.raises(NotAllowedError, match="have the game's backend give new ones"):
            await agent.until_stopped()


async def test_a_host_whose_key_is_revoked_stops(suite, host, key, operator):
    async with hosting(suite.gateways[0], host, ServerKey(key.key)) as (agent, events):
        await serves(events)
        await operator.ask(REVOKE_KEY, RevokeKey(key_id=key.key_id))
        with pytest.raises(NotAllowedError, match="not known, or was revoked"):
            await agent.until_stopped()


async def test_a_player_has_a_token_for_itself_alone(suite, desk):
    pair = await desk.for_player("anna")
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {pair.token}"}) as http,
        http.post(
            f"{suite.gateways[0]}/api/v1/sessions/join", json={"zone_id": "prontera", "peer_id": "ben"}
        ) as joined,
    ):
        assert joined.status == 403


@pytest.mark.parametrize(("token", "life"), [("x", float("inf")), ("a.e30.b", float("inf")), ("a.W10.b", float("inf"))])
def test_a_token_that_does_not_say_how_long_it_lasts_is_used_until_it_is_refused(token, life):
    assert tokens._life_of(token) == life
