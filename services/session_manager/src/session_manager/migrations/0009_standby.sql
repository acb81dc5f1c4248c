-- The host that stands by for a session: seats are held there, counted in host_seats.taken of that host as others are,
-- as many as the session had players when that was looked at last.
ALTER TABLE sessions
    ADD COLUMN standby_host_id text,
    ADD COLUMN standby_peer_id text,
    ADD COLUMN standby_number bigint,
    ADD COLUMN standby_seats integer NOT NULL DEFAULT 0,
    ADD COLUMN standby_since timestamptz,
    ADD COLUMN standby_grounds jsonb,
    ADD COLUMN standby_sought_until timestamptz,
    ADD CHECK (standby_host_id <> host_id),
    ADD CHECK (standby_host_id IS NOT NULL OR standby_seats = 0);
COMMENT ON COLUMN sessions.standby_number IS 'Host.id of the standby: which of those that bore the name one after the other it is.';
COMMENT ON COLUMN sessions.standby_sought_until IS 'Until when an instance looks for one, or nobody does because none was found; past that any may.';
CREATE INDEX sessions_with_standby ON sessions (standby_host_id, id) WHERE standby_host_id IS NOT NULL;

ALTER TABLE zone_policies ADD COLUMN standby boolean NOT NULL DEFAULT false;

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
    'standby', CASE WHEN s.standby_host_id IS NOT NULL
        THEN jsonb_build_object('host_id', s.standby_host_id, 'host_peer_id', s.standby_peer_id) END,
    'last_activity_at', s.last_activity_at,
    'started_at', s.started_at,
    'ended_at', s.ended_at,
    'created_at', s.created_at,
    'updated_at', s.updated_at
);
