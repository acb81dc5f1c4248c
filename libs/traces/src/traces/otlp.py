"""What an OTLP exporter sends, as spans."""

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
END_OF_TIME = 1 << 63
"""What a signed integer of 64 bits holds: the year 2262."""

_KINDS = {number: name.removeprefix("SPAN_KIND_") for name, number in SpanMessage.SpanKind.items()}
_STATUSES = {number: name.removeprefix("STATUS_CODE_") for name, number in Status.StatusCode.items()}


class Span(NamedTuple):
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
    version: str
    started_at: int
    ended_at: int
    status: str
    """"UNSET", "OK" or "ERROR"."""
    reason: str
    """What the status says of an error; empty otherwise."""
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    """Trace id and span id of each."""

    @property
    def failed(self) -> bool:
        return self.status == "ERROR"


class Export(NamedTuple):
    """One request of an exporter."""

    spans: list[Span]
    rejected: int
    """How many had no id, half of one, or ended before they began: nobody could find or draw them."""


class NotSpansError(ValueError):
    """The body is no ExportTraceServiceRequest."""


def decode(body: bytes) -> Export:
    """Read the body of `POST /v1/traces`, in protobuf."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise NotSpansError("the body is not an ExportTraceServiceRequest in protobuf") from error
    sent = sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
    spans = [span for resource in request.resource_spans for span in _of_one_process(resource)]
    return Export(spans, sent - len(spans))


def _of_one_process(sent: ResourceSpans) -> Iterator[Span]:
    resource = _attributes(sent.resource.attributes)
    service, instance, version = (
        str(resource.get(f"service.{what}", "")) for what in ("name", "instance.id", "version")
    )
    for scope in sent.scope_spans:
        for message in scope.spans:
            if _is_whole(message):
                yield Span(
                    message.trace_id.hex(),
                    message.span_id.hex(),
                    message.parent_span_id.hex(),
                    message.name,
                    _KINDS.get(message.kind, "UNSPECIFIED"),
                    service,
                    instance,
                    version,
                    message.start_time_unix_nano,
                    message.end_time_unix_nano,
                    _STATUSES.get(message.status.code, "UNSET"),
                    message.status.message,
                    _attributes(message.attributes),
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in message.links),
                )


def _is_whole(message: SpanMessage) -> bool:
    return (
        len(message.trace_id) == TRACE_ID_BYTES
        and len(message.span_id) == SPAN_ID_BYTES
        and any(message.trace_id)
        and any(message.span_id)
        and message.start_time_unix_nano <= message.end_time_unix_nano < END_OF_TIME
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case "double_value" if not isfinite(value.double_value):
            return str(value.double_value)  # JSON has no such numbers
        case kind:
            return getattr(value, kind)
