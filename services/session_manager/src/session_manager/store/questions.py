"""Questions about sessions, answered as JSON that is ready to send."""

from collections.abc import Iterable, Sequence

import asyncpg
from chassis.database import Database
from chassis.refusals import InvalidError
from contracts.sessions import ListSessions, SessionCounts

from session_manager.errors import SessionNotFoundError
from session_manager.sessions import Ref
from session_manager.store.facts import SessionJson

# $1 number, $2 session_id
_GET = """
SELECT session_json(s) FROM sessions s
WHERE s.id = coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text))
"""

# $1 number, $2 session_id
_NUMBER = "SELECT id FROM sessions s WHERE s.id = $1 OR s.session_id = $2"

# $1 number, $2 after, $3 limit
_EVENTS = """
SELECT revision AS position, jsonb_build_object(
    'event', event, 'occurred_at', occurred_at, 'revision', revision, 'epoch', epoch, 'status', status,
    'players_joined', players_joined, 'players_left', players_left, 'reason', reason, 'figures', figures,
    'trace_id', trace_id
) AS json
FROM session_events WHERE session = $1 AND revision > $2 ORDER BY revision LIMIT $3
"""

# The newest first, by the index of the history; told in their order.
# $1 number, $2 session_id, $3 events, $4 limit
_DECISIONS = """
SELECT jsonb_build_object(
    'session_id', s.session_id, 'zone_id', s.zone_id, 'status', s.status, 'host_id', s.host_id, 'epoch', s.epoch,
    'decisions', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'event', e.event, 'occurred_at', e.occurred_at, 'epoch', e.epoch, 'reason', e.reason,
            'figures', e.figures, 'grounds', e.grounds, 'trace_id', e.trace_id
        ) ORDER BY e.revision)
        FROM (
            SELECT * FROM session_events
            WHERE session = s.id AND event = ANY($3::text[]) ORDER BY revision DESC LIMIT $4
        ) AS e
    ), '[]')
)
FROM sessions s
WHERE s.id = coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text))
"""
DECISIONS = ("created", "migrating", "migrated", "fell-back", "ended", "failed")
MOST_DECISIONS = 100

_COUNT = """
SELECT sum(total) AS total, sum(live) AS live, sum(players) AS players,
    sum(latency_us) AS latency_us, sum(latencies) AS latencies
FROM session_counts
"""

PAGE_BYTES = 400 * 1024
"""No reply exceeds 512 KiB; a single session may be larger than what is left, so a page ends well before."""


class QuestionStore:
    """Reads; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, ref: Ref) -> SessionJson:
        row: SessionJson | None = await self._database.fetchval("sessions.get", _GET, ref.number, ref.session_id)
        if row is None:
            raise SessionNotFoundError(ref.session_id or str(ref.number))
        return row

    async def list_sessions(self, question: ListSessions) -> bytes:
        """A `SessionPage`, newest first."""
        conditions, arguments = _conditions(question)
        # A page without all conditions in its text could be planned for none of them.
        sql = (
            "SELECT s.id AS position, session_json(s) AS json FROM sessions s "  # noqa: S608 -- constants of this file
            f"WHERE {' AND '.join(conditions) or 'true'} ORDER BY s.id DESC LIMIT {question.limit + 1}"
        )
        return _page(await self._database.fetch("sessions.list", sql, *arguments), question.limit)

    async def list_events(self, ref: Ref, limit: int, cursor: str | None) -> bytes:
        """A `SessionHistory`, oldest first."""
        number = await self._database.fetchval("sessions.number", _NUMBER, ref.number, ref.session_id)
        if number is None:
            raise SessionNotFoundError(ref.session_id or str(ref.number))
        rows = await self._database.fetch("session_events.list", _EVENTS, number, _position(cursor) or 0, limit + 1)
        return _page(rows, limit)

    async def explain(self, ref: Ref) -> bytes:
        """A `SessionExplained`."""
        named = (ref.number, ref.session_id)
        row: str | None = await self._database.fetchval(
            "session_events.decisions", _DECISIONS, *named, list(DECISIONS), MOST_DECISIONS
        )
        if row is None:
            raise SessionNotFoundError(ref.session_id or str(ref.number))
        return row.encode()

    async def count(self) -> SessionCounts:
        row = await self._database.fetchrow("session_counts.sum", _COUNT)
        assert row is not None  # noqa: S101 -- a sum has one row
        return SessionCounts(
            total=int(row["total"]),
            active=int(row["live"]),
            inactive=int(row["total"] - row["live"]),
            total_players=int(row["players"]),
            average_latency_ms=float(row["latency_us"] / row["latencies"]) / 1000 if row["latencies"] else None,
        )


def _conditions(question: ListSessions) -> tuple[list[str], list[object]]:
    given: Iterable[tuple[str, object]] = (
        ("s.id < ${}", _position(question.cursor)),
        ("s.status = ${}", question.status),
        ("s.zone_id = ${}", question.zone_id),
        ("s.host_id = ${}", question.host_id),
        ("s.standby_host_id = ${}", question.standby_host_id),
        ("s.id = (SELECT session FROM seats WHERE player_id = ${})", question.player_id),
    )
    present = [(condition, argument) for condition, argument in given if argument is not None]
    conditions = [condition.format(number) for number, (condition, _) in enumerate(present, 1)]
    return conditions + ["s.live"] * question.live, [argument for _, argument in present]


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):  # noqa: PLR2004 -- what a bigint holds
        raise InvalidError("This cursor comes from no page of this list.")
    return int(cursor)


def _page(rows: Sequence[asyncpg.Record], limit: int) -> bytes:
    """Join as many rows as fit one reply; there is another page exactly where not all of them are in this one."""
    items: list[bytes] = []
    size = 0
    for row in rows[:limit]:
        item = row["json"].encode()
        size += len(item) + 1
        if items and size > PAGE_BYTES:
            break
        items.append(item)
    cursor = b'"%d"' % rows[len(items) - 1]["position"] if len(items) < len(rows) else b"null"
    return b'{"items":[%s],"next_cursor":%s}' % (b",".join(items), cursor)
