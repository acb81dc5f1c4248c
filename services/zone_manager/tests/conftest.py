"""zone_manager on real servers, with a host_registry in the test's hand."""

from collections.abc import AsyncIterator, Mapping

import pytest
from chassis.bus import Bus, connect_bus
from chassis.jetstream import publish
from chassis.responder import Responder
from chassis.streams import declare_streams
from contracts.hosts import FIND_HOSTS, RESERVE_SLOT
from contracts.sessions import SessionFact
from zone_manager.app import service
from zone_manager.settings import Settings

from services.zone_manager.tests.examples import candidate
from services.zone_manager.tests.fakes import RegistryInMemory


@pytest.fixture
def registry() -> RegistryInMemory:
    """A registry that knows the documented host."""
    return RegistryInMemory(candidate())


@pytest.fixture
def settings(nats_url: str, postgres_url: str) -> Settings:
    return Settings(instance="zone-manager-1", nats_url=nats_url, postgres_url=postgres_url)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with connect_bus(nats_url, "test") as bus:
        await declare_streams(bus)
        yield bus


@pytest.fixture
async def zone_manager(bus: Bus, settings: Settings, registry: RegistryInMemory) -> AsyncIterator[None]:
    responder = Responder(bus, "host_registry", "0", instance="test")
    responder.answer(FIND_HOSTS, registry.find)
    responder.answer(RESERVE_SLOT, registry.reserve)
    async with responder, service(settings):
        yield


async def tell_sessions(bus: Bus, told: Mapping[str, SessionFact], *, again: bool = False) -> None:
    """Announce what happened to sessions, by the last word of the subject; `again`, as if never told before."""
    for what, fact in told.items():
        subject = f"p2p.events.sessions.{fact.session_id}.{what}"
        message_id = f"{fact.event_id}-again" if again else fact.event_id
        await publish(bus, subject, fact.model_dump_json().encode(), message_id=message_id)
