"""A process that stops answers everything it has been asked."""

import asyncio

from chassis.bus import Bus, connect_bus
from chassis.requests import call
from chassis.responder import Responder
from testkit.eventually import eventually

from libs.chassis.tests.messages import DOUBLE, Double, Doubled


def doubler(bus: Bus, instance: str) -> Responder:
    async def handler(question: Double) -> Doubled:
        await asyncio.sleep(0.002)
        return Doubled(number=2 * question.number, by=instance)

    responder = Responder(bus, "doubler", "1", instance=instance, limit=32)
    responder.answer(DOUBLE, handler)
    return responder


async def test_a_drain_under_load_drops_nothing(bus, nats_url):
    answered: list[str] = []
    stop = asyncio.Event()

    async def keep_asking() -> None:
        while not stop.is_set():
            answered.append((await call(bus, DOUBLE, Double(number=1))).by)

    async def answers_of(instance: str, number: int) -> None:
        def enough() -> bool:
            return answered.count(instance) >= number

        await eventually(enough, within=30)

    async with connect_bus(nats_url, "stays") as staying, doubler(staying, "stays"), asyncio.TaskGroup() as load:
        for _ in range(100):
            load.create_task(keep_asking())
        for _ in range(5):
            async with connect_bus(nats_url, "goes") as going, doubler(going, "goes"):
                await answers_of("goes", answered.count("goes") + 200)
        stop.set()


async def test_requests_at_work_when_the_drain_begins_are_answered(bus, nats_url):
    started = asyncio.Event()
    release = asyncio.Event()

    async def handler(question: Double) -> Doubled:
        started.set()
        await release.wait()
        return Doubled(number=7)

    async with asyncio.TaskGroup() as group, connect_bus(nats_url, "goes") as going:
        responder = Responder(going, "doubler", "1", instance="goes")
        responder.answer(DOUBLE, handler)
        async with responder:
            asked = group.create_task(call(bus, DOUBLE, Double(number=1)))
            await started.wait()
            asyncio.get_running_loop().call_later(0.05, release.set)
    assert asked.result().number == 7
