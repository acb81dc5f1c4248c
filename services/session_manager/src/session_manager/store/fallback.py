"""Sessions that lose their host, and those that get another, each with its facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from chassis import tracing
from chassis.database import Database, Transaction
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import SessionStatus

from session_manager.health import Fallen
from session_manager.policies import UNLESS_SAID, ZonePolicy, without_host
from session_manager.sessions import Place
from session_manager.store.facts import telling
from session_manager.store.seats import lock
from session_manager.store.sessions import finish

_POLICY = """
    coalesce(p.fallback_enabled, $3::boolean) AS fallback_enabled,
    CASE WHEN p.zone_id IS NULL THEN $4::text ELSE p.fallback_endpoint END AS fallback_endpoint
"""

# A session in fallback is on no host any more.
_LOCK_LOST = f"""
SELECT s.id, s.status, {_POLICY}
FROM lost_hosts h JOIN sessions s ON s.host_id = h.host_id AND s.live
LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
WHERE h.lost_at IS NOT NULL AND coalesce(s.host_since, s.created_at) <= h.lost_at + $1::interval
    AND s.status IN ('pending', 'active')
ORDER BY s.id LIMIT $2 FOR UPDATE OF s
"""  # noqa: S608 -- made of constants

# Whoever was judged unwell on another host than the present one is judged anew.
_LOCK_UNWELL = f"""
SELECT s.id, s.status, {_POLICY}
FROM unnest($1::bigint[], $2::integer[]) AS unwell (id, epoch)
JOIN sessions s ON s.id = unwell.id AND s.epoch = unwell.epoch
LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
WHERE s.status = 'active'
ORDER BY s.id FOR UPDATE OF s
"""  # noqa: S608 -- made of constants

_FALL_BACK = telling(
    """
WITH host AS MATERIALIZED (
    SELECT host_id FROM host_seats
    WHERE host_id IN (SELECT host_id FROM sessions WHERE id = ANY($3::bigint[]))
    ORDER BY host_id FOR UPDATE
), session AS (
    UPDATE sessions s SET
        status = 'fallback', connection_type = 'fallback', fallback_endpoint = falling.endpoint,
        fell_back_at = $1::timestamptz, fell_back_for = $5::text, updated_at = $1, revision = s.revision + 1
    FROM host, unnest($3, $4::text[]) AS falling (id, endpoint)
    WHERE s.id = falling.id AND s.host_id = host.host_id
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, s.current_players, session_json(s) AS json
), freed AS (
    UPDATE host_seats h SET taken = h.taken - gone.players, revision = h.revision + 1
    FROM (SELECT host_id, sum(current_players) AS players FROM session GROUP BY host_id) gone
    WHERE h.host_id = gone.host_id
    RETURNING h.host_id, h.taken, h.revision
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'fell-back' AS event, s.epoch, s.status,
        '{}'::text[] AS joined, '{}'::text[] AS left_, $5 AS reason, s.json,
        freed.taken AS host_players, freed.revision AS host_revision
    FROM session s JOIN freed USING (host_id)
)""",
    "SELECT session_id FROM session ORDER BY id",
)

_ZONES = "SELECT DISTINCT zone_id FROM sessions WHERE status = 'fallback' AND current_players > 0 ORDER BY zone_id"

_FALLEN = """
SELECT id, session_id, epoch, connected_players, host_id, fell_back_for, fell_back_at FROM sessions
WHERE status = 'fallback' AND zone_id = $1 AND current_players > 0 ORDER BY id
"""

# What was measured and told of the host before says nothing of this one.
_RETURN = telling(
    """
WITH standing AS MATERIALIZED (
    SELECT id, current_players AS players FROM sessions
    WHERE id = $3 AND epoch = $4 AND status = 'fallback' AND current_players > 0
    FOR UPDATE
), host AS (
    INSERT INTO host_seats AS h (host_id, max_players, taken, revision)
    SELECT $5, $7::integer, players, 1 FROM standing WHERE players <= $7
    ON CONFLICT (host_id) DO UPDATE SET
        max_players = excluded.max_players, taken = h.taken + excluded.taken, revision = h.revision + 1
    WHERE h.taken + excluded.taken <= excluded.max_players
    RETURNING h.taken, h.revision
), session AS (
    UPDATE sessions s SET
        host_id = $5, host_peer_id = $6, host_since = $1::timestamptz, status = 'active', epoch = s.epoch + 1,
        connection_type = 'webrtc', fallback_endpoint = NULL, fell_back_at = NULL, fell_back_for = NULL,
        average_latency_ms = NULL, average_packet_loss_percent = NULL, bandwidth_usage_mbps = NULL,
        quality_score = NULL, measured_at = NULL, updated_at = $1, revision = s.revision + 1
    FROM standing, host WHERE s.id = standing.id
    RETURNING s.id, s.session_id, s.revision, s.epoch, s.status, old.fell_back_for, session_json(s) AS json
), seat AS (
    UPDATE seats SET connected = NULL, connection_told_at = NULL
    FROM session WHERE seats.session = session.id AND connection_told_at IS NOT NULL
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'migrated' AS event, s.epoch, s.status,
        '{}'::text[] AS joined, '{}'::text[] AS left_, s.fell_back_for AS reason, s.json,
        h.taken AS host_players, h.revision AS host_revision
    FROM session s, host h
)""",
    "SELECT session_id FROM session",
)

_NOTE_ABLE = """
WITH gone AS (
    DELETE FROM able_hosts WHERE zone_id = $1 AND host_id <> ALL($2::text[])
), new AS (
    INSERT INTO able_hosts (zone_id, host_id, since) SELECT $1, host_id, $3::timestamptz
    FROM unnest($2) AS host_id ORDER BY host_id
    ON CONFLICT DO NOTHING
    RETURNING host_id, since
)
SELECT host_id, since FROM able_hosts WHERE zone_id = $1 AND host_id = ANY($2)
UNION ALL SELECT host_id, since FROM new
"""

_FORGET_ABLE = "DELETE FROM able_hosts WHERE zone_id <> ALL($1::text[])"

BATCH = 100
"""Sessions that one transaction takes from their hosts: some 10 ms, in which their hosts' rows are held."""


@dataclass(frozen=True, slots=True)
class HostlessSession:
    """A session in fallback, with players who wait for a host."""

    number: int
    session_id: SessionId
    epoch: int
    players: Sequence[PeerId]
    fallen: Fallen


@dataclass(frozen=True, slots=True)
class Departed:
    """What became of sessions whose hosts serve them no longer."""

    fell_back: int = 0
    failed: int = 0

    def __add__(self, other: "Departed") -> "Departed":
        return Departed(self.fell_back + other.fell_back, self.failed + other.failed)


class FallbackStore:
    """Sessions between hosts, and able_hosts."""

    def __init__(self, database: Database, *, allowed: bool) -> None:
        self._database = database
        self._allowed = allowed

    async def leave_lost(self, grace: timedelta, reason: str, now: datetime) -> Departed:
        """Take a batch of sessions from lost hosts, placed there before the loss or within `grace` of it."""
        return await self._leave(_LOCK_LOST, grace, BATCH, reason, now)

    async def leave_unwell(self, unwell: Sequence[tuple[int, int]], reason: str, now: datetime) -> Departed:
        """Take these sessions (number and epoch) from their hosts, as far as they are still there."""
        numbers, epochs = [number for number, _ in unwell], [epoch for _, epoch in unwell]
        return await self._leave(_LOCK_UNWELL, numbers, epochs, reason, now)

    async def zones(self) -> list[ZoneId]:
        """The zones that have players on the central server."""
        return [ZoneId(row["zone_id"]) for row in await self._database.fetch("sessions.hostless_zones", _ZONES)]

    async def hostless(self, zone_id: ZoneId) -> list[HostlessSession]:
        return [_hostless(row) for row in await self._database.fetch("sessions.hostless", _FALLEN, zone_id)]

    async def serve(self, session: HostlessSession, place: Place, now: datetime) -> bool:
        """Give the session to this host; False where it has changed or the host has no room for its players."""
        row = await self._database.fetchrow(
            "sessions.return",
            _RETURN,
            now,
            tracing.current_traceparent(),
            session.number,
            session.epoch,
            place.host_id,
            place.host_peer_id,
            place.host_max_players,
        )
        return row is not None

    async def note_able(self, zone_id: ZoneId, hosts: Sequence[HostId], now: datetime) -> dict[HostId, datetime]:
        """Since when each of these, and no others, is able to serve the zone."""
        rows = await self._database.fetch("able_hosts.note", _NOTE_ABLE, zone_id, list(hosts), now)
        # One that another instance notes at this very moment may not be seen yet.
        return dict.fromkeys(hosts, now) | {HostId(row["host_id"]): row["since"] for row in rows}

    async def forget_able_but_in(self, zones: Sequence[ZoneId]) -> None:
        await self._database.execute("able_hosts.forget", _FORGET_ABLE, list(zones))

    async def _leave(self, lock_batch: str, first: object, second: object, reason: str, now: datetime) -> Departed:
        defaults = (UNLESS_SAID.fallback_enabled, UNLESS_SAID.fallback_endpoint)

        async def leave(transaction: Transaction) -> Departed:
            rows = await transaction.fetch("sessions.lock_departing", lock_batch, first, second, *defaults)
            falling = [row for row in rows if self._falls_back(row)]
            failing = [row["id"] for row in rows if not self._falls_back(row)]
            await lock(transaction, [row["id"] for row in rows])
            if falling:
                await _fall_back(transaction, falling, reason, now)
            if failing:
                await finish(transaction, failing, SessionStatus.FAILED, reason, now)
            return Departed(len(falling), len(failing))

        return await self._database.transact(leave)

    def _falls_back(self, row: asyncpg.Record) -> bool:
        policy = ZonePolicy(row["fallback_enabled"], row["fallback_endpoint"], UNLESS_SAID.max_latency_ms)
        target = without_host(SessionStatus(row["status"]), policy, fallback_allowed=self._allowed)
        return target is SessionStatus.FALLBACK


async def _fall_back(transaction: Transaction, rows: Sequence[asyncpg.Record], reason: str, now: datetime) -> None:
    numbers, endpoints = [row["id"] for row in rows], [row["fallback_endpoint"] for row in rows]
    await transaction.fetch(
        "sessions.fall_back", _FALL_BACK, now, tracing.current_traceparent(), numbers, endpoints, reason
    )


def _hostless(row: asyncpg.Record) -> HostlessSession:
    return HostlessSession(
        number=row["id"],
        session_id=SessionId(row["session_id"]),
        epoch=row["epoch"],
        players=[PeerId(player_id) for player_id in row["connected_players"]],
        fallen=Fallen(row["host_id"], row["fell_back_for"], row["fell_back_at"]),
    )
