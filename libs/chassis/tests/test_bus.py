"""The connection to NATS comes back, with everything that hung on it."""

import asyncio
from datetime import timedelta

import pytest
from chassis.bus import RECONNECT_PATIENCE_S, Bus, connect_bus
from chassis.refusals import DeadlineExceededError, UnavailableError
from chassis.requests import call
from chassis.responder import Responder
from structlog.testing import capture_logs
from testkit.eventually import eventually
from testkit.patience import patient, within

from libs.chassis.tests.messages import DOUBLE, Double, Doubled


async def double(question: Double) -> Doubled:
    return Doubled(number=2 * question.number)


def doubler(bus: Bus) -> Responder:
    responder = Responder(bus, "doubler", "1", instance="one")
    responder.answer(DOUBLE, double)
    return responder


async def test_a_process_may_start_before_nats(nats_server):
    await nats_server.stop()
    async with asyncio.TaskGroup() as group:
        connected = asyncio.Event()

        async def connecting() -> None:
            async with connect_bus(nats_server.url, "early"):
                connected.set()

        group.create_task(connecting())
        await asyncio.sleep(0)
        assert not connected.is_set()
        await nats_server.start()
        await connected.wait()


async def test_requests_go_on_after_a_restart_of_nats_under_traffic(bus, nats_server):
    answered = 0
    refused: list[Exception] = []
    stop = asyncio.Event()

    async def keep_asking() -> None:
        nonlocal answered
        while not stop.is_set():
            try:
                assert (await call(bus, DOUBLE, Double(number=4))).number == 8
                answered += 1
            except (UnavailableError, DeadlineExceededError) as error:
                refused.append(error)

    async with connect_bus(nats_server.url, "doubler") as other, doubler(other), asyncio.TaskGroup() as load:
        for _ in range(20):
            load.create_task(keep_asking())
        await eventually(lambda: answered > 100)
        await nats_server.restart()
        so_far = answered
        await eventually(lambda: answered > so_far + 1000, within=10)
        stop.set()


async def test_a_request_without_nats_is_unavailable_within_the_patience(bus, nats_server):
    await nats_server.stop()
    await eventually(lambda: not bus.connected)
    # The bus's own patience ends, and not that of who asks, an hour later.
    async with within(RECONNECT_PATIENCE_S + 5):
        with pytest.raises(UnavailableError):
            await call(bus, DOUBLE, Double(number=1), deadline=timedelta(hours=1))


async def test_a_request_made_during_a_short_outage_is_answered(bus, nats_server):
    async with connect_bus(nats_server.url, "doubler") as other, doubler(other):
        await nats_server.stop()
        await eventually(lambda: not bus.connected)
        bus._up.clear()
        asking = asyncio.create_task(bus._wait_until_up(patient(5)))
        await nats_server.start()
        await asking
        await eventually(lambda: other.connected)
        assert (await call(bus, DOUBLE, Double(number=1))).number == 2


async def test_subscriptions_and_callbacks_come_back_with_the_connection(bus, nats_server):
    heard: list[bytes] = []
    reconnected = asyncio.Event()

    async def hear(msg) -> None:
        heard.append(msg.data)

    async def note() -> None:
        reconnected.set()

    bus.on_reconnect(note)
    await bus.subscribe("p2p.test.>", hear)
    await nats_server.restart()
    await reconnected.wait()
    await bus.publish("p2p.test.a", b"again")
    await eventually(lambda: heard == [b"again"])


async def test_a_callback_that_fails_costs_its_message_alone(bus):
    heard: list[bytes] = []

    async def hear(msg) -> None:
        if msg.data == b"bad":
            raise KeyError(msg.data)
        heard.append(msg.data)

    await bus.subscribe("p2p.test.>", hear)
    with capture_logs() as logs:
        for payload in (b"bad", b"good"):
            await bus.publish("p2p.test.a", payload)
        await eventually(lambda: heard == [b"good"])
    assert [(line["event"], line["subject"]) for line in logs] == [("bus.message_failed", "p2p.test.a")]


async def test_a_callback_of_a_reconnect_that_fails_costs_nothing(bus, nats_server):
    called = asyncio.Event()

    async def fail() -> None:
        called.set()
        raise KeyError("callback")

    bus.on_reconnect(fail)
    await nats_server.restart()
    await called.wait()
    await bus.client.flush()
    assert bus.connected


async def test_an_error_that_the_server_sends_does_not_close_the_connection_for_good(bus):
    reconnected = asyncio.Event()

    async def note() -> None:
        reconnected.set()

    bus.on_reconnect(note)
    await bus.client._process_err("'slow consumer'")
    await reconnected.wait()
    assert bus.connected


async def test_publishing_in_an_outage_is_buffered_up_to_a_bound(bus, nats_server):
    heard: list[int] = []

    async def hear(msg) -> None:
        heard.append(len(msg.data))

    await bus.subscribe("p2p.test.>", hear)
    await nats_server.stop()
    await eventually(lambda: not bus.connected)
    accepted = 0

    async def fill() -> None:
        nonlocal accepted
        for _ in range(100):
            await bus.publish("p2p.test.a", b"x" * 500_000)
            accepted += 1

    with pytest.raises(UnavailableError):
        await fill()
    assert accepted >= 10
    await nats_server.start()
    await eventually(lambda: heard == [500_000] * accepted)


async def test_a_slow_callback_holds_up_no_more_than_its_bound(bus):
    heard: list[bytes] = []
    go_on = asyncio.Event()

    async def hear(msg) -> None:
        await go_on.wait()
        heard.append(msg.data)

    await bus.subscribe("p2p.test.>", hear, pending=10)
    for number in range(100):
        await bus.publish("p2p.test.a", str(number).encode())
    await bus.client.flush()
    go_on.set()
    await eventually(lambda: len(heard) >= 10)
    assert len(heard) <= 11


async def test_headers_of_every_kind_arrive(bus):
    heard: list[dict[str, str]] = []

    async def hear(msg) -> None:
        heard.append(msg.headers)

    sent = {"Nats-Msg-Id": "a:b: c", "p2p-reason": "schön, 好", "empty": "", "traceparent": "00-1-2-00"}
    await bus.subscribe("p2p.test.>", hear)
    await bus.client.publish("p2p.test.a", b"{}", headers=sent)
    await eventually(lambda: heard)
    assert heard == [sent]
