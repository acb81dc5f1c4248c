"""The claim to ask for a host for a zone's next session; it ends by itself, so nobody holds a connection for it."""

from datetime import datetime

from chassis.database import Database
from contracts.identifiers import ZoneId

# $1 zone_id, $2 claimed_by, $3 until, $4 now
_CLAIM = """
INSERT INTO zone_claims AS c (zone_id, claimed_by, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (zone_id) DO UPDATE SET claimed_by = excluded.claimed_by, expires_at = excluded.expires_at
WHERE c.expires_at <= $4
RETURNING true
"""
# $1 zone_id, $2 claimed_by
_RELEASE = "DELETE FROM zone_claims WHERE zone_id = $1 AND claimed_by = $2"


class ClaimStore:
    """The zone_claims table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, zone_id: ZoneId, claimed_by: str, until: datetime, now: datetime) -> bool:
        """Whether the zone's next session is now for `claimed_by` to bring about."""
        return bool(await self._database.fetchval("zone_claims.claim", _CLAIM, zone_id, claimed_by, until, now))

    async def release(self, zone_id: ZoneId, claimed_by: str) -> None:
        await self._database.execute("zone_claims.release", _RELEASE, zone_id, claimed_by)
