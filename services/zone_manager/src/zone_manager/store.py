"""The zones table, in SQL."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import asyncpg
from chassis.database import Database, Transaction
from contracts.zones import Zone, ZoneCounts, ZoneStatus

from zone_manager.errors import ZoneNotFoundError
from zone_manager.pages import Position

_DEFINITION = """
    zone_name, zone_display_name, map_name, max_players, recommended_players, p2p_enabled, p2p_priority,
    fallback_enabled, min_host_quality_score, min_bandwidth_mbps, max_latency_ms, description, fallback_endpoint,
    relay_only, regions, checkpoint_interval_s, npc_feed_interval_s, standby
"""
_ZONE = f"""
SELECT zones.id, zones.zone_id, {_DEFINITION}, status, revision, created_at, updated_at,
       coalesce(total_sessions, 0) AS total_sessions,
       greatest(coalesce(active_sessions, 0), 0) AS active_sessions,
       coalesce(total_players_served, 0) AS total_players_served
FROM zones LEFT JOIN zone_tallies USING (zone_id)
"""  # noqa: S608 -- the columns are ours
_BY_ID = f"{_ZONE} WHERE zone_id = $1"
# $1 status, $2 p2p_enabled, $3 p2p_priority, $4 zone_name, $5 id, $6 limit
_LIST = f"""{_ZONE}
WHERE ($1::text IS NULL OR status = $1)
  AND ($2::boolean IS NULL OR p2p_enabled = $2)
  AND ($3::integer IS NULL OR (-p2p_priority, zone_name, zones.id) > (-$3, $4::text, $5::bigint))
ORDER BY -p2p_priority, zone_name, zones.id
LIMIT $6
"""
# $1 after, $2 limit
_HOLD = "SELECT id FROM zones WHERE id > $1 ORDER BY id LIMIT $2 FOR NO KEY UPDATE"
_HELD = f"{_ZONE} WHERE zones.id = ANY($1::bigint[]) ORDER BY zones.id"
_COUNT = "SELECT count(*) AS total, count(*) FILTER (WHERE status = 'enabled') AS enabled FROM zones"

# $1 fields, $2 status, $3 now
_PUT = f"""
INSERT INTO zones (zone_id, {_DEFINITION}, status, created_at, updated_at)
SELECT zone_id, {_DEFINITION}, $2, $3, $3 FROM jsonb_populate_record(NULL::zones, $1::jsonb)
ON CONFLICT (zone_id) DO NOTHING
"""  # noqa: S608 -- the columns are ours
# $1 zone_id, $2 fields, $3 now
_CHANGE = f"""
UPDATE zones
SET ({_DEFINITION}, status) = (SELECT {_DEFINITION}, status FROM jsonb_populate_record(zones, $2::jsonb)),
    revision = revision + 1,
    updated_at = $3
WHERE zone_id = $1
  AND jsonb_populate_record(zones, $2::jsonb) IS DISTINCT FROM zones
"""  # noqa: S608 -- the columns are ours
"""A key that the JSON lacks keeps the row's value; a zone that would stay as it is keeps its revision too."""

_SEEDED = "INSERT INTO seeding (seeded_at) VALUES ($1) ON CONFLICT DO NOTHING"

NEW = ZoneStatus.ENABLED

NONE = " 0"
"""How the tag of a statement that touched no row ends."""


class Kept(NamedTuple):
    """A zone after a write."""

    zone: Zone
    revision: int
    changed: bool


class ZoneStore:
    """Zones as they are stored; what is written belongs to the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, zone_id: str) -> Zone:
        return _zone(await self._row(self._database, zone_id))

    async def hold(self, transaction: Transaction, after: int, limit: int) -> list[Kept]:
        """Give zones in the order of their making, behind one on, as they stay till the transaction's end."""
        ids = [row["id"] for row in await transaction.fetch("zones.hold", _HOLD, after, limit)]
        rows = await transaction.fetch("zones.held", _HELD, ids)
        return [Kept(_zone(row), row["revision"], changed=False) for row in rows]

    async def list(
        self, *, status: ZoneStatus | None, p2p_enabled: bool | None, after: Position | None, limit: int
    ) -> list[Zone]:
        """Give zones by priority descending, then by name, from behind `after` on."""
        position = after or (None, None, None)
        rows = await self._database.fetch("zones.list", _LIST, status, p2p_enabled, *position, limit)
        return [_zone(row) for row in rows]

    async def count(self) -> ZoneCounts:
        (row,) = await self._database.fetch("zones.count", _COUNT)
        return ZoneCounts(total=row["total"], enabled=row["enabled"], disabled=row["total"] - row["enabled"])

    async def put(self, transaction: Transaction, zone_id: str, fields: Mapping[str, object], now: datetime) -> Kept:
        """Make the zone, or renew it and leave its status alone."""
        made = await transaction.execute("zones.put", _PUT, json.dumps(fields), NEW, now)
        if made.endswith(NONE):
            return await self.change(transaction, zone_id, fields, now)
        return await self._kept(transaction, zone_id, changed=True)

    async def change(self, transaction: Transaction, zone_id: str, fields: Mapping[str, object], now: datetime) -> Kept:
        """Change these fields; a zone that has them already stays as it is."""
        updated = await transaction.execute("zones.change", _CHANGE, zone_id, json.dumps(fields), now)
        return await self._kept(transaction, zone_id, changed=not updated.endswith(NONE))

    async def begin_seeding(self, transaction: Transaction, now: datetime) -> bool:
        """Whether nobody has seeded yet; from the commit on, somebody has."""
        seeded = await transaction.execute("zones.begin_seeding", _SEEDED, now)
        return not seeded.endswith(NONE)

    async def _kept(self, transaction: Transaction, zone_id: str, *, changed: bool) -> Kept:
        row = await self._row(transaction, zone_id)
        return Kept(_zone(row), row["revision"], changed)

    async def _row(self, statements: Database | Transaction, zone_id: str) -> asyncpg.Record:
        row = await statements.fetchrow("zones.by_id", _BY_ID, zone_id)
        if row is None:
            raise ZoneNotFoundError(zone_id)
        return row


def _zone(row: asyncpg.Record) -> Zone:
    return Zone.model_validate(dict(row))
