"""Zone slots, the seats that sessions have taken, and what players measured there."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from chassis.database import Database

from host_registry.errors import SessionOverError
from host_registry.store.rows import HOST_JSON

# $1 host_id, $2 session_id, $3 zone_id, $4 seats, $5 until, $6 heard_after
_RESERVE = f"""
WITH known AS (
    SELECT host_id, held, over FROM slots WHERE session_id = $2
), host AS MATERIALIZED (
    SELECT host_id FROM hosts WHERE host_id = $1 FOR KEY SHARE -- before its standing, as whoever deletes it
), taken AS (
    UPDATE standings SET slots_taken = slots_taken + 1
    WHERE host_id = (SELECT host_id FROM host)
      AND NOT EXISTS (SELECT FROM known WHERE over OR (held AND host_id = $1))
      AND (standing = 'open') IS TRUE -- so written that no index on it fits: the row is found by its key
      AND seats_taken + $4 <= max_players
      AND last_beat > $6
    RETURNING *
), kept AS (
    INSERT INTO slots AS kept (session_id, host_id, zone_id, held, expires_at)
    SELECT $2, host_id, $3, true, $5 FROM taken
    ON CONFLICT (session_id, host_id) DO UPDATE
    SET held = CASE WHEN NOT kept.held AND NOT kept.over THEN true END, expires_at = excluded.expires_at
)
SELECT {HOST_JSON}::text AS host
FROM (
    SELECT * FROM taken
    UNION ALL
    SELECT * FROM standings WHERE host_id = $1 AND EXISTS (SELECT FROM known WHERE held AND host_id = $1)
) AS s
JOIN hosts AS h USING (host_id)
"""  # noqa: S608 -- made of constants
"""Of two that reserve for one session at once the second fails, as its `held` is null."""

_IS_OVER = "SELECT true FROM slots WHERE session_id = $1 AND over LIMIT 1"

# $1 session_id, $2 host_id
_RELEASE = """
WITH freed AS (
    DELETE FROM slots WHERE session_id = $1 AND host_id = $2 AND held RETURNING host_id
)
UPDATE standings SET slots_taken = slots_taken - 1 FROM freed WHERE standings.host_id = freed.host_id
"""

_EXPIRE = """
WITH gone AS (
    DELETE FROM slots WHERE expires_at <= $1 RETURNING host_id, held
), freed AS (
    SELECT host_id, count(*) AS slots FROM gone WHERE held GROUP BY host_id
), mine AS (
    SELECT host_id, slots FROM standings JOIN freed USING (host_id) ORDER BY host_id FOR NO KEY UPDATE OF standings
)
UPDATE standings SET slots_taken = slots_taken - mine.slots FROM mine WHERE standings.host_id = mine.host_id
"""

# $1 host_id, $2 session_id, $3 zone_id, $4 revision, $5 here, $6 over, $7 latency_ms, $8 packet_loss_percent, $9 at,
# $10 forget_at, $11 seats_host_id, $12 seats_taken, $13 seats_revision
_HEAR = """
WITH told AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::boolean[],
        $7::double precision[], $8::double precision[], $9::timestamptz[]
    ) AS told (host_id, session_id, zone_id, revision, here, over, latency_ms, packet_loss_percent, at)
    WHERE NOT EXISTS (
        SELECT FROM slots AS known WHERE known.session_id = told.session_id AND known.revision > told.revision
    )
), marked AS (
    INSERT INTO slots AS kept (
        host_id, session_id, zone_id, revision, held, over, expires_at, latency_ms, packet_loss_percent
    )
    SELECT
        host_id, session_id, zone_id, revision, here, over, CASE WHEN here THEN NULL ELSE $10::timestamptz END,
        latency_ms, packet_loss_percent
    FROM told JOIN hosts USING (host_id)
    ORDER BY host_id, session_id
    FOR KEY SHARE OF hosts -- none of them is deleted meanwhile
    ON CONFLICT (session_id, host_id) DO UPDATE SET
        held = excluded.held, over = excluded.over, revision = excluded.revision, expires_at = excluded.expires_at,
        latency_ms = coalesce(excluded.latency_ms, kept.latency_ms),
        packet_loss_percent = coalesce(excluded.packet_loss_percent, kept.packet_loss_percent)
    WHERE excluded.revision > kept.revision
      AND (excluded.held OR excluded.over OR NOT kept.held OR kept.expires_at IS NULL)
      AND (
          excluded.held <> kept.held
          OR excluded.over <> kept.over
          OR (excluded.held AND kept.expires_at IS NOT NULL)
          OR excluded.latency_ms <> coalesce(kept.latency_ms, -1)
          OR excluded.packet_loss_percent <> coalesce(kept.packet_loss_percent, -1)
      )
    RETURNING WITH (OLD AS was, NEW AS stands)
        stands.session_id, stands.host_id, stands.held::integer - coalesce(was.held::integer, 0) AS slots,
        stands.latency_ms IS DISTINCT FROM was.latency_ms
            OR stands.packet_loss_percent IS DISTINCT FROM was.packet_loss_percent AS measured
), elsewhere AS (
    UPDATE slots AS kept SET held = false, over = told.over, revision = told.revision, expires_at = $10
    FROM (SELECT DISTINCT session_id, over, revision FROM told) AS told
    WHERE kept.session_id = told.session_id
      AND NOT EXISTS (SELECT FROM told AS its WHERE (its.session_id, its.host_id) = (kept.session_id, kept.host_id))
      AND kept.held
      AND (kept.expires_at IS NULL OR told.over)
    RETURNING kept.host_id, -1 AS slots
), changed AS (
    SELECT host_id, sum(slots) AS slots
    FROM (SELECT host_id, slots FROM marked UNION ALL SELECT host_id, slots FROM elsewhere) AS change
    GROUP BY host_id
), seats AS (
    SELECT * FROM unnest($11::text[], $12::integer[], $13::bigint[]) AS told (host_id, taken, revision)
), mine AS (
    SELECT host_id, born_at FROM standings
    WHERE host_id IN (SELECT host_id FROM seats UNION ALL SELECT host_id FROM changed)
    ORDER BY host_id
    FOR NO KEY UPDATE
), measured AS (
    INSERT INTO measurements AS kept (host_id, players_latency_ms, players_packet_loss_percent, players_at, weigh_at)
    SELECT DISTINCT ON (host_id) host_id, told.latency_ms, told.packet_loss_percent, told.at, '-infinity'::timestamptz
    FROM marked JOIN told USING (host_id, session_id) JOIN mine USING (host_id)
    WHERE marked.measured AND told.at >= mine.born_at
    ORDER BY host_id, told.at DESC
    ON CONFLICT (host_id) DO UPDATE SET
        players_latency_ms = coalesce(excluded.players_latency_ms, kept.players_latency_ms),
        players_packet_loss_percent = coalesce(excluded.players_packet_loss_percent, kept.players_packet_loss_percent),
        players_at = excluded.players_at, weigh_at = excluded.weigh_at
    WHERE kept.players_at IS NULL OR excluded.players_at >= kept.players_at
)
UPDATE standings AS s SET
    slots_taken = s.slots_taken + coalesce(changed.slots, 0),
    seats_taken = CASE WHEN seats.revision > s.seats_revision THEN seats.taken ELSE s.seats_taken END,
    seats_revision = greatest(s.seats_revision, seats.revision)
FROM mine LEFT JOIN seats USING (host_id) LEFT JOIN changed USING (host_id)
WHERE s.host_id = mine.host_id
"""
"""A session has its slot where it is and on its standby, and none elsewhere; a reservation, which no fact has confirmed
yet, is left to lapse, for its session may be on the way there. What its players measured is due for weighing where it
is new."""


class SlotNews(NamedTuple):
    """Where a session is, or has its standby, and what its players measured there, by its newest fact."""

    host_id: str
    session_id: str
    zone_id: str
    revision: int
    here: bool
    """It is on this host, or this one stands by for it; otherwise it was, and has no host now."""
    over: bool
    """It will be nowhere any more."""
    latency_ms: float | None
    packet_loss_percent: float | None
    at: datetime


class SeatNews(NamedTuple):
    """How many seats are taken on a host, over all its sessions."""

    host_id: str
    taken: int
    revision: int


class SlotStore:
    """Who is using a host."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self, host_id: str, session_id: str, zone_id: str, *, seats: int, until: datetime, heard_after: datetime
    ) -> bytes | None:
        """Take a slot, or find it taken for this session; None when the host can't give one (or is not known)."""
        arguments = (host_id, session_id, zone_id, seats, until, heard_after)
        # What is not to be had may be this session's own slot, taken by another request at this moment.
        host = await self._reserve(*arguments) or await self._reserve(*arguments)
        if host is None and await self._database.fetchval("slots.is_over", _IS_OVER, session_id):
            raise SessionOverError(session_id)
        return host

    async def _reserve(self, *arguments: object) -> bytes | None:
        try:
            host: str | None = await self._database.fetchval("slots.reserve", _RESERVE, *arguments)
        except asyncpg.NotNullViolationError:
            return None
        return None if host is None else host.encode()

    async def release(self, host_id: str, session_id: str) -> None:
        await self._database.execute("slots.release", _RELEASE, session_id, host_id)

    async def expire(self, now: datetime) -> None:
        """Free reservations that no session's fact has confirmed in time."""
        await self._database.execute("slots.expire", _EXPIRE, now)

    async def hear(self, slots: Sequence[SlotNews], seats: Sequence[SeatNews], forget_at: datetime) -> None:
        """Take what sessions tell: one entry per session and host of it, and one per host."""
        await self._database.execute(
            "slots.hear", _HEAR, *zip(*slots, strict=True), forget_at, *zip(*seats, strict=True)
        )
