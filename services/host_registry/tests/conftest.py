"""host_registry's use cases on a real database, and the whole service on real servers."""

from collections.abc import AsyncIterator
from importlib.resources import files

import pytest
from chassis.bus import Bus, connect_bus
from chassis.database import Database, open_database
from chassis.own_absence import OwnAbsence
from host_registry.app import service
from host_registry.beat_keeping import BeatKeeping
from host_registry.deadlines import Silence
from host_registry.host_sockets import HostSockets
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
from host_registry.store.slots import SlotStore
from host_registry.store.words import WordStore
from host_registry.witnesses import Witnesses
from testkit.clock import ManualClock

from services.host_registry.tests.fakes import Announced
from services.host_registry.tests.world import PATIENCE, PROBE_EVERY, SECOND, UPLOAD_EVERY, Line, World


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    migrations = files("host_registry") / "migrations"
    async with open_database(postgres_url, name="test", migrations=migrations) as database:
        yield database


@pytest.fixture
def announced() -> Announced:
    return Announced()


@pytest.fixture
async def world(database: Database, clock: ManualClock, announced: Announced) -> AsyncIterator[World]:
    line = Line()
    own_absence = OwnAbsence(clock, lambda: line.up)
    reader = HostReader(database)
    slots = SlotStore(database)
    liveness = LivenessStore(database)
    beats = BeatKeeping(BeatStore(database, 5.0, 10 * SECOND), announced, clock)
    occupancy = Occupancy(
        slots,
        reader,
        own_absence,
        stale_after=PATIENCE.suspect_after,
        held_for=PATIENCE.slot_held_for,
        clock=clock,
    )
    witnesses = Witnesses(WordStore(database), own_absence, clock)
    async with beats, occupancy:
        yield World(
            clock=clock,
            database=database,
            line=line,
            own_absence=own_absence,
            reader=reader,
            registration=Registration(database, RegistrationStore(database), reader, clock),
            beats=beats,
            silence=Silence(liveness, slots, own_absence, patience=PATIENCE, clock=clock),
            host_sockets=HostSockets(liveness, witnesses, clock),
            witnesses=witnesses,
            selection=Selection(reader, own_absence, PATIENCE.suspect_after),
            occupancy=occupancy,
            measuring=Measuring(
                MeasureStore(database), probe_every=PROBE_EVERY, upload_every=UPLOAD_EVERY, clock=clock
            ),
        )


@pytest.fixture
def settings(nats_url: str, postgres_url: str) -> Settings:
    return Settings(instance="host-registry-1", nats_url=nats_url, postgres_url=postgres_url, tick_s=0.05)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with connect_bus(nats_url, "test") as bus:
        yield bus


@pytest.fixture
async def host_registry(settings: Settings) -> AsyncIterator[None]:
    async with service(settings):
        yield
