"""Beats as they are kept: one statement for however many."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from chassis.database import Database
from chassis.tracing import current_traceparent
from contracts.hosts import HOST_CHANGED, HOST_ONLINE

from host_registry.store.rows import HOST_JSON, ONLINE, listed, subject_of, tell


def _newer(claim: str) -> str:
    """What the host said last: of two registries either may write first what it heard."""
    beat, known = f"beat.{claim}", f"s.{claim}"
    return f"CASE WHEN beat.at >= s.last_beat THEN coalesce({beat}, {known}) ELSE coalesce({known}, {beat}) END"


_BACK = f"CASE WHEN s.standing IN {listed(ONLINE)} THEN {subject_of(HOST_ONLINE)} ELSE {subject_of(HOST_CHANGED)} END"

_WHO_IS_BACK = "shown AS s JOIN hosts AS h ON h.host_id = s.host_id AND s.back"

# $1 host_id, $2 at, $3 latency_ms, $4 packet_loss_percent, $5 bandwidth_usage_mbps, $6 current_players,
# $7 current_zones, $8 asked, $9 told_from, $10 told_before, $11 now, $12 traceparent, $13 most_told
_KEEP = f"""
WITH beat AS (
    SELECT * FROM unnest(
        $1::text[], $2::timestamptz[], $3::double precision[], $4::double precision[], $5::double precision[],
        $6::integer[], $7::integer[], $8::boolean[]
    ) AS told (
        host_id, at, latency_ms, packet_loss_percent, bandwidth_usage_mbps, current_players, current_zones, asked
    )
), mine AS (
    SELECT host_id FROM standings JOIN beat USING (host_id) ORDER BY host_id FOR NO KEY UPDATE OF standings
), kept AS (
    UPDATE standings AS s SET
        last_beat = greatest(s.last_beat, beat.at),
        latency_ms = {_newer("latency_ms")},
        packet_loss_percent = {_newer("packet_loss_percent")},
        bandwidth_usage_mbps = {_newer("bandwidth_usage_mbps")},
        current_players = {_newer("current_players")},
        current_zones = {_newer("current_zones")},
        liveness = 'alive',
        revision = CASE s.liveness WHEN 'alive' THEN s.revision ELSE nextval('revisions') END,
        updated_at = CASE s.liveness WHEN 'alive' THEN s.updated_at ELSE beat.at END
    FROM beat JOIN mine USING (host_id)
    WHERE s.host_id = beat.host_id AND (beat.asked OR beat.at >= s.born_at) -- else it is of a former life
    RETURNING WITH (OLD AS was, NEW AS stands)
        stands.host_id,
        beat.asked,
        was.liveness <> 'alive' AND stands.standing <> 'draining' AS back,
        abs(stands.score - stands.told_score) >= $9 AND stands.told_at <= $10 AS moved,
        -- the whole row only where it is wanted: of 25,000 hosts it would spill to disk
        CASE WHEN beat.asked OR was.liveness <> 'alive' THEN stands END AS stands
), shown AS (
    SELECT (kept.stands).*, kept.asked, kept.back FROM kept WHERE kept.asked OR kept.back
), back AS (
    {tell(_BACK, "'beat'", now="$11", traceparent="$12", where=_WHO_IS_BACK)}
)
SELECT s.host_id, 'shown' AS what, {HOST_JSON}::text AS host FROM shown AS s JOIN hosts AS h USING (host_id)
WHERE s.asked
UNION ALL
(SELECT host_id, 'moved', NULL FROM kept WHERE moved LIMIT $13)
UNION ALL
SELECT host_id, 'stray', NULL FROM (SELECT host_id FROM beat EXCEPT SELECT host_id FROM kept) AS stray
"""  # noqa: S608 -- made of constants
"""EXCEPT, not NOT EXISTS: it is never planned as a nested loop, and 25,000 times 25,000 would be one."""

# $1 host_ids, $2 now, $3 told_from, $4 told_before
_TELL_SCORES = """
WITH moved AS (
    SELECT host_id FROM standings
    WHERE host_id = ANY ($1::text[]) AND abs(score - told_score) >= $3 AND told_at <= $4
    ORDER BY host_id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE standings AS s SET told_score = s.score, told_at = $2 FROM moved WHERE s.host_id = moved.host_id
RETURNING WITH (OLD AS was, NEW AS stands) stands.host_id, stands.score, was.told_score AS previous
"""


MOST_TOLD = 1000
"""Scores told after one batch; the others are told after a later beat, if there still is something to tell."""


class Beat(NamedTuple):
    """A host's sign of life, and what it says of itself."""

    host_id: str
    at: datetime
    latency_ms: float | None = None
    packet_loss_percent: float | None = None
    bandwidth_usage_mbps: float | None = None
    current_players: int | None = None
    current_zones: int | None = None
    asked: bool = False
    """Whether somebody waits for the host as it stands afterwards."""


class Kept(NamedTuple):
    """What came of a batch of beats."""

    shown: dict[str, bytes]
    """The hosts that were asked for, as JSON."""
    moved: list[str]
    """Hosts whose score is to be told."""
    strays: list[str]
    """Names that no host has."""


class Move(NamedTuple):
    """A score that is worth telling."""

    host_id: str
    score: float
    previous: float


class BeatStore:
    """Where beats end."""

    def __init__(self, database: Database, told_from: float, told_every: timedelta) -> None:
        self._database = database
        self._told_from = told_from
        self._told_every = told_every

    async def keep(self, beats: Iterable[Beat], now: datetime) -> Kept:
        """Write beats, at most one per host; silent hosts among them are back."""
        rows = await self._database.fetch(
            "standings.beat",
            _KEEP,
            *zip(*beats, strict=True),
            self._told_from,
            now - self._told_every,
            now,
            current_traceparent(),
            MOST_TOLD,
        )
        return Kept(
            shown={row["host_id"]: row["host"].encode() for row in rows if row["what"] == "shown"},
            moved=[row["host_id"] for row in rows if row["what"] == "moved"],
            strays=[row["host_id"] for row in rows if row["what"] == "stray"],
        )

    async def moves_to_tell(self, host_ids: Sequence[str], now: datetime) -> list[Move]:
        """Note these scores as told, and give those that nobody else has told meanwhile."""
        rows = await self._database.fetch(
            "standings.tell_scores", _TELL_SCORES, host_ids, now, self._told_from, now - self._told_every
        )
        return [Move(row["host_id"], row["score"], row["previous"]) for row in rows]
