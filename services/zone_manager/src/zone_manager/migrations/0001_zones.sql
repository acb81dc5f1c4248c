CREATE TABLE zones (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    zone_id text NOT NULL UNIQUE,
    zone_name text NOT NULL,
    zone_display_name text NOT NULL,
    map_name text NOT NULL,
    max_players integer NOT NULL,
    recommended_players integer NOT NULL,
    p2p_enabled boolean NOT NULL,
    p2p_priority integer NOT NULL,
    fallback_enabled boolean NOT NULL,
    min_host_quality_score double precision NOT NULL,
    min_bandwidth_mbps integer NOT NULL,
    max_latency_ms integer NOT NULL,
    description text,
    fallback_endpoint text,
    relay_only boolean NOT NULL,
    regions text[] NOT NULL,
    checkpoint_interval_s integer,
    status text NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
-- The order of every list; the id makes it total, so that a page can say where it ended.
CREATE INDEX zones_in_list_order ON zones ((-p2p_priority), zone_name, id);

-- What sessions did in each zone. Apart from the zones: it changes with every join, and a zone's own revision must not.
CREATE TABLE zone_tallies (
    zone_id text PRIMARY KEY,
    total_sessions bigint NOT NULL,
    active_sessions bigint NOT NULL,
    total_players_served bigint NOT NULL
);

-- Which facts of each session are in the tallies: their revisions, nearly always one range from 1 on.
CREATE TABLE counted_sessions (
    session_id text PRIMARY KEY,
    revisions int8multirange NOT NULL,
    over boolean NOT NULL,
    heard_at timestamptz NOT NULL
);
CREATE INDEX counted_sessions_over ON counted_sessions (heard_at) WHERE over;

-- One row from the first start on: a seed that an operator has deleted or changed must not come back.
CREATE TABLE seeding (
    once boolean PRIMARY KEY DEFAULT true CHECK (once),
    seeded_at timestamptz NOT NULL
);
