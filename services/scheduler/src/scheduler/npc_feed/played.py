"""Which zones are played, and what the feed must know of them: kept from facts, in SQL."""

from dataclasses import dataclass
from datetime import timedelta

from chassis.clock import Clock
from chassis.database import Database
from contracts.sessions import SessionFact, SessionStatus
from contracts.zones import ZoneFact

FORGET_AFTER = timedelta(hours=1)
"""A session that is over is remembered for as long as an older fact of it might still come."""

# $1 session_id, $2 zone_id, $3 revision, $4 live, $5 now
_HEAR_SESSION = """
INSERT INTO sessions_seen AS known (session_id, zone_id, revision, live, seen_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (session_id) DO UPDATE SET revision = excluded.revision, live = excluded.live, seen_at = excluded.seen_at
WHERE excluded.revision > known.revision
"""
# $1 zone_id, $2 map_name, $3 npc_feed_interval_s, $4 revision
_HEAR_ZONE = """
INSERT INTO zones_known AS known (zone_id, map_name, interval_s, revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (zone_id) DO UPDATE
SET map_name = excluded.map_name, interval_s = excluded.interval_s, revision = excluded.revision
WHERE excluded.revision > known.revision
"""
_PLAYED = """
SELECT played.zone_id, zone.map_name, zone.interval_s
FROM (SELECT DISTINCT zone_id FROM sessions_seen WHERE live) AS played LEFT JOIN zones_known AS zone USING (zone_id)
"""
_FORGET = "DELETE FROM sessions_seen WHERE NOT live AND seen_at < $1"

OVER = frozenset({SessionStatus.ENDED, SessionStatus.FAILED})


@dataclass(frozen=True, slots=True)
class PlayedZone:
    """A zone with a live session; of one that was never announced only the name is known."""

    zone_id: str
    map_name: str | None
    interval_s: float | None
    """How often its NPCs are told; None: as often as everywhere."""


class PlayedZones:
    """Shared by all schedulers: each fact is heard by one of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def session_changed(self, fact: SessionFact) -> None:
        live = fact.session.status not in OVER
        values = (fact.session_id, fact.session.zone_id, fact.revision, live, self._clock.now())
        await self._database.execute("sessions_seen.hear", _HEAR_SESSION, *values)

    async def zone_changed(self, fact: ZoneFact) -> None:
        zone = fact.zone
        values = (fact.zone_id, zone.map_name, zone.npc_feed_interval_s, fact.revision)
        await self._database.execute("zones_known.hear", _HEAR_ZONE, *values)

    async def now(self) -> dict[str, PlayedZone]:
        rows = await self._database.fetch("sessions_seen.played", _PLAYED)
        return {row["zone_id"]: PlayedZone(row["zone_id"], row["map_name"], row["interval_s"]) for row in rows}

    async def forget(self) -> None:
        """Let go of sessions that are over for long."""
        await self._database.execute("sessions_seen.forget", _FORGET, self._clock.now() - FORGET_AFTER)
