"""host_registry, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files

from chassis.bus import Bus, connect_bus
from chassis.clock import Clock, SystemClock
from chassis.database import open_database
from chassis.events import Consumers
from chassis.health import serve_health
from chassis.loops import running
from chassis.outbox import OutboxRelay
from chassis.own_absence import OwnAbsence
from chassis.process import release_of
from chassis.responder import Responder
from chassis.streams import declare_streams

from host_registry.announcer import Announcer
from host_registry.beat_intake import BeatIntake
from host_registry.beat_keeping import BeatKeeping
from host_registry.dead_beats import DeadBeats
from host_registry.deadlines import Silence
from host_registry.handlers import (
    answer_beats,
    answer_probers,
    answer_questions,
    answer_registration,
    answer_retelling,
    answer_slots,
    hear_beats,
    hear_connections,
    hear_gateways,
    hear_sessions,
)
from host_registry.host_sockets import HostSockets
from host_registry.loops import forgetting, ticking, weighing
from host_registry.measuring import Measuring
from host_registry.occupancy import Occupancy
from host_registry.registration import Registration
from host_registry.selection import Selection
from host_registry.settings import Settings
from host_registry.store.beats import BeatStore
from host_registry.store.liveness import LivenessStore
from host_registry.store.measures import MeasureStore
from host_registry.store.reading import HostReader
from host_registry.store.registrations import RegistrationStore
from host_registry.store.retelling import RetellingStore
from host_registry.store.slots import SlotStore
from host_registry.store.words import WordStore
from host_registry.witnesses import Witnesses

NAME = "host_registry"


@asynccontextmanager
async def service(settings: Settings, clock: Clock | None = None) -> AsyncIterator[None]:
    """Run host_registry for the length of the block."""
    clock = clock or SystemClock()
    patience = settings.patience
    async with (
        serve_health(settings.http_host, settings.http_port) as health,
        connect_bus(settings.nats_url, settings.instance, settings.nats_creds, replicas=settings.nats_replicas) as bus,
        open_database(
            settings.postgres_url,
            name=NAME,
            migrations=files(NAME) / "migrations",
            pool_size=settings.database_connections,
        ) as database,
    ):
        await declare_streams(bus)
        health.watch("nats", lambda: bus.connected)
        health.watch("postgres", database.ping)

        own_absence = OwnAbsence(clock, lambda: bus.connected)
        reader = HostReader(database)
        slots = SlotStore(database)
        liveness = LivenessStore(database)
        announcer = Announcer(bus)
        beats = BeatKeeping(
            BeatStore(database, settings.score_told_from, timedelta(seconds=settings.score_told_every_s)),
            announcer,
            clock,
        )
        intake = BeatIntake(beats, DeadBeats(announcer, clock), own_absence, clock)
        silence = Silence(liveness, slots, own_absence, patience=patience, clock=clock)
        witnesses = Witnesses(WordStore(database), own_absence, clock)
        registration = Registration(database, RegistrationStore(database), reader, clock)
        selection = Selection(reader, own_absence, patience.suspect_after)
        occupancy = Occupancy(
            slots,
            reader,
            own_absence,
            stale_after=patience.suspect_after,
            held_for=patience.slot_held_for,
            clock=clock,
        )
        measuring = Measuring(
            MeasureStore(database),
            probe_every=timedelta(seconds=settings.probe_every_s),
            upload_every=timedelta(seconds=settings.upload_every_s),
            clock=clock,
        )

        responder = Responder(bus, NAME, release_of(NAME), instance=settings.instance)
        answer_registration(responder, registration)
        answer_beats(responder, beats, clock)
        answer_questions(responder, reader, selection)
        answer_slots(responder, occupancy)
        answer_probers(responder, measuring)
        answer_retelling(responder, RetellingStore(database))
        consumers = Consumers(bus, NAME, instance=settings.instance)
        hear_sessions(consumers, occupancy)
        hear_gateways(consumers, HostSockets(liveness, witnesses, clock))
        hear_connections(consumers, witnesses, measuring)

        interval = timedelta(seconds=settings.tick_s)
        tick, weigh = ticking(intake, silence, witnesses, interval), weighing(measuring, interval)
        health.watch_loop(tick)
        health.watch_loop(weigh)

        async with (
            OutboxRelay(database, bus),
            beats,
            occupancy,
            consumers,
            responder,
            _hearing_beats(bus, intake),
            running(tick, weigh, forgetting(database)),
        ):
            own_absence.interrupted()  # from here on we hear
            with health.serving():
                yield


@asynccontextmanager
async def _hearing_beats(bus: Bus, intake: BeatIntake) -> AsyncIterator[None]:
    """Hear beats for the length of the block; then take none any more, and write those that came."""
    subscription = await hear_beats(bus, intake, NAME)
    try:
        yield
    finally:
        await intake.stop(subscription)
