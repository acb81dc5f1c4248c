"""Facts reach their consumers: at least once, in order for each thing, through everything that may happen."""

import asyncio
import resource
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import chassis.consuming
import pytest
from chassis import events
from chassis.bus import Bus, connect_bus
from chassis.consumer import Consumer
from chassis.events import Consumers, Delivery, UnusableError
from chassis.jetstream import publish
from chassis.refusals import UnavailableError
from chassis.streams import declare_streams
from contracts.streams import DEAD_LETTERS, EVENTS
from testkit.eventually import eventually
from testkit.patience import patient

from libs.chassis.tests.messages import MOVED, Moved, moved

QUICKLY = (0.01, 0.01)


@asynccontextmanager
async def consuming(bus: Bus, handler, *, instance="one", durable=True, gather=timedelta(0)):
    consumers = Consumers(bus, "listener", instance=instance, retry_after_s=QUICKLY)
    consumers.consume(EVENTS, MOVED.wildcard, Moved, handler, name="moves", durable=durable, gather=gather)
    async with consumers:
        yield consumers


async def announce(bus: Bus, host: str, revision: int) -> None:
    fact = moved(revision)
    await publish(bus, MOVED.of(host_id=host), fact.model_dump_json().encode(), message_id=fact.event_id)


async def dead_letters(bus: Bus):
    streams = bus.client.jsm(timeout=patient(5))
    state = (await streams.stream_info(DEAD_LETTERS.name)).state
    stored = [await streams.get_msg(DEAD_LETTERS.name, seq) for seq in range(1, state.last_seq + 1)]
    return [(msg.subject, (msg.headers or {})["p2p-reason"], msg.data) for msg in stored]


class Heard:
    """A handler that takes down what it hears."""

    def __init__(self) -> None:
        self.revisions: dict[str, list[int]] = {}
        self.number = 0

    async def __call__(self, fact: Moved, delivery: Delivery) -> None:
        self.number += 1
        host = MOVED.parse(delivery.subject)["host_id"]
        self.revisions.setdefault(host, []).append(fact.revision)


async def test_each_aggregates_facts_come_in_order_and_aggregates_side_by_side(bus):
    order: list[str] = []
    at_once = 0
    most = 0

    async def handler(fact: Moved, delivery: Delivery) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        order.append(f"{MOVED.parse(delivery.subject)['host_id']}{fact.revision}")

    for revision in range(1, 11):
        for host in "abc":
            await announce(bus, host, revision)
    async with consuming(bus, handler):
        await eventually(lambda: len(order) == 30)
    for host in "abc":
        assert [seen for seen in order if seen[0] == host] == [f"{host}{revision}" for revision in range(1, 11)]
    assert most == 3


async def test_facts_that_come_one_after_another_are_handled_together_where_they_may_gather(bus):
    together = asyncio.Barrier(3)

    async def handler(fact: Moved) -> None:
        await together.wait()  # passes when three are being handled at once

    async def all_are_done() -> bool:
        about = await bus.client.jsm(timeout=patient(5)).consumer_info(EVENTS.name, "listener-moves")
        return about.num_pending == about.num_ack_pending == 0 and about.delivered.consumer_seq == 3

    async with consuming(bus, handler, gather=timedelta(seconds=patient(0.5))):
        for host in "abc":
            await announce(bus, host, 1)
        await eventually(all_are_done)


async def test_instances_of_a_service_share_the_facts(bus, nats_url):
    one, two = Heard(), Heard()
    async with connect_bus(nats_url, "two") as other, consuming(bus, one), consuming(other, two, instance="two"):
        for number in range(500):
            await announce(bus, f"host-{number}", 1)
        await eventually(lambda: one.number + two.number == 500)
    assert one.number
    assert two.number


async def test_what_takes_long_is_nobody_elses_meanwhile(bus, nats_url, monkeypatch):
    monkeypatch.setattr(events, "ACK_WAIT_S", patient(1.0))
    monkeypatch.setattr(chassis.consuming, "HOLD_EVERY_S", 0.1)
    begun: list[str] = []
    done = asyncio.Event()

    def working_as(name):
        async def handler(fact: Moved) -> None:
            begun.append(name)
            await done.wait()

        return handler

    signs = 0

    async def count(_: object) -> None:
        nonlocal signs
        signs += 1

    await bus.client.subscribe(f"$JS.ACK.{EVENTS.name}.listener-moves.>", cb=count)
    async with (
        connect_bus(nats_url, "two") as other,
        consuming(bus, working_as("one")),
        consuming(other, working_as("two"), instance="two"),
    ):
        await announce(bus, "a", 1)
        # Ten signs a second: the server would have given it away twice by then.
        await eventually(lambda: signs > 20 * patient(1.0), within=10)
        done.set()
    assert len(begun) == 1


async def test_what_a_process_had_in_hand_that_stands_still_goes_to_another(bus, nats_url, monkeypatch):
    monkeypatch.setattr(events, "ACK_WAIT_S", patient(1.0))
    monkeypatch.setattr(chassis.consuming, "HOLD_EVERY_S", 3600.0)
    stuck, heard = asyncio.Event(), Heard()

    async def never_done(fact: Moved) -> None:
        stuck.set()
        await asyncio.Event().wait()

    async with connect_bus(nats_url, "two") as other:
        monkeypatch.setattr(chassis.consuming, "FINISH_S", 0.1)
        async with consuming(bus, never_done):
            await announce(bus, "a", 1)
            await stuck.wait()
            async with consuming(other, heard, instance="two"):
                await eventually(lambda: heard.number == 1)
    assert heard.revisions == {"a": [1]}


async def test_a_consumer_that_is_not_durable_hears_what_comes_from_now_on(bus, nats_url):
    one, two = Heard(), Heard()
    await announce(bus, "before", 1)
    async with (
        connect_bus(nats_url, "two") as other,
        consuming(bus, one, durable=False),
        consuming(other, two, instance="two", durable=False),
    ):
        await announce(bus, "after", 1)
        await eventually(lambda: one.number == 1)
        await eventually(lambda: two.number == 1)
    assert one.revisions == two.revisions == {"after": [1]}


async def test_a_fact_that_fails_is_tried_again_and_then_kept_among_the_dead_letters(bus):
    attempts: list[int] = []

    async def handler(fact: Moved, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise KeyError("nowhere")

    async with consuming(bus, handler):
        await announce(bus, "a", 1)
        await eventually(lambda: dead_letters(bus))
    assert attempts == [1, 2, 3]
    ((subject, reason, body),) = await dead_letters(bus)
    assert (subject, reason) == ("p2p.dlq.EVENTS.listener-moves", "KeyError: 'nowhere'")
    assert Moved.model_validate_json(body).revision == 1


@pytest.mark.parametrize("body", [b"no json", b"{}", b"[1]"])
async def test_what_is_no_such_fact_goes_to_the_dead_letters_at_once(bus, body):
    heard = Heard()
    async with consuming(bus, heard):
        await publish(bus, MOVED.of(host_id="a"), body, message_id="1")
        await announce(bus, "a", 1)
        await eventually(lambda: heard.number)
    assert [letter[2] for letter in await dead_letters(bus)] == [body]


async def test_a_handler_may_call_a_fact_unusable(bus):
    async def handler(fact: Moved) -> None:
        raise UnusableError("host_id in the body is another one")

    async with consuming(bus, handler):
        await announce(bus, "a", 1)
        await eventually(lambda: dead_letters(bus))
    assert (await dead_letters(bus))[0][1] == "host_id in the body is another one"


async def test_while_what_a_handler_needs_is_away_facts_wait_however_often_they_are_tried(bus, monkeypatch):
    monkeypatch.setattr("chassis.consumer.WHILE_AWAY_S", 0.01)
    away = True
    tried = 0
    heard = Heard()

    async def handler(fact: Moved, delivery: Delivery) -> None:
        nonlocal tried
        tried += 1
        if away:
            raise UnavailableError("The database does not answer.")
        await heard(fact, delivery)

    async with consuming(bus, handler):
        await announce(bus, "a", 1)
        await eventually(lambda: tried > 3 * len(QUICKLY))
        away = False
        await eventually(lambda: heard.number == 1)
    assert await dead_letters(bus) == []


async def test_a_restart_of_nats_loses_and_doubles_nothing_that_was_acknowledged(bus, nats_server):
    heard = Heard()
    async with consuming(bus, heard):
        for revision in range(1, 51):
            await announce(bus, "a", revision)
        await nats_server.restart()
        await eventually(lambda: bus.connected)
        for revision in range(51, 101):
            await announce(bus, "a", revision)
        await eventually(lambda: heard.number >= 100)
    assert sorted(set(heard.revisions["a"])) == list(range(1, 101))


async def test_a_consumer_that_vanished_is_made_again_and_goes_on_where_it_was(bus):
    heard = Heard()
    async with consuming(bus, heard):
        await announce(bus, "a", 1)
        await eventually(lambda: heard.number == 1)
        await bus.client.jsm(timeout=patient(5)).delete_consumer(EVENTS.name, "listener-moves")
        await announce(bus, "a", 2)
        await eventually(lambda: heard.number == 2)
    assert heard.revisions == {"a": [1, 2]}


async def test_a_consumer_of_what_is_new_that_vanished_before_anything_came_hears_what_came_meanwhile(bus):
    heard = Heard()
    await announce(bus, "before", 1)
    async with consuming(bus, heard, durable=False):
        streams = bus.client.jsm(timeout=patient(5))

        async def asked() -> bool:
            return bool((await streams.consumer_info(EVENTS.name, "listener-moves-one")).num_waiting)

        await eventually(asked)
        await streams.delete_consumer(EVENTS.name, "listener-moves-one")
        await announce(bus, "after", 1)
        await eventually(lambda: heard.number == 1)
    assert heard.revisions == {"after": [1]}


async def test_a_stream_that_vanished_is_declared_again(bus):
    heard = Heard()
    async with consuming(bus, heard):
        await announce(bus, "a", 1)
        await eventually(lambda: heard.number == 1)
        await bus.client.jsm(timeout=patient(5)).delete_stream(EVENTS.name)

        async def there_again() -> bool:
            return EVENTS.name in [
                stream.config.name for stream in await bus.client.jsm(timeout=patient(5)).streams_info()
            ]

        await eventually(there_again)
        await announce(bus, "a", 1)
        await eventually(lambda: heard.number == 2)


async def test_of_another_stream_of_the_same_name_everything_is_heard(bus):
    heard = Heard()
    async with consuming(bus, heard, durable=False):
        await announce(bus, "a", 1)
        await eventually(lambda: heard.number == 1)
        await bus.client.jsm(timeout=patient(5)).delete_stream(EVENTS.name)
        await declare_streams(bus)
        await announce(bus, "b", 1)  # under the number that "a" had in the stream before
        await eventually(lambda: heard.number == 2, within=20)
    assert heard.revisions == {"a": [1], "b": [1]}


async def test_waiting_for_facts_and_for_jetstream_itself_costs_no_processor_time(bus, nats_server):
    async with consuming(bus, Heard()):
        await nats_server.stop()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        deadline = time.monotonic() + 1
        await eventually(lambda: time.monotonic() > deadline)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 0.3
        await nats_server.start()


async def test_a_fact_at_work_when_the_drain_begins_is_finished_and_the_rest_goes_to_others_at_once(bus, nats_url):
    started = asyncio.Event()
    release = asyncio.Event()
    done: list[int] = []

    async def slow(fact: Moved) -> None:
        started.set()
        await release.wait()
        done.append(fact.revision)

    for revision in range(1, 201):
        await announce(bus, "a", revision)
    heard = Heard()
    async with connect_bus(nats_url, "two") as other:
        async with consuming(bus, slow):
            await started.wait()
            asyncio.get_running_loop().call_soon(release.set)
        async with consuming(other, heard, instance="two"):
            await eventually(lambda: len(set(done) | set(heard.revisions.get("a", ()))) == 200)
    assert done[0] == 1
    assert not set(done) & set(heard.revisions["a"])


async def test_who_does_not_finish_is_left_and_another_has_the_fact_at_once(bus, nats_url, monkeypatch):
    monkeypatch.setattr("chassis.consuming.FINISH_S", 0.01)
    started = asyncio.Event()

    async def never(fact: Moved) -> None:
        started.set()
        await asyncio.Event().wait()

    heard = Heard()
    await announce(bus, "a", 1)
    async with connect_bus(nats_url, "two") as other:
        async with consuming(bus, never):
            await started.wait()
        async with consuming(other, heard, instance="two"):
            await eventually(lambda: heard.revisions == {"a": [1]})


async def test_of_several_consumers_none_takes_up_more_while_another_finishes(bus):
    started, release = asyncio.Event(), asyncio.Event()
    heard = Heard()

    async def slow(fact: Moved) -> None:
        started.set()
        await release.wait()

    consumers = Consumers(bus, "listener", instance="one")
    consumers.consume(EVENTS, MOVED.of(host_id="b"), Moved, heard, name="others")
    consumers.consume(EVENTS, MOVED.of(host_id="a"), Moved, slow, name="slow")
    async with AsyncExitStack() as running:
        await running.enter_async_context(consumers)
        await announce(bus, "a", 1)
        await started.wait()
        leaving = asyncio.create_task(running.aclose())

        async def nobody_pulls() -> bool:
            about = await bus.client.jsm(timeout=patient(5)).consumer_info(EVENTS.name, "listener-others")
            return not about.num_waiting

        await eventually(nobody_pulls)
        await announce(bus, "b", 1)
        release.set()
        await leaving
    assert heard.number == 0


async def test_a_defect_of_ours_ends_no_consumer(bus, monkeypatch):
    monkeypatch.setattr("chassis.consuming.AFTER_A_DEFECT_S", 0.01)
    heard, take = Heard(), Consumer.take
    failed = asyncio.Event()

    async def defect(self, messages) -> None:
        if not failed.is_set():
            failed.set()
            raise KeyError("no such thing")
        await take(self, messages)

    monkeypatch.setattr(Consumer, "take", defect)
    async with consuming(bus, heard):
        await announce(bus, "a", 1)
        await failed.wait()
        await announce(bus, "b", 1)
        await eventually(lambda: "b" in heard.revisions)
