"""The spans of a test, looked up by name."""

from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass
class Spans:
    _exporter: InMemorySpanExporter
    _provider: TracerProvider

    def all(self) -> list[ReadableSpan]:
        self._provider.force_flush()
        return list(self._exporter.get_finished_spans())

    def names(self) -> set[str]:
        return {span.name for span in self.all()}

    def named(self, name: str) -> ReadableSpan:
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, f"{len(found)} spans are called {name!r}; there are {sorted(self.names())}"
        return found[0]

    def kinds(self, name: str) -> list[str]:
        return sorted(span.kind.name for span in self.all() if span.name == name)

    def parent_of(self, span: ReadableSpan) -> str | None:
        parent = span.parent
        if parent is None:
            return None
        return next((other.name for other in self.all() if other.context.span_id == parent.span_id), "unknown")

    def traces(self) -> set[int]:
        return {span.context.trace_id for span in self.all()}
