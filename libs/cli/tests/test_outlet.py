"""What is shown, and what becomes of what nobody takes."""

import os
from pathlib import Path

import pytest
from cli.loudness import Loudness
from cli.outlet import MOST_WAITING, Outlet, output


def test_lines_come_out_in_order():
    reading, writing = os.pipe()
    out = Outlet(writing)
    for number in range(1000):
        out(f"{number} é")
    out.close()
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as read:
        assert read.read().splitlines() == [f"{number} é" for number in range(1000)]


def test_what_goes_to_nobody_is_dropped():
    reading, writing = os.pipe()
    os.close(reading)
    out = Outlet(writing)
    for _ in range(10):
        out("nobody reads this")
    out.close()
    os.close(writing)


def test_who_reads_nothing_holds_up_nobody(monkeypatch):
    """As a terminal after Ctrl-S, or a pager that nobody scrolls."""
    monkeypatch.setattr("cli.outlet.FAREWELL_S", 0.01)
    reading, writing = os.pipe()
    out = Outlet(writing)
    for _ in range(2 * MOST_WAITING):
        out("x" * 100)
    out.close()
    os.close(reading)


def test_who_was_started_without_an_output_writes_into_no_file_of_its_own(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    descriptor = output()
    assert os.path.samestat(os.fstat(descriptor), Path(os.devnull).stat())
    os.close(descriptor)


def test_a_full_disk_holds_up_nobody():
    full = os.open("/dev/full", os.O_WRONLY)
    out = Outlet(full)
    out("no room for this")
    out.close()
    os.close(full)


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01T00:00:00.000000Z [warning  ] postgres.awaited  error=gone",
        "2026-01-01T00:00:00.000000Z [error    ] loop.failed",
        '{"event": "service.died", "level": "critical"}',
        "[123] 2026/01/01 00:00:00.000000 [ERR] no room",
        "FATAL:  could not write lock file",
        "Traceback (most recent call last):",
    ],
)
def test_warnings_and_errors_are_for_everybody(line):
    assert Loudness().matters("somebody", line)


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01T00:00:00.000000Z [info     ] session.failed  count=0",
        '{"event": "service.started", "level": "info"}',
        "[123] 2026/01/01 00:00:00.000000 [INF] Server is ready",
        "FATAL:  the database system is starting up",
        "FATAL:  expected SASL response, got message type 88",
        "LOG:  database system is ready to accept connections",
        "789:M 01 Jan 2026 00:00:00.000 # WARNING Memory overcommit must be enabled!",
        "keeps spans sent to http://127.0.0.1:4318",
    ],
)
def test_the_rest_is_for_the_log(line):
    assert not Loudness().matters("somebody", line)


def test_what_follows_a_line_goes_with_it():
    loudness = Loudness()
    said = [
        "2026-01-01T00:00:00Z [error    ] loop.failed",
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "ValueError: x",
        "2026-01-01T00:00:01Z [info     ] loop.on",
        "  and more of it",
    ]
    assert [loudness.matters("one", line) for line in said] == [True] * 4 + [False] * 2
    assert not loudness.matters("another", "ValueError: x")
