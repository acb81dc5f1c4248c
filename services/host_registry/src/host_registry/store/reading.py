"""Hosts as they are asked for: one, a page of them, those that could serve, how many there are."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from chassis.database import Database
from contracts.hosts import HostCounts, HostStatus, QualityDistribution, Rejection

from host_registry.eligibility import Bounds, Contender
from host_registry.errors import HostNotFoundError
from host_registry.pages import Position
from host_registry.store.rows import HOST_JSON, ONLINE, OPEN, STANDING_COLUMNS, contender, listed

_GET = f"SELECT {HOST_JSON} AS host FROM hosts AS h JOIN standings AS s USING (host_id) WHERE h.host_id = $1"  # noqa: S608 -- made of constants
_OF_PEER = f"SELECT {HOST_JSON} AS host FROM hosts AS h JOIN standings AS s USING (host_id) WHERE h.peer_id = $1"  # noqa: S608 -- made of constants

# $1 standings, $2 score, $3 no, $4 min_score, $5 region, $6 heard_after, $7 limit, $8 bytes
_LIST = f"""
SELECT host, score, no, found FROM (
    SELECT *, count(*) OVER () AS found, sum(octet_length(host)) OVER (ORDER BY -score, no) AS bytes FROM (
        SELECT {HOST_JSON}::text AS host, s.score, s.no
        FROM (
            SELECT best.* FROM unnest($1::text[]) AS wanted (standing)
            CROSS JOIN LATERAL (
                SELECT * FROM standings
                WHERE standing = wanted.standing
                  AND (-score, no) > (-$2::double precision, $3)
                  AND -score <= -$4::double precision
                  AND ($5::text IS NULL OR region = $5)
                  AND last_beat > $6
                ORDER BY -score, no
                LIMIT $7
            ) AS best
            ORDER BY -best.score, best.no
            LIMIT $7
        ) AS s
        JOIN hosts AS h USING (host_id)
        OFFSET 0 -- a fence: without it the JSON would be made once for its length and once more for itself
    ) AS page
) AS measured
WHERE bytes <= $8
ORDER BY -score, no
"""  # noqa: S608 -- made of constants
"""Each standing's best come straight off the index, so a page costs the same however many hosts there are."""

# $1 min_score, $2 seats_wanted, $3 min_bandwidth_mbps, $4 max_latency_ms, $5 regions, $6 exclude, $7 heard_after,
# $8 limit
_ABLE = f"""
SELECT {HOST_JSON}::text AS host, {STANDING_COLUMNS}
FROM (
    SELECT * FROM standings
    WHERE standing = 'open'
      AND score >= $1
      AND seats_taken + $2 <= max_players
      AND ($3::double precision = 0 OR speed_mbps >= $3)
      AND ($4::double precision IS NULL OR coalesce(measured_latency_ms, latency_ms, 0) <= $4)
      AND ($5::text[] = '{{}}' OR region = ANY ($5))
      AND host_id <> ALL ($6::text[])
      AND last_beat > $7
    ORDER BY connected DESC, -(score * confidence), -score, no
    LIMIT $8
) AS s
JOIN hosts AS h USING (host_id)
"""  # noqa: S608 -- made of constants
"""Hosts against which nothing speaks, straight off the index by merit; eligibility.py has the last word."""

# $1 standings, $2 host_ids, $3 limit
_REST = f"""
SELECT {HOST_JSON}::text AS host, {STANDING_COLUMNS}
FROM (
    SELECT best.* FROM unnest($1::text[]) AS wanted (standing)
    CROSS JOIN LATERAL (
        SELECT * FROM standings
        WHERE standing = wanted.standing AND host_id <> ALL ($2::text[])
        ORDER BY -score, no
        LIMIT $3
    ) AS best
    ORDER BY -best.score, best.no
    LIMIT $3
) AS s
JOIN hosts AS h USING (host_id)
"""  # noqa: S608 -- made of constants

_ONE = f"""
SELECT {HOST_JSON}::text AS host, {STANDING_COLUMNS} FROM hosts AS h JOIN standings AS s USING (host_id)
WHERE h.host_id = $1
"""  # noqa: S608 -- made of constants

# $1 min_score, $2 seats_wanted, $3 min_bandwidth_mbps, $4 max_latency_ms, $5 regions, $6 exclude, $7 heard_after,
# $8 but
_COUNT_REJECTED = f"""
SELECT
    count(*) FILTER (WHERE duty = 'draining') AS draining,
    count(*) FILTER (WHERE standing NOT IN {listed([*ONLINE, HostStatus.DRAINING])}) AS not_online,
    count(*) FILTER (WHERE last_beat <= $7) AS beat_stale,
    count(*) FILTER (WHERE seats_taken + $2 > max_players) AS host_full,
    count(*) FILTER (WHERE slots_taken >= max_zones) AS no_zone_slot,
    count(*) FILTER (WHERE score < $1) AS score_too_low,
    count(*) FILTER (WHERE $3::double precision > 0 AND speed_mbps IS NULL) AS bandwidth_unknown,
    count(*) FILTER (WHERE speed_mbps < $3) AS bandwidth_too_low,
    count(*) FILTER (WHERE coalesce(measured_latency_ms, latency_ms) > $4::double precision) AS latency_too_high,
    count(*) FILTER (WHERE $5::text[] <> '{{}}' AND (region = ANY ($5)) IS NOT TRUE) AS region_not_allowed,
    count(*) FILTER (WHERE host_id = ANY ($6::text[])) AS excluded
FROM standings
WHERE host_id <> ALL ($8::text[])
"""  # noqa: S608 -- made of constants

_COUNT = "SELECT status, quality, sum(hosts)::bigint AS hosts, sum(score)::bigint AS score FROM tallies GROUP BY 1, 2"

ALL = (OPEN, *(status.value for status in HostStatus))
"""Every value of standings.standing."""

LIST_HOSTS = 640
"""With 730 bytes each, as most have, they fill a reply; more would be written as JSON only to be left out of it."""

LIST_BYTES = 500_000
"""A reply may have 512 KiB; the rest is for what surrounds the hosts."""


def standings_of(status: HostStatus | None, *, available: bool) -> Sequence[str]:
    """Which standings a question about hosts of some status means."""
    if available:
        return (OPEN,) if status in {None, HostStatus.ONLINE} else ()
    if status is None:
        return ALL
    return ONLINE if status is HostStatus.ONLINE else (status.value,)


class Listing(NamedTuple):
    """Hosts of one page as JSON, and where the next one begins."""

    hosts: list[bytes]
    end: Position | None


class Candidate(NamedTuple):
    """A host that may be chosen, for the rules and as JSON."""

    contender: Contender
    host: bytes


class HostReader:
    """Answers questions; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, host_id: str) -> bytes:
        host: str | None = await self._database.fetchval("hosts.get", _GET, host_id)
        if host is None:
            raise HostNotFoundError(host_id)
        return host.encode()

    async def of_peer(self, peer_id: str) -> bytes | None:
        host: str | None = await self._database.fetchval("hosts.of_peer", _OF_PEER, peer_id)
        return None if host is None else host.encode()

    async def page(
        self,
        standings: Sequence[str],
        *,
        min_score: float,
        region: str | None,
        heard_after: datetime,
        after: Position,
        limit: int,
    ) -> Listing:
        """Give hosts from behind `after` on, as many as fit one reply."""
        limit = min(limit, LIST_HOSTS)
        rows = await self._database.fetch(
            "hosts.list",
            _LIST,
            standings,
            after.score,
            after.no,
            min_score,
            region,
            heard_after,
            limit + 1,
            LIST_BYTES,
        )
        page = rows[:limit]
        more = bool(page) and page[0]["found"] > len(page)
        end = Position(page[-1]["score"], page[-1]["no"]) if more else None
        return Listing([row["host"].encode() for row in page], end)

    async def able(self, bounds: Bounds, limit: int) -> list[Candidate]:
        """Give hosts that meet the bounds, those of most merit."""
        rows = await self._database.fetch("hosts.able", _ABLE, *_arguments(bounds), limit)
        return [_candidate(row) for row in rows]

    async def best_but(self, host_ids: Collection[str], limit: int) -> list[Candidate]:
        """Give the hosts of best score, whatever speaks against them, but for these."""
        rows = await self._database.fetch("hosts.best_but", _REST, ALL, host_ids, limit)
        return [_candidate(row) for row in rows]

    async def one(self, host_id: str) -> Candidate:
        row = await self._database.fetchrow("hosts.one", _ONE, host_id)
        if row is None:
            raise HostNotFoundError(host_id)
        return _candidate(row)

    async def count_rejected(self, bounds: Bounds, but: Collection[str]) -> dict[Rejection, int]:
        """Count by code how many fail; a look at every host, so for explaining, not for choosing."""
        row = await self._database.fetchrow("hosts.count_rejected", _COUNT_REJECTED, *_arguments(bounds), but)
        return {Rejection(code): count for code, count in row.items() if count} if row else {}

    async def count(self) -> HostCounts:
        rows = await self._database.fetch("hosts.count", _COUNT)
        online = [row for row in rows if row["status"] in ONLINE]
        alive = sum(row["hosts"] for row in online)
        hundredths = sum(row["score"] for row in online)
        return HostCounts(
            total=sum(row["hosts"] for row in rows),
            online=alive,
            offline=sum(row["hosts"] for row in rows if row["status"] == HostStatus.OFFLINE),
            average_quality_score=round(hundredths / 100 / alive, 2) if alive else 0.0,
            quality_distribution=QualityDistribution(
                **{
                    quality: sum(row["hosts"] for row in online if row["quality"] == quality)
                    for quality in QualityDistribution.model_fields
                }
            ),
        )


def _arguments(bounds: Bounds) -> tuple[object, ...]:
    return (
        bounds.min_score,
        bounds.seats_wanted,
        bounds.min_bandwidth_mbps,
        bounds.max_latency_ms,
        bounds.regions,
        bounds.exclude,
        bounds.heard_after,
    )


def _candidate(row: asyncpg.Record) -> Candidate:
    return Candidate(contender(row), row["host"].encode())
