"""Who was heard: sockets of players, gateways, and the loss of hosts."""

from datetime import datetime

from chassis.database import Database
from contracts.gateway import PeerPresence
from contracts.hosts import HostFact

# The newest socket counts, and of one socket the newest announcement: they may arrive in any order.
# $1 peer_id, $2 session_id, $3 gateway_id, $4 connection_id, $5 revision, $6 now
_ENTERED = """
WITH gateway AS (
    INSERT INTO gateways (gateway_id, heard_at) VALUES ($3, $6::timestamptz) ON CONFLICT DO NOTHING
)
UPDATE seats SET absent_since = NULL, gateway_id = $3, connection_id = $4, announcement = $5
WHERE player_id = $1 AND session = (SELECT id FROM sessions WHERE session_id = $2) AND socket
    AND (coalesce(connection_id, ''), announcement) < ($4, $5)
"""

# $1 peer_id, $2 session_id, $3 connection_id, $4 revision, $5 since
_DISCONNECTED = """
UPDATE seats SET absent_since = least(absent_since, $5::timestamptz),
    gateway_id = NULL, connection_id = $3, announcement = $4
WHERE player_id = $1 AND session = (SELECT id FROM sessions WHERE session_id = $2) AND socket
    AND (coalesce(connection_id, ''), announcement) < ($3, $4)
"""

# $1 gateway_id, $2 at
_HEARD = """
INSERT INTO gateways AS g (gateway_id, heard_at) VALUES ($1, $2)
ON CONFLICT (gateway_id) DO UPDATE SET heard_at = greatest(g.heard_at, excluded.heard_at)
"""

_LATEST_WORD = "SELECT max(heard_at) FROM gateways"

_FORGET_GATEWAYS = """
DELETE FROM gateways WHERE heard_at <= $1
    AND NOT EXISTS (SELECT FROM seats WHERE seats.gateway_id = gateways.gateway_id)
"""

# Whatever becomes of it, it has to prove itself anew. What was said of its former lives has had its effect by then.
# $1 host_id, $2 host_number, $3 revision, $4 occurred_at
_LOST = """
WITH proven AS (
    DELETE FROM able_hosts WHERE host_id = $1
), former AS (
    DELETE FROM lost_hosts
    WHERE host_id = $1 AND number < $2 AND coalesce(lost_at < $4::timestamptz - interval '1 hour', true)
)
INSERT INTO lost_hosts AS h (host_id, number, revision, lost_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (host_id, number) DO UPDATE SET revision = excluded.revision, lost_at = excluded.lost_at
WHERE h.revision < excluded.revision
"""

# Kept where no loss is known: that may come later, though it was earlier.
# $1 host_id, $2 host_number, $3 revision
_FOUND = """
INSERT INTO lost_hosts AS h (host_id, number, revision) VALUES ($1, $2, $3)
ON CONFLICT (host_id, number) DO UPDATE SET revision = excluded.revision, lost_at = NULL
WHERE h.revision < excluded.revision
"""


class PresenceStore:
    """The sockets of seats, gateways, and lost_hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entered(self, fact: PeerPresence, now: datetime) -> None:
        """A seat's socket is there."""
        seat = (fact.peer_id, fact.session_id)
        newest = (fact.connection_id, fact.revision)
        await self._database.execute("seats.entered", _ENTERED, *seat, fact.gateway_id, *newest, now)

    async def disconnected(self, fact: PeerPresence, since: datetime) -> None:
        """A seat's socket is gone, unless a newer one is there."""
        seat = (fact.peer_id, fact.session_id)
        newest = (fact.connection_id, fact.revision)
        await self._database.execute("seats.disconnected", _DISCONNECTED, *seat, *newest, since)

    async def heard(self, gateway_id: str, at: datetime) -> None:
        """A gateway gave a sign of life."""
        await self._database.execute("gateways.heard", _HEARD, gateway_id, at)

    async def latest_word(self) -> datetime | None:
        """When any gateway gave a sign of life last."""
        at: datetime | None = await self._database.fetchval("gateways.latest_word", _LATEST_WORD)
        return at

    async def forget_gateways(self, unheard_by: datetime) -> None:
        """Forget gateways that are gone for good."""
        await self._database.execute("gateways.forget", _FORGET_GATEWAYS, unheard_by)

    async def lost(self, fact: HostFact) -> None:
        """A host is lost; a revision that is not newer than the one known changes nothing."""
        life = (fact.host_id, fact.host.id)
        await self._database.execute("lost_hosts.lost", _LOST, *life, fact.revision, fact.occurred_at)

    async def found(self, fact: HostFact) -> None:
        """A host is there again."""
        await self._database.execute("lost_hosts.found", _FOUND, fact.host_id, fact.host.id, fact.revision)
