"""Sessions that have no host for now, migrating or in fallback: who looks for one, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from chassis import tracing
from chassis.database import Database, Transaction
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import SessionStatus

from session_manager.health import Figures, Left
from session_manager.policies import UNLESS_SAID, ZonePolicy, when_nobody_fits
from session_manager.sessions import HOSTLESS, PlacedHost, Ref
from session_manager.store.facts import telling, trace_decision, written
from session_manager.store.fallback import Departing, leave_hosts
from session_manager.store.seats import MovedOnError, lock
from session_manager.store.sessions import KNOW_HOST, finish
from session_manager.store.standbys import StandbyStore
from session_manager.store.statuses import listed

_ZONES = """
SELECT DISTINCT s.zone_id FROM sessions s LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
WHERE s.status = 'fallback' AND s.current_players > 0 AND p.closed_for IS NULL ORDER BY s.zone_id
"""

_LEFT = "array_agg(l.host_id) AS hosts, array_agg(l.times) AS times, array_agg(l.left_at) AS left_at"

_FALLEN = f"""
SELECT s.id, s.session_id, s.zone_id, s.epoch, s.connected_players, s.fell_back_at, {_LEFT}
FROM sessions s LEFT JOIN left_hosts l ON l.session = s.id
WHERE s.status = 'fallback' AND s.zone_id = $1 AND s.current_players > 0
GROUP BY s.id ORDER BY s.id
"""  # noqa: S608 -- made of constants

# Whoever claimed it before has had its time: it is gone, or could not find out.
# $1 now, $2 until, $3 limit
_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM sessions
    WHERE status = 'migrating' AND (claimed_until IS NULL OR claimed_until <= $1)
    ORDER BY id LIMIT $3 FOR UPDATE
), claimed AS (
    UPDATE sessions s SET claimed_until = $2::timestamptz FROM due WHERE s.id = due.id
    RETURNING s.id, s.session_id, s.zone_id, s.epoch, s.connected_players, s.fell_back_at, s.standby_host_id
)
SELECT s.*, {_LEFT} FROM claimed s LEFT JOIN left_hosts l ON l.session = s.id
GROUP BY s.id, s.session_id, s.zone_id, s.epoch, s.connected_players, s.fell_back_at, s.standby_host_id ORDER BY s.id
"""  # noqa: S608 -- made of constants

# $1 number, $2 epoch, $3 at
_UNCLAIM = "UPDATE sessions SET claimed_until = $3 WHERE id = $1 AND epoch = $2 AND status = 'migrating'"

# $1 number, $2 epoch, $3 fallback_enabled, $4 fallback_endpoint
_POLICY = """
SELECT s.id, s.session_id, s.host_id, s.fell_back_for,
    coalesce(p.fallback_enabled, $3::boolean) AS fallback_enabled,
    CASE WHEN p.zone_id IS NULL THEN $4::text ELSE p.fallback_endpoint END AS fallback_endpoint
FROM sessions s LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
WHERE s.id = $1 AND s.epoch = $2 AND s.status = 'migrating'
FOR UPDATE OF s
"""

_SERVED_FIELDS = "id, session_id, zone_id, host_id, epoch, connected_players, standby_host_id"
_SERVED = f"""
SELECT {_SERVED_FIELDS} FROM sessions WHERE host_id = $1 AND live AND status = 'active' ORDER BY id
"""  # noqa: S608 -- made of constants
# $1 number, $2 session_id
_SERVED_ONE = f"""
SELECT {_SERVED_FIELDS} FROM sessions
WHERE id = coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text)) AND status = 'active'
"""  # noqa: S608 -- made of constants
# $1 number, $2 epoch
_STILL_SERVED = "SELECT id FROM sessions WHERE id = $1 AND epoch = $2 AND status = 'active'"

# $1 now, $2 traceparent, $3 number, $4 fallback_endpoint, $5 figures
_FALL_BACK = telling(
    """
WITH session AS (
    UPDATE sessions s SET
        status = 'fallback', connection_type = 'fallback', fallback_endpoint = $4::text, claimed_until = NULL,
        updated_at = $1::timestamptz, revision = s.revision + 1
    WHERE s.id = $3
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, s.fell_back_for, session_json(s) AS json
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'fell-back' AS event, s.epoch, s.status,
        '{}'::text[] AS joined, '{}'::text[] AS left_, s.fell_back_for AS reason, $5::jsonb AS figures, s.json,
        h.taken AS host_players, h.revision AS host_revision
    FROM session s JOIN host_seats h USING (host_id)
)""",
    "SELECT session_id FROM session",
    "figures",
)

# What was measured and told of the host before says nothing of this one.
# $1 now, $2 traceparent, $3 number, $4 epoch, $5 host_id, $6 host_peer_id, $7 host_max_players, $8 figures,
# $9 host_number, $10 grounds
_SERVE = telling(
    f"""
WITH standing AS MATERIALIZED (
    SELECT id, current_players AS players FROM sessions
    WHERE id = $3 AND epoch = $4 AND status IN {listed(HOSTLESS)} AND standby_host_id IS DISTINCT FROM $5
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
        host_id = $5, host_peer_id = $6, host_number = $9, host_since = $1::timestamptz,
        status = 'active', epoch = s.epoch + 1,
        connection_type = 'webrtc', fallback_endpoint = NULL, fell_back_at = NULL, fell_back_for = NULL,
        claimed_until = NULL,
        average_latency_ms = NULL, average_packet_loss_percent = NULL, bandwidth_usage_mbps = NULL,
        quality_score = NULL, measured_at = NULL, latency_said_at = NULL, loss_said_at = NULL,
        updated_at = $1, revision = s.revision + 1
    FROM standing, host WHERE s.id = standing.id
    RETURNING s.id, s.session_id, s.revision, s.epoch, s.status, old.fell_back_for, session_json(s) AS json
), seat AS (
    UPDATE seats SET connected = NULL, connection_told_at = NULL, latency_said_at = NULL, loss_said_at = NULL
    FROM session WHERE seats.session = session.id
        AND coalesce(connection_told_at, latency_said_at, loss_said_at) IS NOT NULL
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision, 'migrated' AS event, s.epoch, s.status,
        '{{}}'::text[] AS joined, '{{}}'::text[] AS left_, s.fell_back_for AS reason, $8::jsonb AS figures, s.json,
        h.taken AS host_players, h.revision AS host_revision
    FROM session s, host h
)""",  # noqa: S608 -- made of constants
    "SELECT session_id FROM session",
    "figures",
    grounds="$10::jsonb",
)


@dataclass(frozen=True, slots=True)
class HostlessSession:
    """A session without a host, with players who wait for one."""

    number: int
    session_id: SessionId
    zone_id: ZoneId
    epoch: int
    players: Sequence[PeerId]
    hostless_since: datetime
    left: Sequence[Left]
    """The hosts that it has left lately."""
    standby: HostId | None


@dataclass(frozen=True, slots=True)
class ServedSession:
    """An active session and the host that serves it."""

    number: int
    session_id: SessionId
    zone_id: ZoneId
    host_id: HostId
    epoch: int
    players: Sequence[PeerId]
    standby: HostId | None


class HostlessStore:
    """Sessions between hosts."""

    def __init__(self, database: Database, *, fallback_allowed: bool) -> None:
        self._database = database
        self._fallback_allowed = fallback_allowed

    async def zones_in_fallback(self) -> list[ZoneId]:
        """The zones that have players on the central server."""
        return [ZoneId(row["zone_id"]) for row in await self._database.fetch("sessions.hostless_zones", _ZONES)]

    async def in_fallback(self, zone_id: ZoneId) -> list[HostlessSession]:
        """Its sessions whose players are on the central server."""
        return [_hostless(row) for row in await self._database.fetch("sessions.hostless", _FALLEN, zone_id)]

    async def claim(self, until: datetime, limit: int, now: datetime) -> list[HostlessSession]:
        """Migrating sessions that nobody else looks for a host for; nobody else does until then."""
        rows = await self._database.fetch("sessions.claim", _CLAIM, now, until, limit)
        return [_hostless(row) for row in rows]

    async def unclaim(self, session: HostlessSession, at: datetime) -> None:
        """Have somebody try again from then on."""
        await self._database.execute("sessions.unclaim", _UNCLAIM, session.number, session.epoch, at)

    async def serve(
        self, session: HostlessSession, place: PlacedHost, now: datetime, figures: Figures, *, step: str
    ) -> bool:
        """Give the session to this host; False where it has changed or the host has no room for its players.

        `step`: the name of its span.
        """
        row = await _serve(self._database, session.number, session.epoch, place, now, figures)
        if row is not None:
            trace_decision(step, session.session_id, place.host_id, "able", figures)
        return row is not None

    async def served_by(self, host_id: HostId) -> list[ServedSession]:
        """The active sessions that this host serves."""
        return [_served(row) for row in await self._database.fetch("sessions.served", _SERVED, host_id)]

    async def served(self, ref: Ref) -> ServedSession | None:
        """The session, if it is active."""
        row = await self._database.fetchrow("sessions.served_one", _SERVED_ONE, ref.number, ref.session_id)
        return None if row is None else _served(row)

    async def hand_over(self, session: ServedSession, place: PlacedHost, reason: str, now: datetime) -> bool:
        """Give a session from one host to the next, at once; False where it has changed or there is no room for it."""

        async def hand_over(transaction: Transaction) -> None:
            await transaction.execute("host_seats.know", KNOW_HOST, place.host_id, place.host_max_players)
            await lock(transaction, [session.number], place.host_id)
            await _leave(transaction, session, reason, now)
            if await _serve(transaction, session.number, session.epoch, place, now, {}) is None:
                raise MovedOnError

        try:
            await self._database.transact(hand_over)
        except MovedOnError:
            return False
        trace_decision("hand over", session.session_id, place.host_id, reason, {})
        return True

    async def hand_over_to_standby(
        self, session: ServedSession, standbys: StandbyStore, reason: str, now: datetime
    ) -> bool:
        """Give a session from its host to its standby, at once; False where it has changed or there is no room."""

        async def hand_over(transaction: Transaction) -> HostId:
            await lock(transaction, [session.number])
            await _leave(transaction, session, reason, now)
            host_id = await standbys.take_over_in(transaction, session.number, session.epoch, now)
            if host_id is None:
                raise MovedOnError
            return host_id

        try:
            host_id = await self._database.transact(hand_over)
        except MovedOnError:
            return False
        trace_decision("hand over to standby", session.session_id, host_id, reason, {})
        return True

    async def stop_migrating(self, session: HostlessSession, figures: Figures, now: datetime) -> SessionStatus | None:
        """Do what the zone says of a session that no host will have; None where it has changed meanwhile."""

        async def stop(transaction: Transaction) -> tuple[SessionStatus, asyncpg.Record] | None:
            unless_said = (UNLESS_SAID.fallback_enabled, UNLESS_SAID.fallback_endpoint)
            named = (session.number, session.epoch)
            row = await transaction.fetchrow("sessions.lock_migrating", _POLICY, *named, *unless_said)
            if row is None:
                return None
            policy = ZonePolicy(row["fallback_enabled"], row["fallback_endpoint"], UNLESS_SAID.max_latency_ms)
            target = when_nobody_fits(policy, fallback_allowed=self._fallback_allowed)
            await lock(transaction, [session.number])
            if target is SessionStatus.FALLBACK:
                about = (session.number, policy.fallback_endpoint, written(figures))
                await transaction.fetch("sessions.fall_back", _FALL_BACK, now, tracing.current_traceparent(), *about)
            else:
                await finish(transaction, [session.number], target, row["fell_back_for"], now, [figures])
            return target, row

        stopped = await self._database.transact(stop)
        if stopped is None:
            return None
        target, row = stopped
        trace_decision("stop migrating", row["session_id"], row["host_id"], row["fell_back_for"], figures)
        return target


async def _leave(transaction: Transaction, session: ServedSession, reason: str, now: datetime) -> None:
    """Take a session that is locked, as its host is, from there; MovedOnError where it is there no more."""
    named = (session.number, session.epoch)
    if await transaction.fetchval("sessions.still_served", _STILL_SERVED, *named) is None:
        raise MovedOnError
    leaving = Departing(
        number=session.number,
        session_id=session.session_id,
        host_id=session.host_id,
        target=SessionStatus.MIGRATING,
        endpoint=None,
        figures={},
        times=0,
    )
    await leave_hosts(transaction, [leaving], reason, now)


async def _serve(
    statements: Database | Transaction, number: int, epoch: int, place: PlacedHost, now: datetime, figures: Figures
) -> asyncpg.Record | None:
    return await statements.fetchrow(
        "sessions.serve",
        _SERVE,
        now,
        tracing.current_traceparent(),
        number,
        epoch,
        place.host_id,
        place.host_peer_id,
        place.host_max_players,
        written(figures),
        place.host_number,
        place.grounds,
    )


def _served(row: asyncpg.Record) -> ServedSession:
    return ServedSession(
        number=row["id"],
        session_id=SessionId(row["session_id"]),
        zone_id=ZoneId(row["zone_id"]),
        host_id=HostId(row["host_id"]),
        epoch=row["epoch"],
        players=[PeerId(player_id) for player_id in row["connected_players"]],
        standby=row["standby_host_id"],
    )


def _hostless(row: asyncpg.Record) -> HostlessSession:
    return HostlessSession(
        number=row["id"],
        session_id=SessionId(row["session_id"]),
        zone_id=ZoneId(row["zone_id"]),
        epoch=row["epoch"],
        players=[PeerId(player_id) for player_id in row["connected_players"]],
        hostless_since=row["fell_back_at"],
        left=[
            Left(host_id, times, at)
            for host_id, times, at in zip(row["hosts"], row["times"], row["left_at"], strict=True)
            if host_id is not None
        ],
        standby=row.get("standby_host_id"),
    )
