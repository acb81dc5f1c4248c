"""What is kept and what is forgotten, clock in hand."""

import sqlite3
from contextlib import contextmanager
from datetime import timedelta

import pytest
from testkit.clock import ManualClock
from traces.otlp import Span
from traces.store import VERSION, open_store

HOURS = timedelta(hours=6)


def span(number, trace_id="a" * 32, /, **attributes) -> Span:
    return Span(
        trace_id=trace_id,
        span_id=f"{number:016x}",
        parent_id="",
        name="work",
        kind="INTERNAL",
        service="doubler",
        instance="doubler-1",
        version="1",
        started_at=number,
        ended_at=number + 1,
        status="ERROR",
        reason="it broke",
        attributes=attributes,
        links=(("b" * 32, "c" * 16),),
    )


@pytest.fixture
def opened(tmp_path, clock: ManualClock):
    @contextmanager
    def opening(most_bytes=1 << 30):
        with open_store(tmp_path / "traces.db", keep=HOURS, most_bytes=most_bytes, now=clock.now) as store:
            yield store

    return opening


def test_a_span_is_told_as_it_came_also_after_a_restart(opened):
    kept = span(1, number=3, names=["a", "b"], nothing=None)
    with opened() as store:
        store.keep([kept])
        assert store.spans_of(kept.trace_id) == [kept]
    with opened() as store:
        assert store.spans_of(kept.trace_id) == [kept]


def test_a_span_sent_twice_is_kept_once(opened):
    with opened() as store:
        store.keep([span(1), span(2)])
        store.keep([span(2), span(3)])
        assert [kept.started_at for kept in store.spans_of("a" * 32)] == [1, 2, 3]


def test_spans_are_forgotten_after_their_time_and_not_before(opened, clock: ManualClock):
    with opened() as store:
        store.keep([span(1, **{"p2p.session_id": "session-old"})])
        clock.advance(HOURS)
        store.keep([span(2, "b" * 32, **{"p2p.session_id": "session-new"})])
        store.forget_old()
        assert store.traces("session-old", 10) == ["a" * 32]
        clock.advance(timedelta(seconds=1))
        store.forget_old()
        assert store.spans_of("a" * 32) == []
        assert (store.traces("session-old", 10), store.traces("session-new", 10)) == ([], ["b" * 32])
        assert store.traces(None, 10) == ["b" * 32]


def test_a_full_file_forgets_its_oldest_and_grows_no_further(opened, tmp_path):
    most = 1024 * 1024
    with opened(most_bytes=most) as store:
        for batch in range(100):
            store.keep([span(number, f"{batch:032x}") for number in range(100)])
        assert store.bytes <= most
        assert store.spans_of(f"{0:032x}") == []
        assert len(store.spans_of(f"{99:032x}")) == 100
    assert (tmp_path / "traces.db").stat().st_size <= 1.2 * most


@pytest.mark.parametrize("before", ["another version", "no database"])
def test_a_file_that_is_not_ours_is_begun_anew(opened, tmp_path, before):
    file = tmp_path / "traces.db"
    if before == "no database":
        file.write_bytes(b"something else " * 1000)
    else:
        with sqlite3.connect(file) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.close()
    with opened() as store:
        store.keep([span(1)])
        assert store.spans_of("a" * 32) == [span(1)]
