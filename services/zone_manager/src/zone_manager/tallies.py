"""The tallies of zones, and which facts are in them, in SQL."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.database import Database, Transaction

from zone_manager.tallying import Counted

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('zone_tallies'))"
"""Two batches about the same sessions must not both find a fact uncounted, nor lock their rows crosswise."""

# $1 session_id, $2 revision, $3 zone_id, $4 sessions, $5 active, $6 served, $7 over
_ADD = """
WITH told AS (
    SELECT DISTINCT ON (session_id, revision) *
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::boolean[])
        AS told (session_id, revision, zone_id, sessions, active, served, over)
), fresh AS (
    SELECT told.*
    FROM told LEFT JOIN counted_sessions AS known USING (session_id)
    WHERE known.revisions IS NULL OR NOT known.revisions @> told.revision
), remembered AS (
    INSERT INTO counted_sessions AS known (session_id, revisions, over, heard_at)
    SELECT session_id, range_agg(int8range(revision, revision + 1)), bool_or(over), now()
    FROM fresh GROUP BY session_id
    ON CONFLICT (session_id) DO UPDATE
    SET revisions = known.revisions + excluded.revisions,
        over = known.over OR excluded.over,
        heard_at = excluded.heard_at
)
INSERT INTO zone_tallies AS tally (zone_id, total_sessions, active_sessions, total_players_served)
SELECT zone_id, sum(sessions), sum(active), sum(served) FROM fresh GROUP BY zone_id
ON CONFLICT (zone_id) DO UPDATE
SET total_sessions = tally.total_sessions + excluded.total_sessions,
    active_sessions = tally.active_sessions + excluded.active_sessions,
    total_players_served = tally.total_players_served + excluded.total_players_served
"""
_FORGET = "DELETE FROM counted_sessions WHERE over AND heard_at < now() - $1::interval"


class TallyStore:
    """Tallies as they are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, counted: Sequence[Counted]) -> None:
        """Add what is not in the tallies yet; all of it or nothing."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute("tallies.lock", _ONE_AT_A_TIME)
            await transaction.execute("tallies.add", _ADD, *zip(*counted, strict=True))

        await self._database.transact(work)

    async def forget_sessions_over_since(self, age: timedelta) -> None:
        """Delete what only told repeated facts of sessions long over."""
        await self._database.execute("tallies.forget", _FORGET, age)
