"""How sessions fare on their hosts, in SQL."""

from collections.abc import Mapping, Sequence
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
_DOUBTFUL = """
WITH failing AS MATERIALIZED (
    SELECT DISTINCT session FROM seats WHERE NOT connected
), told AS MATERIALIZED (
    SELECT session, count(*) FILTER (WHERE connected) AS connected, count(*) FILTER (WHERE NOT connected) AS unconnected
    FROM seats WHERE session IN (SELECT session FROM failing) GROUP BY session
)
SELECT s.id, s.epoch, fresh.latency_ms, fresh.loss, coalesce(p.max_latency_ms, $3::integer) AS max_latency_ms,
    coalesce(told.connected, 0) AS connected, coalesce(told.unconnected, 0) AS unconnected
FROM sessions s
CROSS JOIN LATERAL (SELECT
    CASE WHEN s.measured_at > $1::timestamptz THEN s.average_latency_ms END AS latency_ms,
    CASE WHEN s.measured_at > $1 THEN s.average_packet_loss_percent END AS loss
) fresh
LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
LEFT JOIN told ON told.session = s.id
WHERE s.status = 'active' AND (
    fresh.latency_ms > coalesce(p.max_latency_ms, $3) OR fresh.loss > $2::double precision OR told.unconnected > 0
)
"""

_NOTE = """
WITH well AS (
    DELETE FROM unwell_sessions WHERE session <> ALL($1::bigint[])
), new AS (
    INSERT INTO unwell_sessions (session, since) SELECT session, $2::timestamptz FROM unnest($1) AS session
    ORDER BY session
    ON CONFLICT DO NOTHING
    RETURNING session, since
)
SELECT session, since FROM unwell_sessions WHERE session = ANY($1) UNION ALL SELECT session, since FROM new
"""

_CONNECTED = """
UPDATE seats SET connected = $4, connection_told_at = $5::timestamptz
FROM sessions s
WHERE seats.player_id = $1 AND seats.session = s.id AND s.session_id = $2 AND $3 IN (s.host_peer_id, s.host_id)
    AND s.status = 'active' AND $5 >= coalesce(s.host_since, s.created_at)
    AND (connection_told_at IS NULL OR connection_told_at < $5 AND connected <> $4)
"""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An active session of which something may be wrong."""

    number: int
    epoch: int
    condition: Condition
    bounds: Bounds


class HealthStore:
    """What was measured and told of sessions, and unwell_sessions."""

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

    async def note_unwell(self, sessions: Sequence[int], now: datetime) -> Mapping[int, datetime]:
        """Since when each of these, and no others, is unwell."""
        rows = await self._database.fetch("unwell_sessions.note", _NOTE, list(sessions), now)
        return {row["session"]: row["since"] for row in rows}

    async def connection(self, fact: IceOutcome) -> None:
        """How a seated player's attempt to connect to the session's host came out."""
        connected = fact.state is IceState.CONNECTED
        attempt = (fact.peer_id, fact.session_id, fact.to, connected, fact.occurred_at)
        await self._database.execute("seats.connection", _CONNECTED, *attempt)


def _doubtful(row: asyncpg.Record, most_loss_percent: float) -> Doubtful:
    condition = Condition(row["latency_ms"], row["loss"], row["connected"], row["unconnected"])
    return Doubtful(row["id"], row["epoch"], condition, Bounds(row["max_latency_ms"], most_loss_percent))
