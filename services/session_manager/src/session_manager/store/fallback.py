"""Sessions that leave their hosts, each with its fact, and the hosts that they may return to."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from chassis import tracing
from chassis.database import Database, Transaction
from contracts.identifiers import HostId, ZoneId
from contracts.sessions import SessionStatus

from session_manager.health import Figures, Left, times_left
from session_manager.policies import UNLESS_SAID, Closed, ZonePolicy, without_host
from session_manager.sessions import HOSTED
from session_manager.store.facts import telling, trace_decision, written
from session_manager.store.seats import lock
from session_manager.store.sessions import finish
from session_manager.store.statuses import listed

# $1 fallback_enabled, $2 fallback_endpoint
_DEPARTING = """
    s.id, s.session_id, s.host_id, s.status,
    coalesce(p.fallback_enabled, $1::boolean) AS fallback_enabled,
    CASE WHEN p.zone_id IS NULL THEN $2::text ELSE p.fallback_endpoint END AS fallback_endpoint,
    l.times, l.left_at
"""
_KNOWN = """
    LEFT JOIN zone_policies p ON p.zone_id = s.zone_id
    LEFT JOIN left_hosts l ON l.session = s.id AND l.host_id = s.host_id
"""

# A session in fallback is on no host any more.
# $1 fallback_enabled, $2 fallback_endpoint, $3 grace, $4 limit
_LOCK_LOST = f"""
SELECT {_DEPARTING}, h.lost_at
FROM lost_hosts h
JOIN sessions s ON s.host_id = h.host_id AND (s.host_number = h.number OR s.host_number IS NULL) AND s.live {_KNOWN}
WHERE h.lost_at IS NOT NULL AND coalesce(s.host_since, s.created_at) <= h.lost_at + $3::interval
    AND s.status IN {listed(HOSTED)}
ORDER BY s.id LIMIT $4 FOR UPDATE OF s
"""  # noqa: S608 -- made of constants

# Whoever was judged unwell on another host than the present one is judged anew.
# $1 fallback_enabled, $2 fallback_endpoint, $3 numbers, $4 epochs
_LOCK_UNWELL = f"""
SELECT {_DEPARTING}
FROM unnest($3::bigint[], $4::integer[]) AS unwell (id, epoch)
JOIN sessions s ON s.id = unwell.id AND s.epoch = unwell.epoch {_KNOWN}
WHERE s.status = 'active'
ORDER BY s.id FOR UPDATE OF s
"""  # noqa: S608 -- made of constants

# $1 fallback_enabled, $2 fallback_endpoint, $3 closed_for, $4 limit
_LOCK_CLOSED = f"""
SELECT {_DEPARTING}
FROM zone_policies closed JOIN sessions s ON s.zone_id = closed.zone_id AND s.live {_KNOWN}
WHERE closed.closed_for = $3 AND s.status IN {listed(HOSTED)}
ORDER BY s.id LIMIT $4 FOR UPDATE OF s
"""  # noqa: S608 -- made of constants

# $1 fallback_enabled, $2 fallback_endpoint, $3 closed_for, $4 limit
_LOCK_HOSTED = f"""
SELECT {_DEPARTING}
FROM sessions s {_KNOWN}
WHERE $3::text IS NULL AND s.live AND s.status IN {listed(HOSTED)}
ORDER BY s.id LIMIT $4 FOR UPDATE OF s
"""  # noqa: S608 -- made of constants

# $1 now, $2 traceparent, $3 numbers, $4 endpoints, $5 reason, $6 figures, $7 times, $8 targets
_LEAVE = telling(
    """
WITH host AS MATERIALIZED (
    SELECT host_id FROM host_seats
    WHERE host_id IN (SELECT host_id FROM sessions WHERE id = ANY($3::bigint[]))
    ORDER BY host_id FOR UPDATE
), session AS (
    UPDATE sessions s SET
        status = leaving.target, fallback_endpoint = leaving.endpoint,
        connection_type = CASE leaving.target WHEN 'fallback' THEN 'fallback' ELSE s.connection_type END,
        fell_back_at = $1::timestamptz, fell_back_for = $5::text, claimed_until = NULL,
        updated_at = $1, revision = s.revision + 1
    FROM host, unnest($3, $4::text[], $6::text[], $7::integer[], $8::text[])
        AS leaving (id, endpoint, figures, times, target)
    WHERE s.id = leaving.id AND s.host_id = host.host_id
    RETURNING s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, s.current_players, session_json(s) AS json,
        leaving.figures::jsonb AS figures, leaving.times
), left_host AS (
    INSERT INTO left_hosts AS l (session, host_id, times, left_at)
    SELECT id, host_id, times, $1 FROM session WHERE times > 0
    ON CONFLICT (session, host_id) DO UPDATE SET times = excluded.times, left_at = excluded.left_at
), freed AS (
    UPDATE host_seats h SET taken = h.taken - gone.players, revision = h.revision + 1
    FROM (SELECT host_id, sum(current_players) AS players FROM session GROUP BY host_id) gone
    WHERE h.host_id = gone.host_id
    RETURNING h.host_id, h.taken, h.revision
), fact AS (
    SELECT s.id AS session, s.session_id, s.revision,
        CASE s.status WHEN 'migrating' THEN 'migrating' ELSE 'fell-back' END AS event, s.epoch, s.status,
        '{}'::text[] AS joined, '{}'::text[] AS left_, $5 AS reason, s.figures, s.json,
        freed.taken AS host_players, freed.revision AS host_revision
    FROM session s JOIN freed USING (host_id)
)""",
    "SELECT session_id FROM session ORDER BY id",
    "figures",
)

# $1 zone_id, $2 hosts, $3 now
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
_FORGET_ABLE_IN = "DELETE FROM able_hosts WHERE zone_id = $1"
_FORGET_LEFT = "DELETE FROM left_hosts WHERE left_at < $1"

BATCH = 100
"""Sessions that one transaction takes from their hosts: some 10 ms, in which their hosts' rows are held."""


@dataclass(frozen=True, slots=True)
class Unwell:
    """A session that was bad on its host for too long, in which epoch, and what says so."""

    number: int
    epoch: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Departed:
    """What became of sessions whose hosts serve them no longer."""

    migrating: int = 0
    fell_back: int = 0
    failed: int = 0

    def __add__(self, other: "Departed") -> "Departed":
        return Departed(self.migrating + other.migrating, self.fell_back + other.fell_back, self.failed + other.failed)


class FallbackStore:
    """Sessions that leave their hosts, and able_hosts."""

    def __init__(self, database: Database, *, allowed: bool) -> None:
        self._database = database
        self._allowed = allowed

    async def leave_lost(self, grace: timedelta, reason: str, now: datetime) -> Departed:
        """Take a batch of sessions from lost hosts, placed there before the loss or within `grace` of it."""

        def figures(row: asyncpg.Record) -> Figures:
            return {"lost_for_s": (now - row["lost_at"]).total_seconds()}

        return await self._leave(_LOCK_LOST, (grace, BATCH), reason, now, figures)

    async def leave_unwell(self, unwell: Sequence[Unwell], reason: str, now: datetime) -> Departed:
        """Take these sessions from their hosts, as far as they are still there."""
        figures = {each.number: each.figures for each in unwell}
        named = [each.number for each in unwell], [each.epoch for each in unwell]
        return await self._leave(_LOCK_UNWELL, named, reason, now, lambda row: figures[row["id"]])

    async def leave_closed(self, closed_for: Closed | None, reason: str, now: datetime) -> Departed:
        """Take a batch of sessions from their hosts in zones that are closed for this; None: in all zones."""
        lock_batch = _LOCK_HOSTED if closed_for is None else _LOCK_CLOSED
        return await self._leave(lock_batch, (closed_for, BATCH), reason, now, lambda _: {}, zone_open=False)

    async def note_able(self, zone_id: ZoneId, hosts: Sequence[HostId], now: datetime) -> dict[HostId, datetime]:
        """Since when each of these, and no others, is able to serve the zone."""
        rows = await self._database.fetch("able_hosts.note", _NOTE_ABLE, zone_id, list(hosts), now)
        # One that another instance notes at this very moment may not be seen yet.
        return dict.fromkeys(hosts, now) | {HostId(row["host_id"]): row["since"] for row in rows}

    async def forget_able_but_in(self, zones: Sequence[ZoneId]) -> None:
        await self._database.execute("able_hosts.forget", _FORGET_ABLE, list(zones))

    async def forget_able_in(self, zone_id: ZoneId) -> None:
        """Have every host prove itself anew to this zone."""
        await self._database.execute("able_hosts.forget_zone", _FORGET_ABLE_IN, zone_id)

    async def forget_left(self, before: datetime) -> None:
        """Forget hosts that were left so long ago that it counts no more."""
        await self._database.execute("left_hosts.forget", _FORGET_LEFT, before)

    async def _leave(
        self,
        lock_batch: str,
        which: tuple[object, object],
        reason: str,
        now: datetime,
        figures: Callable[[asyncpg.Record], Figures],
        *,
        zone_open: bool = True,
    ) -> Departed:
        defaults = (UNLESS_SAID.fallback_enabled, UNLESS_SAID.fallback_endpoint)

        async def leave(transaction: Transaction) -> list[Departing]:
            rows = await transaction.fetch("sessions.lock_departing", lock_batch, *defaults, *which)
            departing = [self._departing(row, figures(row), now, zone_open=zone_open) for row in rows]
            failing = [each for each in departing if each.target is SessionStatus.FAILED]
            leaving = [each for each in departing if each.target is not SessionStatus.FAILED]
            await lock(transaction, [each.number for each in departing])
            if leaving:
                await leave_hosts(transaction, leaving, reason, now)
            if failing:
                numbers = [each.number for each in failing]
                told = [each.figures for each in failing]
                await finish(transaction, numbers, SessionStatus.FAILED, reason, now, told)
            return departing

        departed = await self._database.transact(leave)
        for each in departed:
            trace_decision("leave host", each.session_id, each.host_id, reason, each.figures)
        became = Counter(each.target for each in departed)
        return Departed(became[SessionStatus.MIGRATING], became[SessionStatus.FALLBACK], became[SessionStatus.FAILED])

    def _departing(self, row: asyncpg.Record, figures: Figures, now: datetime, *, zone_open: bool) -> "Departing":
        policy = ZonePolicy(row["fallback_enabled"], row["fallback_endpoint"], UNLESS_SAID.max_latency_ms)
        status = SessionStatus(row["status"])
        target = without_host(status, policy, zone_open=zone_open, fallback_allowed=self._allowed)
        before = None if row["times"] is None else Left(row["host_id"], row["times"], row["left_at"])
        return Departing(
            number=row["id"],
            session_id=row["session_id"],
            host_id=row["host_id"],
            target=target,
            endpoint=policy.fallback_endpoint if target is SessionStatus.FALLBACK else None,
            figures=figures,
            times=times_left(before, now) if zone_open else 0,
        )


@dataclass(frozen=True, slots=True)
class Departing:
    """A session that leaves its host, locked."""

    number: int
    session_id: str
    host_id: str
    target: SessionStatus
    endpoint: str | None
    figures: Figures
    times: int
    """How often in a row it leaves this host; 0 where that is not for the host."""


async def leave_hosts(transaction: Transaction, leaving: Sequence[Departing], reason: str, now: datetime) -> None:
    """Take sessions from their hosts that are locked, as are those."""
    await transaction.fetch(
        "sessions.leave",
        _LEAVE,
        now,
        tracing.current_traceparent(),
        [each.number for each in leaving],
        [each.endpoint for each in leaving],
        reason,
        [written(each.figures) for each in leaving],
        [each.times for each in leaving],
        [each.target for each in leaving],
    )
