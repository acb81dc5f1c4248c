"""How sessions fare on their hosts, in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from chassis.database import Database
from contracts.gateway import IceOutcome, IceState

from session_manager.health import Bounds, Condition
from session_manager.policies import UNLESS_SAID

_COUNT = "SELECT count(*) FROM sessions WHERE status = 'active'"

# Of thousands of sessions few come out: the others are passed by in one scan of each table, without an index that
# every join would have to keep.
# $1 reported_after, $2 most_loss_percent, $3 max_latency_ms
_DOUBTFUL = """
WITH said AS MATERIALIZED (
    SELECT session, connected,
        CASE WHEN latency_said_at > $1::timestamptz THEN said_latency_ms END AS latency_ms, latency_said_at,
        CASE WHEN loss_said_at > $1 THEN said_loss_percent END AS loss, loss_said_at
    FROM seats WHERE connected IS NOT NULL OR latency_said_at > $1 OR loss_said_at > $1
), told AS MATERIALIZED (
    SELECT said.session,
        count(*) FILTER (WHERE connected) AS connected,
        count(*) FILTER (WHERE NOT connected) AS unconnected,
        count(*) FILTER (WHERE latency_ms > bound) AS slow,
        count(*) FILTER (WHERE loss > $2::double precision) AS losing,
        max(latency_said_at) FILTER (WHERE latency_ms > bound) AS slow_at,
        max(loss_said_at) FILTER (WHERE loss > $2) AS losing_at
    FROM said JOIN (
        SELECT s.id, coalesce(p.max_latency_ms, $3::integer) AS bound
        FROM sessions s LEFT JOIN zone_policies p ON p.zone_id = s.zone_id WHERE s.status = 'active'
    ) bounds ON bounds.id = said.session
    GROUP BY said.session
    HAVING bool_or(NOT connected OR latency_ms > bound OR loss > $2)
)
SELECT s.id, s.epoch, s.current_players AS players, fresh.latency_ms, fresh.loss,
    coalesce(p.max_latency_ms, $3) AS max_latency_ms,
    coalesce(told.connected, 0) AS connected, coalesce(told.unconnected, 0) AS unconnected,
    coalesce(told.slow, 0) AS slow, coalesce(told.losing, 0) AS losing,
    greatest(
        told.slow_at, told.losing_at,
        CASE WHEN fresh.latency_ms > coalesce(p.max_latency_ms, $3) THEN s.latency_said_at END,
        CASE WHEN fresh.loss > $2 THEN s.loss_said_at END
    ) AS told_at
FROM sessions s
CROSS JOIN LATERAL (SELECT
    CASE WHEN s.latency_said_at > $1 THEN s.said_latency_ms END AS latency_ms,
    CASE WHEN s.loss_said_at > $1 THEN s.said_loss_percent END AS loss
) fresh
LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
LEFT JOIN told ON told.session = s.id
WHERE s.status = 'active' AND (
    fresh.latency_ms > coalesce(p.max_latency_ms, $3) OR fresh.loss > $2 OR told.session IS NOT NULL
)
"""

# $1 numbers, $2 told_at
_NOTE = """
WITH well AS (
    DELETE FROM unwell_sessions WHERE session <> ALL($1::bigint[])
), new AS (
    INSERT INTO unwell_sessions (session, since)
    SELECT session, since FROM unnest($1, $2::timestamptz[]) AS unwell (session, since)
    ORDER BY session
    ON CONFLICT DO NOTHING
    RETURNING session, since
)
SELECT session, since FROM unwell_sessions WHERE session = ANY($1) UNION ALL SELECT session, since FROM new
"""

# A seat may be given up by the time that we hear why.
# $1 peer_id, $2 session_id, $3 to, $4 connected, $5 occurred_at, $6 failed
_CONNECTED = """
WITH host AS (
    SELECT host_id FROM sessions WHERE session_id = $2 AND $3 IN (host_peer_id, host_id)
    UNION
    SELECT standby_host_id FROM sessions WHERE session_id = $2 AND $3 IN (standby_peer_id, standby_host_id)
), unreached AS (
    INSERT INTO unreached_hosts AS u (player_id, host_id, told_at) SELECT $1, host_id, $5 FROM host WHERE $6
    ON CONFLICT (player_id, host_id) DO UPDATE SET told_at = greatest(u.told_at, excluded.told_at)
), reached AS (
    DELETE FROM unreached_hosts u USING host
    WHERE $4 AND u.player_id = $1 AND u.host_id = host.host_id AND u.told_at < $5
)
UPDATE seats SET connected = $4, connection_told_at = $5::timestamptz
FROM sessions s
WHERE seats.player_id = $1 AND seats.session = s.id AND s.session_id = $2 AND $3 IN (s.host_peer_id, s.host_id)
    AND s.status = 'active' AND $5 >= coalesce(s.host_since, s.created_at)
    AND (connection_told_at IS NULL OR connection_told_at < $5 AND connected <> $4)
"""

_FORGET_UNREACHED = "DELETE FROM unreached_hosts WHERE told_at <= $1"


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An active session of which something may be wrong."""

    number: int
    epoch: int
    condition: Condition
    bounds: Bounds
    told_at: datetime | None
    """When the newest figure out of bounds was reported; None where none is."""


class HealthStore:
    """What was measured and told of sessions, unwell_sessions and unreached_hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self) -> int:
        """How many sessions are active."""
        return int(await self._database.fetchval("sessions.count_active", _COUNT))

    async def doubtful(self, reported_after: datetime, most_loss_percent: float) -> list[Doubtful]:
        """Sessions of which anything that was told recently is out of bounds."""
        rows = await self._database.fetch(
            "sessions.doubtful", _DOUBTFUL, reported_after, most_loss_percent, UNLESS_SAID.max_latency_ms
        )
        return [_doubtful(row, most_loss_percent) for row in rows]

    async def note_unwell(self, told_at: Mapping[int, datetime]) -> Mapping[int, datetime]:
        """Since when each of these, and no others, is unwell: those that were not, since what was told just now."""
        rows = await self._database.fetch("unwell_sessions.note", _NOTE, list(told_at), list(told_at.values()))
        return {row["session"]: row["since"] for row in rows}

    async def connection(self, fact: IceOutcome) -> None:
        """How a seated player's attempt to connect to the session's host came out."""
        connected, failed = fact.state is IceState.CONNECTED, fact.state is IceState.FAILED
        attempt = (fact.peer_id, fact.session_id, fact.to, connected, fact.occurred_at, failed)
        await self._database.execute("seats.connection", _CONNECTED, *attempt)

    async def forget_unreached(self, before: datetime) -> None:
        """Forget connections that failed so long ago that it counts no more."""
        await self._database.execute("unreached_hosts.forget", _FORGET_UNREACHED, before)


def _doubtful(row: asyncpg.Record, most_loss_percent: float) -> Doubtful:
    condition = Condition(
        players=row["players"],
        latency_ms=row["latency_ms"],
        packet_loss_percent=row["loss"],
        players_slow=row["slow"],
        players_losing=row["losing"],
        players_connected=row["connected"],
        players_unconnected=row["unconnected"],
    )
    bounds = Bounds(row["max_latency_ms"], most_loss_percent)
    return Doubtful(row["id"], row["epoch"], condition, bounds, row["told_at"])
