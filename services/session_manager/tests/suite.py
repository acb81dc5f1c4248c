"""The whole service on real servers, beside a zone_manager that places everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chassis.bus import Bus, connect_bus
from chassis.refusals import ServiceError
from chassis.responder import Responder
from contracts.refusals import Code
from contracts.subjects import Message
from contracts.zones import GET_ZONE, PLACE, NameZone, Place, Placement, Zone
from nats.aio.msg import Msg
from testkit.examples import quiet_zone

from services.session_manager.tests.facts import NOON, a_host


def a_zone(zone_id: str) -> Zone:
    return quiet_zone(
        zone_id,
        NOON,
        max_players=20,
        fallback_enabled=zone_id != "stern",
        fallback_endpoint="central.example:6900",
    )


async def _zone(question: NameZone) -> Zone:
    return a_zone(question.zone_id)


class NobodyElseError(ServiceError):
    """What a session hears that has left the one host there is."""

    code = Code.NO_HOST_FREE


async def _place(question: Place) -> Placement:
    if question.exclude:
        raise NobodyElseError("There is no other host.")
    host = a_host(question.host_id or "host-1")
    return Placement(host=host, zone=a_zone(question.zone_id), judgements=(), considered=1)


@asynccontextmanager
async def beside_zone_manager(nats_url: str) -> AsyncIterator[Bus]:
    """A bus to ask by, on which zone_manager answers."""
    async with connect_bus(nats_url, "test") as bus:
        zone_manager = Responder(bus, "zone_manager", "0", instance="fake")
        zone_manager.answer(PLACE, _place)
        zone_manager.answer(GET_ZONE, _zone)
        async with zone_manager:
            yield bus


async def heard(bus: Bus, subject: str, message: type[Message]) -> list[tuple[str, Any]]:
    """What is published on `subject` from now on."""
    facts: list[tuple[str, Any]] = []

    async def take(msg: Msg) -> None:
        facts.append((msg.subject.rpartition(".")[2], message.model_validate_json(msg.data)))

    await bus.subscribe(subject, take)
    await bus.client.flush()
    return facts
