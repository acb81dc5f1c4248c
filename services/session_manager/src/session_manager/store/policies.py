"""What zones say of their sessions' hosts, in SQL."""

from chassis.database import Database
from contracts.identifiers import ZoneId

from session_manager.policies import ZonePolicy

_LEARN = """
INSERT INTO zone_policies AS p (zone_id, revision, fallback_enabled, fallback_endpoint, max_latency_ms)
VALUES ($1, $2, $3, $4, $5::integer)
ON CONFLICT (zone_id) DO UPDATE SET
    revision = excluded.revision,
    fallback_enabled = excluded.fallback_enabled,
    fallback_endpoint = excluded.fallback_endpoint,
    max_latency_ms = excluded.max_latency_ms
WHERE p.revision < excluded.revision
"""


class PolicyStore:
    """The zone_policies table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def learn(self, zone_id: ZoneId, policy: ZonePolicy, revision: int) -> None:
        """Keep what a zone says, unless something newer is known."""
        said = (policy.fallback_enabled, policy.fallback_endpoint, policy.max_latency_ms)
        await self._database.execute("zone_policies.learn", _LEARN, zone_id, revision, *said)
