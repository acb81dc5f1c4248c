"""An OTLP/HTTP receiver inside the test: what the processes export is here to be asked."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Span:
    """One span as it was exported; ids are lower-case hex, times nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root."""
    name: str
    kind: str
    """"SERVER", "CLIENT", "PRODUCER", "CONSUMER" or "INTERNAL"."""
    service: str
    instance: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    """Trace id and span id of each."""
    started_at: int
    ended_at: int
    failed: bool


class SpanReceiver:
    """Made by `receiving_spans`."""

    def __init__(self, url: str) -> None:
        self.url = url
        """What OTLP_ENDPOINT is set to."""
        self._spans: list[Span] = []

    @property
    def spans(self) -> list[Span]:
        """All so far, as they came."""
        return list(self._spans)

    def spans_of(self, trace_id: str) -> list[Span]:
        """Those of one trace, earliest first."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.started_at)

    def accept(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                self._spans += [_span(message, resource_spans.resource) for message in scope_spans.spans]


@contextmanager
def receiving_spans() -> Iterator[SpanReceiver]:
    """Listen on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        # Exporters keep their connection; 1.0 would make each export open a new one.
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.accept(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the standard library's
            """Stay silent: the test shows what matters."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # A connection that an exporter keeps open must not keep the test from ending.
        server.daemon_threads = True
        server.block_on_close = False
        receiver = SpanReceiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="span receiver")
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _span(message: SpanMessage, resource: Resource) -> Span:
    about = _attributes(resource.attributes)
    return Span(
        trace_id=message.trace_id.hex(),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex(),
        name=message.name,
        kind=SpanMessage.SpanKind.Name(message.kind).removeprefix("SPAN_KIND_"),
        service=about.get("service.name", ""),
        instance=about.get("service.instance.id", ""),
        attributes=_attributes(message.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in message.links),
        started_at=message.start_time_unix_nano,
        ended_at=message.end_time_unix_nano,
        failed=message.status.code == Status.STATUS_CODE_ERROR,
    )


def _attributes(pairs: Iterator[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
