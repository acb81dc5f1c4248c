"""Sessions from their beginning to their end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from chassis import tracing
from chassis.database import Database, Transaction
from contracts.identifiers import PeerId, SessionId
from contracts.sessions import ReportMetrics, SessionStatus

from session_manager.errors import HostFullError, SessionNotFoundError
from session_manager.health import Figures
from session_manager.sessions import HOSTLESS, NEXT, PlacedHost, Ref, SessionState
from session_manager.store.facts import SessionJson, telling, written
from session_manager.store.seats import MOVED, MovedOnError, give_up, lock, state_of
from session_manager.store.statuses import listed

# $1 now, $2 traceparent, $3 session_id, $4 host_id, $5 host_peer_id, $6 host_max_players, $7 zone_id, $8 max_players,
# $9 player_ids, $10 socket, $11 host_number, $12 grounds
_CREATE = telling(
    """
WITH host AS (
    INSERT INTO host_seats AS h (host_id, max_players, taken, revision)
    VALUES ($4, $6::integer, cardinality($9::text[]), 1)
    ON CONFLICT (host_id) DO UPDATE SET
        max_players = excluded.max_players, taken = h.taken + excluded.taken, revision = h.revision + 1
    WHERE excluded.taken = 0 OR h.taken + excluded.taken <= excluded.max_players
    RETURNING h.taken, h.revision
), session AS (
    INSERT INTO sessions AS s (
        session_id, host_id, host_peer_id, zone_id, connected_players, max_players, status,
        last_activity_at, empty_since, started_at, created_at, updated_at, host_number
    )
    SELECT $3, $4, $5, $7, $9, $8::integer, CASE WHEN taking THEN 'active' ELSE 'pending' END,
        $1::timestamptz, CASE WHEN NOT taking THEN $1 END, CASE WHEN taking THEN $1 END, $1, $1, $11::bigint
    FROM host, (SELECT cardinality($9) > 0 AS taking)
    RETURNING s.id, s.session_id, s.revision, s.epoch, s.status, session_json(s) AS json
), seat AS (
    INSERT INTO seats (player_id, session, socket, absent_since)
    SELECT player_id, session.id, $10::boolean, CASE WHEN $10 THEN $1 END
    FROM session, unnest($9) AS player_id ORDER BY player_id
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'created' AS event, s.epoch, s.status,
        $9 AS joined, '{}'::text[] AS left_, NULL AS reason, s.json,
        h.taken AS host_players, h.revision AS host_revision
    FROM session s, host h
)""",
    "SELECT json FROM session",
    by_socket="$10",
    grounds="$12::jsonb",
)

# $1 host_id, $2 host_max_players
KNOW_HOST = """
INSERT INTO host_seats (host_id, max_players, taken, revision) VALUES ($1, $2, 0, 1) ON CONFLICT DO NOTHING
"""

_SEATED = "SELECT player_id, session FROM seats WHERE player_id = ANY($1::text[])"

# $1 now, $2 traceparent, $3 number, $4 session_id
_ACTIVATE = telling(
    """
WITH session AS (
    UPDATE sessions s SET
        status = 'active', started_at = coalesce(s.started_at, $1::timestamptz), last_activity_at = $1,
        updated_at = $1, revision = s.revision + 1
    WHERE s.id = coalesce($3::bigint, (SELECT id FROM sessions WHERE session_id = $4::text))
        AND s.status = 'pending'
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, session_json(s) AS json
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'activated' AS event, s.epoch, s.status,
        '{}'::text[] AS joined, '{}'::text[] AS left_, NULL AS reason, s.json,
        h.taken AS host_players, h.revision AS host_revision
    FROM session s JOIN host_seats h ON h.host_id = s.host_id
)""",
    "SELECT json FROM session",
)

# $1 number, $2 session_id
_STATE = """
SELECT s.id, s.session_id, s.status, s.epoch, s.current_players, s.max_players, s.host_id,
    h.taken AS host_players, h.max_players AS host_max_players, session_json(s) AS json
FROM sessions s JOIN host_seats h ON h.host_id = s.host_id
WHERE s.id = coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text))
"""

# $1 number, $2 session_id, $3 statuses
_LOCK_ONE = """
SELECT id FROM sessions
WHERE id = coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text)) AND status = ANY($3::text[])
FOR UPDATE
"""
# A session that somebody has locked is busy: it is neither idle nor empty.
# $1 idle_since, $2 limit
_LOCK_IDLE = """
SELECT id, last_activity_at AS since FROM sessions
WHERE live AND last_activity_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
# $1 empty_since, $2 limit
_LOCK_EMPTY = """
SELECT id, empty_since AS since FROM sessions
WHERE live AND empty_since <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
# $1 now, $2 traceparent, $3 numbers, $4 target, $5 reason, $6 figures
_FINISH = telling(
    f"""
WITH host AS MATERIALIZED (
    SELECT host_id FROM host_seats
    WHERE host_id IN (SELECT unnest(ARRAY[host_id, standby_host_id]) FROM sessions WHERE id = ANY($3::bigint[]))
    ORDER BY host_id FOR UPDATE
), session AS (
    UPDATE sessions s SET
        status = $4::text, end_reason = $5::text, connected_players = '{{}}', empty_since = NULL,
        fallback_endpoint = NULL, fell_back_at = NULL, fell_back_for = NULL, claimed_until = NULL,
        standby_host_id = NULL, standby_peer_id = NULL, standby_number = NULL, standby_seats = 0,
        standby_since = NULL, standby_grounds = NULL, standby_sought_until = NULL,
        ended_at = $1::timestamptz, updated_at = $1, revision = s.revision + 1
    FROM host, unnest($3, $6::text[]) AS ending (id, figures) WHERE s.id = ending.id AND s.host_id = host.host_id
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status,
        old.connected_players AS players, old.status AS was, session_json(s) AS json,
        old.standby_host_id AS standby, old.standby_seats AS held,
        coalesce(ending.figures::jsonb, '{{}}') AS figures
), freed AS (
    UPDATE host_seats h SET taken = h.taken - gone.players, revision = h.revision + 1
    FROM (
        SELECT host_id, sum(players) AS players
        FROM (
            SELECT host_id, CASE WHEN was IN {listed(HOSTLESS)} THEN 0 ELSE cardinality(players) END AS players
            FROM session
            UNION ALL
            SELECT standby, held FROM session WHERE standby IS NOT NULL
        ) AS finished
        GROUP BY host_id
    ) gone
    WHERE h.host_id = gone.host_id
    RETURNING h.host_id, h.taken, h.revision
), seat AS (
    DELETE FROM seats USING (SELECT id, unnest(players) AS player_id FROM session) gone
    WHERE seats.player_id = gone.player_id AND seats.session = gone.id
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, $4 AS event, s.epoch, s.status,
        '{{}}'::text[] AS joined, s.players AS left_, $5 AS reason, s.figures, s.json,
        freed.taken AS host_players, freed.revision AS host_revision,
        CASE WHEN held.host_id IS NOT NULL THEN
            jsonb_build_object('host_id', held.host_id, 'taken', held.taken, 'revision', held.revision)
        END AS standby_seats
    FROM session s JOIN freed ON freed.host_id = s.host_id LEFT JOIN freed AS held ON held.host_id = s.standby
)""",  # noqa: S608 -- made of constants
    "SELECT session_id, json FROM session ORDER BY id",
    "figures",
    standby_seats="standby_seats",
)

# What a player says is that player's word: of all players' words the session's measure is the one in the middle.
# $1 now, $2 number, $3 session_id, $4 average_latency_ms, $5 packet_loss_percent, $6 bandwidth_usage_mbps,
# $7 quality_score, $8 player_id, $9 words_since, $10 epoch
_REPORT = """
WITH target AS MATERIALIZED (
    SELECT id FROM sessions
    WHERE id = coalesce($2::bigint, (SELECT id FROM sessions WHERE session_id = $3::text)) AND live
        AND ($10::integer IS NULL OR epoch = $10)
    FOR UPDATE
), word AS (
    UPDATE seats SET
        said_latency_ms = coalesce($4, said_latency_ms),
        latency_said_at = CASE WHEN $4 IS NULL THEN latency_said_at ELSE $1::timestamptz END,
        said_loss_percent = coalesce($5, said_loss_percent),
        loss_said_at = CASE WHEN $5 IS NULL THEN loss_said_at ELSE $1 END
    FROM target WHERE seats.session = target.id AND seats.player_id = $8
    RETURNING seats.player_id
), others AS MATERIALIZED (
    SELECT
        CASE WHEN latency_said_at > $9::timestamptz THEN said_latency_ms END AS latency_ms,
        CASE WHEN loss_said_at > $9 THEN said_loss_percent END AS loss
    FROM seats WHERE $8 IS NOT NULL AND session = (SELECT id FROM target) AND player_id <> $8
), said AS (
    SELECT
        CASE WHEN $8 IS NULL OR $4 IS NULL THEN $4 ELSE (
            SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms)
            FROM (SELECT latency_ms FROM others UNION ALL SELECT $4 FROM word) AS words) END AS latency_ms,
        CASE WHEN $8 IS NULL OR $5 IS NULL THEN $5 ELSE (
            SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY loss)
            FROM (SELECT loss FROM others UNION ALL SELECT $5 FROM word) AS words) END AS loss
)
UPDATE sessions s SET
    average_latency_ms = coalesce(said.latency_ms, s.average_latency_ms),
    average_packet_loss_percent = coalesce(said.loss, s.average_packet_loss_percent),
    bandwidth_usage_mbps = coalesce($6, s.bandwidth_usage_mbps),
    quality_score = coalesce($7, s.quality_score),
    said_latency_ms = CASE WHEN $8 IS NULL THEN coalesce($4, s.said_latency_ms) ELSE s.said_latency_ms END,
    latency_said_at = CASE WHEN $8 IS NULL AND $4 IS NOT NULL THEN $1 ELSE s.latency_said_at END,
    said_loss_percent = CASE WHEN $8 IS NULL THEN coalesce($5, s.said_loss_percent) ELSE s.said_loss_percent END,
    loss_said_at = CASE WHEN $8 IS NULL AND $5 IS NOT NULL THEN $1 ELSE s.loss_said_at END,
    last_activity_at = $1,
    updated_at = $1
FROM target, said WHERE s.id = target.id
RETURNING session_json(s)
"""

# Whoever holds a row is active in it at this moment anyway, so locked ones are passed by.
# $1 active_at, $2 session_ids
_TOUCH = """
WITH touched AS MATERIALIZED (
    SELECT id FROM sessions WHERE session_id = ANY($2::text[]) AND live AND last_activity_at < $1
    FOR UPDATE SKIP LOCKED
)
UPDATE sessions s SET last_activity_at = $1::timestamptz FROM touched WHERE s.id = touched.id
"""

BATCH = 50
"""Sessions ended by one transaction: some 10 ms, in which their hosts' rows are held."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session begins with."""

    session_id: SessionId
    place: PlacedHost
    max_players: int
    player_ids: Sequence[PeerId]
    socket: bool


class SessionStore:
    """The sessions table; every change tells of itself in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, new: NewSession, now: datetime) -> SessionJson | None:
        """Begin a session for players who sit nowhere; None where one does, or the host has no room."""
        try:
            return await _create(self._database, new, now)
        except asyncpg.UniqueViolationError:
            return None

    async def create_moving(self, new: NewSession, now: datetime, transaction: Transaction) -> SessionJson:
        """Begin a session whose players leave the ones they sit in; MovedOnError where somebody was quicker."""
        host = new.place.host_id
        await transaction.execute("host_seats.know", KNOW_HOST, host, new.place.host_max_players)
        seats = await transaction.fetch("seats.of_players", _SEATED, new.player_ids)
        await lock(transaction, [seat["session"] for seat in seats], host)
        for seat in seats:
            if not await give_up(transaction, Ref(seat["session"], None), seat["player_id"], reason=MOVED, now=now):
                raise MovedOnError
        try:
            created = await _create(transaction, new, now)
        except asyncpg.UniqueViolationError as error:
            raise MovedOnError from error
        if created is None:
            raise HostFullError(host, new.place.host_max_players)
        return created

    async def activate(self, ref: Ref, now: datetime) -> SessionJson | None:
        """Make a pending session active; None where it is not pending."""
        row: SessionJson | None = await self._database.fetchval(
            "sessions.activate", _ACTIVATE, now, tracing.current_traceparent(), ref.number, ref.session_id
        )
        return row

    async def state(self, ref: Ref) -> tuple[SessionState, SessionJson]:
        """How a session stands, for the rules and for everybody."""
        row = await self._database.fetchrow("sessions.state", _STATE, ref.number, ref.session_id)
        if row is None:
            raise SessionNotFoundError(ref.session_id or str(ref.number))
        return state_of(row), row["json"]

    async def end(self, ref: Ref, target: SessionStatus, reason: str, now: datetime) -> SessionJson | None:
        """End one session; None where it may not come to that."""

        async def end(transaction: Transaction) -> SessionJson | None:
            number = await transaction.fetchval(
                "sessions.lock_one", _LOCK_ONE, ref.number, ref.session_id, _from(target)
            )
            if number is None:
                return None
            ended = await finish(transaction, [number], target, reason, now)
            return SessionJson(ended[0]["json"])

        return await self._database.transact(end)

    async def end_idle(self, idle_since: datetime, reason: str, now: datetime) -> list[str]:
        """End a batch of sessions without activity since then; [] when there are no more."""
        return await self._finish_batch(_LOCK_IDLE, idle_since, SessionStatus.ENDED, reason, now)

    async def end_empty(self, empty_since: datetime, reason: str, now: datetime) -> list[str]:
        """End a batch of sessions without players since then."""
        return await self._finish_batch(_LOCK_EMPTY, empty_since, SessionStatus.ENDED, reason, now)

    async def report(
        self, ref: Ref, report: ReportMetrics, now: datetime, *, player_id: PeerId | None, words_since: datetime
    ) -> SessionJson | None:
        """Keep what was measured, by a player or of the session as a whole; None where that is over."""
        row: SessionJson | None = await self._database.fetchval(
            "sessions.report",
            _REPORT,
            now,
            ref.number,
            ref.session_id,
            report.average_latency_ms,
            report.packet_loss_percent,
            report.bandwidth_usage_mbps,
            report.quality_score,
            player_id,
            words_since,
            report.epoch,
        )
        return row

    async def touch(self, session_ids: Sequence[str], active_at: datetime) -> None:
        """Note activity in those of these that are live sessions."""
        await self._database.execute("sessions.touch", _TOUCH, active_at, list(session_ids))

    async def _finish_batch(
        self, lock_batch: str, bound: object, target: SessionStatus, reason: str, now: datetime
    ) -> list[str]:
        async def end(transaction: Transaction) -> list[str]:
            rows = await transaction.fetch("sessions.lock_batch", lock_batch, bound, BATCH)
            if not rows:
                return []
            figures = [{f"{reason}_s": (now - row["since"]).total_seconds()} for row in rows]
            ended = await finish(transaction, [row["id"] for row in rows], target, reason, now, figures)
            return [row["session_id"] for row in ended]

        return await self._database.transact(end)


async def _create(statements: Database | Transaction, new: NewSession, now: datetime) -> SessionJson | None:
    row: SessionJson | None = await statements.fetchval(
        "sessions.create",
        _CREATE,
        now,
        tracing.current_traceparent(),
        new.session_id,
        new.place.host_id,
        new.place.host_peer_id,
        new.place.host_max_players,
        new.place.zone_id,
        new.max_players,
        list(new.player_ids),
        new.socket,
        new.place.host_number,
        new.place.grounds,
    )
    return row


async def finish(
    transaction: Transaction,
    numbers: Sequence[int],
    target: SessionStatus,
    reason: str,
    now: datetime,
    figures: Sequence[Figures] = (),
) -> list[asyncpg.Record]:
    """End sessions that are locked; a statement later than the lock, so that it sees all their seats."""
    told = [written(of_one) for of_one in figures]
    return await transaction.fetch(
        "sessions.finish", _FINISH, now, tracing.current_traceparent(), numbers, target, reason, told
    )


def _from(target: SessionStatus) -> list[str]:
    return [status for status, following in NEXT.items() if target in following]
