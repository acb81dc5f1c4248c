-- Rows are locked in one order everywhere: sessions by id, host_seats by host_id, then seats; session_counts last of all.

CREATE TABLE host_seats (
    host_id text PRIMARY KEY,
    max_players integer NOT NULL,
    taken integer NOT NULL CHECK (taken >= 0),
    revision bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE host_seats IS 'Seats taken on each host over all its sessions; max_players is copied at placement. Rows stay: a revision never starts again.';

CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL UNIQUE,
    host_id text NOT NULL,
    host_peer_id text NOT NULL,
    zone_id text NOT NULL,
    -- In the order of joining. Kept in the row as well as in seats: an update that waited for this row's lock sees the
    -- newest row, while other tables are seen as they were when the statement began.
    connected_players text[] NOT NULL DEFAULT '{}',
    current_players integer NOT NULL GENERATED ALWAYS AS (cardinality(connected_players)) STORED,
    max_players integer NOT NULL,
    status text NOT NULL,
    average_latency_ms double precision,
    average_packet_loss_percent double precision,
    bandwidth_usage_mbps double precision,
    quality_score double precision,
    connection_type text NOT NULL DEFAULT 'webrtc',
    epoch integer NOT NULL DEFAULT 1,
    end_reason text,
    last_activity_at timestamptz NOT NULL,
    empty_since timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    -- Columns, so that the indexes below change only when these do: most updates then touch no index at all.
    live boolean NOT NULL GENERATED ALWAYS AS (status NOT IN ('ended', 'failed')) STORED,
    open boolean NOT NULL GENERATED ALWAYS AS
        (status IN ('pending', 'active') AND cardinality(connected_players) < max_players) STORED,
    CHECK (cardinality(connected_players) <= max_players),
    CHECK (status NOT IN ('ended', 'failed') OR cardinality(connected_players) = 0)
) WITH (fillfactor = 60);

CREATE INDEX sessions_of_zone ON sessions (zone_id, id);
CREATE INDEX sessions_of_host ON sessions (host_id, id);
CREATE INDEX sessions_by_status ON sessions (status, id);
CREATE INDEX live_sessions ON sessions (id) WHERE live;
CREATE INDEX live_sessions_of_zone ON sessions (zone_id, id) WHERE live;
CREATE INDEX live_sessions_of_host ON sessions (host_id, id) WHERE live;
CREATE INDEX open_sessions_of_zone ON sessions (zone_id) WHERE open;

-- A player has one seat at most: the key says so. No foreign key to sessions: its check would cost a tenth of a join.
CREATE TABLE seats (
    player_id text PRIMARY KEY,
    session bigint NOT NULL,
    -- Taken by a signaling socket, so given up some time after the socket is gone.
    socket boolean NOT NULL,
    -- The newest socket heard of, where it is, and the number of that gateway's announcement.
    connection_id text,
    gateway_id text,
    announcement bigint NOT NULL DEFAULT 0,
    absent_since timestamptz
);
CREATE INDEX absent_seats ON seats (absent_since) WHERE absent_since IS NOT NULL;
CREATE INDEX seats_of_gateway ON seats (gateway_id) WHERE gateway_id IS NOT NULL;

CREATE TABLE session_events (
    session bigint NOT NULL,
    revision bigint NOT NULL,
    event text NOT NULL,
    occurred_at timestamptz NOT NULL,
    epoch integer NOT NULL,
    status text NOT NULL,
    players_joined text[] NOT NULL,
    players_left text[] NOT NULL,
    reason text,
    trace_id text,
    PRIMARY KEY (session, revision)
);

-- The dashboard's totals, in shards so that simultaneous changes seldom meet.
CREATE TABLE session_counts (
    shard integer PRIMARY KEY,
    total bigint NOT NULL DEFAULT 0,
    live bigint NOT NULL DEFAULT 0,
    players bigint NOT NULL DEFAULT 0,
    latency_us bigint NOT NULL DEFAULT 0,
    latencies bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
COMMENT ON COLUMN session_counts.latency_us IS 'Whole microseconds: a sum of floats would drift.';
INSERT INTO session_counts (shard) SELECT generate_series(0, 63);

CREATE FUNCTION count_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was sessions := OLD;
    latency bigint := CASE WHEN NEW.live THEN round(NEW.average_latency_ms * 1000) END;
    latency_was bigint := CASE WHEN was.live THEN round(was.average_latency_ms * 1000) END;
BEGIN
    UPDATE session_counts c SET
        total = c.total + (TG_OP = 'INSERT')::integer,
        live = c.live + NEW.live::integer - coalesce(was.live, false)::integer,
        players = c.players + NEW.current_players - coalesce(was.current_players, 0),
        latency_us = c.latency_us + coalesce(latency, 0) - coalesce(latency_was, 0),
        latencies = c.latencies + (latency IS NOT NULL)::integer - (latency_was IS NOT NULL)::integer
    WHERE c.shard = pg_backend_pid() % 64;
    RETURN NULL;
END
$$;
-- Deferred to the commit, so that whoever holds a shard waits for nothing any more.
CREATE CONSTRAINT TRIGGER count_created AFTER INSERT ON sessions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION count_session();
CREATE CONSTRAINT TRIGGER count_changed AFTER UPDATE ON sessions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (
        OLD.live <> NEW.live
        OR OLD.current_players <> NEW.current_players
        OR OLD.average_latency_ms IS DISTINCT FROM NEW.average_latency_ms
    ) EXECUTE FUNCTION count_session();

-- A session as contracts.sessions.Session has it. In SQL, so that a change and its facts are one statement.
CREATE FUNCTION session_json(s sessions) RETURNS jsonb LANGUAGE sql STABLE
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
    'last_activity_at', s.last_activity_at,
    'started_at', s.started_at,
    'ended_at', s.ended_at,
    'created_at', s.created_at,
    'updated_at', s.updated_at
);

-- Hosts that host_registry has called lost, and since when; cleared by a newer word from it.
CREATE TABLE lost_hosts (
    host_id text PRIMARY KEY,
    revision bigint NOT NULL,
    lost_at timestamptz
);
CREATE INDEX hosts_lost_now ON lost_hosts (host_id) WHERE lost_at IS NOT NULL;

CREATE TABLE gateways (
    gateway_id text PRIMARY KEY,
    heard_at timestamptz NOT NULL
);

-- Who is asking for a host for a zone's next session: one at a time over all instances.
CREATE TABLE zone_claims (
    zone_id text PRIMARY KEY,
    claimed_by text NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE job_runs (
    job text NOT NULL,
    due_at timestamptz NOT NULL,
    fence bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (job, due_at)
);
