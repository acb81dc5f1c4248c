"""Hosts as they come, change, drain and go."""

from datetime import datetime, timedelta

import asyncpg
from chassis.database import Database, Transaction
from chassis.tracing import current_traceparent
from contracts.hosts import (
    HOST_CHANGED,
    HOST_DELETED,
    HOST_DRAINING,
    HOST_ONLINE,
    HOST_REGISTERED,
    ChangeHost,
    RegisterHost,
)

from host_registry.errors import PeerTakenError
from host_registry.score import Quality, points, score
from host_registry.store.rows import HOST_JSON, ONLINE, listed, subject_of, tell

PROBED_WITHIN = timedelta(minutes=1)
"""Of renewing: the host may be on another line now. No sooner, or whoever registers in a loop is probed in a loop."""

_REGISTERED = f"""
    h CROSS JOIN s JOIN LATERAL (
        VALUES
            ({subject_of(HOST_REGISTERED)}, NULL, true),
            ({subject_of(HOST_ONLINE)}, 'registered', s.stood NOT IN {listed(ONLINE)})
    ) AS news (subject, reason, so) ON news.so
"""
_CHANGED = f"""
    h CROSS JOIN s JOIN LATERAL (
        VALUES
            ({subject_of(HOST_CHANGED)}, NULL, true),
            (
                {subject_of(HOST_ONLINE)}, 'set',
                s.stood NOT IN {listed(ONLINE)} AND s.standing IN {listed(ONLINE)}
            )
    ) AS news (subject, reason, so) ON news.so
"""

# $1 asked, $2 token, $3 now, $4 traceparent, $5 score, $6 probe_at
_REGISTER = f"""
WITH asked AS (
    SELECT *, coalesce(peer_id, host_id) AS peer FROM json_populate_record(NULL::hosts, $1::json)
), h AS (
    INSERT INTO hosts AS kept (
        host_id, token, peer_id, player_id, player_name, ip_address, port, public_ip, cpu_frequency_mhz,
        ice_servers, metadata, run_id, created_at
    )
    SELECT
        host_id, $2, peer, player_id, player_name, ip_address, port, public_ip, cpu_frequency_mhz,
        ice_servers, metadata, run_id, $3
    FROM asked
    ON CONFLICT (host_id) DO UPDATE SET
        peer_id = excluded.peer_id, player_id = excluded.player_id, player_name = excluded.player_name,
        ip_address = excluded.ip_address, port = excluded.port, public_ip = excluded.public_ip,
        cpu_frequency_mhz = excluded.cpu_frequency_mhz, ice_servers = excluded.ice_servers,
        metadata = excluded.metadata, run_id = excluded.run_id
    RETURNING kept.*
), s AS (
    INSERT INTO standings AS kept (
        host_id, no, cpu_cores, memory_mb, network_speed_mbps, region, max_players, max_zones,
        accepts_probes, last_beat, told_score, told_at, updated_at, born_at
    )
    SELECT
        h.host_id, h.id, asked.cpu_cores, asked.memory_mb, asked.network_speed_mbps, asked.region,
        asked.max_players, asked.max_zones, asked.accepts_probes, $3, $5, $3, $3, $3
    FROM h, json_populate_record(NULL::standings, $1::json) AS asked
    ON CONFLICT (host_id) DO UPDATE SET
        cpu_cores = excluded.cpu_cores, memory_mb = excluded.memory_mb,
        network_speed_mbps = excluded.network_speed_mbps, region = excluded.region,
        max_players = excluded.max_players, max_zones = excluded.max_zones,
        accepts_probes = excluded.accepts_probes,
        probe_due_at = least(kept.probe_due_at, $6), upload_due_at = least(kept.upload_due_at, $6),
        duty = 'online', liveness = 'alive', last_beat = greatest(kept.last_beat, excluded.last_beat),
        revision = nextval('revisions'), updated_at = excluded.updated_at
    RETURNING WITH (OLD AS was, NEW AS stands) stands.*, was.standing AS stood
), told AS (
    {tell("news.subject", "news.reason", now="$3", traceparent="$4", where=_REGISTERED)}
)
SELECT {HOST_JSON} AS host FROM h CROSS JOIN s
"""  # noqa: S608 -- made of constants

# $1 host_id, $2 run_id
_IS_OF_RUN = "SELECT run_id IS NOT DISTINCT FROM $2 FROM hosts WHERE host_id = $1"
_HOST_OF_PEER = "SELECT host_id FROM hosts WHERE peer_id = $1"

# $1 host_id, $2 fields, $3 duty, $4 now, $5 traceparent
_CHANGE = f"""
WITH h AS (
    UPDATE hosts AS kept
    SET (player_name, ip_address, port, public_ip, cpu_frequency_mhz, ice_servers, metadata) = (
        SELECT player_name, ip_address, port, public_ip, cpu_frequency_mhz, ice_servers, metadata
        FROM json_populate_record(kept, $2::json)
    )
    FROM standings AS s
    WHERE kept.host_id = $1 AND s.host_id = $1 AND ($3::text IS DISTINCT FROM 'online' OR s.liveness = 'alive')
    RETURNING kept.*
), s AS (
    UPDATE standings AS kept
    SET (cpu_cores, memory_mb, network_speed_mbps, region, max_players, max_zones, accepts_probes) = (
            SELECT cpu_cores, memory_mb, network_speed_mbps, region, max_players, max_zones, accepts_probes
            FROM json_populate_record(kept, $2::json)
        ),
        duty = coalesce($3, kept.duty), revision = nextval('revisions'), updated_at = $4
    FROM h
    WHERE kept.host_id = h.host_id
    RETURNING WITH (OLD AS was, NEW AS stands) stands.*, was.standing AS stood
), told AS (
    {tell("news.subject", "news.reason", now="$4", traceparent="$5", where=_CHANGED)}
)
SELECT {HOST_JSON} AS host FROM h CROSS JOIN s
"""  # noqa: S608 -- made of constants
"""A key that the JSON lacks keeps the row's value; nothing is changed if a silent host is to be set online."""

# $4 run_id
_OF_RUN = "($4::text IS NULL OR run_id IS NOT DISTINCT FROM $4)"

# $1 host_id, $2 now, $3 traceparent, $4 run_id
_DRAIN = f"""
WITH h AS (
    SELECT * FROM hosts WHERE host_id = $1 AND {_OF_RUN} FOR SHARE -- nobody registers it meanwhile
), s AS (
    UPDATE standings AS kept SET duty = 'draining', revision = nextval('revisions'), updated_at = $2
    FROM h
    WHERE kept.host_id = h.host_id AND kept.duty <> 'draining'
    RETURNING kept.*
), told AS (
    {tell(subject_of(HOST_DRAINING), "NULL", now="$2", traceparent="$3", where="s JOIN h USING (host_id)")}
)
SELECT {HOST_JSON} AS host FROM s JOIN h USING (host_id)
"""  # noqa: S608 -- made of constants

# $1 host_id, $2 now, $3 traceparent, $4 run_id
_DELETE = f"""
WITH h AS (
    SELECT * FROM hosts WHERE host_id = $1 AND {_OF_RUN} FOR UPDATE
), s AS (
    UPDATE standings AS kept
    SET duty = 'online', liveness = 'offline', revision = nextval('revisions'), updated_at = $2
    FROM h
    WHERE kept.host_id = h.host_id
    RETURNING kept.*
), told AS (
    {tell(subject_of(HOST_DELETED), "NULL", now="$2", traceparent="$3", where="h CROSS JOIN s")}
), gone AS (
    DELETE FROM hosts USING h WHERE hosts.host_id = h.host_id -- what hangs on it goes when the statement is done
)
SELECT true FROM s
"""  # noqa: S608 -- made of constants


class RegistrationStore:
    """What hosts say of themselves, and what people want of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self, statements: Database | Transaction, asked: RegisterHost, token: str, now: datetime
    ) -> bytes:
        """Insert or renew a host; PeerTakenError also when it came twice at once for the first time."""
        try:
            host: str = await statements.fetchval(
                "hosts.register",
                _REGISTER,
                asked.model_dump_json(),
                token,
                now,
                current_traceparent(),
                _score_of_a_newcomer(asked),
                now + PROBED_WITHIN,
            )
        except asyncpg.UniqueViolationError as error:
            raise PeerTakenError(asked.peer_id or asked.host_id) from error
        return host.encode()

    async def host_of_peer(self, peer_id: str) -> str | None:
        host_id: str | None = await self._database.fetchval("hosts.of_peer", _HOST_OF_PEER, peer_id)
        return host_id

    async def change(self, asked: ChangeHost, duty: str | None, now: datetime) -> bytes | None:
        """Set the fields that are set; None when there is no such host, or it is silent and was to be online."""
        fields = asked.model_dump_json(exclude_unset=True)
        return _encoded(
            await self._database.fetchval(
                "hosts.change", _CHANGE, asked.host_id, fields, duty, now, current_traceparent()
            )
        )

    async def drain(self, host_id: str, run_id: str | None, now: datetime) -> bytes | None:
        """None when there is no such host, it is another run's, or it is draining already."""
        traceparent = current_traceparent()
        return _encoded(await self._database.fetchval("hosts.drain", _DRAIN, host_id, now, traceparent, run_id))

    async def is_of_run(self, host_id: str, run_id: str | None) -> bool:
        """Whether the host was registered by this run, if one is named."""
        return run_id is None or bool(await self._database.fetchval("hosts.of_run", _IS_OF_RUN, host_id, run_id))

    async def delete(self, host_id: str, run_id: str | None, now: datetime) -> bool:
        """Give whether there was such a host, registered by this run if one is named."""
        traceparent = current_traceparent()
        return bool(await self._database.fetchval("hosts.delete", _DELETE, host_id, now, traceparent, run_id))


def _score_of_a_newcomer(asked: RegisterHost) -> float:
    return score(
        points(
            Quality(
                latency_ms=None,
                packet_loss_percent=None,
                current_players=0,
                max_players=asked.max_players,
                cpu_cores=asked.cpu_cores,
                memory_mb=asked.memory_mb,
                speed_mbps=asked.network_speed_mbps,
            )
        )
    )


def _encoded(host: str | None) -> bytes | None:
    return None if host is None else host.encode()
