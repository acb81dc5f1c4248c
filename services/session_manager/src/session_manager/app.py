"""session_manager, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files

from chassis.bus import connect_bus
from chassis.database import open_database
from chassis.events import Consumers
from chassis.health import serve_health
from chassis.loops import running
from chassis.objects import Objects
from chassis.outbox import OutboxRelay
from chassis.process import release_of
from chassis.responder import Responder
from chassis.streams import declare_streams
from contracts.streams import CHECKPOINTS

from session_manager import handlers, loops
from session_manager.absence import Absence
from session_manager.arrivals import Arrivals
from session_manager.checkpoints import Checkpoints
from session_manager.fallback import PLACED_WITHIN, Fallback, Patience
from session_manager.guarding import Guarding
from session_manager.jobs import Jobs
from session_manager.lifecycle import Lifecycle
from session_manager.migration import Migration
from session_manager.returning import Returning
from session_manager.seating import Seating
from session_manager.settings import Settings
from session_manager.shared_clock import SharedClock
from session_manager.store.checkpoints import CheckpointStore
from session_manager.store.claims import ClaimStore
from session_manager.store.fallback import FallbackStore
from session_manager.store.health import HealthStore
from session_manager.store.hostless import HostlessStore
from session_manager.store.policies import PolicyStore
from session_manager.store.presence import PresenceStore
from session_manager.store.questions import QuestionStore
from session_manager.store.retelling import RetellingStore
from session_manager.store.runs import RunStore
from session_manager.store.seats import SeatStore
from session_manager.store.sessions import SessionStore
from session_manager.store.standbys import StandbyStore
from session_manager.zone_policies import ZonePolicies
from session_manager.zones import ZoneManager

NAME = "session_manager"


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Serve from entering to leaving; leaving drains."""
    async with (
        serve_health(settings.http_host, settings.http_port) as health,
        connect_bus(settings.nats_url, settings.instance, settings.nats_creds, replicas=settings.nats_replicas) as bus,
        open_database(
            settings.postgres_url,
            name=NAME,
            migrations=files(NAME) / "migrations",
            pool_size=settings.pool_size,
            plan_once=True,
        ) as database,
    ):
        await declare_streams(bus)
        clock, place_within = await SharedClock.read(database), timedelta(seconds=settings.place_within_s)
        seats, sessions, presence = SeatStore(database), SessionStore(database), PresenceStore(database)
        zones, policies = ZoneManager(bus, place_within), ZonePolicies(PolicyStore(database))
        counts_for = timedelta(seconds=settings.report_counts_for_s)
        lifecycle = Lifecycle(database, zones, policies, clock, report_counts_for=counts_for)
        health_store, hosts = HealthStore(database), FallbackStore(database, allowed=settings.p2p_fallback_enabled)
        hostless = HostlessStore(database, fallback_allowed=settings.p2p_fallback_enabled)
        return_after = timedelta(seconds=settings.return_after_s)
        standbys = StandbyStore(database, lost_within=PLACED_WITHIN)
        guarding = Guarding(standbys, zones, clock, claim_for=2 * place_within, return_after=return_after)
        migration = Migration(
            hostless,
            standbys,
            zones,
            clock,
            claim_for=2 * place_within,
            give_up_after=timedelta(seconds=settings.migrate_within_s),
            return_after=return_after,
        )
        patience = Patience(
            unhealthy_after=timedelta(seconds=settings.unhealthy_after_s),
            report_counts_for=counts_for,
            most_loss_percent=settings.most_loss_percent,
        )
        fallback = Fallback(
            hosts, health_store, presence, policies, migration, clock, patience, p2p_allowed=settings.enable_p2p
        )
        returning = Returning(hostless, hosts, zones, clock, return_after)
        seating = Seating(seats, clock)
        arrivals = Arrivals(
            seats,
            ClaimStore(database),
            seating,
            lifecycle,
            clock,
            instance=settings.instance,
            claim_for=place_within,
        )
        absence = Absence(
            seats,
            presence,
            sessions,
            clock,
            grace=timedelta(seconds=settings.seat_grace_s),
            gateway_silence=timedelta(seconds=settings.gateway_silent_after_s),
            hears=lambda: bus.connected,
        )
        jobs = Jobs(
            RunStore(database),
            lifecycle,
            fallback,
            returning,
            clock,
            idle_after=timedelta(seconds=settings.idle_after_s),
            empty_after=timedelta(seconds=settings.empty_after_s),
        )
        checkpoints = Checkpoints(CheckpointStore(database), Objects(bus, CHECKPOINTS), clock)

        responder = Responder(bus, NAME, release_of(NAME), instance=settings.instance, limit=settings.parallel_requests)
        handlers.answer_commands(responder, handlers.Commands(lifecycle, seating, arrivals, migration))
        handlers.answer_questions(responder, handlers.Questions(QuestionStore(database)))
        handlers.answer_checkpoints(responder, checkpoints)
        handlers.answer_retelling(responder, RetellingStore(database))
        consumers = Consumers(bus, NAME, instance=settings.instance)
        handlers.hear_hosts(consumers, fallback, presence)
        handlers.hear_zones(consumers, fallback)
        handlers.hear_gateways(consumers, absence, health_store)
        handlers.hear_ticks(consumers, jobs)

        seat_loop, migration_loop = loops.give_up_seats(absence), loops.finish_migrations(fallback)
        standby_loop = loops.look_after_standbys(guarding)
        other_loops = loops.forget_answers(database), loops.keep_time(clock), *loops.remove_checkpoints(checkpoints)
        health.watch("nats", lambda: bus.connected)
        health.watch("postgres", database.ping)
        health.watch_loop(seat_loop)
        health.watch_loop(migration_loop)
        health.watch_loop(standby_loop)
        watched = seat_loop, migration_loop, standby_loop
        async with OutboxRelay(database, bus), consumers, responder, running(*watched, *other_loops):
            await fallback.leave_closed()  # what was switched off while nobody ran
            with health.serving():
                yield
