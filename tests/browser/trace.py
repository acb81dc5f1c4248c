"""Reading a trace: who is whose parent, and who followed whom."""

from collections.abc import Iterator, Sequence

from testkit.spans import Span


class Trace:
    """The spans of one trace."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans
        self._by_id = {span.span_id: span for span in spans}

    @property
    def heard_frames(self) -> set[str]:
        """Names of the spans that gateways made for frames of sockets."""
        return {span.name for span in self.spans if span.kind == "SERVER" and span.name.startswith("ws ")}

    @property
    def services_with_database_spans(self) -> set[str]:
        """Whose statements are in it; their spans are named like `SELECT zones.by_id`."""
        verbs = ("SELECT ", "INSERT ", "UPDATE ", "WITH ")
        return {span.service for span in self.spans if span.kind == "CLIENT" and span.name.startswith(verbs)}

    @property
    def absent_parents(self) -> set[str]:
        """Span ids that are somebody's parent and not among the spans."""
        return {span.parent_id for span in self.spans} - set(self._by_id)

    def consumers_of(self, publish: str) -> set[str]:
        """Services with a consumer span that is the child of a publish of this name, and linked to it."""
        return {
            span.service
            for span in self.spans
            if span.kind == "CONSUMER"
            and (parent := self._by_id.get(span.parent_id))
            and parent.name == publish
            and (parent.trace_id, parent.span_id) in span.links
        }

    def chain(self, *names: str) -> bool:
        """Whether a span with the last name in its own descends from one with the name before, and so on up."""
        return any(self._descends(span, names[:-1]) for span in self.spans if names[-1] in span.name)

    def _descends(self, span: Span, names: tuple[str, ...]) -> bool:
        for ancestor in self._ancestors(span):
            if names and names[-1] in ancestor.name:
                names = names[:-1]
        return not names

    def _ancestors(self, span: Span) -> Iterator[Span]:
        while parent := self._by_id.get(span.parent_id):
            yield parent
            span = parent
