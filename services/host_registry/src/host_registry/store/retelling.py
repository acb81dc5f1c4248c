"""How hosts stand, told again under the revisions that they have: who knows them already passes over it."""

from chassis.database import Database
from chassis.tracing import current_traceparent
from contracts.hosts import HOST_DRAINING, HOST_OFFLINE, HOST_REGISTERED, HOST_SUSPECT
from contracts.retelling import Retell, Retold

from host_registry.store.rows import subject_of, tell

AT_ONCE = 500
"""Their rows are locked for some 20 ms, so that what changes meanwhile is told afterwards."""

_STANDING = f"""CASE s.standing
    WHEN 'draining' THEN {subject_of(HOST_DRAINING)}
    WHEN 'offline' THEN {subject_of(HOST_OFFLINE)}
    WHEN 'suspect' THEN {subject_of(HOST_SUSPECT)}
    ELSE {subject_of(HOST_REGISTERED)}
END"""

# $1 after, $2 limit, $3 traceparent
_RETELL = f"""
WITH page AS (
    SELECT id, host_id FROM hosts WHERE id > $1 ORDER BY id LIMIT $2
), s AS (
    SELECT standings.* FROM standings JOIN page USING (host_id) ORDER BY host_id FOR NO KEY UPDATE OF standings
), told AS (
    {tell(_STANDING, "NULL", now="now()", traceparent="$3", where="s JOIN hosts AS h USING (host_id)")}
)
SELECT (SELECT count(*) FROM s) AS facts, count(*) AS hosts, max(id) AS last FROM page
"""  # noqa: S608 -- made of constants


class RetellingStore:
    """Reads hosts and writes the outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retell(self, question: Retell) -> Retold:
        row = await self._database.fetchrow("hosts.retell", _RETELL, question.after, AT_ONCE, current_traceparent())
        assert row is not None  # noqa: S101 -- a count has one row
        return Retold(facts=row["facts"], after=row["last"] if row["hosts"] == AT_ONCE else None)
