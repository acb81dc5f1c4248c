"""Hosts that fall silent, and sockets that come and go."""

from datetime import datetime
from typing import NamedTuple

from chassis.database import Database
from contracts.hosts import HOST_OFFLINE, HOST_SUSPECT

from host_registry.store.rows import DISMISSED, listed, subject_of, tell

# $2 hearing_since, $5 cut_off_before
_CUT_OFF = "NOT connected AND greatest(socket_gone_at, $2) <= $5 AND last_beat <= socket_gone_at"
# $2 hearing_since, $4 offline_before
_LOST = "greatest(last_beat, $2) <= $4"
# $2 hearing_since, $3 suspect_before
_LATE = "liveness = 'alive' AND greatest(last_beat, $2) <= $3"
_VERDICT = f"CASE s.liveness WHEN 'suspect' THEN {subject_of(HOST_SUSPECT)} ELSE {subject_of(HOST_OFFLINE)} END"

# $1 now, $2 hearing_since, $3 suspect_before, $4 offline_before, $5 cut_off_before, $6 limit
_JUDGE = f"""
WITH due AS (
    SELECT
        host_id,
        CASE WHEN ({_CUT_OFF}) OR {_LOST} THEN 'offline' ELSE 'suspect' END AS verdict,
        CASE WHEN {_CUT_OFF} THEN 'socket_gone' ELSE 'silent' END AS reason
    FROM standings
    WHERE standing NOT IN {listed(DISMISSED)} AND (({_CUT_OFF}) OR {_LOST} OR ({_LATE}))
    ORDER BY host_id
    LIMIT $6
    FOR UPDATE SKIP LOCKED
), s AS (
    UPDATE standings AS kept
    SET liveness = due.verdict, revision = nextval('revisions'), updated_at = $1,
        socket_gone_at = CASE due.verdict WHEN 'suspect' THEN kept.socket_gone_at END
    FROM due
    WHERE kept.host_id = due.host_id
    RETURNING kept.*, due.reason
), told AS (
    {tell(_VERDICT, "s.reason", now="$1", traceparent="NULL", where="s JOIN hosts AS h USING (host_id)")}
)
SELECT host_id, liveness AS verdict, reason FROM s
"""  # noqa: S608 -- made of constants
"""A row that somebody else is writing is skipped: it may well be a beat, and the next round comes soon."""

CLOCKS_DIFFER = "interval '1 second'"
"""Of gateways and registries, at most; a socket that was told of before the host was there is another's."""

# $1 peer_id, $2 connection_id, $3 gateway_id, $4 host_id, $5 now, $6 told_at
_CONNECTED = f"""
WITH host AS (
    UPDATE standings
    SET connection_id = $2, gateway_id = $3, socket_open = true, connected = true, socket_gone_at = NULL
    WHERE host_id = coalesce($4, (SELECT host_id FROM hosts WHERE peer_id = $1))
      AND (connection_id IS NULL OR connection_id < $2)
      AND $6 >= born_at - {CLOCKS_DIFFER}
    RETURNING gateway_id
)
INSERT INTO gateways AS known (gateway_id, heard_at) SELECT gateway_id, $5 FROM host
ON CONFLICT (gateway_id) DO UPDATE SET heard_at = greatest(known.heard_at, excluded.heard_at)
"""  # noqa: S608 -- made of constants

# $1 peer_id, $2 connection_id, $3 gateway_id, $4 host_id, $5 gone_at, $6 told_at
_DISCONNECTED = f"""
UPDATE standings
SET connection_id = $2, gateway_id = $3, socket_open = false, connected = false,
    socket_gone_at = CASE WHEN connection_id IS NOT NULL THEN $5::timestamptz END
WHERE host_id = coalesce($4, (SELECT host_id FROM hosts WHERE peer_id = $1))
  AND (connection_id IS NULL OR connection_id < $2 OR (connection_id = $2 AND socket_open))
  AND $6 >= born_at - {CLOCKS_DIFFER}
RETURNING host_id
"""  # noqa: S608 -- made of constants
"""The newest connection counts: an older one's end says nothing, and no end is undone by its own late beginning.

A host that was never told to have a socket is not cut off by the end of one: it may be that of a former life.
"""

# $1 gateway_id, $2 now
_HEARD = """
INSERT INTO gateways AS known (gateway_id, heard_at) VALUES ($1, $2)
ON CONFLICT (gateway_id) DO UPDATE SET heard_at = greatest(known.heard_at, excluded.heard_at)
RETURNING WITH (OLD AS was) was.gateway_id IS NULL AS new
"""

_BELIEVE = "UPDATE standings SET connected = true WHERE gateway_id = $1 AND socket_open AND NOT connected"

_DISBELIEVE = """
WITH silent AS (
    DELETE FROM gateways WHERE heard_at <= $1 RETURNING gateway_id
), theirs AS (
    SELECT host_id FROM standings JOIN silent USING (gateway_id) WHERE connected
    ORDER BY host_id
    FOR NO KEY UPDATE OF standings
)
UPDATE standings SET connected = false FROM theirs WHERE standings.host_id = theirs.host_id
"""


class Deadlines(NamedTuple):
    """Before when a host must have been heard last for each verdict, and since when it could have been heard."""

    hearing_since: datetime
    suspect_before: datetime
    offline_before: datetime
    cut_off_before: datetime


class Verdict(NamedTuple):
    """What a host has become, and why."""

    host_id: str
    verdict: str
    reason: str


class Socket(NamedTuple):
    """A connection of a peer, which may be a host."""

    peer_id: str
    connection_id: str
    gateway_id: str
    host_id: str | None


class LivenessStore:
    """Who is there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def judge(self, deadlines: Deadlines, now: datetime, limit: int) -> list[Verdict]:
        """Declare up to `limit` silent hosts suspect or offline."""
        rows = await self._database.fetch("standings.judge", _JUDGE, now, *deadlines, limit)
        return [Verdict(row["host_id"], row["verdict"], row["reason"]) for row in rows]

    async def connected(self, socket: Socket, told_at: datetime, now: datetime) -> None:
        await self._database.execute("standings.connected", _CONNECTED, *socket, now, told_at)

    async def disconnected(self, socket: Socket, told_at: datetime, gone_at: datetime | None) -> str | None:
        """Note the end of a socket, and give the host that has none now.

        It is to be cut off some time after `gone_at`, or never on that account.
        """
        arguments = (*socket, gone_at, told_at)
        host_id: str | None = await self._database.fetchval("standings.disconnected", _DISCONNECTED, *arguments)
        return host_id

    async def gateway_heard(self, gateway_id: str, now: datetime) -> None:
        """Note a gateway's sign of life; one that was thought gone vouches for its open sockets again."""
        if await self._database.fetchval("gateways.heard", _HEARD, gateway_id, now):
            await self._database.execute("gateways.believe", _BELIEVE, gateway_id)

    async def disbelieve_gateways(self, silent_since: datetime) -> None:
        """Take no gateway's word any more that has been silent for so long."""
        await self._database.execute("gateways.disbelieve", _DISBELIEVE, silent_since)
