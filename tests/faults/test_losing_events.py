"""The stream of events is lost with facts that nobody has heard yet: `p2p refill` has them told again."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import httpx
import nats
import pytest
from contracts.streams import EVENTS
from nats.js import JetStreamManager
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

from libs.cli.tests.terminal import p2p
from services.signaling_gateway.tests.signaling.client import joined, leaving

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_host_quality_score": 0}
PATIENT_WITH_HOSTS = {"HOST_REGISTRY_SUSPECT_AFTER_S": "600", "HOST_REGISTRY_OFFLINE_AFTER_S": "900"}
"""Nobody beats here."""
READERS = ("host_registry-1", "zone_manager-1", "scheduler-1")


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite of these tests' own: the others want their events."""
    with running_suite(environment=PATIENT_WITH_HOSTS) as running:
        yield running


@pytest.fixture
async def api(suite: RunningSuite) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(base_url=f"{suite.gateways[0]}/api/v1") as client:
        yield client


@asynccontextmanager
async def away(suite: RunningSuite, *names: str) -> AsyncIterator[None]:
    """They hear nothing; when they come back, what was told meanwhile is lost."""
    async with AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(suite.outage(name))
        yield
        await all_told(suite)
        async with jetstream(suite) as streams:
            await streams.delete_stream(EVENTS.name)


async def all_told(suite: RunningSuite) -> None:
    for owner in ("host_registry", "zone_manager", "session_manager"):

        async def empty(database: str = suite.postgres(owner)) -> bool:
            return bool(await asked(database, "SELECT NOT EXISTS (SELECT FROM outbox)"))

        await eventually(empty, within=10, of=f"nothing waiting in the outbox of {owner}")


@asynccontextmanager
async def jetstream(suite: RunningSuite) -> AsyncIterator[JetStreamManager]:
    client = await nats.connect(suite.nats)
    try:
        yield client.jsm(timeout=patient(5))
    finally:
        await client.close()


async def asked(database: str, question: str) -> object:
    connection = await asyncpg.connect(database)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def session_on(api: httpx.AsyncClient, host: str) -> str:
    assert (await api.post("/hosts/register", json={**HOST, "host_id": host})).status_code == 201
    made = await api.post("/sessions", json={"zone_id": "zone", "host_id": host})
    assert made.status_code == 201, made.text
    session: str = made.json()["session_id"]
    return session


async def test_what_was_lost_with_the_stream_of_events_is_true_everywhere_after_a_refill(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    async def active_sessions() -> int:
        zone = (await api.get("/zones/zone")).json()
        return int(zone["active_sessions"])

    async def seats_taken() -> object:
        seats = "SELECT seats_taken FROM standings WHERE host_id = 'staying'"
        return await asked(suite.postgres("host_registry"), seats)

    async def played_on(host: str) -> object:
        played = f"SELECT count(*) FROM sessions WHERE host_id = '{host}' AND status IN ('pending', 'active')"
        return await asked(suite.postgres("session_manager"), played)

    assert (await api.post("/zones", json=ZONE | {"zone_id": "zone"})).status_code == 201
    lasting, ending = await session_on(api, "staying"), await session_on(api, "also-staying")
    await session_on(api, "leaving")
    await eventually(lambda: is_now(active_sessions, 3), within=20, of="three sessions told of")
    anna = await joined(suite.gateways[0], "anna", lasting)
    async with leaving(anna):
        await eventually(lambda: is_now(seats_taken, 1), within=20, of="a seat told of")
        async with away(suite, *READERS):
            assert (await api.post(f"/sessions/{lasting}/players", json={"player_id": "berta"})).is_success
            assert (await api.post(f"/sessions/{ending}/end")).is_success
        async with away(suite, "session_manager-1"):
            assert (await api.post("/hosts/leaving/drain")).is_success
        assert [await active_sessions(), await seats_taken(), await played_on("leaving")] == [3, 1, 1], "nobody knows"

        said = p2p("refill", "--data-dir", suite.data_dir)
        assert (said.code, said.error) == (0, ""), said
        assert "3 facts of hosts" in said.out

        await eventually(lambda: is_now(active_sessions, 1), within=30, of="one session left")
        await eventually(lambda: is_now(seats_taken, 2), within=30, of="two seats taken")
        await eventually(
            lambda: is_now(lambda: played_on("leaving"), 0), within=30, of="no session on the draining host"
        )
        assert (await api.post(f"/sessions/{lasting}/players", json={"player_id": "carla"})).is_success
        peers = {(await anna.hear_until("peer-joined"))["peer_id"] for _ in ("berta", "carla")}
        assert peers == {"berta", "carla"}, "each told of once"


async def is_now(look, wanted: object) -> bool:
    return await look() == wanted
