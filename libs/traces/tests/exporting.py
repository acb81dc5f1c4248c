"""Spans as a service makes and sends them: by chassis, through the exporter it ships."""

from collections.abc import Iterator
from contextlib import contextmanager

from chassis import tracing
from chassis.sampling import ALWAYS, Sampling
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

KEPT = Sampling({}, otherwise=ALWAYS)


@contextmanager
def exporting(
    url: str, compression: Compression = Compression.NoCompression, headers: dict[str, str] | None = None
) -> Iterator[None]:
    """Record and send; all has been sent when the block ends."""
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", compression=compression, headers=headers)
    with tracing.recording_to(exporter, "doubler", "doubler-1", "1.2"):
        yield


def leave_a_trace(session_id: str, *, spans: int = 2) -> str:
    """One at the edge and the rest below it; the first below speaks of a session. Gives the trace's id."""
    with tracing.edge(KEPT, "join", "POST /join"):
        with tracing.span("publish p2p.events.sessions.joined", tracing.SpanKind.PRODUCER) as span:
            span.set_attribute("p2p.session_id", session_id)
        for number in range(spans - 2):
            with tracing.span(f"work {number}"):
                pass
        trace_id = tracing.current_trace_id()
    assert trace_id is not None
    return trace_id
