import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_what_an_exporter_sends_can_be_asked_for_by_trace(span_receiver, compression):
    exporter = OTLPSpanExporter(f"{span_receiver.url}/v1/traces", compression=compression)
    provider = TracerProvider(resource=Resource({"service.name": "zone_manager", "service.instance.id": "z-1"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("other") as other:
        pass
    with (
        tracer.start_as_current_span(
            "place", kind=SpanKind.SERVER, attributes={"players": 3, "who": ["a", "b"]}
        ) as parent,
        tracer.start_as_current_span("select", links=[Link(other.get_span_context())]) as child,
    ):
        child.set_status(Status(StatusCode.ERROR))
    provider.shutdown()
    place, select = span_receiver.spans_of(f"{parent.get_span_context().trace_id:032x}")
    assert (place.name, place.kind, place.service, place.instance) == ("place", "SERVER", "zone_manager", "z-1")
    assert place.attributes == {"players": 3, "who": ["a", "b"]}
    assert (place.parent_id, select.parent_id) == ("", place.span_id)
    assert (place.failed, select.failed) == (False, True)
    assert select.links == ((f"{other.get_span_context().trace_id:032x}", f"{other.get_span_context().span_id:016x}"),)
    assert place.started_at <= select.started_at <= select.ended_at <= place.ended_at
    assert len(span_receiver.spans) == 3
