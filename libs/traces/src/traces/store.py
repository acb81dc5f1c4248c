"""Spans in one SQLite file: kept as they come, found by trace and by what they speak of, forgotten oldest first.

One thread writes at a time; readers have connections of their own and wait for nobody (WAL).
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from traces.otlp import Span

VERSION = 1
"""A file of another version is begun anew: nothing in it outlives the day."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS spans (
    arrival INTEGER PRIMARY KEY,
    heard_at INTEGER NOT NULL,
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL,
    service TEXT NOT NULL, instance TEXT NOT NULL, version TEXT NOT NULL,
    started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL,
    attributes TEXT NOT NULL, links TEXT NOT NULL,
    UNIQUE (trace_id, span_id)
);
CREATE TABLE IF NOT EXISTS mentions (
    id TEXT NOT NULL, trace_id TEXT NOT NULL, heard_at INTEGER NOT NULL,
    PRIMARY KEY (id, trace_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mentions_by_age ON mentions (heard_at);
PRAGMA user_version = {VERSION};
"""

_FIELDS = ", ".join(Span._fields)
# An exporter that got no answer in time sends again.
_KEEP = f"INSERT OR IGNORE INTO spans (heard_at, {_FIELDS}) VALUES (?{', ?' * len(Span._fields)})"  # noqa: S608 -- our own names
_MENTION = "INSERT OR IGNORE INTO mentions (id, trace_id, heard_at) VALUES (?, ?, ?)"
_OF_TRACE = f"SELECT {_FIELDS} FROM spans WHERE trace_id = ? ORDER BY started_at, ended_at DESC LIMIT ?"  # noqa: S608 -- our own names
_ABOUT = "SELECT trace_id FROM mentions WHERE id = ? ORDER BY heard_at DESC LIMIT ?"
_LATEST = """
SELECT trace_id FROM (SELECT trace_id, arrival FROM spans ORDER BY arrival DESC LIMIT 5000)
GROUP BY trace_id ORDER BY max(arrival) DESC LIMIT ?
"""
_FORGET_OLD = "DELETE FROM spans WHERE heard_at < ?"
_ENDS = "SELECT min(arrival), max(arrival) FROM spans"
_FORGET_FIRST = "DELETE FROM spans WHERE arrival <= ?"
_OLDEST = "SELECT min(heard_at) FROM (SELECT heard_at FROM spans ORDER BY arrival LIMIT 1)"
_FORGET_MENTIONS = "DELETE FROM mentions WHERE heard_at < ?"

MOST_SPANS = 10_000
"""Told of one trace; a join has forty. What loops until its trace has more is seen from its first ten thousand."""

SHARES = 50
"""When the file is full, one part of so many goes at a time: a tenth of a second in a full file of the default size."""

SECOND = 1_000_000_000


class Store:
    """Made by `open_store`."""

    def __init__(self, file: Path, keep: timedelta, most_bytes: int, now: Callable[[], datetime]) -> None:
        self._file = file
        self._keep = keep
        self._most_bytes = most_bytes
        self._now = now
        self._writing = threading.Lock()
        self._connection = _opened(file)

    def keep(self, spans: Iterable[Span]) -> None:
        """Keep them, and forget the oldest if there is no room; durable as far as the process' end goes."""
        heard_at = _nanoseconds(self._now())
        kept = list(spans)
        mentions = {(word, span.trace_id, heard_at) for span in kept for word in _mentioned(span)}
        rows = [(heard_at, *_row(span)) for span in kept]
        with self._transaction() as connection:
            connection.executemany(_KEEP, rows)
            connection.executemany(_MENTION, mentions)
        while self.bytes > self._most_bytes and self._forget_oldest():
            pass

    def forget_old(self) -> None:
        """Forget what has been kept for long enough."""
        until = _nanoseconds(self._now() - self._keep)
        with self._transaction() as connection:
            connection.execute(_FORGET_OLD, (until,))
            connection.execute(_FORGET_MENTIONS, (until,))

    @property
    def bytes(self) -> int:
        """What the spans take up in the file, without what is free in it."""
        with self._writing:
            pages, free, size = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _SIZES)
        return int((pages - free) * size)

    def spans_of(self, trace_id: str) -> list[Span]:
        """Those of one trace, earliest first; none when it is unknown."""
        with self._reading() as connection:
            return [_span(row) for row in connection.execute(_OF_TRACE, (trace_id, MOST_SPANS))]

    def traces(self, about: str | None, most: int) -> list[str]:
        """The ids of the traces that speak of a session, host or zone, or of the latest; latest first."""
        with self._reading() as connection:
            found = connection.execute(_ABOUT, (about, most)) if about else connection.execute(_LATEST, (most,))
            return [trace_id for (trace_id,) in found]

    def close(self) -> None:
        with self._writing:
            self._connection.close()

    def _forget_oldest(self) -> bool:
        """Forget a share of the spans; whether there were any."""
        with self._transaction() as connection:
            first, last = connection.execute(_ENDS).fetchone()
            if first is None:
                return False
            connection.execute(_FORGET_FIRST, (first + (last - first) // SHARES,))
            (oldest,) = connection.execute(_OLDEST).fetchone()
            connection.execute(_FORGET_MENTIONS, (oldest if oldest is not None else _nanoseconds(self._now()),))
        return True

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._connection as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection


@contextmanager
def open_store(
    file: Path, *, keep: timedelta, most_bytes: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Store]:
    """Open the file, or begin it anew when it is of another version or broken."""
    store = Store(file, keep, most_bytes, now)
    try:
        yield store
    finally:
        store.close()


_SIZES = ("page_count", "freelist_count", "page_size")


def _opened(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, check_same_thread=False)
    if not _fits(connection):
        connection.close()
        for part in ("", "-wal", "-shm"):
            file.with_name(file.name + part).unlink(missing_ok=True)
        connection = sqlite3.connect(file, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    # A crash of the machine may cost the last spans, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    return connection


def _fits(connection: sqlite3.Connection) -> bool:
    """Whether it is empty or of our version; a file that cannot be read at all is neither."""
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:  # no right, no room: nothing that a new file would mend
        raise
    except sqlite3.DatabaseError:
        return False
    return version in (0, VERSION)


def _mentioned(span: Span) -> Iterator[str]:
    """Ids of what a span speaks of: `p2p.session_id`, `p2p.host_id` and their like."""
    for key, value in span.attributes.items():
        if key.startswith("p2p.") and key.endswith("_id") and isinstance(value, str):
            yield value


def _row(span: Span) -> tuple[Any, ...]:
    return (*span[:-2], json.dumps(span.attributes), json.dumps(span.links))


def _span(row: tuple[Any, ...]) -> Span:
    *plain, attributes, links = row
    linked = tuple((trace_id, span_id) for trace_id, span_id in json.loads(links))
    return Span._make((*plain, json.loads(attributes), linked))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * SECOND + at.microsecond * 1000
