"""Limits on real gateways that share a real Redis: one budget each, however many URLs and gateways."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from contracts.hosts import FIND_PEER_HOST, PeerHost
from signaling_gateway.app import service
from testkit.clients import connect, http_client
from testkit.eventually import eventually
from testkit.patience import patient, within
from testkit.servers import TestServers
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.signaling_gateway.tests.access.conftest import KEY_IN_SETTINGS, as_key, audited, bearer, enforced
from services.signaling_gateway.tests.rest.owners import OWNERS, Owners
from services.signaling_gateway.tests.signaling.client import Peer, dial, leaving

SERVER = as_key(KEY_IN_SETTINGS)
HOSTS = "/api/v1/hosts"
PATIENT = patient(5)
"""For tests of what is shared: how long requests wait for Redis while this machine does much else."""


@pytest_asyncio.fixture
async def database(servers: TestServers) -> AsyncIterator[str]:
    made = servers.new_database()
    yield made
    servers.drop_database(made)


@pytest_asyncio.fixture(autouse=True)
async def _owners(servers: TestServers, nats_server, redis_server) -> AsyncIterator[None]:
    servers.empty_redis()
    async with connect_bus(servers.nats.url, "owners") as bus:
        owners = Owners(bus, {FIND_PEER_HOST.subject: PeerHost(host=None).model_dump_json().encode()})
        async with owners.answering(*OWNERS):
            yield


@asynccontextmanager
async def gateways(servers: TestServers, database: str, number: int = 1, **changes: Any) -> AsyncIterator[list[str]]:
    """So many of them, in enforced mode; their URLs."""
    async with AsyncExitStack() as stack:
        urls = []
        for turn in range(number):
            given = {"limits_enabled": None, "limits_wait_s": PATIENT, "instance": f"gateway-{turn}"} | changes
            settings = enforced(servers, database, **given)
            await stack.enter_async_context(service(settings))
            urls.append(f"http://127.0.0.1:{settings.http_port}")
        yield urls


@asynccontextmanager
async def clients(urls: list[str], **options: Any) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(http_client(base_url=url, **options)) for url in urls]


async def token(client: httpx.AsyncClient, peer_id: str, **wish: str) -> str:
    response = await client.post("/api/v1/auth/token", json={"player_id": peer_id} | wish, headers=SERVER)
    assert response.status_code == 200, response.text
    made: str = response.json()["token"]
    return made


class Asked:
    """What came back of many requests, and within which time."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.statuses: Counter[int] = Counter()
        self.refused: httpx.Response | None = None

    def add(self, response: httpx.Response) -> None:
        self.statuses[response.status_code] += 1
        if response.status_code == 429:
            self.refused = response

    def share(self, a_minute: int) -> range:
        """How many may have been let through: what there is at once, and what came back since."""
        elapsed = time.monotonic() - self.began_at
        return range(a_minute, a_minute + int(elapsed * a_minute / 60) + 2)

    @property
    def let_through(self) -> int:
        return self.statuses.total() - self.statuses[429]


async def ask(urls: list[str], *among: httpx.AsyncClient, headers: dict[str, str] | None = None) -> Asked:
    """Ask each URL, of one gateway after the other."""
    asked = Asked()
    for turn, url in enumerate(urls):
        asked.add(await among[turn % len(among)].get(url, headers=headers))
    return asked


URLS = [f"{HOSTS}/host-{number}" for number in range(300)]


async def test_three_hundred_urls_in_a_minute_share_one_budget_over_two_gateways(servers, database):
    async with gateways(servers, database, 2) as urls, clients(urls) as (here, there):
        ann = bearer(await token(here, "ann"))
        asked = await ask(
            URLS + [f"/api/hosts/x-{number}/?x={number}" for number in range(300)], here, there, headers=ann
        )

        assert asked.let_through in asked.share(300)
        assert asked.statuses.keys() == {200, 429}
        refused = asked.refused
        assert refused is not None
        assert refused.json()["code"] == "too_many_requests"
        assert int(refused.headers["retry-after"]) == 1
        again = bearer(await token(there, "ann"))
        assert (await ask(URLS[:100], here, there, headers=again)).statuses[429] > 50, "another token, the same player"
        bob = bearer(await token(here, "bob"))
        assert (await ask(URLS[:100], here, there, headers=bob)).statuses == {200: 100}


async def test_a_host_has_more_and_a_server_no_limit(servers, database):
    async with gateways(servers, database) as urls, clients(urls) as (here,):
        host = bearer(await token(here, "ann", role="host", host_id="host-1"))
        asked = await ask(URLS * 3, here, headers=host)
        assert asked.let_through in asked.share(600)
        assert (await ask(URLS * 3, here, headers=SERVER)).statuses == {200: 900}


@pytest.mark.parametrize("headers", [{}, bearer("a.b.c"), as_key("p2p_server_none"), {"Authorization": "Basic x"}])
async def test_who_is_nobody_shares_the_addresss_budget_whatever_they_show_and_ask(
    headers: dict[str, str], servers, database
):
    urls = [*URLS[:40], *(f"/nothing/{number}" for number in range(40)), *["/openapi.json", "/"] * 40]
    async with gateways(servers, database) as at, clients(at) as (here,):
        asked = await ask(urls, here, headers=headers)
        assert asked.let_through in asked.share(100)
        assert (await ask(["/health/live", "/health/ready", "/health"] * 20, here)).statuses == {200: 60}
        assert (await ask(["/sdk/p2p.js"] * 20, here)).statuses == {200: 20}
        assert (await ask(URLS, here, headers=SERVER)).statuses == {200: 300}, "a key is no address"


async def test_open_mode_has_limits_only_if_it_is_told_to(servers, database):
    for enabled, limited in ((None, False), (True, True)):
        async with gateways(servers, database, mode="open", limits_enabled=enabled) as at, clients(at) as (here,):
            asked = await ask(URLS[:150], here)
            assert (asked.statuses[429] > 0) is limited


async def test_a_body_that_is_not_wanted_is_not_read(servers, database):
    async with gateways(servers, database) as at, clients(at) as (here,):
        await ask(URLS, here)
        port = int(at[0].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/hosts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        async with within(10):
            assert b" 429 " in await reader.readline()
        writer.close()


async def test_an_address_is_whose_a_trusted_proxy_says(servers, database):
    def said(number: int) -> dict[str, str]:
        return {"X-Forwarded-For": f"198.51.100.{number}"}

    async with gateways(servers, database, trusted_proxies=["127.0.0.0/8"]) as at, clients(at) as (here,):
        assert (await ask(URLS[:200], here, headers=said(1))).statuses[429] > 50
        assert (await ask(URLS[:50], here, headers=said(2))).statuses == {401: 50}
        assert (await ask(URLS[:50], here)).statuses == {401: 50}
    async with gateways(servers, database) as at, clients(at) as (here,):
        spread = Asked()
        for number in range(200):
            spread.add(await here.get(HOSTS, headers=said(number)))
        assert spread.statuses[429] > 50, "who is no trusted proxy is one address, whatever it says"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process hang."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def notes(client: httpx.AsyncClient) -> list[str]:
    said: list[str] = (await client.get("/health/ready")).json()["notes"]
    return said


async def test_without_redis_nobody_is_locked_out_and_limits_are_each_gateways_own(servers, database, redis_server):
    async with gateways(servers, database, 2) as urls, clients(urls) as (here, there):
        ann = bearer(await token(here, "ann"))
        assert (await ask(URLS[:100], here, there, headers=ann)).statuses == {200: 100}
        assert await notes(here) == []
        await redis_server.kill()
        asked = await ask(URLS * 4, here, there, headers=ann)
        assert asked.let_through >= 500
        assert asked.statuses[429] > 0
        for client in (here, there):
            assert "for this gateway alone" in (await notes(client))[0]
        assert "p2p_limits_shared 0.0" in (await here.get("/metrics")).text
        await redis_server.start()
        for client in (here, there):
            await eventually(lambda client=client: _shares(client), within=20)  # type: ignore[misc]
        bob = bearer(await token(here, "bob"))
        asked = await ask(URLS * 2, here, there, headers=bob)
        assert asked.let_through in asked.share(300)


async def _shares(client: httpx.AsyncClient) -> bool:
    return await notes(client) == [] and (await client.get("/health/ready")).status_code == 200


async def test_an_emptied_redis_locks_nobody_out(servers, database):
    async with gateways(servers, database) as urls, clients(urls) as (here,):
        ann = bearer(await token(here, "ann"))
        assert (await ask(URLS, here, headers=ann)).statuses[200] == 300
        servers.empty_redis()
        bob = bearer(await token(here, "bob"))
        assert (await ask(URLS[:100], here, headers=bob)).statuses == {200: 100}
        assert (await ask(URLS, here, headers=ann)).statuses[429] > 100, "the gateway has not forgotten"


async def test_a_redis_that_hangs_keeps_nobody_waiting(servers, database, redis_server):
    async with gateways(servers, database, limits_wait_s=0.005) as urls, clients(urls) as (here,):
        tokens = [bearer(await token(here, f"player-{number}")) for number in range(20)]
        with stopped(redis_server.pid):
            async with within(30):  # if each of them waited for Redis' own second at the end of its credit
                answers = [await ask(URLS[:40], here, headers=shown) for shown in tokens]
            assert "for this gateway alone" in (await notes(here))[0]
        assert all(asked.statuses == {200: 40} for asked in answers)
        await eventually(lambda: _shares(here), within=20)


async def test_an_address_opens_ten_sockets_a_second(servers, database):
    async with gateways(servers, database, 2) as urls, clients(urls) as (here, _there):
        tokens = [await token(here, f"player-{number}") for number in range(30)]
        began_at, opened, refused = time.monotonic(), [], []
        for number, shown in enumerate(tokens):
            url = f"{urls[number % 2].replace('http', 'ws', 1)}/api/v1/signaling/ws?token={shown}"
            try:
                opened.append(await connect(url))
            except InvalidStatus as error:
                refused.append(error.response)
        elapsed = time.monotonic() - began_at
        assert 10 <= len(opened) <= 10 + elapsed * 10
        for response in refused:
            assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        for socket in opened:
            await socket.close()


async def test_sockets_that_show_nothing_good_use_up_their_addresss_requests(servers, database):
    async with gateways(servers, database, limit_connects_per_second=1000) as urls, clients(urls) as (here,):
        for _ in range(100):
            bad = await dial(urls[0])
            assert await bad.close_code() == 1008
        assert (await ask(URLS[:20], here)).statuses[429] > 0


async def test_a_socket_that_sends_too_much_is_told_and_lives(servers, database):
    async with gateways(servers, database, limit_messages_per_second=20, limit_messages_burst=40) as urls:
        async with clients(urls) as (here,):
            shown = await token(here, "ann")
        peer = await opened_by(urls[0], shown)
        async with leaving(peer):
            began_at = time.monotonic()
            for number in range(100):
                await peer.say("ping", id=number)
            heard = Counter[str]()
            while heard["pong"] < 40 or not heard["error"]:
                frame = await peer.hear()
                heard[frame["type"]] += 1
                if frame["type"] == "error":
                    assert frame["code"] == "too_many_requests"
            assert heard["error"] <= 1 + time.monotonic() - began_at
            await eventually(lambda: _answered(peer), within=5)


async def opened_by(url: str, shown: str) -> Peer:
    return Peer(await connect(f"{url.replace('http', 'ws', 1)}/api/v1/signaling/ws?token={shown}"), None)


async def _answered(peer: Peer) -> bool:
    """Whether a ping is answered, once there is room for it again."""
    mark = os.urandom(4).hex()
    await peer.say("ping", id=mark)
    try:
        async with within(0.5):
            while (await peer.hear()).get("id") != mark:
                pass
    except TimeoutError:
        return False
    return True


async def flood(peer: Peer) -> None:
    while True:
        await peer.say("ping")
        await asyncio.sleep(0)  # the gateway has its turns too: it is in this process


async def test_a_socket_that_floods_is_closed(servers, database):
    async with gateways(servers, database, limit_messages_per_second=20, limit_messages_burst=40) as urls:
        async with clients(urls) as (here,):
            peer = await opened_by(urls[0], await token(here, "ann"))

        flooding = asyncio.create_task(flood(peer))
        assert await peer.close_code() == 1008
        with pytest.raises(ConnectionClosed) as closed:
            await flooding
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.reason == "too many messages"


async def test_who_comes_to_a_limit_is_on_record(servers, database):
    few = {"limit_messages_per_second": 20, "limit_messages_burst": 40, "limit_connects_per_second": 2}
    async with gateways(servers, database, limit_player_per_minute=5, **few) as urls, clients(urls) as (here,):
        shown = bearer(await token(here, "ann"))
        await ask([HOSTS] * 10, here, headers=shown)
        flooder = await opened_by(urls[0], await token(here, "bob"))
        flooding = asyncio.create_task(flood(flooder))
        assert await flooder.close_code() == 1008
        with pytest.raises(ConnectionClosed):
            await flooding
        await eventually(lambda: _turned_away(urls[0]))
        await eventually(lambda: _on_record(servers), within=20)


async def _turned_away(url: str) -> bool:
    try:
        await (await dial(url)).close()
    except InvalidStatus as error:
        return error.response.status_code == 429
    return False


async def _on_record(servers: TestServers) -> bool:
    wanted = {("ann", f"GET {HOSTS}"), ("bob", "signaling socket"), ("127.0.0.1", "signaling socket")}
    async with connect_bus(servers.nats.url, "reader") as bus:
        told = {(fact.name, fact.target) for fact in await audited(bus) if "oo many" in (fact.detail or "")}
    assert wanted <= told, wanted - told
    return True
