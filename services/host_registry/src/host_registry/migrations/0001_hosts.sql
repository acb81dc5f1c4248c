-- Most statements here take arrays and bounds, whose plan does not depend on their values, and planning one anew takes
-- longer than running it.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database());
END
$$;

-- Raised by every change that is told: over all hosts, so that one who is deleted and comes back goes on from there.
CREATE SEQUENCE revisions;

-- Who a host is and where. All that choosing one looks at is in `standings`.
CREATE TABLE hosts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- bigint: every renewed registration takes a number too
    host_id text COLLATE "C" NOT NULL UNIQUE,
    token text NOT NULL, -- the host_id as it stands in subjects
    peer_id text COLLATE "C" NOT NULL CONSTRAINT one_host_per_peer UNIQUE,
    player_id text NOT NULL,
    player_name text NOT NULL,
    ip_address text,
    port integer,
    public_ip text,
    cpu_frequency_mhz integer,
    ice_servers json, -- json, not jsonb: given back as it came, so it cannot grow
    metadata json,
    created_at timestamptz NOT NULL
);

-- How a host stands: one narrow row, written by every beat. What follows from the row is generated,
-- so no statement can forget to keep the score or the standing true.
CREATE TABLE standings (
    host_id text COLLATE "C" PRIMARY KEY REFERENCES hosts (host_id) ON DELETE CASCADE,
    no bigint NOT NULL, -- hosts.id: breaks ties

    -- as registered
    cpu_cores integer,
    memory_mb integer,
    network_speed_mbps integer,
    region text,
    max_players integer NOT NULL,
    max_zones integer NOT NULL,

    -- as people want it, and as silence makes it
    duty text NOT NULL DEFAULT 'online', -- online, busy, maintenance, draining
    liveness text NOT NULL DEFAULT 'alive', -- alive, suspect, offline

    -- as sessions say
    seats_taken integer NOT NULL DEFAULT 0,
    seats_revision bigint NOT NULL DEFAULT 0,
    slots_taken integer NOT NULL DEFAULT 0,
    measured_latency_ms double precision,
    measured_packet_loss_percent double precision,

    -- as the host itself says
    last_beat timestamptz NOT NULL,
    latency_ms double precision,
    packet_loss_percent double precision,
    bandwidth_usage_mbps double precision,
    current_players integer NOT NULL DEFAULT 0,
    current_zones integer NOT NULL DEFAULT 0,

    -- as gateways say
    connection_id text, -- the newest we know of, there or gone
    gateway_id text, -- that holds or held it
    socket_open boolean NOT NULL DEFAULT false,
    connected boolean NOT NULL DEFAULT false, -- open, and its gateway is there to vouch for it
    socket_gone_at timestamptz,

    told_score double precision NOT NULL,
    told_at timestamptz NOT NULL,
    revision bigint NOT NULL DEFAULT nextval('revisions'),
    updated_at timestamptz NOT NULL,

    -- score.py is the same rule in Python; a test holds the two together. An unknown latency counts as 150 ms,
    -- an unknown loss as 5 %: half the points. 300 - x, then / 10: the tiniest x divided first would be an underflow.
    score double precision NOT NULL GENERATED ALWAYS AS (
        floor(100 * (
            greatest(0, (300 - coalesce(measured_latency_ms, latency_ms, 150)) / 10)
            + greatest(0, 20 - 2 * coalesce(measured_packet_loss_percent, packet_loss_percent, 5))
            + greatest(0, 25 * (1 - current_players::double precision / max_players))
            + least(10, 10 * coalesce(cpu_cores, 0)::double precision / 4)
            + least(10, 10 * coalesce(memory_mb, 0)::double precision / 8192)
            + least(5, 5 * coalesce(network_speed_mbps, 0)::double precision / 100)
        ) + 0.5) / 100
    ) STORED,

    -- How far the 50 points of latency and loss are known: measured counts in full, the host's own word 0.3.
    confidence double precision NOT NULL GENERATED ALWAYS AS (
        (
            CASE WHEN measured_latency_ms IS NOT NULL THEN 300 WHEN latency_ms IS NOT NULL THEN 90 ELSE 0 END
            + CASE
                WHEN measured_packet_loss_percent IS NOT NULL THEN 200
                WHEN packet_loss_percent IS NOT NULL THEN 60
                ELSE 0
            END
        )::double precision / 500
    ) STORED,

    -- 'open': online with a seat and a zone slot free. Otherwise the host's status. Draining outlasts silence:
    -- its sessions are gone already, and a word of its own must not put it back.
    standing text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN duty = 'draining' THEN duty
            WHEN liveness <> 'alive' THEN liveness
            WHEN duty = 'online' AND seats_taken < max_players AND slots_taken < max_zones THEN 'open'
            ELSE duty
        END
    ) STORED
) WITH (
    fillfactor = 70, -- a beat that leaves the score as it was stays on its page and touches no index
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

-- Lists: per standing, best score first, then by number.
CREATE INDEX standings_by_score ON standings (standing, (-score), no);
-- Placement: of those with room, the most certain good ones first.
CREATE INDEX standings_by_merit ON standings ((-(score * confidence)), (-score), no) WHERE standing = 'open';

-- Zone slots in use or held, one per session and host.
CREATE TABLE slots (
    session_id text COLLATE "C" NOT NULL,
    host_id text COLLATE "C" NOT NULL REFERENCES hosts (host_id) ON DELETE CASCADE,
    zone_id text NOT NULL,
    held boolean NOT NULL,
    revision bigint NOT NULL DEFAULT 0, -- of the session's fact that said so last; 0: reserved, no fact yet
    expires_at timestamptz, -- of a reservation: when it lapses; of a slot given back: when its row may go
    PRIMARY KEY (session_id, host_id)
);
CREATE INDEX slots_by_expiry ON slots (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX slots_by_host ON slots (host_id);

-- Gateways that we have heard of lately; one that is not here vouches for none of its sockets.
CREATE TABLE gateways (
    gateway_id text COLLATE "C" PRIMARY KEY,
    heard_at timestamptz NOT NULL
);

-- How many hosts of each status and quality there are, and the sum of their scores in hundredths: kept by triggers,
-- so that counting costs the same with ten hosts or 100,000. A row per shard, so that writers do not wait for one another.
CREATE TABLE tallies (
    shard integer NOT NULL,
    status text NOT NULL,
    quality text NOT NULL,
    hosts bigint NOT NULL,
    score bigint NOT NULL,
    PRIMARY KEY (shard, status, quality)
) WITH (fillfactor = 50);

CREATE FUNCTION quality_of(score double precision) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN score >= 90 THEN 'excellent' WHEN score >= 70 THEN 'good' WHEN score >= 50 THEN 'fair' ELSE 'poor' END
$$;

CREATE FUNCTION count_arrived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (shard, status, quality, hosts, score)
    SELECT pg_backend_pid() % 32, standing, quality_of(arrived.score), count(*), sum(round(arrived.score * 100))
    FROM arrived GROUP BY 2, 3 ORDER BY 2, 3 -- in one order, or two writers of a shard could wait for each other
    ON CONFLICT (shard, status, quality)
    DO UPDATE SET hosts = t.hosts + excluded.hosts, score = t.score + excluded.score;
    RETURN NULL;
END
$$;

CREATE FUNCTION count_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (shard, status, quality, hosts, score)
    SELECT pg_backend_pid() % 32, standing, quality_of(gone.score), -count(*), -sum(round(gone.score * 100))
    FROM gone GROUP BY 2, 3 ORDER BY 2, 3
    ON CONFLICT (shard, status, quality)
    DO UPDATE SET hosts = t.hosts + excluded.hosts, score = t.score + excluded.score;
    RETURN NULL;
END
$$;

CREATE FUNCTION count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (shard, status, quality, hosts, score)
    SELECT pg_backend_pid() % 32, standing, quality, sum(hosts), sum(score)
    FROM (
        SELECT standing, quality_of(arrived.score) AS quality, count(*) AS hosts, sum(round(arrived.score * 100)) AS score
        FROM arrived GROUP BY 1, 2
        UNION ALL
        SELECT standing, quality_of(gone.score), -count(*), -sum(round(gone.score * 100)) FROM gone GROUP BY 1, 2
    ) AS change
    GROUP BY standing, quality
    HAVING sum(hosts) <> 0 OR sum(score) <> 0
    ORDER BY standing, quality
    ON CONFLICT (shard, status, quality)
    DO UPDATE SET hosts = t.hosts + excluded.hosts, score = t.score + excluded.score;
    RETURN NULL;
END
$$;

CREATE TRIGGER counted_in AFTER INSERT ON standings
REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION count_arrived();
CREATE TRIGGER counted_out AFTER DELETE ON standings
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_gone();
CREATE TRIGGER counted_over AFTER UPDATE ON standings
REFERENCING OLD TABLE AS gone NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION count_changed();
