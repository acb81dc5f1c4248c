"""scheduler, put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files

from chassis.bus import Bus, connect_bus
from chassis.clock import SystemClock
from chassis.database import open_database
from chassis.events import Consumers
from chassis.health import serve_health
from chassis.loops import Loop, running
from chassis.process import release_of
from chassis.redis import open_redis
from chassis.responder import Responder
from chassis.streams import declare_streams
from contracts.jobs import JobName
from contracts.npcs import Source
from prometheus_client import Gauge

from scheduler.ai_service.allowance import Allowance
from scheduler.ai_service.budget import pace
from scheduler.ai_service.client import open_client
from scheduler.ai_service.index import NpcHashes
from scheduler.ai_service.indexing import Indexing
from scheduler.ai_service.played_lately import PlayedLately
from scheduler.ai_service.polling import Polling
from scheduler.ai_service.telling import Telling
from scheduler.announcer import Announcer
from scheduler.book import TickBook
from scheduler.bucket import Bucket
from scheduler.dispatch import Dispatch
from scheduler.failing import Failing
from scheduler.handlers import answer_jobs, hear_jobs, hear_what_is_played, hear_wishes
from scheduler.leadership import Leadership, since_boot
from scheduler.loops import asking, feeding, forgetting, leading, looking, reading, ticking
from scheduler.npc_feed.feed import Feed
from scheduler.npc_feed.played import PlayedZones
from scheduler.npc_feed.standing import Standings
from scheduler.overview import Overview
from scheduler.settings import Settings
from scheduler.store import RunStore

NAME = "scheduler"

LEADS = Gauge("p2p_scheduler_leads", "1 in the scheduler that leads.")


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Run scheduler for the length of the block."""
    calendar = {
        JobName.SESSION_HEALTH: settings.session_health_every,
        JobName.SESSION_CLEANUP: settings.session_cleanup_every,
        JobName.NPC_FEED: settings.npc_feed_every,
    }
    async with (
        serve_health(settings.http_host, settings.http_port) as health,
        connect_bus(settings.nats_url, settings.instance, settings.nats_creds, replicas=settings.nats_replicas) as bus,
        open_database(settings.postgres_url, name=NAME, migrations=files(NAME) / "migrations") as database,
    ):
        await declare_streams(bus)
        health.watch("nats", lambda: bus.connected)
        health.watch("postgres", database.ping)

        clock = SystemClock()
        bucket = Bucket(bus)
        runs = RunStore(database)
        leadership = Leadership(bucket, settings.instance, settings.lease)
        LEADS.set_function(lambda: leadership.term is not None)
        played = PlayedZones(database, clock)
        feed = Feed(
            bus,
            leadership,
            played,
            clock,
            every=settings.npc_feed_every,
            full_every=settings.npc_full_every,
            forgotten_after=settings.npc_forgotten_after,
        )
        own = {JobName.NPC_FEED: feed.report}
        dispatch = Dispatch(calendar, leadership, TickBook(bucket), Announcer(bus), clock, own)
        overview = Overview(calendar, leadership, runs, clock)
        failing = Failing(runs)
        health.note(failing.note)

        responder = Responder(bus, NAME, release_of(NAME), instance=settings.instance)
        answer_jobs(responder, overview, dispatch, Standings(feed.zones, leadership, clock))
        consumers = Consumers(bus, NAME, instance=settings.instance)
        hear_jobs(consumers, runs)
        hear_what_is_played(consumers, played)
        watched = [leading(leadership, settings.lease), ticking(dispatch), feeding(feed)]
        for loop in watched:
            health.watch_loop(loop)

        # Readiness does not depend on the AI service, and the lease is given up while its last answer is waited for.
        adapters = _adapters(settings, bus, bucket, leadership, PlayedLately(played, since_boot))
        async with adapters, consumers, responder, leadership, running(*watched, forgetting(played), looking(failing)):
            await hear_wishes(bus, feed, dispatch)
            with health.serving():
                yield


@asynccontextmanager
async def _adapters(
    settings: Settings, bus: Bus, bucket: Bucket, leadership: Leadership, played: PlayedLately
) -> AsyncIterator[None]:
    """Run the adapters that are set up, for the length of the block."""
    share = settings.npc_feed_every * 2 / settings.npc_forgotten_after
    loops: list[Loop] = []
    async with AsyncExitStack() as stack:
        indexing: Indexing | None = None
        if settings.ai_redis_url:
            redis = await stack.enter_async_context(open_redis(settings.ai_redis_url, pool_size=1, decode=False))
            telling = Telling(bus, Source.REDIS)
            indexing = Indexing(NpcHashes(redis), leadership, played, telling, since_boot, share=share)
            bus.on_reconnect(indexing.begin_anew)
            loops.append(reading(indexing, settings.npc_feed_every))
        if settings.ai_service_enabled:
            limit = settings.ai_service_requests_per_minute
            client = open_client(settings.ai_service_url, settings.ai_service_api_key)
            polling = Polling(
                await stack.enter_async_context(client),
                Allowance(bucket, limit),
                leadership,
                played,
                Telling(bus, Source.HTTP),
                since_boot,
                npcs=settings.ai_service_npcs,
                index=indexing,
                every=settings.npc_feed_every,
                pace=pace(limit),
                share=share,
            )
            bus.on_reconnect(polling.begin_anew)
            loops.append(asking(polling))
        await stack.enter_async_context(running(*loops))
        yield
