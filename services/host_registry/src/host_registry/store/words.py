"""What players say of their channels to hosts, and what it makes of these."""

from datetime import datetime
from typing import NamedTuple

from chassis.database import Database
from chassis.tracing import current_traceparent
from contracts.hosts import HOST_OFFLINE, HOST_SUSPECT

from host_registry.agreement import Case, Verdict, Word
from host_registry.store.rows import DISMISSED, listed, subject_of, tell

REASON = "players_lost_it"

# $1 host_peer_id, $2 player_id, $3 lost, $4 at, $5 session_id
_HEAR = """
INSERT INTO words AS kept (host_id, player_id, lost, told_at)
SELECT host_id, $2, $3, $4 FROM hosts JOIN standings USING (host_id) JOIN slots USING (host_id)
WHERE peer_id = $1 AND $4 >= born_at AND slots.session_id = $5 AND held
ON CONFLICT (host_id, player_id) DO UPDATE SET lost = excluded.lost, told_at = excluded.told_at
WHERE kept.told_at < excluded.told_at
RETURNING host_id
"""
"""Strangers say nothing of a host: only a session that is there has players who know."""

_FORGET = "DELETE FROM words WHERE told_at <= $1"

_CASE = """
SELECT
    CASE WHEN NOT s.connected THEN s.socket_gone_at END AS socket_gone_at, s.last_beat, s.seats_taken,
    w.player_id, w.lost, w.told_at
FROM standings AS s LEFT JOIN words AS w USING (host_id)
WHERE host_id = $1
"""

_VERDICT = f"CASE s.liveness WHEN 'suspect' THEN {subject_of(HOST_SUSPECT)} ELSE {subject_of(HOST_OFFLINE)} END"

# $1 host_id, $2 verdict, $3 now, $4 gone_at, $5 alive_at, $6 traceparent
_FIND = f"""
WITH s AS (
    UPDATE standings AS kept
    SET liveness = $2, revision = nextval('revisions'), updated_at = $3,
        socket_gone_at = CASE $2 WHEN 'suspect' THEN kept.socket_gone_at END
    WHERE host_id = $1
      AND standing NOT IN {listed(DISMISSED)}
      AND liveness <> $2
      AND ($2 = 'suspect' OR (NOT connected AND socket_gone_at = $4 AND last_beat <= socket_gone_at))
      AND NOT EXISTS (SELECT FROM words AS w WHERE w.host_id = kept.host_id AND NOT w.lost AND w.told_at > $5)
    RETURNING kept.*
), told AS (
    {tell(_VERDICT, f"'{REASON}'", now="$3", traceparent="$6", where="s JOIN hosts AS h USING (host_id)")}
)
SELECT host_id FROM s
"""  # noqa: S608 -- made of constants
"""Not if the host has beaten or come back, or a player heard it, since the case was looked at."""


class Told(NamedTuple):
    """A player's word of its channel to the host that signals as `host_peer_id`."""

    host_peer_id: str
    player_id: str
    lost: bool
    at: datetime
    session_id: str


class WordStore:
    """The words table, and the standing of whom they are about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hear(self, told: Told) -> str | None:
        """Keep a player's newest word; gives the host, None where the session is not on it or the word is no news."""
        host_id: str | None = await self._database.fetchval("words.hear", _HEAR, *told)
        return host_id

    async def forget(self, before: datetime) -> None:
        await self._database.execute("words.forget", _FORGET, before)

    async def case(self, host_id: str) -> Case | None:
        """All there is to judge by; None where the host is gone."""
        rows = await self._database.fetch("words.case", _CASE, host_id)
        if not rows:
            return None
        said = (row for row in rows if row["player_id"] is not None)
        words = tuple(Word(row["player_id"], row["lost"], row["told_at"]) for row in said)
        return Case(rows[0]["socket_gone_at"], rows[0]["last_beat"], rows[0]["seats_taken"], words)

    async def find(
        self, host_id: str, verdict: Verdict, now: datetime, gone_at: datetime | None, alive_at: datetime
    ) -> bool:
        """Declare the host suspect or offline, if all is as it was: its socket, its beats, and nobody has heard it."""
        arguments = (host_id, verdict.value, now, gone_at, alive_at, current_traceparent())
        found: str | None = await self._database.fetchval("words.find", _FIND, *arguments)
        return found is not None
