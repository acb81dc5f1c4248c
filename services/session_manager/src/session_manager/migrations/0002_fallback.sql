ALTER TABLE sessions
    ADD COLUMN fallback_endpoint text,
    ADD COLUMN fell_back_at timestamptz,
    ADD COLUMN fell_back_for text,
    ADD COLUMN host_since timestamptz,
    ADD COLUMN measured_at timestamptz;
COMMENT ON COLUMN sessions.fell_back_for IS 'The reason, while it is in fallback: its seats then are on no host, and host_id names the last one.';
COMMENT ON COLUMN sessions.host_since IS 'Since when its present host serves it; null: since it was created.';
COMMENT ON COLUMN sessions.measured_at IS 'When latency or loss was reported last; null: never on its present host.';

-- How the player's last attempt to connect to the session's present host came out; null: nothing was said of it.
ALTER TABLE seats
    ADD COLUMN connected boolean,
    ADD COLUMN connection_told_at timestamptz;

CREATE OR REPLACE FUNCTION session_json(s sessions) RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'id', s.id,
    'session_id', s.session_id,
    'host_id', s.host_id,
    'host_peer_id', s.host_peer_id,
    'zone_id', s.zone_id,
    'connected_players', s.connected_players,
    'current_players', s.current_players,
    'max_players', s.max_players,
    'status', s.status,
    'average_latency_ms', s.average_latency_ms,
    'average_packet_loss_percent', s.average_packet_loss_percent,
    'bandwidth_usage_mbps', s.bandwidth_usage_mbps,
    'quality_score', s.quality_score,
    'connection_type', s.connection_type,
    'epoch', s.epoch,
    'end_reason', s.end_reason,
    'fallback_endpoint', s.fallback_endpoint,
    'last_activity_at', s.last_activity_at,
    'started_at', s.started_at,
    'ended_at', s.ended_at,
    'created_at', s.created_at,
    'updated_at', s.updated_at
);

-- What becomes of a zone's sessions without a host; what a placement says (revision 0) gives way to the zone's own facts.
CREATE TABLE zone_policies (
    zone_id text PRIMARY KEY,
    revision bigint NOT NULL,
    fallback_enabled boolean NOT NULL,
    fallback_endpoint text,
    max_latency_ms integer NOT NULL
);

-- Sessions that were found unwell at every look since then.
CREATE TABLE unwell_sessions (
    session bigint PRIMARY KEY,
    since timestamptz NOT NULL
);

-- Hosts that at every look since then would have served a zone that has sessions in fallback.
CREATE TABLE able_hosts (
    zone_id text NOT NULL,
    host_id text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (zone_id, host_id)
);
CREATE INDEX able_hosts_by_host ON able_hosts (host_id);
