"""A trace, drawn: its spans as a tree, each with a bar for when it ran, under the service that did it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from cli.spans import in_words

TOOK_WIDTH = 9
"""`999.9 ms` and a blank."""
LEAST_BAR = 12
LEAST_NAME = 16


@dataclass(frozen=True)
class Span:
    """As the store tells it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    service: str
    start: datetime
    end: datetime
    trouble: str
    """Why it failed, or the code with which it was refused; empty when all went well."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        about = told["attributes"]
        return cls(
            told["trace_id"],
            told["span_id"],
            told["parent_id"],
            _printable(told["name"]),
            _printable(told["service"]),
            datetime.fromisoformat(told["start"]),
            datetime.fromisoformat(told["end"]),
            _printable(_trouble(told["status"], told["reason"], about)),
        )


def draw(spans: Sequence[Span], width: int, *, ascii_only: bool = False) -> Iterator[Text]:
    """Draw one trace, earliest first, in lines of `width`."""
    began, ended = min(span.start for span in spans), max(span.end for span in spans)
    whole = (ended - began).total_seconds()
    rows = list(_tree(spans))
    yield Text(f"{rows[0][1].name}: {in_words(whole)}, {len(spans)} spans", style="bold")
    yield Text(f"{spans[0].trace_id}, {began:%Y-%m-%d %H:%M:%S} UTC", style="dim")
    longest = max(depth + 1 + cell_len(span.name) for depth, span in rows)
    name_width = max(LEAST_NAME, min(longest, width - LEAST_BAR - TOOK_WIDTH - 1))
    bar_width = max(LEAST_BAR, width - name_width - TOOK_WIDTH - 1)
    service = None
    for depth, span in rows:
        if span.service != service:
            service = span.service
            yield Text(service or "(no service)", style="cyan")
        offset, took = (span.start - began).total_seconds(), (span.end - span.start).total_seconds()
        line = Text(_cut(f"{' ' * (depth + 1)}{span.name}", name_width), style="red" if span.trouble else "")
        line.append(" " + _bar(offset, took, whole, bar_width, "=" if ascii_only else "━"), style="green")
        line.append(f"{in_words(took):>{TOOK_WIDTH}}", style="default")
        yield line
    for _, span in rows:
        if span.trouble:
            yield Text(f"! {span.name} ({span.service}): {span.trouble}", style="red")


def _tree(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Each with its depth, below its parent; those whose parent is not here stand at the left."""
    ordered = sorted(spans, key=lambda span: (span.start, span.span_id))
    known = {span.span_id for span in spans}
    below: dict[str | None, list[Span]] = {}
    for span in ordered:
        below.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    drawn: set[str] = set()
    # Spans that are one another's parents, from a program that makes its own ids, hang below nobody.
    for top in (*below.get(None, []), *ordered):
        waiting = [(0, top)]
        while waiting:
            depth, span = waiting.pop()
            if span.span_id not in drawn:
                drawn.add(span.span_id)
                yield depth, span
                waiting += [(depth + 1, child) for child in reversed(below.get(span.span_id, []))]


def _bar(offset: float, took: float, whole: float, width: int, ink: str) -> str:
    share = width / whole if whole else 0.0
    first = min(int(offset * share), width - 1)
    length = max(1, min(round(took * share), width - first))
    return " " * first + ink * length + " " * (width - first - length)


def _cut(text: str, width: int) -> str:
    """To `width` cells; what is too long loses its middle, since names begin with the kind and end with the matter."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    head = set_cell_size(text, (width - 1) // 2)
    tail = text[-(width - 1 - cell_len(head)) :]
    return set_cell_size(f"{head}…{tail}", width)


def _trouble(status: str, reason: str, about: Mapping[str, Any]) -> str:
    if status == "ERROR":
        return reason or str(about.get("error.type", "failed"))
    refusal = about.get("p2p.refusal")
    return f"refused: {refusal}" if refusal else ""


def _printable(text: str) -> str:
    """Names come from programs, and ids from players: nothing of theirs may steer the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
