"""Measurements: those of each source as they come, and those that count put where choosing looks.

Whoever writes a source's figures makes them due for weighing, and only weighing puts them into `standings`.
A host's standing is locked before its measurements, as when a host is deleted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from chassis.database import Database, Transaction
from contracts.probes import ReportProbe

from host_registry.errors import HostNotFoundError
from host_registry.measures import Reading, Weighed, weigh

# $1 now, $2 limit, $3 until
_TAKE = """
WITH due AS (
    SELECT host_id FROM standings
    WHERE accepts_probes AND connected AND standing IN ('open', 'online', 'suspect') AND probe_due_at <= $1
    ORDER BY probe_due_at
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE standings AS s SET probe_due_at = $3 FROM due WHERE s.host_id = due.host_id
    RETURNING WITH (OLD AS was) s.host_id, s.upload_due_at <= $1 AS upload, was.probe_due_at AS since
)
SELECT host_id, peer_id, upload FROM taken JOIN hosts USING (host_id) ORDER BY since, hosts.id
"""

# $1 host_id, $2 at, $3 reached, $4 misses_until_rest, $5 probe_at, $6 rested_at, $7 upload_at, $8 upload_again_at,
# $9 upload_mbps, $10 jitter_ms, $11 round_trip_ms, $12 packet_loss_percent
_REPORT = """
WITH reported AS (
    UPDATE standings SET
        probe_reported_at = $2,
        probe_misses = CASE WHEN $3 THEN 0 ELSE least(probe_misses + 1, $4) END,
        probe_due_at = CASE WHEN $3 OR probe_misses + 1 < $4 THEN $5::timestamptz ELSE $6::timestamptz END,
        upload_due_at = CASE
            WHEN $9::double precision IS NOT NULL THEN $7::timestamptz
            WHEN $3 AND upload_due_at <= $2 THEN $8::timestamptz -- asked for in vain
            ELSE upload_due_at
        END,
        upload_mbps = coalesce($9, upload_mbps),
        jitter_ms = coalesce($10, jitter_ms)
    WHERE host_id = $1 AND (probe_reported_at IS NULL OR probe_reported_at < $2) AND born_at <= $2
    RETURNING host_id
), kept AS (
    INSERT INTO measurements (host_id, probe_latency_ms, probe_packet_loss_percent, probed_at, weigh_at)
    SELECT host_id, $11, $12, $2, '-infinity' FROM reported
    WHERE $3 AND num_nonnulls($11::double precision, $12::double precision) > 0
    ON CONFLICT (host_id) DO UPDATE SET
        probe_latency_ms = excluded.probe_latency_ms, probe_packet_loss_percent = excluded.probe_packet_loss_percent,
        probed_at = excluded.probed_at, weigh_at = excluded.weigh_at
)
SELECT true FROM standings WHERE host_id = $1
"""

# $1 peer_id, $2 remembered, $3 failed, $4 at
_CONNECTION = """
UPDATE standings
SET failed_share = trunc((failed_share * $2 + CASE WHEN $3 THEN 1 - $2 ELSE 0 END)::numeric, 3)
WHERE host_id = (SELECT host_id FROM hosts WHERE peer_id = $1) AND ($3 OR failed_share > 0) AND born_at <= $4
"""
"""Cut off at three digits: a share that good outcomes lower comes to 0, and then they cost no write."""

# $1 now, $2 limit
_DUE = """
SELECT kept.* FROM measurements AS kept JOIN standings AS s USING (host_id)
WHERE kept.weigh_at <= $1
ORDER BY kept.weigh_at
LIMIT $2
FOR NO KEY UPDATE OF s, kept SKIP LOCKED
"""

# $1 host_id, $2 latency_ms, $3 packet_loss_percent, $4 measured_at, $5 certainty, $6 until
_PUT = """
WITH weighed AS (
    SELECT * FROM unnest(
        $1::text[], $2::double precision[], $3::double precision[], $4::timestamptz[], $5::double precision[],
        $6::timestamptz[]
    ) AS weighed (host_id, latency_ms, packet_loss_percent, measured_at, certainty, until)
), noted AS (
    UPDATE measurements AS kept SET weigh_at = weighed.until FROM weighed WHERE kept.host_id = weighed.host_id
)
UPDATE standings AS s SET
    measured_latency_ms = weighed.latency_ms, measured_packet_loss_percent = weighed.packet_loss_percent,
    measured_at = weighed.measured_at, certainty = weighed.certainty
FROM weighed
WHERE s.host_id = weighed.host_id
"""


class Next(NamedTuple):
    """When a host is due again after a report."""

    misses_until_rest: int
    probe_at: datetime
    rested_at: datetime
    upload_at: datetime
    upload_again_at: datetime
    """Where it was due and no figure came of it."""


class MeasureStore:
    """What is measured of hosts, and who is to be measured."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, now: datetime, until: datetime, limit: int) -> list[asyncpg.Record]:
        """Give hosts that are due (host_id, peer_id, upload), and to nobody else before `until`."""
        return await self._database.fetch("probes.take", _TAKE, now, limit, until)

    async def report(self, report: ReportProbe, at: datetime, then: Next) -> None:
        """Keep a probe that is newer than the one known."""
        known = await self._database.fetchval(
            "probes.report",
            _REPORT,
            report.host_id,
            at,
            report.reached,
            *then,
            report.upload_mbps,
            report.jitter_ms,
            report.round_trip_ms,
            report.packet_loss_percent,
        )
        if not known:
            raise HostNotFoundError(report.host_id)

    async def connection_told(self, peer_id: str, remembered: float, at: datetime, *, failed: bool) -> None:
        """Take in how connecting to this peer came out, which may be a host."""
        await self._database.execute("measures.connection", _CONNECTION, peer_id, remembered, failed, at)

    async def weigh_due(self, now: datetime, limit: int) -> int:
        """Weigh what is new, or changed by age, and give how many hosts that were."""

        async def work(transaction: Transaction) -> int:
            rows = await transaction.fetch("measures.due", _DUE, now, limit)
            if rows:
                await transaction.execute("measures.put", _PUT, *_columns(rows, now))
            return len(rows)

        return await self._database.transact(work)


def _columns(rows: Sequence[asyncpg.Record], now: datetime) -> list[list[object]]:
    weighed = [(row["host_id"], found) for row in rows if (found := _weighed(row, now)) is not None]
    return [
        [host_id for host_id, _ in weighed],
        [found.latency_ms for _, found in weighed],
        [found.packet_loss_percent for _, found in weighed],
        [found.measured_at for _, found in weighed],
        [found.certainty for _, found in weighed],
        [found.until for _, found in weighed],
    ]


def _weighed(row: asyncpg.Record, now: datetime) -> Weighed | None:
    return weigh(_reading(row, "probe", "probed_at"), _reading(row, "players", "players_at"), now)


def _reading(row: asyncpg.Record, source: str, at: str) -> Reading | None:
    if row[at] is None:
        return None
    return Reading(row[f"{source}_latency_ms"], row[f"{source}_packet_loss_percent"], row[at])
