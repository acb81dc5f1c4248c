"""The W3C `traceparent`, read and written."""

from typing import NamedTuple

from opentelemetry.trace import SpanContext, TraceFlags

TRACEPARENT_LENGTH = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Parent(NamedTuple):
    """The sender's place in its trace, read from a `traceparent`."""

    trace_id: int
    span_id: int
    sampled: bool

    @property
    def span_context(self) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED if self.sampled else TraceFlags.DEFAULT)
        return SpanContext(self.trace_id, self.span_id, is_remote=True, trace_flags=flags)


def parse(traceparent: str | None) -> Parent | None:
    """Read a W3C `traceparent`; None when there is none or it is malformed (then a new trace begins)."""
    if traceparent is None or len(traceparent) < TRACEPARENT_LENGTH:
        return None
    version, trace_id, span_id, flags, *_ = (*traceparent.split("-"), "", "", "")
    if len(version) != 2 or version == "ff" or len(trace_id) != 32 or len(span_id) != 16 or len(flags) != 2:  # noqa: PLR2004 -- W3C's field widths
        return None
    try:
        parent = Parent(int(trace_id, 16), int(span_id, 16), sampled=bool(int(flags, 16) & TraceFlags.SAMPLED))
    except ValueError:
        return None
    return parent if parent.trace_id and parent.span_id else None


def written(trace_id: int, span_id: int, *, sampled: bool) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-{'01' if sampled else '00'}"
