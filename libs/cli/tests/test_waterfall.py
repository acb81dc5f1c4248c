"""A trace as people see it: a tree in order, bars in proportion, nothing that a name can do to the terminal."""

from datetime import UTC, datetime, timedelta

import pytest
from cli.waterfall import Span, draw
from rich.cells import cell_len

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def told(number, parent, name, start_ms, end_ms, service="gateway", **more):
    return {
        "trace_id": "ab" * 16,
        "span_id": str(number),
        "parent_id": parent and str(parent),
        "name": name,
        "service": service,
        "start": (BEGAN + timedelta(milliseconds=start_ms)).isoformat(),
        "end": (BEGAN + timedelta(milliseconds=end_ms)).isoformat(),
        "status": "UNSET",
        "reason": "",
        "attributes": {},
        **more,
    }


def drawn(*spans, width=60, **how):
    return [line.plain.rstrip() for line in draw([Span.of(span) for span in spans], width, **how)]


def test_spans_stand_below_their_parents_in_order_under_the_service_that_did_them():
    assert drawn(
        told(1, None, "join", 0, 100),
        told(4, 1, "told", 60, 80, "sessions"),
        told(2, 1, "ask", 10, 50),
        told(3, 2, "answer", 20, 40, "sessions"),
        width=40,
        ascii_only=True,
    ) == [
        "join: 100 ms, 4 spans",
        "abababababababababababababababab, 2026-01-01 12:00:00 UTC",
        "gateway",
        " join            ==============   100 ms",
        "  ask             ======           40 ms",
        "sessions",
        "   answer          ===             20 ms",
        "  told                   ===       20 ms",
    ]


def test_what_went_wrong_is_said_below():
    lines = drawn(
        told(1, None, "join", 0, 9, attributes={"p2p.refusal": "session_full"}),
        told(2, 1, "ask", 1, 2, status="ERROR", reason="", attributes={"error.type": "unavailable"}),
        told(3, 1, "ask", 3, 4, status="ERROR", reason="it broke", attributes={"error.type": "KeyError"}),
    )
    assert lines[-3:] == [
        "! join (gateway): refused: session_full",
        "! ask (gateway): unavailable",
        "! ask (gateway): it broke",
    ]


@pytest.mark.parametrize(
    "spans",
    [
        [told(1, 9, "orphan", 0, 1)],
        [told(1, 2, "one", 0, 1), told(2, 1, "other", 0, 1)],
        [told(1, 1, "its own parent", 0, 0)],
    ],
    ids=["the parent is not kept", "a ring", "a ring of one"],
)
def test_every_span_is_drawn_once_whatever_it_says_of_its_parent(spans):
    lines = drawn(*spans)[3:]
    assert sorted(line.split()[0] for line in lines) == sorted(span["name"].split(" ")[0] for span in spans)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_of_the_tree_is_wider_than_the_terminal(width):
    names = ["publish p2p.events.sessions.created and more " * 3, "東" * 100, "short"]
    lines = drawn(*(told(number, number - 1 or None, name, 0, 5) for number, name in enumerate(names, 1)), width=width)
    assert max(cell_len(line) for line in lines[1:]) <= width


def test_a_name_cannot_steer_the_terminal():
    lines = "".join(drawn(told(1, None, "\x1b[2J\u202ejoin", 0, 1, service="\x1b]0;x\x07")))
    assert not {"\x1b", "\x07", "\u202e"} & set(lines)
