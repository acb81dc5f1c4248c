"""The seats of players: taken, given up and exchanged, each by a write that only succeeds while there is room."""

from datetime import datetime

import asyncpg
from chassis import tracing
from chassis.database import Database, Transaction
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import SessionStatus

from session_manager.errors import SessionNotFoundError
from session_manager.sessions import HOSTLESS, JOINABLE, LIVE, RESUMABLE, Opening, Ref, Seat, SessionState
from session_manager.store.facts import SessionJson, telling
from session_manager.store.statuses import listed

# $1 number, $2 session_id, $3 player_id
_STATE = f"""
SELECT s.id, s.session_id, s.status, s.epoch, s.current_players, s.max_players, s.host_id,
    h.taken AS host_players, h.max_players AS host_max_players,
    seat.session AS seated_in,
    CASE WHEN seated.status NOT IN {listed(HOSTLESS)} THEN seated.host_id END AS seated_on
FROM sessions s
JOIN host_seats h ON h.host_id = s.host_id
LEFT JOIN seats seat ON seat.player_id = $3
LEFT JOIN sessions seated ON seated.id = seat.session
WHERE s.id = coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text))
"""  # noqa: S608 -- made of constants

_SEATED_IN = "SELECT session FROM seats WHERE player_id = $1"

# $1 now, $2 traceparent, $3 number, $4 session_id, $5 joinable, $6 player_id, $7 socket
_TAKE = telling(
    """
WITH standing AS MATERIALIZED (
    SELECT s.id FROM sessions s JOIN host_seats h ON h.host_id = s.host_id
    WHERE s.id = coalesce($3::bigint, (SELECT id FROM sessions WHERE session_id = $4::text))
        AND s.status = ANY($5::text[]) AND s.current_players < s.max_players AND h.taken < h.max_players
        AND NOT EXISTS (SELECT FROM seats WHERE player_id = $6)
    FOR UPDATE OF s, h
), session AS (
    UPDATE sessions s SET
        connected_players = array_append(s.connected_players, $6::text),
        status = 'active',
        started_at = coalesce(s.started_at, $1::timestamptz),
        last_activity_at = $1,
        empty_since = NULL,
        updated_at = $1,
        revision = s.revision + CASE s.status WHEN 'pending' THEN 2 ELSE 1 END
    FROM standing WHERE s.id = standing.id
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, old.status AS was, session_json(s) AS json
), host AS (
    UPDATE host_seats h SET taken = h.taken + 1, revision = h.revision + 1
    FROM session WHERE h.host_id = session.host_id
    RETURNING h.taken, h.revision
), seat AS (
    INSERT INTO seats (player_id, session, socket, absent_since)
    SELECT $6, id, $7::boolean, CASE WHEN $7 THEN $1 END FROM session
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision - f.back AS revision, f.event, s.epoch, s.status,
        f.joined, '{}'::text[] AS left_, NULL AS reason, s.json, h.taken AS host_players, h.revision AS host_revision
    FROM session s, host h, (VALUES ('activated', 1, '{}'), ('joined', 0, ARRAY[$6])) AS f (event, back, joined)
    WHERE f.event = 'joined' OR s.was = 'pending'
)""",
    "SELECT json FROM session",
    by_socket="$7",
)

# $1 now, $2 number, $3 player_id, $4 socket
_TAKE_AGAIN = """
WITH seat AS (
    UPDATE seats SET socket = socket AND $4, absent_since = CASE
        WHEN NOT (socket AND $4) THEN NULL
        WHEN absent_since IS NOT NULL THEN $1::timestamptz
    END
    WHERE player_id = $3 AND session = $2
    RETURNING session
)
SELECT session_json(s) FROM sessions s JOIN seat ON seat.session = s.id
"""

# $1 now, $2 traceparent, $3 number, $4 session_id, $5 player_id, $6 live, $7 reason, $8 absent_by, $9 unheard_by
_GIVE_UP = telling(
    f"""
WITH standing AS MATERIALIZED (
    SELECT s.id
    FROM seats seat JOIN sessions s ON s.id = seat.session JOIN host_seats h ON h.host_id = s.host_id
    WHERE seat.player_id = $5
        AND ($3::bigint IS NULL AND $4::text IS NULL
            OR s.id = coalesce($3, (SELECT id FROM sessions WHERE session_id = $4)))
        AND s.status = ANY($6::text[])
        AND ($8::timestamptz IS NULL OR seat.absent_since <= $8
            OR seat.gateway_id IN (SELECT gateway_id FROM gateways WHERE heard_at <= $9::timestamptz))
    FOR UPDATE OF s, h, seat
), seat AS (
    DELETE FROM seats USING standing WHERE seats.player_id = $5 AND seats.session = standing.id RETURNING seats.session
), session AS (
    UPDATE sessions s SET
        connected_players = array_remove(s.connected_players, $5::text),
        last_activity_at = $1::timestamptz,
        empty_since = CASE WHEN cardinality(s.connected_players) = 1 THEN $1 END,
        updated_at = $1,
        revision = s.revision + 1
    FROM seat WHERE s.id = seat.session
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, session_json(s) AS json
), host AS (
    -- A session without a host has no seats on its last one.
    UPDATE host_seats h SET
        taken = h.taken - CASE WHEN session.status IN {listed(HOSTLESS)} THEN 0 ELSE 1 END,
        revision = h.revision + 1
    FROM session WHERE h.host_id = session.host_id
    RETURNING h.taken, h.revision
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'left' AS event, s.epoch, s.status,
        '{{}}'::text[] AS joined, ARRAY[$5] AS left_, $7::text AS reason, s.json,
        h.taken AS host_players, h.revision AS host_revision
    FROM session s, host h
)""",  # noqa: S608 -- made of constants
    "SELECT json FROM session",
)

_LOCK_SESSIONS = "SELECT id FROM sessions WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"
# $1 sessions, $2 host_id
_LOCK_HOSTS = """
SELECT host_id FROM host_seats
WHERE host_id = $2 OR host_id IN (
    SELECT unnest(ARRAY[host_id, standby_host_id]) FROM sessions WHERE id = ANY($1::bigint[])
)
ORDER BY host_id FOR UPDATE
"""

# The host is looked up for each session: openings are few, hosts are many.
# $1 zone_id, $2 player_id, $3 unreached_since
_OPENINGS = f"""
SELECT s.id, s.current_players, s.own,
    EXISTS (
        SELECT FROM unreached_hosts u WHERE u.player_id = $2 AND u.host_id = s.host_id AND u.told_at > $3
    ) AS unreached
FROM (
    SELECT s.id, s.current_players, s.host_id, true AS own FROM seats JOIN sessions s ON s.id = seats.session
    WHERE seats.player_id = $2 AND s.zone_id = $1 AND s.status IN {listed(RESUMABLE)}
    UNION ALL
    SELECT s.id, s.current_players, s.host_id, false FROM sessions s
    WHERE s.zone_id = $1 AND s.open
        AND (SELECT h.taken < h.max_players FROM host_seats h WHERE h.host_id = s.host_id)
    LIMIT 64
) AS s
"""  # noqa: S608 -- made of constants

# $1 player_id, $2 since
_UNREACHED = "SELECT host_id FROM unreached_hosts WHERE player_id = $1 AND told_at > $2"

# $1 absent_by, $2 unheard_by, $3 limit
_EXPIRED = """
SELECT player_id, session FROM seats WHERE absent_since <= $1
UNION
SELECT player_id, session FROM seats JOIN gateways USING (gateway_id) WHERE heard_at <= $2
LIMIT $3
"""

MOVED = "moved"
"""Why a player left a session, when it was to join another."""


class MovedOnError(Exception):
    """The world changed since it was looked at; look again."""


class SeatStore:
    """The seats table, with the rows of session and host that count them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, ref: Ref, player_id: PeerId, *, socket: bool, now: datetime) -> SessionJson | None:
        """Seat a player who has no seat; None where that is not possible as things stand."""
        try:
            return await _take(self._database, ref, player_id, socket=socket, now=now)
        except asyncpg.UniqueViolationError:  # the player took another seat in this very moment
            return None

    async def take_again(self, number: int, player_id: PeerId, *, socket: bool, now: datetime) -> SessionJson | None:
        """Confirm a seat; one taken over REST stays until it is given up, whoever else confirms it."""
        row: SessionJson | None = await self._database.fetchval(
            "seats.take_again", _TAKE_AGAIN, now, number, player_id, socket
        )
        return row

    async def give_up(
        self, ref: Ref | None, player_id: PeerId, *, reason: str | None = None, now: datetime
    ) -> SessionJson | None:
        """Free a seat; None where the player has none there."""
        return await give_up(self._database, ref, player_id, reason=reason, now=now)

    async def give_up_absent(
        self, number: int, player_id: PeerId, *, reason: str, absent_by: datetime, unheard_by: datetime, now: datetime
    ) -> SessionJson | None:
        """Free a seat unless its player, or the gateway that had its socket, has come back by now."""
        return await give_up(
            self._database,
            Ref(number, None),
            player_id,
            reason=reason,
            now=now,
            absent_by=absent_by,
            unheard_by=unheard_by,
        )

    async def move(
        self, source: int, target: int, player_id: PeerId, *, socket: bool, now: datetime
    ) -> SessionJson | None:
        """Exchange the seat in one session for one in another, both or neither; None where that is not possible."""

        async def exchange(transaction: Transaction) -> SessionJson:
            await lock(transaction, [source, target])
            left = await give_up(transaction, Ref(source, None), player_id, reason=MOVED, now=now)
            joined = await _take(transaction, Ref(target, None), player_id, socket=socket, now=now)
            if left is None or joined is None:
                raise MovedOnError
            return joined

        try:
            return await self._database.transact(exchange)
        except (MovedOnError, asyncpg.UniqueViolationError):
            return None

    async def state(self, ref: Ref, player_id: PeerId) -> tuple[SessionState, Seat | None]:
        """How a session stands, and where a player sits at that moment."""
        row = await self._database.fetchrow("seats.state", _STATE, ref.number, ref.session_id, player_id)
        if row is None:
            raise SessionNotFoundError(ref.session_id or str(ref.number))
        seat = None if row["seated_in"] is None else Seat(row["seated_in"], row["seated_on"])
        return state_of(row), seat

    async def seated_in(self, player_id: PeerId) -> int | None:
        """The number of the session that a player sits in."""
        number: int | None = await self._database.fetchval("seats.seated_in", _SEATED_IN, player_id)
        return number

    async def openings(self, zone_id: ZoneId, player_id: PeerId, unreached_since: datetime) -> list[Opening]:
        """The player's own session, if it is of the zone, and those with room on them and their host; 64 are enough."""
        rows = await self._database.fetch("seats.openings", _OPENINGS, zone_id, player_id, unreached_since)
        return [Opening(row["id"], row["current_players"], row["own"], row["unreached"]) for row in rows]

    async def unreached(self, player_id: PeerId, since: datetime) -> list[HostId]:
        """The hosts to which the player could not connect since then."""
        rows = await self._database.fetch("unreached_hosts.of", _UNREACHED, player_id, since)
        return [HostId(row["host_id"]) for row in rows]

    async def expired(self, *, absent_by: datetime, unheard_by: datetime, limit: int) -> list[tuple[int, PeerId]]:
        """Seats whose player's socket is gone, or its gateway silent, for too long."""
        rows = await self._database.fetch("seats.expired", _EXPIRED, absent_by, unheard_by, limit)
        return [(row["session"], PeerId(row["player_id"])) for row in rows]


def state_of(row: asyncpg.Record) -> SessionState:
    return SessionState(
        number=row["id"],
        session_id=SessionId(row["session_id"]),
        status=SessionStatus(row["status"]),
        epoch=row["epoch"],
        players=row["current_players"],
        max_players=row["max_players"],
        host_id=HostId(row["host_id"]),
        host_players=row["host_players"],
        host_max_players=row["host_max_players"],
    )


async def lock(transaction: Transaction, sessions: list[int], host_id: HostId | None = None) -> None:
    """Lock sessions and then their hosts (and one host more), each in the order that everybody keeps."""
    await transaction.fetch("sessions.lock", _LOCK_SESSIONS, sessions)
    await transaction.fetch("host_seats.lock", _LOCK_HOSTS, sessions, host_id)


async def _take(
    statements: Database | Transaction, ref: Ref, player_id: PeerId, *, socket: bool, now: datetime
) -> SessionJson | None:
    row: SessionJson | None = await statements.fetchval(
        "seats.take",
        _TAKE,
        now,
        tracing.current_traceparent(),
        ref.number,
        ref.session_id,
        _JOINABLE,
        player_id,
        socket,
    )
    return row


async def give_up(
    statements: Database | Transaction,
    ref: Ref | None,
    player_id: PeerId,
    *,
    reason: str | None,
    now: datetime,
    absent_by: datetime | None = None,
    unheard_by: datetime | None = None,
) -> SessionJson | None:
    row: SessionJson | None = await statements.fetchval(
        "seats.give_up",
        _GIVE_UP,
        now,
        tracing.current_traceparent(),
        ref.number if ref else None,
        ref.session_id if ref else None,
        player_id,
        _LIVE,
        reason,
        absent_by,
        unheard_by,
    )
    return row


_JOINABLE = sorted(JOINABLE)
_LIVE = sorted(LIVE)
