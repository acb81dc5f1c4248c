"""Hosts that stand by for sessions: named, held to the players there are, let go, and in the end the sessions' hosts.

Each step is one statement that succeeds only where the one before still stands; it counts the seats that are held on
the standby and tells of itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from chassis import tracing
from chassis.database import Database, Transaction
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId

from session_manager.health import Left
from session_manager.sessions import PlacedHost
from session_manager.standbys import LetGo
from session_manager.store.facts import telling, trace_decision

# Whoever sought one before has had its time, or found that there is none.
# $1 now, $2 until, $3 limit
_SEEK = """
WITH due AS MATERIALIZED (
    SELECT s.id FROM zone_policies p JOIN sessions s ON s.zone_id = p.zone_id
    WHERE p.standby AND p.closed_for IS NULL
        AND s.live AND s.status = 'active' AND s.standby_host_id IS NULL AND s.current_players > 0
        AND (s.standby_sought_until IS NULL OR s.standby_sought_until <= $1)
    ORDER BY s.id LIMIT $3 FOR UPDATE OF s SKIP LOCKED
), sought AS (
    UPDATE sessions s SET standby_sought_until = $2::timestamptz FROM due WHERE s.id = due.id
    RETURNING s.id, s.session_id, s.zone_id, s.host_id, s.epoch, s.connected_players
)
SELECT s.*, array_agg(l.host_id) AS hosts, array_agg(l.times) AS times, array_agg(l.left_at) AS left_at
FROM sought s LEFT JOIN left_hosts l ON l.session = s.id
GROUP BY s.id, s.session_id, s.zone_id, s.host_id, s.epoch, s.connected_players ORDER BY s.id
"""

# $1 number, $2 epoch, $3 at
_LATER = "UPDATE sessions SET standby_sought_until = $3 WHERE id = $1 AND epoch = $2 AND standby_host_id IS NULL"

# $1 lost_within
_DOUBTED = """
SELECT id, session_id, standby_host_id, epoch, doubt FROM (
    SELECT s.id, s.session_id, s.standby_host_id, s.epoch, CASE
        WHEN NOT coalesce(p.standby AND p.closed_for IS NULL, false) THEN 'unwanted'
        WHEN s.status NOT IN ('active', 'migrating') THEN 'unwanted'
        WHEN EXISTS (
            SELECT FROM lost_hosts h
            WHERE h.host_id = s.standby_host_id AND h.number = s.standby_number
                AND s.standby_since <= h.lost_at + $1::interval
        ) THEN 'host_lost'
        WHEN s.current_players > 0 AND s.current_players < 2 * (
            SELECT count(*) FROM unreached_hosts u
            WHERE u.host_id = s.standby_host_id AND u.player_id = ANY(s.connected_players)
                AND u.told_at >= s.standby_since
        ) THEN 'unconnected'
    END AS doubt
    FROM sessions s LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
    WHERE s.standby_host_id IS NOT NULL AND s.live
) doubted WHERE doubt IS NOT NULL ORDER BY id
"""

_UNFIT = """
SELECT id, session_id, standby_host_id, epoch FROM sessions
WHERE standby_host_id IS NOT NULL AND status = 'active' AND standby_seats <> current_players ORDER BY id
"""

_TOLD = """
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'standby-changed' AS event, s.epoch, s.status,
        '{}'::text[] AS joined, '{}'::text[] AS left_, <reason>::text AS reason, s.json,
        own.taken AS host_players, own.revision AS host_revision,
        jsonb_build_object('host_id', held.host_id, 'taken', held.taken, 'revision', held.revision) AS standby_seats
    FROM session s CROSS JOIN held JOIN host_seats own ON own.host_id = s.host_id
)"""

_CHANGED = "s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, session_json(s) AS json"

# $1 now, $2 traceparent, $3 number, $4 epoch, $5 host_id, $6 host_peer_id, $7 host_max_players,
# $8 host_number, $9 grounds
_NAME = telling(
    f"""
WITH standing AS MATERIALIZED (
    SELECT id, current_players AS players FROM sessions
    WHERE id = $3 AND epoch = $4 AND status = 'active' AND standby_host_id IS NULL AND host_id <> $5
    FOR UPDATE
), held AS (
    INSERT INTO host_seats AS h (host_id, max_players, taken, revision)
    SELECT $5, $7::integer, players, 1 FROM standing WHERE players <= $7
    ON CONFLICT (host_id) DO UPDATE SET
        max_players = excluded.max_players, taken = h.taken + excluded.taken, revision = h.revision + 1
    WHERE h.taken + excluded.taken <= excluded.max_players
    RETURNING h.host_id, h.taken, h.revision
), session AS (
    UPDATE sessions s SET
        standby_host_id = $5, standby_peer_id = $6, standby_number = $8,
        standby_seats = standing.players, standby_since = $1::timestamptz, standby_grounds = $9::jsonb,
        standby_sought_until = NULL,
        updated_at = $1, revision = s.revision + 1
    FROM standing, held WHERE s.id = standing.id
    RETURNING {_CHANGED}
{_TOLD.replace("<reason>", "'named'")}""",  # noqa: S608 -- made of constants
    "SELECT session_id FROM session",
    grounds="$9::jsonb",
    standby_seats="standby_seats",
)

# $1 now, $2 traceparent, $3 number, $4 epoch, $5 standby
_FIT = telling(
    f"""
WITH standing AS MATERIALIZED (
    SELECT id, standby_host_id AS host_id, current_players AS players, current_players - standby_seats AS more
    FROM sessions
    WHERE id = $3 AND epoch = $4 AND status = 'active' AND standby_host_id = $5 AND standby_seats <> current_players
    FOR UPDATE
), held AS (
    UPDATE host_seats h SET taken = h.taken + standing.more, revision = h.revision + 1
    FROM standing WHERE h.host_id = standing.host_id AND h.taken + standing.more <= h.max_players
    RETURNING h.host_id, h.taken, h.revision
), session AS (
    UPDATE sessions s SET
        standby_seats = standing.players, updated_at = $1::timestamptz, revision = s.revision + 1
    FROM standing, held WHERE s.id = standing.id
    RETURNING {_CHANGED}
{_TOLD.replace("<reason>", "'seats'")}""",  # noqa: S608 -- made of constants
    "SELECT session_id FROM session",
    standby_seats="standby_seats",
)

_FORGOTTEN = """standby_host_id = NULL, standby_peer_id = NULL, standby_number = NULL,
        standby_seats = 0, standby_since = NULL, standby_grounds = NULL, standby_sought_until = NULL"""

# $1 now, $2 traceparent, $3 number, $4 standby, $5 reason, $6 distrust
_LET_GO = telling(
    f"""
WITH standing AS MATERIALIZED (
    SELECT id, standby_host_id AS host_id, standby_seats AS seats FROM sessions
    WHERE id = $3 AND standby_host_id = $4 AND live
    FOR UPDATE
), held AS (
    UPDATE host_seats h SET taken = h.taken - standing.seats, revision = h.revision + 1
    FROM standing WHERE h.host_id = standing.host_id
    RETURNING h.host_id, h.taken, h.revision
), session AS (
    UPDATE sessions s SET {_FORGOTTEN}, updated_at = $1::timestamptz, revision = s.revision + 1
    FROM standing, held WHERE s.id = standing.id
    RETURNING {_CHANGED}
), distrusted AS (
    INSERT INTO left_hosts AS l (session, host_id, times, left_at) SELECT id, $4, 1, $1 FROM standing WHERE $6::boolean
    ON CONFLICT (session, host_id) DO UPDATE SET times = l.times + 1, left_at = excluded.left_at
{_TOLD.replace("<reason>", "$5")}""",  # noqa: S608 -- made of constants
    "SELECT session_id FROM session",
    standby_seats="standby_seats",
)

# What was measured and told of the host before says nothing of this one.
# $1 now, $2 traceparent, $3 number, $4 epoch, $5 lost_within
_TAKE_OVER = telling(
    f"""
WITH standing AS MATERIALIZED (
    SELECT id, standby_host_id AS host_id, current_players - standby_seats AS more FROM sessions s
    WHERE id = $3 AND epoch = $4 AND status = 'migrating' AND standby_host_id IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM lost_hosts h
            WHERE h.host_id = s.standby_host_id AND h.number = s.standby_number
                AND s.standby_since <= h.lost_at + $5::interval
        )
    FOR UPDATE
), held AS (
    UPDATE host_seats h SET taken = h.taken + standing.more, revision = h.revision + 1
    FROM standing WHERE h.host_id = standing.host_id AND h.taken + standing.more <= h.max_players
    RETURNING h.host_id, h.taken, h.revision
), session AS (
    UPDATE sessions s SET
        host_id = s.standby_host_id, host_peer_id = s.standby_peer_id, host_number = s.standby_number,
        {_FORGOTTEN},
        host_since = $1::timestamptz, status = 'active', epoch = s.epoch + 1,
        connection_type = 'webrtc', fallback_endpoint = NULL, fell_back_at = NULL, fell_back_for = NULL,
        claimed_until = NULL,
        average_latency_ms = NULL, average_packet_loss_percent = NULL, bandwidth_usage_mbps = NULL,
        quality_score = NULL, measured_at = NULL, latency_said_at = NULL, loss_said_at = NULL,
        updated_at = $1, revision = s.revision + 1
    FROM standing, held WHERE s.id = standing.id
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, old.fell_back_for,
        old.standby_grounds AS grounds, session_json(s) AS json
), seat AS (
    UPDATE seats SET connected = NULL, connection_told_at = NULL, latency_said_at = NULL, loss_said_at = NULL
    FROM session WHERE seats.session = session.id
        AND coalesce(connection_told_at, latency_said_at, loss_said_at) IS NOT NULL
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'migrated' AS event, s.epoch, s.status,
        '{{}}'::text[] AS joined, '{{}}'::text[] AS left_, s.fell_back_for AS reason, s.grounds, s.json,
        held.taken AS host_players, held.revision AS host_revision
    FROM session s, held
)""",  # noqa: S608 -- made of constants
    "SELECT session_id, host_id FROM session",
    """'{"standby": 1}'::jsonb""",
    grounds="grounds",
)

# Of a release that knows no standbys, which ended such sessions: nobody tells of them any more.
_FREE_ENDED = f"""
WITH ended AS MATERIALIZED (
    SELECT id, standby_host_id AS host_id, standby_seats AS seats FROM sessions
    WHERE standby_host_id IS NOT NULL AND NOT live ORDER BY id FOR UPDATE
), host AS MATERIALIZED (
    SELECT host_id FROM host_seats WHERE host_id IN (SELECT host_id FROM ended) ORDER BY host_id FOR UPDATE
), freed AS (
    UPDATE host_seats h SET taken = h.taken - gone.seats, revision = h.revision + 1
    FROM (SELECT host_id, sum(seats) AS seats FROM ended JOIN host USING (host_id) GROUP BY host_id) gone
    WHERE h.host_id = gone.host_id
)
UPDATE sessions s SET {_FORGOTTEN} FROM ended WHERE s.id = ended.id
"""  # noqa: S608 -- made of constants


@dataclass(frozen=True, slots=True)
class Unguarded:
    """A session that is to have a standby and has none."""

    number: int
    session_id: SessionId
    zone_id: ZoneId
    host_id: HostId
    epoch: int
    players: Sequence[PeerId]
    left: Sequence[Left]
    """The hosts that it has left lately."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A session and the host that stands by for it."""

    number: int
    session_id: SessionId
    epoch: int
    standby: HostId


class StandbyStore:
    """The standbys of sessions."""

    def __init__(self, database: Database, *, lost_within: timedelta) -> None:
        """`lost_within`: a standby may be named this long after its host was chosen, and lost meanwhile."""
        self._database = database
        self._lost_within = lost_within

    async def seek(self, until: datetime, limit: int, now: datetime) -> list[Unguarded]:
        """Sessions that nobody else seeks a standby for; nobody else does until then."""
        rows = await self._database.fetch("standbys.seek", _SEEK, now, until, limit)
        return [_unguarded(row) for row in rows]

    async def later(self, session: Unguarded, at: datetime) -> None:
        """Have one be sought again from then on."""
        await self._database.execute("standbys.later", _LATER, session.number, session.epoch, at)

    async def name(self, session: Unguarded, place: PlacedHost, now: datetime) -> bool:
        """Hold seats there; False where the session has changed or the host has no room for its players."""
        about = (session.number, session.epoch, place.host_id, place.host_peer_id)
        bounds = (place.host_max_players, place.host_number, place.grounds)
        row = await self._database.fetchrow("standbys.name", _NAME, now, tracing.current_traceparent(), *about, *bounds)
        if row is not None:
            trace_decision("name standby", session.session_id, place.host_id, "able", {})
        return row is not None

    async def doubted(self) -> list[tuple[Guarded, LetGo]]:
        """Whose standby is no good any more, and why."""
        rows = await self._database.fetch("standbys.doubted", _DOUBTED, self._lost_within)
        return [(_guarded(row), LetGo(row["doubt"])) for row in rows]

    async def unfit(self) -> list[Guarded]:
        """For whom more seats are held than they have players, or fewer."""
        return [_guarded(row) for row in await self._database.fetch("standbys.unfit", _UNFIT)]

    async def fit(self, session: Guarded, now: datetime) -> bool:
        """Hold as many seats as there are players; False where the host has no room, or all is changed by now."""
        about = (session.number, session.epoch, session.standby)
        trace = tracing.current_traceparent()
        return await self._database.fetchrow("standbys.fit", _FIT, now, trace, *about) is not None

    async def let_go(self, number: int, standby: HostId, reason: LetGo, now: datetime, *, distrust: bool) -> bool:
        """Give slot and seats back; False where that host does not stand by for it any more."""
        about = (number, standby, reason, distrust)
        trace = tracing.current_traceparent()
        return await self._database.fetchrow("standbys.let_go", _LET_GO, now, trace, *about) is not None

    async def take_over(self, number: int, epoch: int, now: datetime) -> HostId | None:
        """Make a migrating session's standby its host; None where it has none that lives and has room."""
        return await take_over(self._database, number, epoch, self._lost_within, now)

    async def take_over_in(self, transaction: Transaction, number: int, epoch: int, now: datetime) -> HostId | None:
        """As `take_over`, beside what else that transaction changes."""
        return await take_over(transaction, number, epoch, self._lost_within, now)

    async def free_ended(self) -> None:
        """Give back what is held for sessions that ended without giving it back themselves."""
        await self._database.execute("standbys.free_ended", _FREE_ENDED)


async def take_over(
    statements: Database | Transaction, number: int, epoch: int, lost_within: timedelta, now: datetime
) -> HostId | None:
    trace = tracing.current_traceparent()
    row = await statements.fetchrow("standbys.take_over", _TAKE_OVER, now, trace, number, epoch, lost_within)
    if row is None:
        return None
    trace_decision("take over", row["session_id"], row["host_id"], "standby", {})
    return HostId(row["host_id"])


def _unguarded(row: asyncpg.Record) -> Unguarded:
    return Unguarded(
        number=row["id"],
        session_id=SessionId(row["session_id"]),
        zone_id=ZoneId(row["zone_id"]),
        host_id=HostId(row["host_id"]),
        epoch=row["epoch"],
        players=[PeerId(player_id) for player_id in row["connected_players"]],
        left=[
            Left(host_id, times, at)
            for host_id, times, at in zip(row["hosts"], row["times"], row["left_at"], strict=True)
            if host_id is not None
        ],
    )


def _guarded(row: asyncpg.Record) -> Guarded:
    standby = HostId(row["standby_host_id"])
    return Guarded(row["id"], SessionId(row["session_id"]), row["epoch"], standby)
