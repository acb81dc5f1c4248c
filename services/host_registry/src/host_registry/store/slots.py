"""Zone slots, and the seats that sessions have taken."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from chassis.database import Database

from host_registry.errors import SessionOverError
from host_registry.store.rows import HOST_JSON

_RESERVE = f"""
WITH held AS (
    SELECT held FROM slots WHERE session_id = $2 AND host_id = $1
), taken AS (
    UPDATE standings SET slots_taken = slots_taken + 1
    WHERE host_id = $1
      AND NOT EXISTS (SELECT FROM held)
      AND (standing = 'open') IS TRUE -- so written that no index on it fits: the row is found by its key
      AND seats_taken + $4 <= max_players
      AND last_beat > $6
    RETURNING *
), kept AS (
    INSERT INTO slots (session_id, host_id, zone_id, held, expires_at) SELECT $2, host_id, $3, true, $5 FROM taken
)
SELECT {HOST_JSON}::text AS host
FROM (
    SELECT * FROM taken
    UNION ALL
    SELECT * FROM standings WHERE host_id = $1 AND EXISTS (SELECT FROM held WHERE held)
) AS s
JOIN hosts AS h USING (host_id)
"""  # noqa: S608 -- made of constants
"""Of two that reserve for one session at once the second fails on the slot's key, and finds it held when it retries."""

_IS_OVER = "SELECT true FROM slots WHERE session_id = $1 AND host_id = $2 AND NOT held"

_RELEASE = """
WITH freed AS (
    DELETE FROM slots WHERE session_id = $1 AND host_id = $2 RETURNING held
)
UPDATE standings SET slots_taken = slots_taken - 1 FROM freed WHERE host_id = $2 AND freed.held
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

_HEAR = """
WITH told AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[])
        AS told (host_id, session_id, zone_id, revision, live)
), marked AS (
    INSERT INTO slots AS kept (host_id, session_id, zone_id, revision, held, expires_at)
    SELECT host_id, session_id, zone_id, revision, live, CASE WHEN live THEN NULL ELSE $6::timestamptz END
    FROM told JOIN hosts USING (host_id)
    ORDER BY host_id, session_id
    ON CONFLICT (session_id, host_id) DO UPDATE
    SET held = excluded.held, revision = excluded.revision, expires_at = excluded.expires_at
    WHERE excluded.revision > kept.revision AND (kept.held <> excluded.held OR kept.expires_at IS NOT NULL)
    RETURNING WITH (OLD AS was, NEW AS stands)
        stands.host_id, stands.held::integer - coalesce(was.held::integer, 0) AS slots
), changed AS (
    SELECT host_id, sum(slots) AS slots FROM marked GROUP BY host_id
), seats AS (
    SELECT * FROM unnest($7::text[], $8::integer[], $9::bigint[], $10::double precision[], $11::double precision[])
        AS told (host_id, taken, revision, latency_ms, packet_loss_percent)
), mine AS (
    SELECT host_id FROM standings JOIN seats USING (host_id) ORDER BY host_id FOR NO KEY UPDATE OF standings
)
UPDATE standings AS s SET
    slots_taken = s.slots_taken + coalesce(changed.slots, 0),
    seats_taken = CASE WHEN seats.revision > s.seats_revision THEN seats.taken ELSE s.seats_taken END,
    seats_revision = greatest(s.seats_revision, seats.revision),
    measured_latency_ms = coalesce(seats.latency_ms, s.measured_latency_ms),
    measured_packet_loss_percent = coalesce(seats.packet_loss_percent, s.measured_packet_loss_percent)
FROM mine JOIN seats USING (host_id) LEFT JOIN changed USING (host_id)
WHERE s.host_id = seats.host_id
"""

TRIES = 3


class SlotNews(NamedTuple):
    """Whether a session lives, by its newest fact."""

    host_id: str
    session_id: str
    zone_id: str
    revision: int
    live: bool


class SeatNews(NamedTuple):
    """How many seats are taken on a host, over all its sessions, and what players measured there."""

    host_id: str
    taken: int
    revision: int
    latency_ms: float | None
    packet_loss_percent: float | None


class SlotStore:
    """Who is using a host."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self, host_id: str, session_id: str, zone_id: str, *, seats: int, until: datetime, heard_after: datetime
    ) -> bytes | None:
        """Take a slot, or find it taken for this session; None when the host can't give one (or is not known)."""
        arguments = (host_id, session_id, zone_id, seats, until, heard_after)
        try:
            host = await self._reserve(*arguments)
        except asyncpg.UniqueViolationError:  # the same session, at the same time
            host = await self._reserve(*arguments)
        if host is None and await self._database.fetchval("slots.is_over", _IS_OVER, session_id, host_id):
            raise SessionOverError(session_id)
        return host

    async def _reserve(self, *arguments: object) -> bytes | None:
        host: str | None = await self._database.fetchval("slots.reserve", _RESERVE, *arguments)
        return None if host is None else host.encode()

    async def release(self, host_id: str, session_id: str) -> None:
        await self._database.execute("slots.release", _RELEASE, session_id, host_id)

    async def expire(self, now: datetime) -> None:
        """Free reservations that no session's fact has confirmed in time."""
        await self._database.execute("slots.expire", _EXPIRE, now)

    async def hear(self, slots: Sequence[SlotNews], seats: Sequence[SeatNews], forget_at: datetime) -> None:
        """Take what sessions tell: one entry per session and host, and one per host."""
        await self._database.execute(
            "slots.hear", _HEAR, *zip(*slots, strict=True), forget_at, *zip(*seats, strict=True)
        )
