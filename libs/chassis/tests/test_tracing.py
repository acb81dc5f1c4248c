"""One trace, from the edge to the last consequence; none at all where the edge says so."""

import asyncio
import json

import pytest
from chassis import tracing
from chassis.events import Consumers
from chassis.outbox import OutboxRelay, outbox_row, tell
from chassis.redis import open_redis
from chassis.refusals import InternalError, InvalidError
from chassis.requests import call
from chassis.responder import Responder
from chassis.sampling import ALWAYS, NEVER, Sampling
from contracts.streams import EVENTS
from opentelemetry.trace import StatusCode
from testkit.eventually import eventually

from libs.chassis.tests.messages import DOUBLE, MOVED, OTHER, Double, Doubled, FullError, Moved, moved

KEPT = Sampling({"join": ALWAYS}, otherwise=NEVER)
CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def suite(bus, database, spans):
    """DOUBLE tells a fact in its transaction; its consumer asks OTHER; what it heard last is an Event."""
    consumed = asyncio.Event()

    async def double(question: Double) -> Doubled:
        async with database.transaction() as transaction:
            await transaction.fetchval("numbers.double", "SELECT $1::int * 2", question.number)
            await tell(transaction, [outbox_row(MOVED.of(host_id="a"), moved(1))])
        return Doubled(number=2 * question.number)

    async def other(question: Double) -> Doubled:
        return Doubled(number=await database.fetchval("numbers.other", "SELECT $1::int", question.number))

    async def hear(fact: Moved) -> None:
        await call(bus, OTHER, Double(number=fact.revision))
        consumed.set()

    responder = Responder(bus, "doubler", "1", instance="one")
    responder.answer(DOUBLE, double)
    responder.answer(OTHER, other)
    consumers = Consumers(bus, "listener", instance="one")
    consumers.consume(EVENTS, MOVED.wildcard, Moved, hear, name="moves")
    async with OutboxRelay(database, bus), consumers, responder:
        yield consumed


async def test_a_message_at_the_edge_and_all_its_consequences_are_one_trace(suite, bus, spans):
    with tracing.edge(KEPT, "join", "POST /join"):
        await call(bus, DOUBLE, Double(number=4))
    await suite.wait()
    await eventually(lambda: "consume p2p.events.hosts.moved" in spans.names())
    assert spans.traces() == {spans.named("POST /join").context.trace_id}
    lineage = {span.name: spans.parent_of(span) for span in spans.all() if span.kind.name != "SERVER"}
    assert lineage == {
        DOUBLE.subject: "POST /join",
        "SELECT numbers.double": DOUBLE.subject,
        "INSERT outbox.tell": DOUBLE.subject,
        "COMMIT": DOUBLE.subject,
        "publish p2p.events.hosts.moved": DOUBLE.subject,
        "consume p2p.events.hosts.moved": "publish p2p.events.hosts.moved",
        OTHER.subject: "consume p2p.events.hosts.moved",
        "SELECT numbers.other": OTHER.subject,
    }
    assert spans.kinds(DOUBLE.subject) == ["CLIENT", "SERVER"]


async def test_a_consumers_span_is_linked_to_the_publish_as_well(suite, bus, spans):
    with tracing.edge(KEPT, "join", "POST /join"):
        await call(bus, DOUBLE, Double(number=4))
    await suite.wait()
    await eventually(lambda: "consume p2p.events.hosts.moved" in spans.names())
    (link,) = spans.named("consume p2p.events.hosts.moved").links
    assert link.context.span_id == spans.named("publish p2p.events.hosts.moved").context.span_id


async def test_facts_consumed_in_one_batch_stay_in_their_own_traces(suite, bus, database, spans):
    heard: list[str | None] = []

    async def hear(fact: Moved) -> None:
        await database.fetchval("facts.hear", "SELECT 1")
        heard.append(tracing.current_trace_id())

    expected = set()
    for number in range(5):
        with tracing.edge(KEPT, "join", f"POST /join {number}"):
            expected.add(tracing.current_trace_id())
            await call(bus, DOUBLE, Double(number=number))
    consumers = Consumers(bus, "batcher", instance="one")
    consumers.consume(EVENTS, MOVED.wildcard, Moved, hear, name="moves")
    async with consumers:
        await eventually(lambda: len(heard) == 5)
    assert set(heard) == expected
    hearing = [span for span in spans.all() if span.name == "SELECT facts.hear"]
    assert {f"{span.context.trace_id:032x}" for span in hearing} == expected
    assert {spans.parent_of(span) for span in hearing} == {"consume p2p.events.hosts.moved"}


async def test_what_the_edge_does_not_keep_leaves_no_span_anywhere(suite, bus, spans):
    with tracing.edge(KEPT, "beat", "POST /beat"):
        await call(bus, DOUBLE, Double(number=4))
    await suite.wait()
    assert spans.all() == []


async def test_a_trace_that_is_not_kept_still_names_itself_everywhere(suite, bus, spans):
    told: list[str | None] = []

    async def hear(msg) -> None:
        told.append(tracing.current_trace_id())

    await bus.subscribe("p2p.test.>", hear)
    with tracing.edge(KEPT, "beat", "POST /beat"):
        here = tracing.current_trace_id()
        await bus.publish("p2p.test.a", b"")
        await eventually(lambda: told)
    assert here is not None
    assert told == [here]


async def test_work_nobody_asked_for_leaves_no_span(database, spans):
    await database.fetchval("one", "SELECT 1")
    with tracing.span("work"):
        pass
    assert spans.all() == []


async def test_a_clients_sampled_trace_is_continued(spans):
    with tracing.edge(KEPT, "beat", "POST /beat", traceparent=CLIENTS):
        assert tracing.current_trace_id() == "0af7651916cd43dd8448eb211c80319c"
    assert f"{spans.named('POST /beat').parent.span_id:016x}" == "b7ad6b7169203331"


async def test_clients_cannot_have_more_traces_kept_than_the_bound(spans):
    stingy = Sampling({}, incoming=NEVER)
    with tracing.edge(stingy, "beat", "POST /beat", traceparent=CLIENTS):
        assert tracing.current_traceparent() == CLIENTS[:-1] + "0"
    assert spans.all() == []


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319z-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
    ],
)
def test_a_malformed_traceparent_begins_a_new_trace(traceparent):
    assert tracing.parse(traceparent) is None


async def test_a_refusal_is_an_attribute_of_the_span_and_no_error(bus, spans):
    async def full(question: Double) -> Doubled:
        raise FullError("No seat is left.")

    responder = Responder(bus, "doubler", "1", instance="one")
    responder.answer(DOUBLE, full)
    async with responder:
        with tracing.edge(KEPT, "join", "POST /join"), pytest.raises(Exception, match="No seat"):
            await call(bus, DOUBLE, Double(number=1))
    for span in spans.all():
        if span.name == DOUBLE.subject:
            assert span.attributes[tracing.REFUSAL] == "session_full"
            assert span.status.status_code is StatusCode.UNSET


def test_a_defect_is_an_error_of_the_span(spans):
    with pytest.raises(InternalError), tracing.edge(KEPT, "join", "POST /join"):
        raise InternalError("Something went wrong on our side.")
    assert spans.named("POST /join").status.status_code is StatusCode.ERROR


def test_a_refused_message_that_was_not_sampled_leaves_one_span_with_its_trace_id(spans):
    ids: list[str | None] = []

    def refused() -> None:
        with tracing.edge(KEPT, "beat", "POST /beat"):
            ids.append(tracing.current_trace_id())
            raise InvalidError("latency_ms is negative")

    with pytest.raises(InvalidError):
        refused()
    late = spans.named("POST /beat")
    assert [f"{late.context.trace_id:032x}"] == ids
    assert late.attributes[tracing.REFUSAL] == "invalid"


def test_the_places_of_a_trace_survive_the_way_over_json(spans):
    with tracing.edge(KEPT, "join", "POST /join"):
        headers: dict[str, str] = {}
        tracing.inject(headers)
        carried = json.loads(json.dumps(headers))["traceparent"]
        parent = tracing.parse(carried)
    sent = spans.named("POST /join").context
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.sampled) == (sent.trace_id, sent.span_id, True)


async def test_redis_commands_are_spans_of_the_trace(redis_url, spans):
    async with open_redis(redis_url) as redis:
        with tracing.edge(KEPT, "join", "POST /join"):
            await redis.set("a", "b")
            async with redis.pipeline() as pipeline:
                pipeline.get("a")
                pipeline.get("b")
                assert await pipeline.execute() == ["b", None]
    assert {spans.parent_of(spans.named(name)) for name in ("SET", "PIPELINE GET")} == {"POST /join"}


def test_a_process_that_exports_nothing_passes_the_trace_on():
    with tracing.continued(CLIENTS, "receive", tracing.SpanKind.SERVER), tracing.span("work"):
        assert tracing.current_traceparent() == CLIENTS
