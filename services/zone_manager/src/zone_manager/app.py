"""zone_manager, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from chassis.bus import connect_bus
from chassis.clock import SystemClock
from chassis.database import open_database
from chassis.events import Consumers
from chassis.health import serve_health
from chassis.loops import running
from chassis.outbox import OutboxRelay
from chassis.process import release_of
from chassis.responder import Responder
from chassis.streams import declare_streams

from zone_manager.assignment import Assignment
from zone_manager.catalogue import Catalogue
from zone_manager.comparison import Comparison
from zone_manager.directory import Directory
from zone_manager.handlers import answer_placement, answer_zones, hear_sessions
from zone_manager.loops import forgetting
from zone_manager.seeds import chosen, read_seeds
from zone_manager.settings import Settings
from zone_manager.store import ZoneStore
from zone_manager.tallies import TallyStore
from zone_manager.tallying import Tallying

NAME = "zone_manager"


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Run zone_manager for the length of the block."""
    async with (
        serve_health(settings.http_host, settings.http_port) as health,
        connect_bus(settings.nats_url, settings.instance, settings.nats_creds, replicas=settings.nats_replicas) as bus,
        open_database(settings.postgres_url, name=NAME, migrations=files(NAME) / "migrations") as database,
    ):
        await declare_streams(bus)
        health.watch("nats", lambda: bus.connected)
        health.watch("postgres", database.ping)

        zones = ZoneStore(database)
        tallies = TallyStore(database)
        directory = Directory(bus)
        catalogue = Catalogue(database, zones, SystemClock())
        assignment = Assignment(
            zones, directory, p2p_allowed=settings.enable_p2p, fallback_allowed=settings.p2p_fallback_enabled
        )
        comparison = Comparison(zones, directory, p2p_allowed=settings.enable_p2p)
        await catalogue.seed(lambda: chosen(read_seeds(settings.seeds), settings.p2p_enabled_zones))

        responder = Responder(bus, NAME, release_of(NAME), instance=settings.instance)
        answer_zones(responder, zones, catalogue)
        answer_placement(responder, assignment, comparison)
        consumers = Consumers(bus, NAME, instance=settings.instance)
        hear_sessions(consumers, Tallying(tallies))

        async with (
            OutboxRelay(database, bus),
            consumers,
            responder,
            running(forgetting(database, tallies)),
        ):
            with health.serving():
                yield
