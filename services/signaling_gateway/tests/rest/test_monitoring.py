"""The suite at a glance: every part from its owner, asked once a second, and what is not known is said to be so."""

import asyncio
import time
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from chassis.responder import Responder
from contracts.jobs import LIST_JOBS, Jobs
from contracts.npcs import LIST_FEEDS, FeedPage, ListFeeds
from contracts.refusals import Code
from contracts.subjects import Nothing
from embedded.ports import free_port
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from signaling_gateway.app import service
from signaling_gateway.http.monitoring import LOOK_EVERY
from signaling_gateway.monitoring.cached import MADE_EVERY_S, Cached
from signaling_gateway.settings import Settings
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.servers import TestServers

from services.signaling_gateway.tests.rest.owners import OWNERS, Owners
from services.signaling_gateway.tests.rest.test_refusals import proper

COUNTS = ("p2p.hosts.count", "p2p.zones.count", "p2p.sessions.count")

METRICS = {
    "p2p_coordinator_up",
    "p2p_hosts_total",
    "p2p_hosts_online",
    "p2p_host_quality_score_avg",
    "p2p_zones_total",
    "p2p_zones_enabled",
    "p2p_sessions_total",
    "p2p_sessions_active",
    "p2p_players_total",
    "p2p_session_latency_ms_avg",
}


@pytest_asyncio.fixture
async def fresh(nats_url: str, redis_url: str, postgres_url: str):
    """A gateway that has not looked yet, and owners that are not there yet."""
    settings = Settings(
        nats_url=nats_url,
        redis_url=redis_url,
        postgres_url=postgres_url,
        http_port=free_port(),
        instance="gateway-1",
    )
    async with (
        connect_bus(nats_url, "owners") as bus,
        service(settings),
        http_client(base_url=f"http://127.0.0.1:{settings.http_port}") as client,
    ):
        yield client, Owners(bus)


async def test_the_dashboard_is_what_the_owners_count(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        dashboard = (await client.get("/api/v1/monitoring/dashboard")).json()

    assert {"known", "total", "online", "offline", "average_quality_score"} <= dashboard["hosts"].keys()
    assert {"known", "total", "enabled", "disabled"} <= dashboard["zones"].keys()
    assert {"total", "active", "inactive", "total_players", "average_latency_ms"} <= dashboard["sessions"].keys()
    assert all(dashboard[part]["known"] for part in ("hosts", "zones", "sessions"))
    assert dashboard["system"] | {"services": None} == {
        "postgres": "healthy",
        "redis": "healthy",
        "nats": "healthy",
        "services": None,
    }


STANDING = {
    "zone_id": "prontera",
    "interval_s": 5.0,
    "seq": 7,
    "told_at": "2026-01-01T00:00:05Z",
    "npcs": 50,
    "stale": True,
    "heard_at": "2026-01-01T00:00:00Z",
    "sources": {"http": "2026-01-01T00:00:00Z"},
    "gaps": 3,
}


def telling(owners, jobs):
    """A scheduler that tells these jobs, and of one feed."""

    async def list_jobs(_: Nothing) -> Jobs:
        return jobs

    async def list_feeds(question: ListFeeds) -> FeedPage:
        assert question.worst_first
        return FeedPage.model_validate(
            {"items": [STANDING], "totals": {"zones": 2, "npcs": 100, "stale": 1, "gaps": 3}}
        )

    scheduler = Responder(owners.bus, "scheduler", "1", instance="scheduler-1")
    scheduler.answer(LIST_JOBS, list_jobs)
    scheduler.answer(LIST_FEEDS, list_feeds)
    return scheduler


async def test_a_job_that_fails_is_named_and_counted(fresh):
    client, owners = fresh
    never = {"interval_s": 5.0, "next_due_at": None, "last_due_at": None, "last_finished_at": None}
    never |= {"last_outcome": None, "last_duration_ms": None, "last_detail": None}
    failed = never | {"last_outcome": "failed", "last_detail": "ZeroDivisionError"}
    items = [{"name": "session-health", **failed}, {"name": "session-cleanup", **never}]

    async with telling(owners, Jobs.model_validate({"leader": "one", "items": items})), owners.answering(*OWNERS):
        told = (await client.get("/api/v1/monitoring/dashboard")).json()["jobs"]
        metrics = (await client.get("/metrics")).text

    assert (told["known"], told["leader"], told["failing"]) == (True, "one", ["session-health"])
    assert [(job["name"], job["outcome"], job["detail"]) for job in told["items"]] == [
        ("session-health", "failed", "ZeroDivisionError"),
        ("session-cleanup", None, None),
    ]
    assert 'p2p_job_failing{name="session-health"} 1.0' in metrics
    assert 'p2p_job_failing{name="session-cleanup"} 0.0' in metrics


async def test_the_npc_feed_is_as_its_job_reports(fresh):
    client, owners = fresh
    at = "2026-01-01T00:00:05Z"
    feed = {"name": "npc-feed", "interval_s": 5.0, "next_due_at": None, "last_due_at": at, "last_finished_at": at}
    feed |= {"last_outcome": "done", "last_duration_ms": 3.0, "last_detail": "2 zones, 100 NPCs"}
    jobs = Jobs.model_validate({"leader": "scheduler-1", "items": [feed]})

    async with telling(owners, jobs), owners.answering(*OWNERS):
        dashboard = (await client.get("/api/v1/monitoring/dashboard")).json()

    assert dashboard["npc_feed"] == {
        "known": True,
        "last_reported_at": at,
        "outcome": "done",
        "detail": "2 zones, 100 NPCs",
        "totals": {"zones": 2, "npcs": 100, "stale": 1, "gaps": 3},
        "zones": [STANDING],
    }


async def test_without_a_scheduler_all_else_is_known(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        dashboard = (await client.get("/api/v1/monitoring/dashboard")).json()
        health = await client.get("/health")

    assert dashboard["npc_feed"] == {
        "known": False,
        "last_reported_at": None,
        "outcome": None,
        "detail": None,
        "totals": None,
        "zones": [],
    }
    assert dashboard["jobs"] == {"known": False, "leader": None, "failing": [], "items": []}
    assert dashboard["sessions"]["known"]
    assert health.status_code == 200


async def test_however_many_look_the_owners_count_once(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        await asyncio.gather(*(client.get("/api/v1/monitoring/dashboard") for _ in range(50)), client.get("/health"))

    assert [len(owners.asked_on(subject)) for subject in COUNTS] == [1, 1, 1]


async def test_a_part_that_is_not_known_says_so(fresh):
    client, owners = fresh
    async with owners.answering("zone_manager"):
        response = await client.get("/api/v1/monitoring/dashboard")

    assert response.status_code == 200
    assert response.json()["hosts"] == {
        "known": False,
        "total": None,
        "online": None,
        "offline": None,
        "average_quality_score": None,
    }
    assert response.json()["zones"]["known"]


async def test_with_no_owner_nothing_is_known(fresh):
    client, _ = fresh

    assert proper(await client.get("/api/v1/monitoring/dashboard"), 503, "unavailable")
    assert proper(await client.get("/api/v1/monitoring/hosts/stats"), 503, "unavailable")


async def test_an_owner_without_its_database_makes_postgres_unhealthy(fresh):
    client, owners = fresh
    owners.replies |= dict.fromkeys(COUNTS, Code.UNAVAILABLE)
    async with owners.answering(*OWNERS):
        response = await client.get("/health")

    assert proper(response, 503, "unavailable")
    assert response.json()["database"] == {"postgres": "disconnected", "redis": "connected"}
    assert "postgres" in response.json()["away"]


async def test_all_is_well_when_everybody_answers(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        health = await client.get("/health")

    assert health.status_code == 200
    assert health.json() == {
        "status": "healthy",
        "service": "p2p-coordinator",
        "version": health.json()["version"],
        "database": {"postgres": "connected", "redis": "connected"},
        "nats": "connected",
        "away": [],
    }


async def test_what_was_written_here_shows_in_the_next_answer(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        for looks in (1, 2, 3):
            await client.get("/api/v1/monitoring/dashboard")
            assert all(len(owners.asked_on(subject)) >= looks for subject in COUNTS)
            assert (await client.post("/api/v1/hosts/h/heartbeat")).status_code == 200


async def test_a_crowd_that_writes_has_it_made_anew_at_most_twenty_times_a_second():
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return made

    cached = Cached(make, timedelta(hours=1))
    assert await cached.get() == await cached.get() == 1
    for _ in range(100):
        cached.outdate()
    began = time.monotonic()
    assert set(await asyncio.gather(*(cached.get() for _ in range(100)))) == {2}
    cached.outdate()
    assert await cached.get() == 3
    assert time.monotonic() - began >= MADE_EVERY_S


async def test_what_was_begun_before_a_write_is_not_given_after_it():
    begun, going_on = asyncio.Event(), asyncio.Event()
    said = iter(("before", "after"))

    async def make() -> str:
        word = next(said)
        begun.set()
        await going_on.wait()
        return word

    cached = Cached(make, timedelta(hours=1))
    first = asyncio.create_task(cached.get())
    await begun.wait()
    cached.outdate()
    second = asyncio.create_task(cached.get())
    going_on.set()
    assert (await first, await second) == ("before", "after")


async def test_the_look_is_renewed_after_a_second(fresh):
    client, owners = fresh

    async def hosts_are_known() -> bool:
        response = await client.get("/api/v1/monitoring/dashboard")
        return response.status_code == 200 and response.json()["hosts"]["known"]

    assert not await hosts_are_known()
    async with owners.answering(*OWNERS):
        assert await eventually(hosts_are_known, within=3 * LOOK_EVERY.total_seconds())


async def test_services_are_counted_as_they_say_that_they_are_there(fresh):
    client, owners = fresh

    async def everybody() -> bool:
        services = (await client.get("/api/v1/monitoring/dashboard")).json()["system"]["services"]
        return services == dict.fromkeys((*OWNERS, "signaling_gateway"), 1)

    async with owners.answering(*OWNERS):
        assert await eventually(everybody, within=10)


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/monitoring/metrics", "/api/monitoring/metrics/"])
async def test_prometheus_reads_the_totals_under_their_old_names(fresh, path):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        response = await client.get(path)

    families = {family.name for family in text_string_to_metric_families(response.text)}
    assert families >= METRICS
    assert "p2p_http_seconds" in families


async def test_prometheus_is_given_openmetrics_whole(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        response = await client.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})

    assert response.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in openmetrics.text_string_to_metric_families(response.text)}
    assert families >= METRICS
    assert {"p2p_http_seconds", "p2p_sockets", "p2p_frames"} <= families


async def test_routes_are_measured_by_name_without_identifiers(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        await client.get("/api/hosts/a-host-of-this-test/")
        text = (await client.get("/metrics")).text

    assert 'route="GET /api/v1/hosts/{host_id}"' in text
    assert "a-host-of-this-test" not in text


async def test_hosts_online_are_told_by_their_score(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        stats = (await client.get("/api/v1/monitoring/hosts/stats")).json()

    assert stats.keys() == {"total_online", "quality_distribution"}
    assert stats["quality_distribution"].keys() == {"excellent", "good", "fair", "poor"}


async def test_the_root_is_a_page_for_people_and_words_for_programs(fresh):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        words = (await client.get("/")).json()
        page = await client.get("/", headers={"Accept": "text/html,*/*"})

    assert words.keys() == {"service", "version", "status", "p2p_enabled", "enabled_zones"}
    assert (words["status"], words["p2p_enabled"]) == ("running", True)
    assert words["enabled_zones"]
    assert page.headers["content-type"].startswith("text/html")
    for target in ("/demo/", "/docs", "/docs/messages", "/api/v1/monitoring/dashboard"):
        assert f'href="{target}"' in page.text
        assert (await client.get(target)).status_code != 404


async def test_nats_being_away_is_told_and_passes(fresh, servers: TestServers):
    client, owners = fresh
    async with owners.answering(*OWNERS):
        await servers.nats.stop()
        ready = await eventually(lambda: unready(client))
        host = await client.get("/api/v1/hosts/h")
        await servers.nats.start()

        assert ready == ["nats"]
        assert proper(host, 503, "unavailable")

        async def back() -> bool:
            return (await client.get("/health/ready")).status_code == 200 and (
                await client.get("/api/v1/hosts/h")
            ).status_code == 200

        assert await eventually(back, within=10)


async def test_redis_being_away_is_told_and_passes(fresh, servers: TestServers):
    client, _ = fresh
    await servers.redis.stop()
    assert await eventually(lambda: unready(client)) == ["redis"]
    await servers.redis.start()
    assert await eventually(lambda: ready(client))


async def unready(client: httpx.AsyncClient) -> list[str] | None:
    response = await client.get("/health/ready")
    return response.json()["away"] if proper(response, 503, "unavailable") else None


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200
