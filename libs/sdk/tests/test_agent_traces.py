"""A player's trace goes on in the host, where the host's program records traces."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sdk import player as player_module
from testkit.eventually import eventually

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.test_host_agent import agent_for

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(player_module, "TRACER", provider.get_tracer("p2p.sdk"))
    yield exporter
    provider.shutdown()


async def test_the_offers_trace_covers_the_answer_and_the_open_channel(stand_in, spans):
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera", traceparent=TRACEPARENT)
        await eventually(lambda: len(spans.get_finished_spans()) == 2)
    answer, opening = spans.get_finished_spans()
    assert [answer.name, opening.name] == ["answer offer", "open data channel"]
    assert {trace.format_trace_id(span.context.trace_id) for span in (answer, opening)} == {TRACE_ID}
    assert opening.parent.span_id == answer.context.span_id
    assert anna.answer["traceparent"] == f"00-{TRACE_ID}-{trace.format_span_id(answer.context.span_id)}-01"


async def test_a_host_that_records_nothing_passes_the_trace_on(stand_in):
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera", traceparent=TRACEPARENT)
        assert anna.answer["traceparent"] == TRACEPARENT
