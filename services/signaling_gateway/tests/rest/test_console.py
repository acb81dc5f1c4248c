"""What the console page is told: one look for all who watch, as server-sent events, for as long as they read."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from chassis.bus import Bus
from contracts.catalogue import golden
from contracts.hosts import HOST_REGISTERED, HostFact
from contracts.refusals import Code
from embedded.ports import free_port
from signaling_gateway.app import service
from signaling_gateway.console.lists import Listing
from signaling_gateway.console.source import MOST_UNREAD, Viewer
from signaling_gateway.settings import Settings
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import within
from testkit.servers import TestServers

from services.signaling_gateway.tests.databases import gateway_database
from services.signaling_gateway.tests.rest.owners import Owners
from services.signaling_gateway.tests.rest.test_refusals import proper

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONSOLE = "/api/v1/console"
STREAM = {"Accept": "text/event-stream"}

Events = AsyncIterator[tuple[str, Any]]


@asynccontextmanager
async def watching(gateway_url: str, **query: str) -> AsyncIterator[Events]:
    """A console of its own connection; gives its events as they come."""
    async with (
        http_client(base_url=gateway_url) as client,
        client.stream("GET", CONSOLE, params=query, headers=STREAM) as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream"
        yield _events(answer)


async def _events(answer: httpx.Response) -> Events:
    name = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def the_next(events: Events, wanted: str) -> Any:
    async with within(10):
        async for name, data in events:
            if name == wanted:
                return data
    raise AssertionError(f"ended without {wanted}")


async def tell_of_a_host(bus: Bus, host_id: str) -> None:
    await bus.publish(HOST_REGISTERED.of(host_id=host_id), golden(HostFact).encode())


async def test_it_begins_with_all_there_is_to_show(gateway_url: str, owners: Owners):
    async with watching(gateway_url, view="zones") as events:
        assert (await the_next(events, "about"))["gateway"] == "gateway-1"
        assert (await the_next(events, "suite"))["dashboard"]["hosts"]["known"]
        shown = await the_next(events, "list")

    assert (shown["view"], shown["known"]) == ("zones", True)
    assert shown["page"]["items"]


async def test_without_the_wish_for_a_stream_it_is_one_look(client: httpx.AsyncClient, owners: Owners):
    look = (await client.get(CONSOLE, params={"view": "sessions"})).json()

    assert look.keys() == {"about", "suite", "list"}
    assert look["list"]["view"] == "sessions"


async def test_however_many_watch_the_same_its_owner_is_asked_once(gateway_url: str, owners: Owners):
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching(gateway_url, region="crowd")) for _ in range(30)]
        await asyncio.gather(*(the_next(events, "list") for events in watchers))
        asked = [fields for fields in owners.asked_on("p2p.hosts.list") if fields.get("region") == "crowd"]

    # 30 that ask for themselves make 30; a slow machine may see the list be renewed meanwhile.
    assert 1 <= len(asked) < 10


async def test_what_happens_is_told_in_a_line(gateway_url: str, owners: Owners):
    async with watching(gateway_url) as events:
        await the_next(events, "list")
        await tell_of_a_host(owners.bus, "jörg@1.tower")
        lines = (await the_next(events, "facts"))["lines"]

    assert [(line["owner"], line["thing"], line["what"]) for line in lines] == [("hosts", "jörg@1.tower", "registered")]


async def test_what_is_no_fact_is_left_out(gateway_url: str, owners: Owners):
    async with watching(gateway_url) as events:
        await the_next(events, "list")
        await owners.bus.publish("p2p.events.hosts.x.registered", b"no json")
        await owners.bus.publish("p2p.events.hosts.x.registered", b"[]")
        await tell_of_a_host(owners.bus, "sound")

        async def sound() -> bool:
            return any(line["thing"] == "sound" for line in (await the_next(events, "facts"))["lines"])

        assert await eventually(sound)


async def test_a_list_that_is_not_known_says_why_and_comes_back(gateway_url: str, owners: Owners):
    owners.replies["p2p.hosts.list"] = Code.UNAVAILABLE
    async with watching(gateway_url, region="away") as events:
        away = await the_next(events, "list")
        del owners.replies["p2p.hosts.list"]
        back = await the_next(events, "list")

    assert (away["known"], away["detail"], away["page"]) == (False, "No: unavailable.", None)
    assert back["known"]


@pytest.mark.parametrize(
    "query", ["view=players", "limit=1000", "view=hosts&status=asleep", f"npcs={'%F0%9F%90%89' * 100}"]
)
@pytest.mark.parametrize("headers", [{}, STREAM], ids=["one look", "stream"])
async def test_what_cannot_be_shown_is_refused(query: str, headers: dict[str, str], client: httpx.AsyncClient):
    assert proper(await client.get(f"{CONSOLE}?{query}", headers=headers), 422, "invalid")


async def test_a_console_that_does_not_read_is_dropped():
    viewer = Viewer(Listing(), None)
    for number in range(MOST_UNREAD):
        viewer.give(iter([("suite", b"%d" % number)]))
        assert not viewer.over.is_set()

    viewer.give(iter([("suite", b"one too many")]))

    assert viewer.over.is_set()


async def test_a_console_is_not_given_what_it_has():
    viewer = Viewer(Listing(), None)
    same = b"the same"
    for _ in range(10 * MOST_UNREAD):
        viewer.give(iter([("suite", same)]))

    assert not viewer.over.is_set()


async def test_a_trace_without_a_store_is_not_found(client: httpx.AsyncClient):
    assert proper(await client.get(f"/api/v1/traces/{'a' * 32}"), 404, "trace_not_found")


async def test_a_store_of_spans_that_is_away_is_said_to_be(servers: TestServers):
    settings = Settings(
        nats_url=servers.nats.url,
        redis_url=servers.redis.url,
        postgres_url=gateway_database(servers),
        http_port=free_port(),
        traces_url=f"http://127.0.0.1:{free_port()}",
    )
    async with service(settings), http_client(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
        assert proper(await client.get(f"/api/v1/traces/{'a' * 32}"), 503, "unavailable")
