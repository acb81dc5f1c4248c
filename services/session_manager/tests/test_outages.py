"""What was acknowledged is there, whatever was away in between, and the service comes back by itself."""

import asyncio
from itertools import count

import pytest
from chassis.refusals import ServiceError
from chassis.requests import call
from contracts.sessions import CREATE_SESSION, GET_SESSION, SESSION_CREATED, CreateSession, NameSession
from testkit.eventually import eventually
from testkit.patience import patient

PARALLEL = 4


@pytest.fixture(params=["nats_server", "postgres_server"])
def server(request):
    return request.getfixturevalue(request.param)


class Traffic:
    """Some players, each from one new session into the next; notes which were acknowledged."""

    def __init__(self, bus):
        self._bus = bus
        self._numbers = count()
        self.acknowledged = []

    async def run(self):
        await asyncio.gather(*(self._create(f"player-{number}") for number in range(PARALLEL)))

    async def _create(self, player):
        while True:
            question = CreateSession(zone_id="prontera", host_id=f"host-{next(self._numbers)}", player_ids=(player,))
            try:
                session = await call(self._bus, CREATE_SESSION, question)
            except ServiceError:
                continue
            self.acknowledged.append(session.session_id)


async def test_what_was_acknowledged_around_a_restart_is_there_and_told_once(bus, server):
    traffic = Traffic(bus)
    running = asyncio.create_task(traffic.run())
    await eventually(lambda: len(traffic.acknowledged) > 10)
    await server.restart()
    before = len(traffic.acknowledged)
    await eventually(lambda: len(traffic.acknowledged) > before + 10, within=10)
    running.cancel()
    await asyncio.wait({running})

    for session_id in traffic.acknowledged:
        assert (await call(bus, GET_SESSION, NameSession(session=session_id))).session_id == session_id
    wanted = {SESSION_CREATED.of(session_id=session_id) for session_id in traffic.acknowledged}

    async def told():
        stream = await bus.client.jsm(timeout=patient(5)).stream_info(
            "EVENTS", subjects_filter=SESSION_CREATED.wildcard
        )
        times = stream.state.subjects or {}
        return wanted <= times.keys() and set(times.values()) == {1}

    await eventually(told, within=10, of="each being told once")
