"""scheduler, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from chassis.bus import connect_bus
from chassis.clock import SystemClock
from chassis.database import open_database
from chassis.events import Consumers
from chassis.health import serve_health
from chassis.loops import running
from chassis.process import release_of
from chassis.responder import Responder
from chassis.streams import declare_streams
from contracts.jobs import JobName

from scheduler.announcer import Announcer
from scheduler.book import TickBook
from scheduler.bucket import Bucket
from scheduler.dispatch import Dispatch
from scheduler.handlers import answer_jobs, hear_jobs
from scheduler.leadership import Leadership
from scheduler.loops import leading, ticking
from scheduler.overview import Overview
from scheduler.settings import Settings
from scheduler.store import RunStore

NAME = "scheduler"


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Run scheduler for the length of the block."""
    calendar = {
        JobName.SESSION_HEALTH: settings.session_health_every,
        JobName.SESSION_CLEANUP: settings.session_cleanup_every,
    }
    async with (
        serve_health(settings.http_host, settings.http_port) as health,
        connect_bus(settings.nats_url, settings.instance) as bus,
        open_database(settings.postgres_url, name=NAME, migrations=files(NAME) / "migrations") as database,
    ):
        await declare_streams(bus)
        health.watch("nats", lambda: bus.connected)
        health.watch("postgres", database.ping)

        clock = SystemClock()
        bucket = Bucket(bus)
        runs = RunStore(database)
        leadership = Leadership(bucket, settings.instance, settings.lease)
        dispatch = Dispatch(calendar, leadership, TickBook(bucket), Announcer(bus), clock)
        overview = Overview(calendar, leadership, runs, clock)

        responder = Responder(bus, NAME, release_of(NAME), instance=settings.instance)
        answer_jobs(responder, overview, dispatch)
        consumers = Consumers(bus, NAME, instance=settings.instance)
        hear_jobs(consumers, runs)
        lease_loop, tick_loop = leading(leadership, settings.lease), ticking(dispatch)
        health.watch_loop(lease_loop)
        health.watch_loop(tick_loop)

        async with consumers, responder, leadership, running(lease_loop, tick_loop):
            with health.serving():
                yield
