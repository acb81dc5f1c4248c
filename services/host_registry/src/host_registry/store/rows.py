"""What statements have in common: a host's JSON as it goes over the wire, a fact about it, and its standing.

PostgreSQL writes the JSON, so that a host passes from its row to the client's HTTP body without being built in Python.
"""

from collections.abc import Sequence

import asyncpg
from contracts.hosts import HostFact, HostStatus
from contracts.subjects import Subject

from host_registry.eligibility import Contender
from host_registry.score import Quality

OPEN = "open"
"""The standing of a host that is online, with a seat and a zone slot free."""

ONLINE = (OPEN, HostStatus.ONLINE.value)

DISMISSED = (HostStatus.OFFLINE.value, HostStatus.DRAINING.value)
"""Its sessions are gone or going: that it is silent, or lost to players, changes nothing."""

STATUS = "CASE s.standing WHEN 'open' THEN 'online' ELSE s.standing END"

HOST_JSON = f"""(
    SELECT to_json(host) FROM (
        SELECT
            h.id, h.host_id, h.player_id, h.player_name, h.peer_id, h.ip_address, h.port, h.public_ip,
            s.cpu_cores, h.cpu_frequency_mhz, s.memory_mb, s.network_speed_mbps,
            coalesce(s.measured_latency_ms, s.latency_ms) AS latency_ms,
            coalesce(s.measured_packet_loss_percent, s.packet_loss_percent) AS packet_loss_percent,
            s.bandwidth_usage_mbps,
            {STATUS} AS status,
            s.max_players, s.current_players, s.max_zones, s.current_zones,
            s.score AS quality_score,
            s.region,
            s.confidence,
            s.measured_latency_ms IS NOT NULL OR s.measured_packet_loss_percent IS NOT NULL AS measured,
            s.measured_at, s.jitter_ms, s.upload_mbps, s.accepts_probes,
            s.connected,
            h.metadata,
            s.last_beat AS last_heartbeat,
            h.created_at, s.updated_at
    ) AS host
)"""  # noqa: S608 -- made of constants
"""contracts.hosts.Host, of the row `h` of hosts and the row `s` of standings."""

STANDING_COLUMNS = f"""
    s.host_id, s.no, {STATUS} AS status, s.last_beat, s.seats_taken, s.slots_taken, s.max_players, s.max_zones,
    s.region, s.connected, s.score, s.confidence, s.current_players, s.cpu_cores, s.memory_mb, s.speed_mbps,
    coalesce(s.measured_latency_ms, s.latency_ms) AS latency_ms,
    coalesce(s.measured_packet_loss_percent, s.packet_loss_percent) AS packet_loss_percent
"""


def listed(standings: Sequence[str]) -> str:
    """For behind `IN`."""
    quoted = [f"'{standing}'" for standing in standings]
    return f"({', '.join(quoted)})"


def subject_of(fact: Subject[HostFact]) -> str:
    """The fact's subject for the host in `h`, as an SQL expression."""
    before, after = fact.pattern.split("{host_id}")
    return f"'{before}' || h.token || '{after}'"


def tell(subject: str, reason: str, *, now: str, traceparent: str, where: str) -> str:
    """Write the fact `subject` into the outbox, as an INSERT, once per row of `where` (its FROM clause)."""
    return f"""
    INSERT INTO outbox (event_id, subject, payload, traceparent)
    SELECT
        event.id,
        {subject},
        jsonb_build_object(
            'event_id', event.id, 'occurred_at', {now}::timestamptz, 'revision', s.revision,
            'host_id', h.host_id, 'host', {HOST_JSON}, 'reason', {reason}
        ),
        {traceparent}
    FROM {where}
    CROSS JOIN LATERAL (SELECT uuidv7() AS id, h.host_id) AS event
    """  # noqa: S608 -- made of constants


def contender(row: asyncpg.Record) -> Contender:
    return Contender(
        host_id=row["host_id"],
        no=row["no"],
        status=HostStatus(row["status"]),
        last_beat=row["last_beat"],
        seats_taken=row["seats_taken"],
        slots_taken=row["slots_taken"],
        max_zones=row["max_zones"],
        region=row["region"],
        connected=row["connected"],
        score=row["score"],
        confidence=row["confidence"],
        quality=Quality(
            latency_ms=row["latency_ms"],
            packet_loss_percent=row["packet_loss_percent"],
            current_players=row["current_players"],
            max_players=row["max_players"],
            cpu_cores=row["cpu_cores"],
            memory_mb=row["memory_mb"],
            speed_mbps=row["speed_mbps"],
        ),
    )
