-- Sessions as their facts tell of them: the feed is composed for zones that have a live one.
CREATE TABLE sessions_seen (
    session_id text PRIMARY KEY,
    zone_id text NOT NULL,
    revision bigint NOT NULL,
    live boolean NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE INDEX sessions_seen_live ON sessions_seen (zone_id) WHERE live;
CREATE INDEX sessions_seen_over ON sessions_seen (seen_at) WHERE NOT live;

-- What the feed must know of zones.
CREATE TABLE zones_known (
    zone_id text PRIMARY KEY,
    map_name text NOT NULL,
    interval_s double precision,
    revision bigint NOT NULL
);
