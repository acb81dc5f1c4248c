"""Carry a player's trace through the host: OpenTelemetry's API, which costs nothing until a program sets it up."""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACER = trace.get_tracer("p2p.sdk")
_PROPAGATOR = TraceContextTextMapPropagator()


def context_of(traceparent: str | None) -> Context:
    """Read the trace that a frame belongs to; an empty context when it names none, or not legibly."""
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, Context())


def traceparent_of(context: Context, otherwise: str | None) -> str | None:
    """Write the trace for a frame that leaves; `otherwise` where nothing here records spans."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return carrier.get("traceparent", otherwise)
