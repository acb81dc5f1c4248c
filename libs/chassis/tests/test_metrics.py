"""What a process counts of itself is true, and leads from a number to a trace."""

from datetime import timedelta

import httpx
import pytest
from chassis.events import Consumers
from chassis.health import serve_health
from chassis.lag import Followed, Lag
from chassis.metrics import EVENTS_WAITING, OUTBOX_OLDEST, OUTBOX_RELAYING, OUTBOX_WAITING
from chassis.outbox import BATCH, OutboxRelay, outbox_row, tell
from chassis.requests import call
from chassis.responder import Responder
from chassis.tracing import root
from contracts.streams import EVENTS
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from testkit.clients import http_client
from testkit.eventually import eventually

from libs.chassis.tests.messages import DOUBLE, MOVED, Double, Doubled, Moved, moved

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""As Prometheus asks."""


@pytest.fixture
async def scraped(unused_tcp_port):
    async with serve_health("127.0.0.1", unused_tcp_port):

        async def scrape(accept: str) -> httpx.Response:
            async with http_client(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
                return await client.get("/metrics", headers={"accept": accept})

        yield scrape


async def test_a_slow_request_leads_to_its_trace(scraped, bus, spans):
    async def double(question: Double) -> Doubled:
        return Doubled(number=2 * question.number)

    responder = Responder(bus, "doubler", "1", instance="doubler-1")
    responder.answer(DOUBLE, double)
    async with responder:
        with root("a player asks") as asked:
            await call(bus, DOUBLE, Double(number=2))
    answer = await scraped(OPENMETRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    traces = [
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "p2p_request_seconds_bucket"
        and sample.labels["subject"] == DOUBLE.subject
        and sample.exemplar
    ]
    assert f"{asked.get_span_context().trace_id:032x}" in traces


async def test_who_cannot_read_openmetrics_gets_the_older_text(scraped):
    answer = await scraped("text/plain")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# EOF" not in answer.text


async def test_what_a_consumer_has_not_done_is_counted_while_it_hangs_too(bus):
    reached: list[int] = []

    async def refuse(fact: Moved) -> None:
        reached.append(fact.revision)
        raise KeyError("not now")

    consumers = Consumers(bus, "doubler", instance="doubler-1", retry_after_s=[60.0])
    consumers.consume(EVENTS, MOVED.wildcard, Moved, refuse, name="moves")
    async with consumers:
        for number in range(3):
            await bus.publish(MOVED.of(host_id=f"host-{number}"), moved(1).model_dump_json().encode())
        await eventually(lambda: len(reached) == 3)
        await Lag(bus, [Followed("doubler-moves", EVENTS.name, "doubler-moves")]).look()
        assert EVENTS_WAITING.labels("doubler-moves")._value.get() == 3


async def test_an_outbox_that_nobody_can_empty_tells_how_much_waits_and_for_how_long(database, bus, nats_server):
    async with OutboxRelay(database, bus) as relay:
        await eventually(lambda: relay.leading)
        assert OUTBOX_RELAYING._value.get() == 1
        await nats_server.kill()
        for revision in range(1, BATCH + 11):
            async with database.transaction() as transaction:
                await tell(transaction, [outbox_row(MOVED.of(host_id="a"), moved(revision))])
        await eventually(lambda: OUTBOX_WAITING._value.get() == BATCH + 10, within=10)
        await eventually(lambda: OUTBOX_OLDEST._value.get() > timedelta(seconds=1).total_seconds(), within=10)
        await nats_server.start()
        await eventually(lambda: OUTBOX_WAITING._value.get() == OUTBOX_OLDEST._value.get() == 0, within=20)
    assert OUTBOX_RELAYING._value.get() == 0
