"""What zones say of their sessions' hosts, in SQL."""

from chassis.database import Database
from contracts.identifiers import ZoneId

from session_manager.policies import ZonePolicy

# $1 zone_id, $2 revision, $3 fallback_enabled, $4 fallback_endpoint, $5 max_latency_ms, $6 closed_for, $7 standby
_LEARN = """
INSERT INTO zone_policies AS p (
    zone_id, revision, fallback_enabled, fallback_endpoint, max_latency_ms, closed_for, standby
)
VALUES ($1, $2, $3, $4, $5::integer, $6, $7)
ON CONFLICT (zone_id) DO UPDATE SET
    revision = excluded.revision,
    fallback_enabled = excluded.fallback_enabled,
    fallback_endpoint = excluded.fallback_endpoint,
    max_latency_ms = excluded.max_latency_ms,
    closed_for = excluded.closed_for,
    standby = excluded.standby
WHERE p.revision < excluded.revision
RETURNING revision
"""


class PolicyStore:
    """The zone_policies table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def learn(self, zone_id: ZoneId, policy: ZonePolicy, revision: int) -> bool:
        """Keep what a zone says; False where something newer is known."""
        said = (
            policy.fallback_enabled,
            policy.fallback_endpoint,
            policy.max_latency_ms,
            policy.closed_for,
            policy.standby,
        )
        return bool(await self._database.fetch("zone_policies.learn", _LEARN, zone_id, revision, *said))
