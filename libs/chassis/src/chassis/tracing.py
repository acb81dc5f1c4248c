"""Spans that cost next to nothing while nobody records them, and the trace context from hop to hop.

A trace is sampled once, by `edge`. A sampled trace is an ordinary OpenTelemetry context, so other tools see it; of
one that is not sampled only its `traceparent` is passed on, as text, so that logs everywhere still carry its id.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from contracts.refusals import Code
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, Status, StatusCode
from opentelemetry.trace import Span as Span  # noqa: PLC0414
from opentelemetry.trace import SpanKind as SpanKind  # noqa: PLC0414 -- ours to give on: callers name a span's kind
from opentelemetry.util.types import Attributes, AttributeValue

from chassis.refusals import ServiceError
from chassis.sampling import Sampling
from chassis.semantics import of_message
from chassis.traceparent import TRACEPARENT_LENGTH, Parent, written
from chassis.traceparent import parse as parse  # noqa: PLC0414 -- ours to give on

TRACEPARENT = "traceparent"

REFUSAL = "p2p.refusal"
"""The span attribute that holds a refusal's code."""

ERROR_TYPE = "error.type"
"""OpenTelemetry's, of spans that failed: a code of ours, the class of an exception, an HTTP status."""

_UNSAMPLED: ContextVar[str | None] = ContextVar("unsampled_traceparent", default=None)
_TRACE_ID: ContextVar[int | None] = ContextVar("trace_id_of_the_next_root", default=None)
_KEPT = otel_context.create_key("chassis-kept")

_DEFECTS = frozenset({Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})
"""Refusals that are our failure; any other refusal is a proper answer and its span is no error."""

EXPORT_WITHIN_S = 1.0
"""A receiver that is away must not hold up the end of a process; with the default of 10 s it takes 13 s."""

QUEUE_SIZE = 16_384
"""Spans waiting for export; the SDK's 2,048 are full after 40 ms of a burst of joins."""


@contextmanager
def open_tracing(service: str, instance: str, version: str, endpoint: str | None) -> Iterator[None]:
    """Export the spans of this process to `endpoint` (OTLP over HTTP, its base URL) until the block ends."""
    if endpoint is None:
        yield
        return
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_WITHIN_S)
    with recording_to(exporter, service, instance, version) as provider:
        trace.set_tracer_provider(provider)  # what other libraries in the process record goes the same way
        yield


@contextmanager
def recording_to(exporter: SpanExporter, service: str, instance: str, version: str) -> Iterator[TracerProvider]:
    """Export what this module records through `exporter`, until the block ends."""
    resource = Resource.create(
        {
            "service.namespace": "p2p",
            "service.name": service,
            "service.instance.id": instance,
            "service.version": version,
        }
    )
    provider = TracerProvider(sampler=_EdgeDecides(), id_generator=_IdsOfTheEdge(), resource=resource)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=QUEUE_SIZE, schedule_delay_millis=500, max_export_batch_size=512)
    )
    before, _RECORDER.tracer = _RECORDER.tracer, provider.get_tracer("chassis")
    try:
        yield provider
    finally:
        _RECORDER.tracer = before
        provider.shutdown()


class _Recorder:
    """Where spans begin: nowhere, until `recording_to` says where they go."""

    tracer: trace.Tracer = trace.NoOpTracer()


_RECORDER = _Recorder()


class _EdgeDecides(Sampler):
    """Follow the parent; a root is kept only where `edge` or `root` said so."""

    def __init__(self) -> None:
        self._followed = ParentBased(ALWAYS_OFF)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        kept = parent_context is not None and otel_context.get_value(_KEPT, parent_context) is not None
        sampler = ALWAYS_ON if kept else self._followed
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return "EdgeDecides"


class _IdsOfTheEdge(RandomIdGenerator):
    """Random ids, but a refused message's late span keeps the trace id its log lines already carry."""

    def generate_trace_id(self) -> int:
        return _TRACE_ID.get() or super().generate_trace_id()


def current_traceparent() -> str | None:
    """The place in the trace that is being served now, for whoever is told or asked next."""
    here = trace.get_current_span().get_span_context()
    if here.is_valid:
        return written(here.trace_id, here.span_id, sampled=here.trace_flags.sampled)
    return _UNSAMPLED.get()


def current_trace_id() -> str | None:
    """The trace's id in hex, sampled or not: what logs and error answers carry."""
    here = trace.get_current_span().get_span_context()
    if here.is_valid:
        return f"{here.trace_id:032x}"
    unsampled = _UNSAMPLED.get()
    return unsampled[3:35] if unsampled else None


def inject(headers: dict[str, str]) -> None:
    """Add the trace context to the headers of a message that leaves."""
    traceparent = current_traceparent()
    if traceparent is not None:
        headers[TRACEPARENT] = traceparent


class _Recording:
    """A span that is current for the length of the block; a refusal is its attribute, a defect its error."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            mark(self._span, error)
        self._span.end()
        otel_context.detach(self._token)


def mark(span: Span, error: BaseException) -> None:
    """Say on a span how its work failed; a block that raises does so by itself."""
    if isinstance(error, ServiceError):
        span.set_attribute(REFUSAL, error.refusal.code)
        if error.refusal.code not in _DEFECTS:
            return
        span.set_attribute(ERROR_TYPE, error.refusal.code)
    else:
        span.set_attribute(ERROR_TYPE, type(error).__qualname__)
        if isinstance(error, Exception):
            span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


class _Quiet:
    """No span: the trace is not sampled."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return trace.INVALID_SPAN

    def __exit__(self, *_: object) -> None:
        return


QUIET = _Quiet()
"""The span of a trace that is not sampled: does nothing."""


class _PassedOn:
    """No span, but what is sent from inside carries the trace's id, marked as not sampled."""

    __slots__ = ("_token", "_traceparent")

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    def __enter__(self) -> Span:
        self._token: Token[str | None] = _UNSAMPLED.set(self._traceparent)
        return trace.INVALID_SPAN

    def __exit__(self, *_: object) -> None:
        _UNSAMPLED.reset(self._token)


def exemplar(span: Span) -> dict[str, str] | None:
    """What a histogram is to remember a kept trace by; None for others. A span that has ended will do."""
    here = span.get_span_context()
    if not here.trace_flags.sampled:
        return None
    return {"trace_id": f"{here.trace_id:032x}", "span_id": f"{here.span_id:016x}"}


def recording() -> bool:
    """Whether the trace being served now is sampled; ask before building costly attributes."""
    return trace.get_current_span().is_recording()


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, AttributeValue] | None = None
) -> AbstractContextManager[Span]:
    """Record a span below the current one; nothing at all when the trace is not sampled.

    The name of a message's span is "<operation> <subject without ids>", and gives it its attributes.
    """
    if not trace.get_current_span().is_recording():
        return QUIET
    return _Recording(_RECORDER.tracer.start_span(name, kind=kind, attributes=attributes or of_message(name, kind)))


def continued(
    traceparent: str | None,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    linked: bool = False,
) -> AbstractContextManager[Span]:
    """Record a span below a sender's; `linked` also links it there, as consumers' spans are."""
    if traceparent is None:
        return QUIET
    if len(traceparent) == TRACEPARENT_LENGTH and traceparent.endswith("-00"):
        return _PassedOn(traceparent)  # by far the most frequent: nothing of it but its text is needed
    parent = parse(traceparent)
    if parent is None:
        return QUIET
    if not parent.sampled:
        return _PassedOn(traceparent)
    here = parent.span_context
    context = trace.set_span_in_context(NonRecordingSpan(here), Context())
    links = [Link(here)] if linked else None
    return _Recording(_RECORDER.tracer.start_span(name, context, kind, attributes or of_message(name, kind), links))


def root(name: str, kind: SpanKind = SpanKind.INTERNAL) -> AbstractContextManager[Span]:
    """Begin a trace that is kept, whatever surrounds it; for the few things nobody asked for that matter."""
    return _Recording(
        _RECORDER.tracer.start_span(name, otel_context.set_value(_KEPT, value=True, context=Context()), kind)
    )


def edge(
    sampling: Sampling,
    kind: str,
    name: str,
    *,
    traceparent: str | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> AbstractContextManager[Span]:
    """Decide, for a message that enters the suite, whether its trace is kept, and begin or continue it."""
    parent = parse(traceparent)
    begun = _begun(sampling, kind, name, parent, attributes)
    if begun.is_recording():
        return _Recording(begun)
    # Not kept, or nowhere to keep it: logs and error answers carry the trace's id all the same.
    here = parent or Parent(random.getrandbits(128), random.getrandbits(64), sampled=False)
    return UnsampledEdge(sampling, name, here.trace_id, here.span_id)


def _begun(
    sampling: Sampling, kind: str, name: str, parent: Parent | None, attributes: Mapping[str, AttributeValue] | None
) -> Span:
    if parent is None and sampling.keeps(kind):
        context = otel_context.set_value(_KEPT, value=True, context=Context())
    elif parent is not None and parent.sampled and sampling.keeps_incoming():
        context = trace.set_span_in_context(NonRecordingSpan(parent.span_context), Context())
    else:
        return trace.INVALID_SPAN
    return _RECORDER.tracer.start_span(name, context, SpanKind.SERVER, attributes)


class UnsampledEdge(NonRecordingSpan):
    """A message whose trace is not kept, unless it ends in a refusal: that leaves one span behind.

    Whoever holds it tells it something only then, or asks `is_recording` before.
    """

    def __init__(self, sampling: Sampling, name: str, trace_id: int, span_id: int) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self._sampling = sampling
        self._name = name
        self._trace_id = trace_id
        self._span_id = span_id
        self._told: dict[str, AttributeValue] | None = None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._told = {**(self._told or {}), **attributes}

    def __enter__(self) -> Self:
        self._began_at = time.time_ns()
        self._token = _UNSAMPLED.set(written(self._trace_id, self._span_id, sampled=False))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _UNSAMPLED.reset(self._token)
        if (isinstance(error, Exception) or self._told is not None) and self._sampling.keeps_refused():
            self._leave_a_span(error)

    def _leave_a_span(self, error: BaseException | None) -> None:
        token = _TRACE_ID.set(self._trace_id)
        try:
            context = otel_context.set_value(_KEPT, value=True, context=Context())
            late = _RECORDER.tracer.start_span(
                self._name, context, SpanKind.SERVER, self._told, start_time=self._began_at
            )
            if error is not None:
                mark(late, error)
            elif self._told and ERROR_TYPE in self._told:
                late.set_status(Status(StatusCode.ERROR))
            late.end()
        finally:
            _TRACE_ID.reset(token)
