"""An OTLP/HTTP receiver inside the test: what the processes export is here to be asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from traces.otlp import Span as Span  # noqa: PLC0414  ours to give on: tests look into spans
from traces.receiver import receiving


class SpanReceiver:
    """Made by `receiving_spans`."""

    def __init__(self) -> None:
        self.url = ""
        """What OTLP_ENDPOINT is set to."""
        self._spans: list[Span] = []

    @property
    def spans(self) -> list[Span]:
        """All so far, as they came."""
        return list(self._spans)

    def spans_of(self, trace_id: str) -> list[Span]:
        """Those of one trace, earliest first."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.started_at)

    def keep(self, spans: list[Span]) -> None:
        self._spans += spans


@contextmanager
def receiving_spans() -> Iterator[SpanReceiver]:
    """Listen on a free port of 127.0.0.1."""
    receiver = SpanReceiver()
    with receiving(receiver.keep, answers={}) as port:
        receiver.url = f"http://127.0.0.1:{port}"
        yield receiver
