"""What is told of traces, in JSON: one with all its spans, and in a line what each of several is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from traces.otlp import Span

MICROSECOND = 1000
MILLISECOND = 1_000_000


def trace(trace_id: str, spans: Sequence[Span]) -> dict[str, Any]:
    """All of it, earliest first."""
    return {"trace_id": trace_id, "spans": [_span(span) for span in spans]}


def summary(trace_id: str, spans: Sequence[Span]) -> dict[str, Any]:
    """What it is called, who took part, how long it took; `spans` are earliest first."""
    first = next((span for span in spans if not span.parent_id), spans[0])
    began, ended = min(span.started_at for span in spans), max(span.ended_at for span in spans)
    return {
        "trace_id": trace_id,
        "name": first.name,
        "service": first.service,
        "start": _at(began),
        "end": _at(ended),
        "duration_ms": (ended - began) / MILLISECOND,
        "spans": len(spans),
        "services": sorted({span.service for span in spans}),
        "failed": any(span.failed for span in spans),
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "name": span.name,
        "kind": span.kind,
        "service": span.service,
        "instance": span.instance,
        "version": span.version,
        "start": _at(span.started_at),
        "end": _at(span.ended_at),
        "duration_ms": (span.ended_at - span.started_at) / MILLISECOND,
        "status": span.status,
        "reason": span.reason,
        "attributes": span.attributes,
        "links": [{"trace_id": trace_id, "span_id": span_id} for trace_id, span_id in span.links],
    }


def _at(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // MICROSECOND)
    return at.isoformat(timespec="microseconds")
